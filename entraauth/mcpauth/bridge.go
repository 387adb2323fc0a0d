package mcpauth

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/bridge"
)

// Bridge hands the caller that [entraauth.Verifier.Middleware] verified to the
// SDK's handler: as auth.TokenInfo with the user's id, by which the SDK binds
// sessions to their user, and with the identity for [Receive]. The request's
// context and headers no longer hold the identity, the token or any other credential,
// such as Cookie and what platforms add (X-MS-TOKEN-AAD-…), because the SDK
// shows headers to tools. A request without a verified caller is answered 401.
func Bridge(next http.Handler) http.Handler {
	// The SDK's own middleware is the only public way to set a TokenInfo. It has
	// nothing left to decide: the token was verified a moment ago, by a clock and a skew
	// that it does not know, so it must not judge the expiry again.
	adapter := auth.RequireBearerToken(tokenInfo, &auth.RequireBearerTokenOptions{ClockSkew: math.MaxInt64})
	inside := adapter(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(entraauth.NewContext(r.Context(), nil)))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if entraauth.FromContext(r.Context()) == nil {
			http.Error(w, "no verified caller: mcpauth.Bridge belongs inside the verifier's Middleware", http.StatusUnauthorized)
			return
		}
		inner := *r
		inner.Header = bridge.Headers(r.Header)
		inside.ServeHTTP(w, &inner)
	})
}

// tokenInfo is a verifier for the SDK that takes the caller from the context.
func tokenInfo(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
	id := entraauth.FromContext(ctx)
	return &auth.TokenInfo{
		UserID:     id.UserID(),
		Scopes:     id.Scopes(),
		Expiration: id.ExpiresOn(),
		Extra:      map[string]any{bridge.IdentityKey: id},
	}, nil
}

// bridged returns the caller that [Bridge] put into a TokenInfo, or nil.
func bridged(info *auth.TokenInfo) *entraauth.Identity {
	if info == nil {
		return nil
	}
	id, _ := info.Extra[bridge.IdentityKey].(*entraauth.Identity)
	return id
}

// Receive is receiving middleware for mcp.Server: it puts the caller of this very
// request into the context, for [Caller]. A request over HTTP that did not come through
// [Bridge] fails, and the first one writes an ERROR to [slog.Default] that says what to
// add. Requests over other transports, such as in memory, go on without a caller.
func Receive(next mcp.MethodHandler) mcp.MethodHandler {
	var report sync.Once
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		var id *entraauth.Identity
		if extra := req.GetExtra(); extra != nil {
			id = bridged(extra.TokenInfo)
			if id == nil && extra.Header != nil {
				report.Do(func() {
					slog.ErrorContext(ctx, "every MCP request fails: it came over HTTP without a verified caller. Wrap the SDK's handler: "+
						"verifier.Middleware(check)(mcpauth.Bridge(mcp.NewStreamableHTTPHandler(…)))", "method", method)
				})
				return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "This server can't identify its callers. Its log says why"}
			}
		}
		return next(entraauth.NewContext(ctx, id), method, req)
	}
}

var (
	errNoReceive = errors.New("this server can't identify its callers: the request came through mcpauth.Bridge, but the server lacks mcpauth.Receive; " +
		"add server.AddReceivingMiddleware(mcpauth.Receive)")
	errNoCaller = errors.New("no verified caller: this call did not come over HTTP through mcpauth.Bridge, or the server lacks " +
		"server.AddReceivingMiddleware(mcpauth.Receive)")
)

// Caller returns the verified caller of the MCP request that ctx belongs to. Its error
// says why there is none, such as which half of this package is missing. The
// identity is nil only with an error, so a tool can't mistake a wrong setup for a caller.
func Caller(ctx context.Context) (*entraauth.Identity, error) {
	// Not FromContext: without Bridge and Receive, that is who opened the session.
	if id, _ := ctx.Value(bridge.CallerKey{}).(*entraauth.Identity); id != nil {
		return id, nil
	}
	// With sessions, this TokenInfo is that of the request which opened the session, so
	// it only shows that there is a bridge.
	if bridged(auth.TokenInfoFromContext(ctx)) != nil {
		return nil, errNoReceive
	}
	return nil, errNoCaller
}
