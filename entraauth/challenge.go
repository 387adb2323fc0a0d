package entraauth

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// maxDescription bounds error_description, in bytes.
const maxDescription = 256

// challenge returns the value of WWW-Authenticate for the error (RFC 6750
// section 3, RFC 9728 section 5.1), or "" where there is nothing to ask for.
func (v *Verifier) challenge(g *BearerCheck, e *Error) string {
	status, code := e.answer()
	if status == http.StatusServiceUnavailable {
		return ""
	}
	var params []string
	add := func(name, value string) {
		if value != "" {
			params = append(params, name+`="`+quotable(value)+`"`)
		}
	}
	if e.Claims != "" {
		// Microsoft's form of a claims challenge, with the names that its clients look for.
		params = append(params, `realm=""`)
		add("authorization_uri", v.authorizeURL())
		add("claims", base64.StdEncoding.EncodeToString([]byte(e.Claims)))
	}
	if code != "" {
		add("error", code)
		add("error_description", describe(e.Error()))
	}
	if code != "access_denied" && code != "invalid_request" { // no scope helps there
		add("scope", strings.Join(v.ScopesFor(g.Policy), " "))
	}
	add("resource_metadata", g.ResourceMetadata)
	return "Bearer " + strings.Join(params, ", ")
}

// describe cuts a text to what error_description may hold, at a word's end.
func describe(s string) string {
	s = quotable(s)
	if len(s) <= maxDescription {
		return s
	}
	s = s[:maxDescription]
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return s
}

// quotable keeps the characters that RFC 6750 section 3 allows in a quoted
// parameter, and replaces the others so that the text stays readable.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"':
			return '\''
		case r == '\\':
			return '/'
		case r < 0x20 || r > 0x7e:
			return '?'
		}
		return r
	}, s)
}
