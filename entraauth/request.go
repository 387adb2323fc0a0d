package entraauth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// FromRequest takes the bearer token from the Authorization header of r and
// verifies it. A token anywhere else (query string, body) is never read; one in
// the query string is refused, for it ends up in logs (RFC 6750 section 2.3,
// RFC 9700 section 4.3.2). The error is an *[Error].
func (v *Verifier) FromRequest(r *http.Request) (*Identity, error) {
	token, err := bearer(r)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), token)
}

// bearer returns the token of the request's only Authorization header. Its errors
// describe any other header by a scheme of the list below, or by its length: every
// other part of the value may be a credential.
func bearer(r *http.Request) (string, error) {
	if r.URL != nil && hasAccessToken(r.URL.RawQuery) {
		return "", invalidRequest(tokenInQuery, "it in the Authorization header alone", "")
	}
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return "", noToken("")
	case 1:
	default:
		return "", invalidRequest(severalHeaders, "one", fmt.Sprintf("%d headers", len(headers)))
	}
	scheme, token, spaced := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " \t")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", noToken(describeHeader(headers[0]))
	case !spaced || token == "":
		return "", noToken("an empty token")
	case strings.IndexByte(token, ' ') >= 0 || strings.IndexByte(token, '\t') >= 0 || strings.IndexByte(token, ',') >= 0:
		return "", invalidRequest(severalValues, "one token", "")
	}
	return token, nil
}

// schemes are the authentication schemes that a log may name: those that IANA
// lists, and some others in use.
var schemes = []string{
	"ApiKey", "AWS4-HMAC-SHA256", "Basic", "Bearer", "Concealed", "Digest", "DPoP", "GNAP", "GoogleLogin", "Hawk", "HOBA",
	"MSAuth", "Mutual", "Negotiate", "NTLM", "OAuth", "PoP", "PrivateToken", "SAML", "SCRAM-SHA-1", "SCRAM-SHA-256",
	"SharedAccessSignature", "SharedKey", "SharedKeyLite", "Signature", "Token", "VAPID", "WRAP",
}

// describeHeader describes an Authorization header for the log without quoting it.
func describeHeader(value string) string {
	end := strings.IndexFunc(value, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(value)
	}
	for _, scheme := range schemes {
		switch {
		case !strings.EqualFold(value[:end], scheme):
		case scheme == "Bearer":
			return "Bearer without a space behind it"
		default:
			return "scheme " + scheme
		}
	}
	return fmt.Sprintf("%d bytes without a known scheme", len(value))
}

// hasAccessToken reports whether a query string has the parameter access_token,
// in any spelling that some reader of it may accept.
func hasAccessToken(query string) bool {
	for query != "" {
		var parameter string
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			parameter, query = query[:i], query[i+1:]
		} else {
			parameter, query = query, ""
		}
		name, _, _ := strings.Cut(parameter, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if strings.EqualFold(strings.TrimSpace(name), "access_token") {
			return true
		}
	}
	return false
}

func noToken(got string) *Error {
	return &Error{Kind: ErrNoToken, Rule: "token", Reason: noTokenReason,
		Expected: `"Authorization: Bearer <access token>"`, Actual: actual(got),
		Remedy: "Sign in and send the access token; resource_metadata in the challenge tells where"}
}

func invalidRequest(reason, expected, got string) *Error {
	return &Error{Kind: ErrInvalidRequest, Rule: "token", Reason: reason, Expected: expected, Actual: actual(got),
		Remedy: "Send the access token once, in the Authorization header"}
}
