package obo

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	maxToken     = 64 << 10
	maxClaims    = 16 << 10
	maxRetryWait = time.Hour
)

// success is what we take from a token response (RFC 6749, section 5.1). The
// refresh token that Entra sends along is not among it.
type success struct {
	accessToken string
	lifetime    time.Duration
	refreshIn   time.Duration // 0 if not sent
}

var (
	errNoJSON = errors.New("the answer is not a JSON object")
	// codeInText finds the code of an answer that has none in error_codes.
	codeInText = regexp.MustCompile(`^AADSTS([0-9]{4,8})\b`)
	// plainWord is what an OAuth error or a suberror looks like.
	plainWord = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)
)

// parseSuccess reads a token response. It tolerates what Entra and its
// neighbours do: numbers as text, "bearer" in lower case.
func parseSuccess(body []byte) (success, error) {
	var r struct {
		TokenType   string  `json:"token_type"`
		AccessToken string  `json:"access_token"`
		ExpiresIn   seconds `json:"expires_in"`
		RefreshIn   seconds `json:"refresh_in"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		// Not %w: an error of encoding/json can quote what it read.
		return success{}, errNoJSON
	}
	switch {
	case r.AccessToken == "":
		return success{}, errors.New("the answer has no access_token")
	case len(r.AccessToken) > maxToken:
		return success{}, errors.New("the answer's access_token is too long")
	case !strings.EqualFold(r.TokenType, "Bearer"):
		return success{}, errors.New("the answer's token_type is not Bearer")
	case r.ExpiresIn <= 0:
		return success{}, errors.New("the answer has no valid expires_in")
	}
	return success{
		accessToken: r.AccessToken,
		lifetime:    time.Duration(r.ExpiresIn) * time.Second,
		refreshIn:   time.Duration(max(r.RefreshIn, 0)) * time.Second,
	}, nil
}

// seconds is a number of seconds, as JSON number or as text.
type seconds int64

// maxSeconds is about 31 years: far above any lifetime, far below an overflow.
const maxSeconds = 1e9

func (s *seconds) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil || !(n >= -maxSeconds && n <= maxSeconds) {
		n = 0 // counts as absent: a broken refresh_in must not cost the token
	}
	*s = seconds(n)
	return nil
}

// refusal is an error response of the token endpoint (RFC 6749, section 5.2,
// with Entra's additions), without its description.
type refusal struct {
	status               int
	code                 int
	oauthError, suberror string
	claims               string
	correlation, traceID string
	retryAfter           time.Duration
	isEntra              bool // the body had Entra's shape
}

// parseRefusal reads an error response. What doesn't look as it should is left
// out, so that nothing else of the body can reach a user.
func parseRefusal(status int, header http.Header, body []byte, now time.Time) refusal {
	f := refusal{status: status, retryAfter: parseRetryAfter(header.Get("Retry-After"), now)}
	var r struct {
		Error         string `json:"error"`
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Suberror      string `json:"suberror"`
		Claims        string `json:"claims"`
		CorrelationID string `json:"correlation_id"`
		TraceID       string `json:"trace_id"`
	}
	if json.Unmarshal(body, &r) != nil || !plainWord.MatchString(r.Error) {
		return f
	}
	f.isEntra, f.oauthError = true, r.Error
	f.code = chooseCode(r.Codes, r.Description)
	if plainWord.MatchString(r.Suberror) {
		f.suberror = r.Suberror
	}
	if len(r.Claims) <= maxClaims && isObject(r.Claims) {
		f.claims = r.Claims
	}
	if authority.IsGUID(r.CorrelationID) {
		f.correlation = r.CorrelationID
	}
	if authority.IsGUID(r.TraceID) {
		f.traceID = r.TraceID
	}
	return f
}

// chooseCode returns the first code that we know, else the first.
func chooseCode(codes []int, description string) int {
	if len(codes) == 0 {
		if m := codeInText.FindStringSubmatch(description); m != nil {
			n, _ := strconv.Atoi(m[1]) // at most 8 digits
			return n
		}
		return 0
	}
	for _, c := range codes {
		if _, ok := verdicts[c]; ok {
			return c
		}
	}
	return max(codes[0], 0)
}

// isObject reports whether s is a JSON object, as claims must be (OpenID
// Connect Core, section 5.5).
func isObject(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{") && json.Valid([]byte(s))
}

// parseRetryAfter reads both forms of the header (RFC 9110, section 10.2.3).
func parseRetryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
		d = time.Duration(min(max(n, 0), int(maxRetryWait/time.Second))) * time.Second
	} else if t, err := http.ParseTime(s); err == nil {
		d = t.Sub(now)
	}
	return min(max(d, 0), maxRetryWait)
}
