package authority

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// signInHosts are the sign-in hosts of Microsoft's clouds, and the hosts in their issuers.
var signInHosts = []string{
	"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
	"login.microsoftonline.us", "sts.microsoftonline.us",
	"login.partner.microsoftonline.cn", "login.chinacloudapi.cn", "sts.chinacloudapi.cn",
}

// Trusts reports whether this authority's documents may use the host for an issuer or for signing
// keys. It trusts the authority's own host, Microsoft's and External ID's, and siblings of the
// authority's own host: custom domains and clouds that are not listed here.
func (h Host) Trusts(hostname string) bool {
	hostname = strings.ToLower(hostname)
	own := h.hostname()
	return hostname == own || slices.Contains(signInHosts, hostname) ||
		strings.HasSuffix(hostname, ".ciamlogin.com") || siblings(own, hostname)
}

// ShownHost returns the name of one of Microsoft's sign-in hosts, and _OTHER for any other: a
// tenant of External ID, and whoever has a custom domain, has its name in the host's. It is for
// telemetry.
func ShownHost(hostname string) string {
	if hostname = strings.ToLower(hostname); slices.Contains(signInHosts, hostname) {
		return hostname
	}
	return "_OTHER"
}

// SharesPort reports whether the URL has no port or the same port as the authority.
func (h Host) SharesPort(u *url.URL) bool {
	own, err := url.Parse(h.base)
	return err == nil && !strings.HasSuffix(u.Host, ":") && (u.Port() == "" || u.Port() == own.Port())
}

// siblings reports whether the names differ only in their first label. The shared domain must have
// at least two labels, but those two alone are not enough: anyone can register below the co.uk of
// login.contoso.co.uk.
func siblings(a, b string) bool {
	_, left, _ := strings.Cut(a, ".")
	_, right, _ := strings.Cut(b, ".")
	return net.ParseIP(a) == nil && left == right && strings.Contains(left, ".")
}
