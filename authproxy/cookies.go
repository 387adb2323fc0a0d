package authproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

const (
	// maxCookie bounds a cookie with its name; browsers take 4 KiB with attributes.
	maxCookie = 3800
	// maxCookies bounds all cookies of the proxy in a request: servers limit its headers, nginx
	// to 8 KiB a line, Node.js to 16 KiB.
	maxCookies = 6000
)

// cookieNames are the names of the proxy's cookies. They contain a hash of the issuer, because on
// http loopback all ports share cookies, and on https all issuers of a host do.
type cookieNames struct {
	secure                     bool
	transaction, consent, form string // transaction is followed by its ID
}

func newCookieNames(issuer string) cookieNames {
	sum := sha256.Sum256([]byte(issuer))
	n := cookieNames{secure: strings.HasPrefix(issuer, "https://")}
	prefix := ""
	if n.secure {
		prefix = "__Host-" // only this host can set it (RFC 6265bis, section 4.1.3.2)
	}
	hash := base64.RawURLEncoding.EncodeToString(sum[:6])
	n.transaction, n.consent, n.form = prefix+"signin-"+hash+"-", prefix+"consent-"+hash, prefix+"form-"+hash
	return n
}

// set sets a cookie. Without a lifetime, it removes the cookie.
func (n *cookieNames) set(w http.ResponseWriter, name, value string, lifetime time.Duration) {
	c := &http.Cookie{ //nolint:gosec // Secure wherever there is TLS
		Name: name, Value: value, Path: "/", MaxAge: int(lifetime / time.Second), Secure: n.secure,
		HttpOnly: true,                 // no script reads it
		SameSite: http.SameSiteLaxMode, // sent when Entra redirects the browser here
	}
	if c.MaxAge == 0 {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (n *cookieNames) remove(w http.ResponseWriter, name string) { n.set(w, name, "", 0) }

// cookie returns the value of the cookie that the browser sent, or "". Of several with the name,
// which another site of the same host can cause on http, it returns the first that is good.
func cookie(r *http.Request, name string, good func(value string) bool) string {
	for _, c := range r.CookiesNamed(name) {
		if good(c.Value) {
			return c.Value
		}
	}
	return ""
}

// sizeOf returns how many bytes a cookie takes in a request's header.
func sizeOf(name, value string) int { return len(name) + len("=") + len(value) + len("; ") }
