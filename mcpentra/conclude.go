package mcpentra

import (
	"context"
	"errors"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// conclude is receiving middleware: it turns a failure into something that its caller
// can act on, and notes the failure itself for the log.
func (s *Server) conclude(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		cause := present(result, err)
		if cause == nil {
			return result, err
		}
		noteOf(ctx).cause = cause
		if d, ok := errors.AsType[*denial](cause); ok {
			if s.refuseLate(ctx, d) || err != nil {
				return nil, d
			}
			return result, nil // the text must do
		}
		id := entraauth.FromContext(ctx)
		e, ok := errors.AsType[*obo.Error](cause)
		if !ok || id == nil {
			return result, err
		}
		if call, isCall := req.(*mcp.CallToolRequest); isCall && err == nil && errors.Is(e, obo.ErrConsentRequired) {
			round, _ := ctx.Value(roundKey{}).(int)
			return s.askForConsent(id, call, result, e, round)
		}
		if challenge := challengeOf(id, e); challenge != nil {
			a := askedBy(req)
			d := &denial{refusal: challenge, targets: a.targets(method)}
			if s.refuseLate(ctx, d) { // else the text must do
				return nil, d
			}
		}
		return result, err
	}
}

// challengeOf returns the challenge to the caller's token that follows from Entra's
// refusal to exchange it, or nil if no new token helps or the client can't get one.
func challengeOf(id *entraauth.Identity, e *obo.Error) *entraauth.Error {
	switch {
	case errors.Is(e, obo.ErrAssertionExpired):
		return entraauth.RevokedError(id)
	case errors.Is(e, obo.ErrInteractionRequired) && e.Claims != "" && id.HandlesClaims():
		return entraauth.ClaimsRequiredError(id, e.Claims)
	}
	return nil
}
