package mcpauth

import (
	"net/http"
	"strings"
)

// withoutCredentials returns the headers that tools may see: those that look like a
// credential neither by name nor by value.
//
// It recognizes kinds of credentials instead of listing the headers that are allowed,
// because clients configure tools by headers of their own ("X-MCP-Toolsets",
// "X-Project"), which no list can foresee. What gateways and platforms add as proof of
// identity has one of the words below in its name, or a token as its value.
func withoutCredentials(h http.Header) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		if !isCredential(name, values) {
			shown[name] = values
		}
	}
	return shown
}

// credentialWords occur in the names of headers that hold credentials, or the identity in
// place of one (App Service's X-Ms-Client-Principal).
var credentialWords = []string{
	"auth", "token", "cookie", "secret", "passw", "credential", "principal", "assertion", "signature",
	"jwt", "saml", "dpop", "cert", "oidc", "apikey", "api-key", "identity", "bearer", "session", "csrf", "xsrf", "pwd",
}

func isCredential(name string, values []string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "mcp-") { // the protocol's own, which the SDK needs; Mcp-Param-… are arguments
		return false
	}
	for _, word := range credentialWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	// X-Functions-Key, Ocp-Apim-Subscription-Key. An idempotency key is no credential.
	if strings.HasSuffix(name, "-key") && name != "idempotency-key" {
		return true
	}
	for _, v := range values {
		if hasScheme(v) || hasToken(v) || hasParameter(v) {
			return true
		}
	}
	return false
}

// hasParameter reports whether the value is a URL, such as that of X-Original-Url, in
// whose query or fragment there may be a credential.
func hasParameter(value string) bool {
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

// hasToken reports whether the value contains a JWT: its header, an object
// in base64url, begins with "ey", and two periods follow.
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
