package mcpauth

import (
	"net/http"
	"strings"
)

// withoutCredentials returns the headers that tools may see, in which no name and no
// value says that it is a credential.
//
// This is a list of what is withheld, by kind and not by name, rather than one of
// what is passed on: tools are configured by headers of their clients' choice
// ("X-MCP-Toolsets", "X-Project"), which such a list would have to foresee. What
// it must not miss are the proofs that gateways and platforms add, and these say
// what they are: by the words below, or by a value that is a token.
func withoutCredentials(h http.Header) http.Header {
	shown := make(http.Header, len(h))
	for name, values := range h {
		if !isCredential(name, values) {
			shown[name] = values
		}
	}
	return shown
}

// credentialWords are what names of headers with credentials, and with what
// stands for them (App Service's X-Ms-Client-Principal), are made of.
var credentialWords = []string{
	"auth", "token", "cookie", "secret", "passw", "credential", "principal", "assertion", "signature",
	"jwt", "saml", "dpop", "cert", "oidc", "apikey", "api-key", "identity", "bearer", "session", "csrf", "xsrf", "pwd",
}

func isCredential(name string, values []string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "mcp-") { // the protocol's own: the SDK needs them, and Mcp-Param-… are arguments
		return false
	}
	for _, word := range credentialWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	// X-Functions-Key, Ocp-Apim-Subscription-Key; a key of idempotency opens nothing.
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

// hasScheme reports whether the value begins as that of an Authorization header.
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
