package entrawire

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	// MaxToken bounds a token, in bytes.
	MaxToken = 64 << 10
	// MaxRefreshToken bounds a refresh token, in bytes: sealed and encoded, it must fit into a
	// form of 64 KiB. Entra's have 1 to 2 KiB.
	MaxRefreshToken = 16 << 10
	// MaxClaims bounds a claims challenge, in bytes.
	MaxClaims = 16 << 10

	maxRetryAfter = time.Hour
)

// A Success is a token response (RFC 6749, section 5.1). It never has the ID token.
type Success struct {
	AccessToken  string
	Lifetime     time.Duration
	RefreshIn    time.Duration // 0 if not sent
	RefreshToken string        // "" if not sent, and for clients that don't keep it (see [New])
}

// A RefusalError is an error response of the token endpoint (RFC 6749, section 5.2,
// with Entra's additions), without its description. Malformed members are left out, so
// that nothing else of the body can reach a user.
type RefusalError struct {
	Status int
	// Codes are the AADSTS codes; the description's is the last.
	Codes []int
	// OAuthError is empty if the response has none, or if its error is another text.
	// Then OtherError is set, and the response may come from another server.
	OAuthError, Suberror   string
	OtherError             bool
	Claims                 string
	CorrelationID, TraceID string
	// RequestID is the client-request-id that was sent, if any.
	RequestID  string
	RetryAfter time.Duration
}

func (r *RefusalError) Error() string {
	return fmt.Sprintf("the token endpoint answered with HTTP status %d", r.Status)
}

// Code returns the first known code, else the first code, else 0.
func (r *RefusalError) Code(known func(int) bool) int {
	for _, c := range r.Codes {
		if known(c) {
			return c
		}
	}
	if len(r.Codes) == 0 {
		return 0
	}
	return r.Codes[0]
}

var (
	// codeInText finds the code in a description.
	codeInText = regexp.MustCompile(`^AADSTS([0-9]{4,8})\b`)
	// plainWord matches an OAuth error or a suberror.
	plainWord = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// Parse parses a response of the token endpoint, without its refresh token. An OAuth error is a
// refusal whatever the status, even 200.
func Parse(status int, header http.Header, body []byte, now time.Time) (*Success, error) {
	return parse(status, header, body, now, false)
}

func parse(status int, header http.Header, body []byte, now time.Time, keepRefresh bool) (*Success, error) {
	m, ok := decodeMembers(body)
	if status != http.StatusOK || ok && m.isSet("error") && (m.isText("error") || m.text("access_token") == "") {
		return nil, parseRefusal(status, header, m, now)
	}
	s, err := parseSuccess(m)
	if err != nil {
		return nil, &AnswerError{err, false}
	}
	if keepRefresh {
		s.RefreshToken = m.text("refresh_token")
	}
	if len(s.RefreshToken) > MaxRefreshToken {
		return nil, &AnswerError{errors.New("the response's refresh_token is too long"), false}
	}
	return s, nil
}

// parseSuccess accepts what Entra and proxies send: numbers as strings, and "bearer" in
// lower case.
func parseSuccess(m members) (*Success, error) {
	token, lifetime := m.text("access_token"), m.seconds("expires_in")
	switch {
	case m == nil: // encoding/json's error can quote the body
		return nil, errors.New("the response is not a JSON object")
	case token == "":
		return nil, errors.New("the response has no access_token")
	case len(token) > MaxToken:
		return nil, errors.New("the response's access_token is too long")
	case !strings.EqualFold(m.text("token_type"), "Bearer"):
		return nil, errors.New("the response's token_type is not Bearer")
	case lifetime <= 0:
		return nil, errors.New("the response has no valid expires_in")
	}
	return &Success{AccessToken: token, Lifetime: lifetime, RefreshIn: max(m.seconds("refresh_in"), 0)}, nil
}

// parseRefusal reads each member separately, so that one of the wrong type doesn't spoil
// the others.
func parseRefusal(status int, header http.Header, m members, now time.Time) *RefusalError {
	r := &RefusalError{Status: status, RetryAfter: parseRetryAfter(header.Get("Retry-After"), now), Codes: m.codes("error_codes")}
	if found := codeInText.FindStringSubmatch(m.text("error_description")); found != nil {
		n, _ := strconv.Atoi(found[1]) // at most 8 digits
		r.Codes = append(r.Codes, n)
	}
	r.OAuthError, r.Suberror = m.matching("error", plainWord.MatchString), m.matching("suberror", plainWord.MatchString)
	r.OtherError = r.OAuthError == "" && m.isText("error")
	r.Claims = m.claims("claims")
	r.CorrelationID, r.TraceID = m.matching("correlation_id", authority.IsGUID), m.matching("trace_id", authority.IsGUID)
	return r
}

// parseRetryAfter reads both forms of the header (RFC 9110, section 10.2.3).
func parseRetryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		d = time.Duration(min(max(n, 0), int(maxRetryAfter/time.Second))) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
