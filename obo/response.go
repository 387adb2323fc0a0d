package obo

import (
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
	m, ok := decodeMembers(body)
	if !ok {
		// Nothing of the error of encoding/json: it can quote what it read.
		return success{}, errNoJSON
	}
	token, lifetime := m.text("access_token"), m.seconds("expires_in")
	switch {
	case token == "":
		return success{}, errors.New("the answer has no access_token")
	case len(token) > maxToken:
		return success{}, errors.New("the answer's access_token is too long")
	case !strings.EqualFold(m.text("token_type"), "Bearer"):
		return success{}, errors.New("the answer's token_type is not Bearer")
	case lifetime <= 0:
		return success{}, errors.New("the answer has no valid expires_in")
	}
	return success{accessToken: token, lifetime: lifetime, refreshIn: max(m.seconds("refresh_in"), 0)}, nil
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

// parseRefusal reads an error response, each member on its own: one of another
// type than Entra documents costs nothing but itself. What doesn't look as it
// should is left out, so that nothing else of the body can reach a user.
func parseRefusal(status int, header http.Header, body []byte, now time.Time) refusal {
	f := refusal{status: status, retryAfter: parseRetryAfter(header.Get("Retry-After"), now)}
	m, ok := decodeMembers(body)
	if !ok {
		return f
	}
	code := chooseCode(m.codes("error_codes"), m.text("error_description"))
	if word := m.text("error"); plainWord.MatchString(word) {
		f.oauthError = word
	}
	suberror := m.text("suberror")
	_, known := lookup(code)
	_, refined := bySuberror[suberror]
	// A text that is no OAuth error is another server's; another type is Entra's slip.
	f.isEntra = f.oauthError != "" || known || refined || code != 0 && !m.isText("error")
	if !f.isEntra {
		return f
	}
	f.code = code
	if plainWord.MatchString(suberror) {
		f.suberror = suberror
	}
	f.claims = m.claims("claims")
	if id := m.text("correlation_id"); authority.IsGUID(id) {
		f.correlation = id
	}
	if id := m.text("trace_id"); authority.IsGUID(id) {
		f.traceID = id
	}
	return f
}

// chooseCode returns the first code that we know, the one in the description
// included, else the first.
func chooseCode(codes []int, description string) int {
	if found := codeInText.FindStringSubmatch(description); found != nil {
		n, _ := strconv.Atoi(found[1]) // at most 8 digits
		codes = append(codes, n)
	}
	for _, c := range codes {
		if _, ok := lookup(c); ok {
			return c
		}
	}
	if len(codes) == 0 {
		return 0
	}
	return codes[0]
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
