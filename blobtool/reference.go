package blobtool

import (
	"context"
	"net/url"
	"regexp"
	"strings"
)

// named returns which blob a call's container and blob_path name. Models hand back the
// URI of a result, or a blob's URL as the portal shows it: where it is of this account,
// it names the blob as plainly as its name does. Everything else is a name as it stands.
//
// A URL may carry a SAS, which is a secret: nothing of its query is kept or shown.
func (s *Set) named(containerArg, path string) (containerName, blob string, err error) {
	at, isURL, err := s.reference(path)
	switch {
	case err != nil:
		return "", "", err
	case !isURL:
		return containerArg, path, nil
	case at.blob == "":
		return "", "", failuref(ErrInvalidPath, "blob_path is the URL of container %s; give the name of a blob in it", quote(at.container))
	case containerArg != "" && at.container != containerArg:
		return "", "", failuref(ErrInvalidArgument, "blob_path is a URL in container %s, and container is %s; give the blob's name alone, or the same container", quote(at.container), quote(containerArg))
	case s.container != "" && at.container != s.container:
		return "", "", failuref(ErrNotAllowed, "blob_path is a URL in container %s, and this server offers container %s alone", quote(at.container), quote(s.container))
	}
	if s.container != "" {
		at.container = ""
	}
	return at.container, at.blob, nil
}

// locateNamed is locateBlob for the arguments of a call.
func (s *Set) locateNamed(ctx context.Context, containerArg, path string) (location, error) {
	containerName, name, err := s.named(containerArg, path)
	if err != nil {
		return location{}, err
	}
	return s.locateBlob(ctx, containerName, name)
}

// reference reads a blob's URI, its URL, or its URL in the drivers of Hadoop and Spark,
// which is like abfss://container@account.dfs.core.windows.net/path. isURL is false if it
// is a URL of something else, which can be a blob's name.
func (s *Set) reference(path string) (at location, isURL bool, err error) {
	scheme, rest, ok := strings.Cut(path, "://")
	if !ok {
		return at, false, nil
	}
	switch strings.ToLower(scheme) {
	case "blob":
		if name := strings.TrimSuffix(rest, "/"); name != "" && !strings.Contains(name, "/") {
			return location{container: percentDecode(name)}, true, nil
		}
		at, err = parseResourceURI(uriScheme + rest)
		return at, true, err
	case "https", "http":
		return s.blobURL(rest)
	case "abfss", "abfs", "wasbs", "wasb":
		host, name, _ := strings.Cut(rest, "/")
		container, host, _ := strings.Cut(host, "@")
		return s.blobURL(host + "/" + container + "/" + name)
	}
	return at, false, nil
}

// blobURL reads what follows the scheme of a URL.
func (s *Set) blobURL(rest string) (at location, isURL bool, err error) {
	ours := strings.TrimPrefix(s.serviceURL, "https://")
	host, account, _ := strings.Cut(ours, "/")
	theirs, path, _ := strings.Cut(rest, "/")
	theirs = strings.TrimSuffix(strings.ToLower(theirs), ":443")
	if !sameAccount(theirs, host) {
		if azureHost(theirs) != nil || hasSignature(rest) {
			return at, true, failuref(ErrInvalidPath, "blob_path is a URL outside the storage account of this server; give the blob's name within the container")
		}
		return at, false, nil
	}
	path, query, _ := strings.Cut(path, "?")
	if account != "" {
		first, rest, _ := strings.Cut(path, "/")
		if path = rest; first != account {
			return at, true, failuref(ErrInvalidPath, "blob_path is a URL of a storage account other than this server's; give the blob's name within the container")
		}
	}
	if err := checkBlobQuery(query); err != nil || strings.Contains(path, "#") {
		return at, true, failuref(ErrInvalidPath, "blob_path is a URL with something after the blob's name; give the blob's name alone, and a version as version_id")
	}
	container, name, _ := strings.Cut(path, "/")
	at = location{percentDecode(container), percentDecode(name)}
	if checkContainer(at.container) != nil {
		return location{}, true, failuref(ErrInvalidPath, "blob_path is a URL without a container's name; give the blob's name within the container")
	}
	return at, true, nil
}

// sameAccount reports whether a host is that of the account, or the one that its data
// lake has for the same blobs.
func sameAccount(host, ours string) bool {
	if h := azureHost(host); h != nil && h.service == "dfs" {
		host = strings.Join(h.account, ".") + ".blob." + h.suffix
	}
	return host == ours
}

// errBlobQuery: a URL's query says more than who may read.
var errBlobQuery = failuref(ErrInvalidPath, "query")

// checkBlobQuery lets nothing but a SAS pass: a version or a snapshot is another content.
func checkBlobQuery(query string) error {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("sig") {
		return errBlobQuery
	}
	for _, other := range []string{"versionid", "snapshot", "comp", "restype"} {
		for name := range values {
			if strings.EqualFold(name, other) {
				return errBlobQuery
			}
		}
	}
	return nil
}

// signature is the secret part of a SAS, whatever it is escaped as.
var signature = regexp.MustCompile(`(?i)\bsig(=|%(25)*3d)[^&\s"]*`)

func hasSignature(s string) bool { return signature.MatchString(s) }

// withoutSignatures hides the secret of a SAS in a text that is shown or logged.
func withoutSignatures(s string) string { return signature.ReplaceAllString(s, "sig=…") }
