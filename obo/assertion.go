package obo

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// maxAssertion bounds a user's token; Entra's are far below it.
const maxAssertion = 64 << 10

// An Assertion is a user's access token for our API, as its request brought it.
// It can't be printed, logged or encoded, and code outside this module can't
// read it back: it can only be exchanged. entraauth.Identity hands it out;
// others make it with [NewAssertion]. The zero Assertion is nobody.
type Assertion = secret.Text

// NewAssertion returns the assertion for a user's access token. The token must
// have been verified: this package trusts what the token says about itself only
// to refuse, never to allow, and leaves the rest to Entra.
func NewAssertion(token string) Assertion { return secret.New(token) }

// claims are what an assertion says about itself. Nobody has verified them here.
type claims struct {
	expires time.Time
	tenant  *tenant
	cp1     bool   // the user's client handles claims challenges
	user    string // "<tid>.<oid>" in lower case, for the log; empty if they aren't GUIDs
}

// inspect refuses, before anything is sent, what Entra would refuse anyway, or
// what must never be exchanged: anything but a user's access token of a tenant of ours.
func (x *Exchanger) inspect(token string) (claims, error) {
	if len(token) > maxAssertion {
		return claims{}, invalid("the user's token has more than %d bytes", maxAssertion)
	}
	payload, err := decodePayload(token)
	if err != nil {
		return claims{}, invalid("the user's token can't be read: %v", err)
	}
	if err := payload.checkUser(); err != nil {
		return claims{}, err
	}
	tid := payload.text("tid")
	t := x.tenantOf(tid)
	if t == nil {
		return claims{}, invalid("the user's token is not of the tenant %s", x.tenantNames())
	}
	expires, err := payload.expiry()
	if err != nil {
		return claims{}, err
	}
	c := claims{expires: expires, tenant: t, cp1: payload.has("xms_cc", cp1)}
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
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("its payload is not base64url")
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil || p == nil {
		return nil, errors.New("its payload is not a JSON object")
	}
	return p, nil
}

// text returns a claim that is a string, else "".
func (p payload) text(name string) string {
	var s string
	if json.Unmarshal(p[name], &s) != nil {
		return ""
	}
	return s
}

// has reports whether a claim is, or lists, the word, in any case.
func (p payload) has(name, word string) bool {
	var list []string
	if json.Unmarshal(p[name], &list) != nil {
		list = []string{p.text(name)}
	}
	return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}

// checkUser refuses tokens that are not a user's delegated access token: only
// those have scp. An app-only token has roles, or the optional claim idtyp.
func (p payload) checkUser() error {
	kind := p.text("idtyp")
	_, hasRoles := p["roles"]
	switch hasScope := strings.TrimSpace(p.text("scp")) != ""; {
	case kind == "app" || !hasScope && hasRoles:
		return refuse(ErrAssertionInvalid,
			"the caller is an application; acting on behalf of somebody needs a user (as in AADSTS7000114)",
			"call as a signed-in user")
	case p["idtyp"] != nil && kind != "user":
		return invalid("the user's token is of a kind (idtyp) that is not a user's")
	case !hasScope:
		return refuse(ErrAssertionInvalid,
			"the user's token has no scope (scp): it is an ID token, not an access token (as in AADSTS240002)",
			"the client's developer must request an access token for the server's API scope")
	}
	return nil
}

// expiry returns exp (RFC 7519, section 4.1.4), which must be there.
func (p payload) expiry() (time.Time, error) {
	var seconds float64
	err := json.Unmarshal(p["exp"], &seconds)
	// The upper bound is the year 9999; beyond, time.Time can't be encoded.
	if err != nil || math.IsNaN(seconds) || seconds <= 0 || seconds >= 253402300800 {
		return time.Time{}, invalid("the user's token has no valid expiry (exp)")
	}
	return time.Unix(int64(seconds), 0), nil
}

func invalid(format string, args ...any) *Error {
	return refuse(ErrAssertionInvalid, fmt.Sprintf(format, args...), newToken)
}

// refuse makes the error of a request that is not sent.
func refuse(kind error, problem, remedy string) *Error {
	return &Error{Kind: kind, Problem: problem, Remedy: remedy}
}
