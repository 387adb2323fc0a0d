package mcpauth

import (
	"context"
	"math"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/bridge"
)

// Bridge hands the caller that [entraauth.Verifier.Middleware] verified to the
// SDK's handler: as auth.TokenInfo with the user's id, by which the SDK binds
// sessions to their user, and with the identity for [Receive]. The request's
// context and headers no longer hold identity or token, nor any other credential in a
// header, such as Cookie and what platforms add (X-MS-TOKEN-AAD-…), because the SDK
// shows headers to tools. A request without a verified caller is answered 401.
func Bridge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := entraauth.FromContext(r.Context())
		if id == nil {
			http.Error(w, "no verified caller: mcpauth.Bridge belongs inside the verifier's Middleware", http.StatusUnauthorized)
			return
		}
		inner := r.WithContext(entraauth.NewContext(r.Context(), nil))
		inner.Header = bridge.Headers(r.Header)
		adapter(id)(next).ServeHTTP(w, inner)
	})
}

// adapter is the SDK's own middleware, the only public way to set a TokenInfo.
// It has nothing left to decide: the token was verified a moment ago, by a clock
// and a skew that it does not know, so it must not judge the expiry again.
func adapter(id *entraauth.Identity) func(http.Handler) http.Handler {
	info := &auth.TokenInfo{
		UserID:     id.UserID(),
		Scopes:     id.Scopes(),
		Expiration: id.ExpiresOn(),
		Extra:      map[string]any{bridge.IdentityKey: id},
	}
	verify := func(context.Context, string, *http.Request) (*auth.TokenInfo, error) { return info, nil }
	return auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64})
}

// Receive is receiving middleware for mcp.Server: it puts the caller of this
// very request into the context, for [entraauth.FromContext]. A request that
// did not come through [Bridge] has no caller.
func Receive(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		return next(entraauth.NewContext(ctx, caller(req)), method, req)
	}
}

func caller(req mcp.Request) *entraauth.Identity {
	extra := req.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return nil
	}
	id, _ := extra.TokenInfo.Extra[bridge.IdentityKey].(*entraauth.Identity)
	return id
}
