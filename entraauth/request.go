package entraauth

import (
	"fmt"
	"net/http"
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

// bearer returns the token of the request's only Authorization header.
func bearer(r *http.Request) (string, error) {
	if r.URL != nil && r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
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
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " \t")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", noToken("scheme " + scheme)
	case token == "":
		return "", noToken("an empty token")
	case strings.ContainsAny(token, " \t,"):
		return "", invalidRequest(severalValues, "one token", "")
	}
	return token, nil
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
