// Package bridge is what the servers of this module hand the MCP SDK with a request, and
// what they hide from it.
package bridge

import (
	"maps"
	"net/http"
	"strings"
)

// IdentityKey is where the verified caller travels in auth.TokenInfo.Extra.
const IdentityKey = "github.com/mcpentra/mcp-entra-go/entraauth.Identity"

// CallerKey is the key of the verified caller in a context. The type of the value tells
// the context of a call from that of the HTTP request: see entraauth.FromContext.
type CallerKey struct{}

// Headers returns the headers that tools may see: those that neither by name nor by value
// look like a credential, and an Authorization header without one, which the SDK asks
// for.
//
// This is a deny-list, by kind and not by name, rather than an allow-list: clients
// configure tools by headers of their own ("X-MCP-Toolsets", "X-Project"), which an
// allow-list would have to foresee. It must not miss the proofs that gateways and
// platforms add, and these can be recognized by the words below, or by a value that is
// a token.
func Headers(h http.Header) http.Header {
	shown := maps.Clone(h) // much faster than to add one by one
	for name, values := range h {
		if isCredential(name, values) {
			delete(shown, name)
		}
	}
	if shown == nil {
		shown = http.Header{}
	}
	shown["Authorization"] = verified
	return shown
}

// verified replaces the caller's token: the SDK shows the headers to tools, and no tool
// needs it. It is shared, and nobody changes it.
var verified = []string{"Bearer verified"}

// credentialWords occur in the names of headers that hold credentials, or the identity in
// place of one (App Service's X-Ms-Client-Principal).
var credentialWords = []string{
	"auth", "token", "cookie", "secret", "passw", "credential", "principal", "assertion", "signature",
	"jwt", "saml", "dpop", "cert", "oidc", "apikey", "api-key", "identity", "bearer", "session", "csrf", "xsrf", "pwd",
}

func isCredential(name string, values []string) bool {
	switch name {
	case "Authorization":
		return true
	case "Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "User-Agent": // every request has them
	default:
		if len(name) > 4 && strings.EqualFold(name[:4], "Mcp-") { // the protocol's own: the SDK needs them, and Mcp-Param-… are arguments
			return false
		}
		if namesCredential(strings.ToLower(name)) {
			return true
		}
	}
	for _, v := range values {
		if hasScheme(v) || hasToken(v) || hasParameter(v) {
			return true
		}
	}
	return false
}

func namesCredential(name string) bool {
	for _, word := range credentialWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	// X-Functions-Key, Ocp-Apim-Subscription-Key; an idempotency key opens nothing.
	return strings.HasSuffix(name, "-key") && name != "idempotency-key"
}

// hasParameter reports whether the value is a URL, such as that of X-Original-Url, in
// whose query or fragment there may be a credential.
func hasParameter(value string) bool {
	if strings.IndexByte(value, '=') < 0 {
		return false
	}
	value = strings.ToLower(value)
	for _, name := range []string{"token=", "sig=", "secret=", "password=", "code="} {
		if strings.Contains(value, "?"+name) || strings.Contains(value, "&"+name) || strings.Contains(value, "_"+name) || strings.Contains(value, "#"+name) {
			return true
		}
	}
	return false
}

// hasScheme reports whether the value begins like that of an Authorization header.
func hasScheme(value string) bool {
	scheme, _, found := strings.Cut(strings.TrimLeft(value, " \t"), " ")
	if !found {
		return false
	}
	switch strings.ToLower(scheme) {
	case "bearer", "basic", "dpop", "digest", "negotiate", "sharedkey", "sharedaccesssignature":
		return true
	}
	return false
}

// hasToken reports whether there is a JWT in the value: its header, an object
// in base64url, begins with "ey", and two full stops follow.
func hasToken(value string) bool {
	const shortest = 12
	for {
		i := strings.Index(value, "ey")
		if i < 0 {
			return false
		}
		value = value[i:]
		header := base64urlLen(value)
		if header >= shortest && strings.HasPrefix(value[header:], ".") {
			payload := value[header+1:]
			if n := base64urlLen(payload); n > 0 && strings.HasPrefix(payload[n:], ".") {
				return true
			}
		}
		value = value[max(header, 2):]
	}
}

func base64urlLen(s string) int {
	if i := strings.IndexFunc(s, func(c rune) bool {
		return (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_'
	}); i >= 0 {
		return i
	}
	return len(s)
}
