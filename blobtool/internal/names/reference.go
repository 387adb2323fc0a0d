package names

import (
	"net/url"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Reference parses a caller's reference to a blob in the account at serviceURL: its URI, its URL,
// or the URL that Hadoop and Spark drivers use,
// abfss://container@account.dfs.core.windows.net/path. isURL is false for anything else, which may
// be a blob's name. It neither keeps nor shows the query of a URL: a SAS is a secret.
func Reference(serviceURL, given string) (at Location, isURL bool, err error) {
	scheme, rest, ok := strings.Cut(given, "://")
	if !ok {
		return at, false, nil
	}
	switch strings.ToLower(scheme) {
	case "blob":
		if name := strings.TrimSuffix(rest, "/"); name != "" && !strings.Contains(name, "/") {
			return Location{Container: decode(name)}, true, nil
		}
		at, err = ParseURI(Scheme + rest)
		return at, true, err
	case "https", "http":
		return blobURL(serviceURL, rest)
	case "abfss", "abfs", "wasbs", "wasb":
		host, name, _ := strings.Cut(rest, "/")
		container, host, _ := strings.Cut(host, "@")
		return blobURL(serviceURL, host+"/"+container+"/"+name)
	}
	return at, false, nil
}

// blobURL parses the part of a URL after the scheme.
func blobURL(serviceURL, rest string) (at Location, isURL bool, err error) {
	host, account, _ := strings.Cut(strings.TrimPrefix(serviceURL, "https://"), "/")
	theirs, path, _ := strings.Cut(rest, "/")
	theirs = strings.TrimSuffix(strings.ToLower(theirs), ":443")
	if !sameAccount(theirs, host) {
		if azureHost(theirs) != nil || fault.HasSignature(rest) {
			return at, true, fault.New(fault.ErrInvalidPath, "blob_path is a URL outside this server's storage account; use the blob's name within the container")
		}
		return at, false, nil
	}
	path, query, _ := strings.Cut(path, "?")
	if account != "" {
		first, rest, _ := strings.Cut(path, "/")
		if path = rest; first != account {
			return at, true, fault.New(fault.ErrInvalidPath, "blob_path is a URL of a storage account other than this server's; use the blob's name within the container")
		}
	}
	if !isSAS(query) || strings.Contains(path, "#") {
		return at, true, fault.New(fault.ErrInvalidPath, "blob_path is a URL with something after the blob's name; use only the blob's name, and pass a version as version_id")
	}
	container, name, _ := strings.Cut(path, "/")
	at = Location{decode(container), decode(name)}
	if CheckContainer(at.Container) != nil {
		return Location{}, true, fault.New(fault.ErrInvalidPath, "blob_path is a URL without a container's name; use the blob's name within the container")
	}
	return at, true, nil
}

// sameAccount reports whether a host is the account's, or its data lake host, which serves the
// same blobs.
func sameAccount(host, ours string) bool {
	if h := azureHost(host); h != nil && h.service == "dfs" {
		host = strings.Join(h.account, ".") + ".blob." + h.suffix
	}
	return host == ours
}

// isSAS reports whether a query is empty or a SAS. It rejects a version or a snapshot, which is
// different content.
func isSAS(query string) bool {
	if query == "" {
		return true
	}
	values, err := url.ParseQuery(query)
	if err != nil || !values.Has("sig") {
		return false
	}
	for name := range values {
		switch strings.ToLower(name) {
		case "versionid", "snapshot", "comp", "restype":
			return false
		}
	}
	return true
}
