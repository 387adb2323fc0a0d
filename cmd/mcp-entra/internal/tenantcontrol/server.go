// Package tenantcontrol serves the page and the control endpoint of "mcp-entra tenant". Both need
// the control key: the page a session that begins with it, the control endpoint the key itself.
package tenantcontrol

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// Path is where the control endpoint begins.
const Path = "/control/"

// maxBody limits a request's body.
const maxBody = 1 << 20

// NewKey returns a new control key.
func NewKey() string { return rand.Text() }

type server struct {
	world *tenantfile.World
	key   string
	info  Info
}

// New returns the handler of the page and the control endpoint. It only answers requests whose
// Host is this machine's, so that no site reaches it by DNS rebinding, and none that a browser
// sends from another origin.
func New(w *tenantfile.World, key string, info Info, logger *slog.Logger) http.Handler {
	s := &server{world: w, key: key, info: info}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.showPage)
	mux.HandleFunc("POST /session", s.beginSession)
	mux.HandleFunc("POST /token", s.mintOnPage)
	for pattern, c := range map[string]call{
		"GET " + Path + "tenants":   s.tenants,
		"GET " + Path + "clock":     s.clock,
		"POST " + Path + "clock":    s.setClock,
		"POST " + Path + "faults":   s.setFaults,
		"POST " + Path + "keys":     s.changeKeys,
		"POST " + Path + "sessions": s.revokeSessions,
		"GET " + Path + "requests":  s.requests,
		"POST " + Path + "token":    s.token,
	} {
		mux.Handle(pattern, s.controlled(c, logger))
	}
	return protect(mux)
}

// protect refuses requests from other machines' names and other sites' pages, and sets the headers
// of every answer.
func protect(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		if !isLocal(r.Host) {
			http.Error(w, "This is reached as 127.0.0.1 or localhost only.", http.StatusMisdirectedRequest)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		sameOrigin.ServeHTTP(w, r)
	})
}

func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// isKey reports whether text is the control key.
func (s *server) isKey(text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(s.key)) == 1
}

// derive returns a value that only the holder of the key can make. The page's cookie is one,
// because cookies are sent to all servers on this machine, whatever their port.
func (s *server) derive(purpose string) string {
	mac := hmac.New(sha256.New, []byte(s.key))
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *server) isDerived(purpose, text string) bool {
	return subtle.ConstantTimeCompare([]byte(text), []byte(s.derive(purpose))) == 1
}
