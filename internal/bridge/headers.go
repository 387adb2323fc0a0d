// Package bridge defines what this module's servers pass to the MCP SDK with a request, and what
// they hide from it.
package bridge

import (
	"maps"
	"net/http"
	"strings"
)

// IdentityKey is the key of the verified caller in auth.TokenInfo.Extra.
const IdentityKey = "github.com/mcpentra/mcp-entra-go/entraauth.Identity"

// CallerKey is the context key of the verified caller. The type of the value distinguishes a
// call's context from the HTTP request's: see entraauth.FromContext.
type CallerKey struct{}

// Headers returns the headers that tools may see. It drops headers whose name or value looks like
// a credential, and replaces the Authorization header, which the SDK requires, by one without a
// credential.
//
// This is a deny-list because clients configure tools with headers of their own ("X-MCP-Toolsets",
// "X-Project"), which an allow-list can't foresee. It matches kinds of headers, not single names,
// because it must not miss the credentials that gateways and platforms add. The words below, or a
// value that is a token, identify those.
func Headers(h http.Header) http.Header {
	shown := maps.Clone(h) // much faster than adding headers one by one
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

// verified replaces the caller's token: the SDK shows the headers to tools, and no tool needs the
// token. All requests share it; don't modify it.
var verified = []string{"Bearer verified"}

// credentialWords occur in the names of headers that hold a credential, or an identity that stands
// in for one (App Service's X-Ms-Client-Principal).
var credentialWords = []string{
	"auth", "token", "cookie", "secret", "passw", "credential", "principal", "assertion", "signature",
	"jwt", "saml", "dpop", "cert", "oidc", "apikey", "api-key", "identity", "bearer", "session", "csrf", "xsrf", "pwd",
}

func isCredential(name string, values []string) bool {
	switch name {
	case "Authorization":
		return true
	case "Accept", "Accept-Encoding", "Connection", "Content-Length", "Content-Type", "User-Agent": // every request has these
	default:
		if len(name) > 4 && strings.EqualFold(name[:4], "Mcp-") { // the SDK needs the protocol's own headers, and Mcp-Param-… are arguments
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
	// Matches X-Functions-Key and Ocp-Apim-Subscription-Key. An idempotency key is not a
	// credential.
	return strings.HasSuffix(name, "-key") && name != "idempotency-key"
}

// hasParameter reports whether the value is a URL, as in X-Original-Url, whose query or fragment
// may hold a credential.
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

// hasScheme reports whether the value begins with an authorization scheme.
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

// hasToken reports whether the value contains a JWT. The header of a JWT is an object in
// base64url, so it begins with "ey", and two periods follow.
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
