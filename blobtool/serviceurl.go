package blobtool

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// parseServiceURL checks the URL of a storage account and returns it without
// trailing slash. The URL's text is not repeated in errors beyond its host: it
// may hold a SAS, which is a secret.
func parseServiceURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "", errors.New("is missing; it is like https://account.blob.core.windows.net")
	case err != nil || u.Opaque != "":
		return "", errors.New("is not a URL; it is like https://account.blob.core.windows.net")
	case u.Scheme != "https":
		return "", errors.New("must begin with https://: tokens are sent there")
	case u.Hostname() == "" || u.User != nil:
		return "", errors.New("must have a host and no user name; it is like https://account.blob.core.windows.net")
	case u.RawQuery != "" || u.ForceQuery:
		return "", errors.New("must have no query; a SAS is not used here, the user's own permissions are: leave out all from the question mark on")
	case u.Fragment != "":
		return "", errors.New("must have no fragment (#)")
	}
	return withAccountPath(u)
}

// withAccountPath allows one path segment: the account, where the host does not
// name it.
func withAccountPath(u *url.URL) (string, error) {
	account := strings.Trim(u.Path, "/")
	base := "https://" + strings.ToLower(u.Host)
	switch {
	case account == "":
		return base, nil
	case strings.Contains(strings.ToLower(u.Hostname()), ".blob."):
		return "", fmt.Errorf("must be the account's URL alone, https://%s; the container is an argument of its own", u.Host)
	case !isLowerAlphanumeric(account):
		return "", errors.New("has a path; only the name of the account may stand there, as in https://127.0.0.1:10000/devstoreaccount1")
	}
	return base + "/" + account, nil
}

func isLowerAlphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
