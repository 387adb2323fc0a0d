package obo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	// maxAssertion bounds a user's token, in bytes; Entra's are far smaller.
	maxAssertion = 64 << 10
	// cp1 is the client capability for handling claims challenges.
	cp1 = "cp1"
)

// An Assertion is a user's access token for the server's API, as the request carried it. It
// can only be exchanged: it can't be printed, logged or encoded, and code outside this
// module can't read it. The zero Assertion belongs to no user.
//
// With package entraauth, convert its type: obo.Assertion(identity.Assertion()).
// Otherwise make one with [NewAssertion].
type Assertion secret.Text

// NewAssertion returns the assertion for a user's access token. Verify the token
// first: this package uses its claims only to reject it early, never to allow
// anything, and leaves the rest to Entra.
func NewAssertion(token string) Assertion { return Assertion(secret.New(token)) }

// subject is the user whose token is exchanged (RFC 8693's subject token).
type subject struct {
	token secret.Text       // the assertion
	hash  [sha256.Size]byte // of the assertion
}

func subjectOf(a Assertion) subject {
	s := subject{token: secret.Text(a)}
	// Tokens that are too long share the zero hash: nothing is ever cached for them.
	if len(secret.Reveal(s.token)) <= maxAssertion {
		s.hash = secret.Sum(s.token)
	}
	return s
}

func invalid(format string, args ...any) *Error {
	return refuse(ErrAssertionInvalid, fmt.Sprintf(format, args...), newToken)
}

// claims are those of an assertion, unverified.
type claims struct {
	expires time.Time
	tenant  *tenant
	cp1     bool   // the user's client handles claims challenges
	user    string // "<tid>.<oid>" in lower case; empty if they aren't GUIDs
	// agentUser: the user is the account of an agent, which signs in on no page.
	agentUser bool
	// audience is compared with the configured app, never used as one.
	audience string
}

// caller identifies the user across tokens, so that one user's failures don't count
// against another.
func (c claims) caller(s subject) string {
	if c.user != "" {
		return c.user
	}
	return string(s.hash[:])
}

// inspect rejects everything but a user's access token of an allowed tenant, before
// anything is sent.
func (a *app) inspect(token string) (claims, error) {
	if len(token) > maxAssertion {
		return claims{}, invalid("the user's token has more than %d bytes", maxAssertion)
	}
	if problem := notBare(token); problem != "" {
		return claims{}, refuse(ErrAssertionInvalid, problem, alone)
	}
	payload, err := decodePayload(token)
	if err != nil {
		return claims{}, invalid("the user's token can't be read: %v", err)
	}
	if err := payload.checkUser(); err != nil {
		return claims{}, err
	}
	tid := payload.text("tid")
	t := a.tenantOf(tid)
	if t == nil {
		return claims{}, invalid("the user's token is not from the tenant %s", a.tenantNames())
	}
	expires, err := payload.expiry()
	if err != nil {
		return claims{}, err
	}
	c := claims{expires: expires, tenant: t, cp1: payload.has("xms_cc", cp1), audience: payload.text("aud"), agentUser: payload.isAgentUser()}
	if oid := payload.text("oid"); authority.IsGUID(oid) {
		c.user = strings.ToLower(tid + "." + oid)
	}
	return c, nil
}

// payload holds the claims by their exact names: encoding/json would match the
// fields of a struct in any case.
type payload map[string]json.RawMessage

func decodePayload(token string) (payload, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("it has %d parts; a signed JWT has 3", len(parts))
	}
	if _, err := decodeObject(parts[0]); err != nil {
		return nil, fmt.Errorf("its header is %w", err)
	}
	if parts[2] == "" {
		return nil, errors.New("it has no signature")
	}
	p, err := decodeObject(parts[1])
	if err != nil {
		return nil, fmt.Errorf("its payload is %w", err)
	}
	return p, nil
}

func decodeObject(part string) (payload, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil || p == nil {
		return nil, errors.New("not a JSON object")
	}
	return p, nil
}

// alone is the remedy for a token with something around it.
const alone = "the server's developer must pass only the access token, without \"Bearer \" or anything else of the Authorization header"

// notBare says what doesn't belong in or around the token, without quoting it.
func notBare(token string) string {
	// No JWT begins like this: a JSON object in base64url begins with "e".
	if scheme := "bearer"; len(token) >= len(scheme) && strings.EqualFold(token[:len(scheme)], scheme) {
		return "the user's token begins with the authentication scheme"
	}
	for i := range len(token) {
		if !isTokenByte(token[i]) {
			return "the user's token has characters that no token can have, such as whitespace or quotes"
		}
	}
	return ""
}

// isTokenByte reports whether a JWT can contain c: base64url and dots.
func isTokenByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// text returns a claim if it is a string, else "".
func (p payload) text(name string) string {
	var s string
	if json.Unmarshal(p[name], &s) != nil {
		return ""
	}
	return s
}

// has reports whether a claim is or contains the word, in any case.
func (p payload) has(name, word string) bool {
	var list []string
	if json.Unmarshal(p[name], &list) != nil {
		list = []string{p.text(name)}
	}
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}

// isAgentUser reports whether the token says that the user is an agent user: 13 among the
// numbers of xms_sub_fct.
func (p payload) isAgentUser() bool {
	return slices.Contains(strings.Fields(p.text("xms_sub_fct")), "13")
}

// checkUser rejects everything but a user's delegated access token: only those have
// scopes. An app-only token has roles, its application's object ID as subject, an agent's
// blueprint, or the optional claim idtyp.
func (p payload) checkUser() error {
	kind := p.text("idtyp")
	_, hasRoles := p["roles"]
	_, throughAgent := p["xms_par_app_azp"] // without a scope, the agent is on its own
	ownSubject := p.text("oid") != "" && strings.EqualFold(p.text("sub"), p.text("oid"))
	switch hasScope := slices.ContainsFunc(strings.Fields(p.text("scp")), isScopeWord); {
	case kind == "app" || !hasScope && (hasRoles || throughAgent || ownSubject):
		return refuse(ErrAssertionInvalid,
			"the caller is an application; On-Behalf-Of needs a user (as in AADSTS7000114)",
			"call as a signed-in user")
	case p["idtyp"] != nil && kind != "user":
		return invalid("the token's type (idtyp) is not that of a user's token")
	case !hasScope:
		return refuse(ErrAssertionInvalid,
			"the user's token has no scope (scp): it is an ID token, not an access token (as in AADSTS240002)",
			"the client's developer must request an access token for the server's API scope")
	}
	return nil
}

// isScopeWord reports whether s can name a scope. The "/" that scp has when there is
// none can't.
func isScopeWord(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// expiry returns exp (RFC 7519, section 4.1.4), which is required.
func (p payload) expiry() (time.Time, error) {
	var seconds float64
	err := json.Unmarshal(p["exp"], &seconds)
	// time.Time can't encode years after 9999.
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds >= 253402300800 {
		return time.Time{}, invalid("the user's token has no valid expiry (exp)")
	}
	return time.Unix(int64(seconds), 0), nil
}
