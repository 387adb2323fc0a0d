package mcpentra

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// bearerCheck refuses requests without a valid token, and notes the caller of others.
func (s *stages) bearerCheck(next http.Handler) http.Handler {
	check := &entraauth.BearerCheck{
		ResourceMetadata: s.refuser.metadataURL, AuthorizationEndpoint: s.refuser.authorizeURL, WriteBody: mcpauth.WriteBody,
		OnRefusal: func(r *http.Request, status int, e *entraauth.Error) { s.log.denied(r, status, e, nil) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := s.verifier.FromRequest(r)
		if err == nil {
			callOf(r.Context()).caller = id
			next.ServeHTTP(w, r)
			return
		}
		s.refuseCaller(w, r, check, err)
	})
}

// What is read of the request of a caller whom the verifier's policy refuses: no more than
// mcpauth reads of any refused request, to find its id.
const (
	maxRefusedBody = 64 << 10
	maxRefusedTime = 5 * time.Second
)

// refuseCaller answers a request whose token is not good, or does not meet the verifier's
// policy. In the second case the challenge asks for all that the operation needs, if the body
// says what that is.
func (s *stages) refuseCaller(w http.ResponseWriter, r *http.Request, check *entraauth.BearerCheck, err error) {
	if e, ok := errors.AsType[*entraauth.Error](err); ok && s.mayRead(r, e) {
		c := callOf(r.Context())
		defer c.leased.close()
		if !s.receiveRefused(w, r) {
			defer c.body.Abandon(w) // after the answer
		} else if d := s.wholeDenial(r, e); d != nil {
			s.refuser.refuse(w, r, d)
			return
		}
	}
	s.verifier.Refuse(w, r, check, err)
}

// mayRead reports whether to look into the body of a refused request: if its token is good, a
// new one helps, and the caller is within the limits of users. They are counted apart from
// those of the same user's other requests, from which such a client must take nothing.
func (s *stages) mayRead(r *http.Request, e *entraauth.Error) bool {
	if e.Caller() == nil || !remediable(e) || s.policies.access.isFree() || r.Method != http.MethodPost || r.ContentLength > maxRefusedBody {
		return false
	}
	return s.admission.users.admit(&callOf(r.Context()).leased, "refused "+e.Caller().UserID(), 0) == 0
}

// receiveRefused reads the body of a refused request, and reports whether all of it is there.
func (s *stages) receiveRefused(w http.ResponseWriter, r *http.Request) bool {
	c := callOf(r.Context())
	limits := edge.BodyLimits{Bytes: min(maxRefusedBody, s.limits.BodyBytes), Timeout: min(maxRefusedTime, s.limits.BodyTimeout)}
	_ = c.writer.SetReadDeadline(time.Now().Add(limits.Timeout)) // a test's recorder has none
	return c.body.Receive(w, r, limits, &c.leased) == nil
}

// wholeDenial returns the denial for all that the request needs, or nil if that can't be known.
func (s *stages) wholeDenial(r *http.Request, e *entraauth.Error) *denial {
	c, access := callOf(r.Context()), s.policies.access
	c.read(edge.BodyOf(r))
	targets, err := targetsOf(c, r.Header)
	if err != nil || checkTargets(targets) != nil || !json.Valid(c.data) {
		return nil //nolint:nilerr // what the request needs can't be known
	}
	d := access.decide(e.Caller(), targets)
	if d != nil && !remediable(d.refusal) && e.Caller().Kind() == entraauth.KindUser {
		return d // with more scopes, the user would only be refused again
	}
	d = &denial{refusal: e, targets: targets}
	for _, t := range targets {
		access.visit(t, d.need)
	}
	return d
}
