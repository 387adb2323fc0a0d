package authority

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// signInHosts are where Microsoft's clouds sign users in, and what they name as
// issuers.
var signInHosts = []string{
	"login.microsoftonline.com", "login.microsoft.com", "login.windows.net", "sts.windows.net",
	"login.microsoftonline.us", "sts.microsoftonline.us",
	"login.partner.microsoftonline.cn", "login.chinacloudapi.cn", "sts.chinacloudapi.cn",
}

// Trusts reports whether documents of this authority may name the host, as that of an
// issuer or of signing keys: the authority's own, one of Microsoft's, one of External
// ID's, or a sibling of the authority's own, for custom domains and for clouds that
// are not in the list.
func (h Host) Trusts(hostname string) bool {
	hostname = strings.ToLower(hostname)
	own := h.hostname()
	return hostname == own || slices.Contains(signInHosts, hostname) ||
		strings.HasSuffix(hostname, ".ciamlogin.com") || siblings(own, hostname)
}

// SharesPort reports whether the URL has no port, or the authority's own.
func (h Host) SharesPort(u *url.URL) bool {
	own, err := url.Parse(h.base)
	return err == nil && !strings.HasSuffix(u.Host, ":") && (u.Port() == "" || u.Port() == own.Port())
}

// siblings reports whether both names are equal but for their first label, below a
// domain of at least two. Not the last two labels alone: of login.contoso.co.uk those
// are everybody's.
func siblings(a, b string) bool {
	_, left, _ := strings.Cut(a, ".")
	_, right, _ := strings.Cut(b, ".")
	return net.ParseIP(a) == nil && left == right && strings.Contains(left, ".")
}
