package mcpentra

import (
	"context"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// conclude is receiving middleware: it makes of a failure what its caller can act
// on, and notes the failure itself for the log.
func (s *Server) conclude(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		cause := present(result, err)
		if cause == nil {
			return result, err
		}
		noteOf(ctx).cause = cause
		id := entraauth.FromContext(ctx)
		e, ok := errors.AsType[*obo.Error](cause)
		if !ok || id == nil {
			return result, err
		}
		if call, isCall := req.(*mcp.CallToolRequest); isCall && err == nil && errors.Is(e, obo.ErrConsentRequired) {
			round, _ := ctx.Value(roundKey{}).(int)
			return s.askForConsent(id, call, result, e, round)
		}
		if c, ok := challengeOf(id, e); ok {
			a := askedBy(req)
			d := &denial{refusal: c.refusal(id), targets: a.targets(method)}
			if answerTo(ctx).refuse(d) {
				return nil, d
			}
			s.challenges.remember(id, e.Resource, c.claims)
		}
		return result, err
	}
}

// challengeOf returns the challenge to the caller's token that follows from Entra's
// refusal to exchange it, if a new token helps and the client can get one.
func challengeOf(id *entraauth.Identity, e *obo.Error) (c challenge, ok bool) {
	switch {
	case errors.Is(e, obo.ErrAssertionExpired):
		return challenge{}, true
	case errors.Is(e, obo.ErrInteractionRequired) && e.Claims != "" && id.HandlesClaims():
		return challenge{claims: e.Claims}, true
	}
	return challenge{}, false
}
