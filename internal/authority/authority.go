// Package authority knows Entra's clouds: their authority hosts, and the URLs of a tenant's
// endpoints.
package authority

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Public is the authority host of the public cloud.
const Public = "https://login.microsoftonline.com"

// A Host is an Entra authority host, such as https://login.microsoftonline.com.
// The zero value is not a host; use [Parse].
type Host struct {
	base string // scheme and host, no trailing slash
}

// Parse checks an authority host from a user's configuration (AZURE_AUTHORITY_HOST). It must be
// https, with an optional port and no path. Empty means the public cloud.
func Parse(s string) (Host, error) {
	if s == "" {
		return Host{Public}, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return Host{}, errors.New("not a URL")
	case u.Scheme != "https":
		return Host{}, fmt.Errorf("%q must begin with https://", s)
	case u.User != nil: // don't quote it: it may be a password
		return Host{}, errors.New("must be https://host[:port]/, without a user")
	case !IsSite(u):
		return Host{}, fmt.Errorf("%q must be https://host[:port]/", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return Host{}, fmt.Errorf("%q must have no path or query; the tenant is configured apart from it", s)
	}
	return Host{"https://" + strings.ToLower(u.Host)}, nil
}

// IsSite reports whether the URL names one host and has no port or a valid one.
func IsSite(u *url.URL) bool { return isHostname(u.Hostname()) && isPort(u) }

// isHostname accepts the name or address of a single host: no wildcards, no empty labels.
func isHostname(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			return false
		}
	}
	return true
}

func isPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// hostname returns the host alone, without port.
func (h Host) hostname() string {
	u, err := url.Parse(h.base)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// String returns the host as a URL without trailing slash.
func (h Host) String() string { return h.base }

// Tenant returns the base URL of the tenant's endpoints, without a trailing slash:
// https://login.microsoftonline.com/{tenant}.
func (h Host) Tenant(tenantID string) string { return h.base + "/" + tenantID }

// MetadataV1 returns the URL of the tenant's OpenID metadata for v1 tokens.
func (h Host) MetadataV1(tenantID string) string {
	return h.Tenant(tenantID) + "/.well-known/openid-configuration"
}

// MetadataV2 returns the URL of the tenant's OpenID metadata for v2 tokens.
func (h Host) MetadataV2(tenantID string) string {
	return h.Tenant(tenantID) + "/v2.0/.well-known/openid-configuration"
}

// CheckGUID returns an error that says why s is not a valid tenant or application ID, or nil.
// Entra also accepts domain names and words such as "common", but tokens carry only GUIDs.
func CheckGUID(s string) error {
	switch {
	case s == "00000000-0000-0000-0000-000000000000":
		return errors.New("is the all-zero GUID, which is nobody's id")
	case IsGUID(s):
		return nil
	case s == "":
		return errors.New("is missing; it is a GUID such as 12345678-1234-1234-1234-123456789abc")
	case len(s) > 64 || strings.Contains(s, "~"): // may be a misplaced client secret
		return fmt.Errorf("is not a GUID such as 12345678-1234-1234-1234-123456789abc (its %d characters may be a secret and are not shown)", len(s))
	default:
		return fmt.Errorf("%q is not a GUID such as 12345678-1234-1234-1234-123456789abc (no names, no braces)", s)
	}
}

// IsGUID reports whether s is a GUID in its 36-character form.
func IsGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return false
			}
		}
	}
	return true
}
