package authority

import (
	"net"
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
// ID's, or one beside the authority's own, for custom domains and for clouds that are
// not in the list.
func (h Host) Trusts(hostname string) bool {
	hostname = strings.ToLower(hostname)
	own := h.hostname()
	return hostname == own || slices.Contains(signInHosts, hostname) ||
		strings.HasSuffix(hostname, ".ciamlogin.com") || besides(own, hostname)
}

// besides reports whether both are hosts of one domain: equal but for what stands
// before the last two labels, of which each has some.
func besides(a, b string) bool {
	if net.ParseIP(a) != nil {
		return false
	}
	left, right := strings.Split(a, "."), strings.Split(b, ".")
	return len(left) > 2 && len(right) > 2 && slices.Equal(left[len(left)-2:], right[len(right)-2:])
}
