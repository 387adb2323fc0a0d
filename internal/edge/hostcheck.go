package edge

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
)

// A HostCheck rejects requests that a browser was tricked into sending: those for a host that is
// not the server's (DNS rebinding), and those from a web page that is not listed. Listed pages get
// the CORS headers that they need.
type HostCheck struct {
	Hosts   []string // in the form of ParseHost; loopback names are always allowed
	Origins []string // in the form of ParseOrigin
	CORS    CORS

	// Log texts that tell the operator how to allow a host or an origin.
	HostRemedy, OriginRemedy string
}

// CORS is what web pages may send and read (https://fetch.spec.whatwg.org/#http-cors-protocol).
// Browsers send no stored credentials.
type CORS struct {
	AllowMethods  string // Access-Control-Allow-Methods
	AllowHeaders  string
	ExposeHeaders string
	MaxAge        string // how long to cache a preflight's answer, in seconds
}

// Check returns why it rejects the request, or nil, and sets the CORS headers of the answer. The
// host is the one that [Proxies.Client] returned. Any page may read a public resource.
func (c *HostCheck) Check(w http.ResponseWriter, r *http.Request, host string, public bool) *Refusal {
	if why := c.CheckHost(r, host); why != nil {
		return why
	}
	origins := r.Header["Origin"]
	switch {
	case public:
		c.share(w.Header(), "*")
	case len(origins) == 0:
	case len(origins) > 1 || !c.allowsOrigin(origins[0]):
		return &Refusal{http.StatusForbidden, "origin_not_allowed",
			"Origin not allowed: this server's operator can allow the web page's origin",
			c.attrs(r, host, c.OriginRemedy)}
	default:
		c.share(w.Header(), origins[0])
		w.Header().Add("Vary", "Origin")
	}
	return nil
}

// CheckHost is the part of Check that is about the host, for handlers that check origins themselves.
func (c *HostCheck) CheckHost(r *http.Request, host string) *Refusal {
	if c.allowsHosts(host) {
		return nil
	}
	return &Refusal{http.StatusForbidden, "host_not_allowed",
		"Host not allowed: the request must name this server's public host or a loopback name. " +
			"Behind a gateway that sends another name, this server's operator can allow that name",
		c.attrs(r, host, c.HostRemedy)}
}

// Preflight answers a CORS preflight request, and reports whether r is one. Call Check first.
func (c *HostCheck) Preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", c.CORS.AllowMethods)
	h.Set("Access-Control-Allow-Headers", c.CORS.AllowHeaders)
	h.Set("Access-Control-Max-Age", c.CORS.MaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// share allows pages of the origin to read the answer.
func (c *HostCheck) share(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", c.CORS.ExposeHeaders)
}

// allowsHosts reports whether every host in the list is the server's, on any port.
func (c *HostCheck) allowsHosts(list string) bool {
	for hostport := range strings.SplitSeq(list, ",") {
		host := Hostname(strings.TrimSpace(hostport))
		if !slices.Contains(c.Hosts, host) && !isLoopback(host) {
			return false
		}
	}
	return true
}

// allowsOrigin reports whether pages of the origin may call the server.
func (c *HostCheck) allowsOrigin(origin string) bool {
	if slices.Contains(c.Origins, origin) {
		return true
	}
	canonical, err := ParseOrigin(origin)
	return err == nil && !strings.HasSuffix(origin, "/") && slices.Contains(c.Origins, canonical)
}

func (c *HostCheck) attrs(r *http.Request, host, remedy string) []slog.Attr {
	return []slog.Attr{
		slog.String("host", host), slog.String("origin", strings.Join(r.Header["Origin"], ", ")),
		slog.String("remedy", remedy),
	}
}
