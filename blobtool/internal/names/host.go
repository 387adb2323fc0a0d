package names

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// ParseServiceURL checks the URL of a storage account and returns it without a trailing slash, or
// returns everything that is wrong with it. container is the set's container, if it has only one.
// Errors quote only the URL's host: the URL may contain a SAS, which is a secret.
func ParseServiceURL(s, container string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return "", errors.New("is missing; set a URL such as https://account.blob.core.windows.net")
	case err != nil || u.Opaque != "":
		return "", errors.New("is not a URL; set one such as https://account.blob.core.windows.net")
	}
	var faults []error
	check := func(wrong bool, text string) {
		if wrong {
			faults = append(faults, errors.New(text))
		}
	}
	check(u.Scheme != "https", "must begin with https://, because tokens are sent there")
	check(u.Hostname() == "" || u.User != nil, "must have a host and no user name, as in https://account.blob.core.windows.net")
	check(u.RawQuery != "" || u.ForceQuery, "must have no query: requests use the user's own permissions, not a SAS; remove the question mark and all after it")
	check(u.Fragment != "" || strings.Contains(s, "#"), "must have no fragment (#)")
	check(!validPort(u), "has an invalid port; remove it, or use a number from 1 to 65535")
	if err := checkServiceHost(strings.ToLower(u.Hostname())); err != nil {
		faults = append(faults, err)
	}
	base, err := withAccountPath(u, container)
	if faults = append(faults, err); errors.Join(faults...) != nil {
		return "", errors.Join(faults...)
	}
	return base, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// withAccountPath allows one path segment: the account, if the host does not name it.
func withAccountPath(u *url.URL, container string) (string, error) {
	account := strings.Trim(u.Path, "/")
	base := "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	switch {
	case account == "":
		return base, nil
	case azureHost(strings.ToLower(u.Hostname())) != nil || strings.Contains(strings.ToLower(u.Hostname()), ".blob.") || account == container:
		return "", fmt.Errorf("must be only the account's URL, https://%s; pass the container as its own argument", u.Host)
	case !isLowerAlphanumeric(account):
		return "", errors.New("has a path; the path may only be the name of the account, as in https://127.0.0.1:10000/devstoreaccount1")
	}
	return base + "/" + account, nil
}

// storageServices are the services of a storage account. Each has its own hosts.
var storageServices = []string{"blob", "dfs", "file", "queue", "table", "web", "afs"}

// A storageHost is an Azure Storage host: {account}.{service}.core.windows.net and its
// counterparts in other clouds, or {account}.{zone}.{service}.storage.azure.net. Hosts of static
// web sites have a zone too, and those of private links the label privatelink.
type storageHost struct {
	account []string // labels before the service: the account, a zone, privatelink
	service string   // may be empty
	suffix  string
}

// azureHost splits an Azure Storage host, or a host that looks like one. It returns nil for
// others.
func azureHost(host string) *storageHost {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	at := suffixAt(labels)
	if at < 0 {
		return nil
	}
	h := &storageHost{account: labels[:at], suffix: strings.Join(labels[at:], ".")}
	switch {
	case slices.Contains(otherSuffixes, h.suffix):
		h.suffix = "core.windows.net"
	case at > 0 && slices.Contains(storageServices, labels[at-1]):
		h.account, h.service = labels[:at-1], labels[at-1]
	}
	return h
}

// coreSuffixes are the suffixes of the clouds; OneLake offers the Blob API too. otherSuffixes have
// no Blob Storage.
var (
	coreSuffixes  = []string{"core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn", "core.cloudapi.de", "fabric.microsoft.com"}
	otherSuffixes = []string{"core.windows.com", "storage.azure.com", "table.cosmos.azure.com", "afs.azure.net"}
)

// suffixAt returns the index where a storage host's suffix begins, or -1. For unknown clouds, a
// storage service's label before the suffix identifies it.
func suffixAt(labels []string) int {
	for i, label := range labels {
		suffix := strings.Join(labels[i:], ".")
		switch {
		case slices.Contains(coreSuffixes, suffix), slices.Contains(otherSuffixes, suffix),
			strings.HasPrefix(suffix, "storage.azure.") && i+3 == len(labels),
			label == "core" && i > 1 && labels[i-1] != "blob" && slices.Contains(storageServices, labels[i-1]):
			return i
		}
	}
	return -1
}

var (
	accountLabel = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`) // includes -secondary and the like
	zoneLabel    = regexp.MustCompile(`^z[0-9a-f]+$`)
)

// checkServiceHost rejects hosts of storage services other than Blob Storage. It accepts hosts
// that are not Azure's, such as custom domains.
func checkServiceHost(host string) error {
	h := azureHost(host)
	switch {
	case strings.HasSuffix(host, "."):
		return errors.New("must have a host that does not end with a dot")
	case h == nil:
		return nil
	case len(h.account) == 0 || h.account[0] == "privatelink" || !accountLabel.MatchString(h.account[0]):
		return fmt.Errorf("must have the name of a storage account before the host's first dot, as in %s", h.blobURL("account"))
	case h.service == "":
		return fmt.Errorf("has host %s, which is not a Blob Storage host; use %s", fault.Quote(host), h.blobURL(h.account[0]))
	case h.service != "blob":
		return fmt.Errorf("has host %s, which belongs to another service of the account (%s) without the Blob API; use %s", fault.Quote(host), h.service, h.blobURL(h.account[0]))
	case h.zoned() && !slices.ContainsFunc(h.account[1:], zoneLabel.MatchString):
		return fmt.Errorf("has host %s, which lacks the DNS zone; copy the account's Blob service URL from the portal (Endpoints), such as https://%s.z01.blob.%s", fault.Quote(host), h.account[0], h.suffix)
	case !h.plausible():
		return fmt.Errorf("has host %s, which is not a Blob Storage host; use %s", fault.Quote(host), h.blobURL(h.account[0]))
	}
	return nil
}

// zoned reports whether accounts have a zone in their host names.
func (h *storageHost) zoned() bool { return strings.HasPrefix(h.suffix, "storage.azure.") }

// plausible reports whether only a zone and privatelink follow the account.
func (h *storageHost) plausible() bool {
	return !slices.ContainsFunc(h.account[1:], func(label string) bool { return label != "privatelink" && !zoneLabel.MatchString(label) })
}

// blobURL returns the Blob Storage URL of an account on this host's cloud.
func (h *storageHost) blobURL(account string) string {
	zone := ""
	if i := slices.IndexFunc(h.account, zoneLabel.MatchString); i > 0 && h.zoned() {
		zone = h.account[i] + "."
	}
	return "https://" + account + "." + zone + "blob." + h.suffix
}

func isLowerAlphanumeric(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
