package mcpentra

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// requestIDHeader is where an answer has its request's id.
const requestIDHeader = "X-Request-Id"

// An arrival is what the server notes of an HTTP request as it comes in.
type arrival struct {
	id     string              // generated here: client-supplied ids could forge other requests' log entries
	trace  string              // the caller's trace id (W3C Trace Context), or "": a hint, not unique
	client netip.Addr          // who sent the request; see proxies.client
	host   string              // whom it was sent to: one host, or several with commas between
	answer *answer             // nil while it can't be changed
	lease  *lease              // of the user's limits; nil until there is a user
	size   size                // of the body
	caller *entraauth.Identity // nil until there is one
	told   told
	usage  *usage
}

type arrivalKey struct{}

func arrivalOf(ctx context.Context) *arrival {
	a, _ := ctx.Value(arrivalKey{}).(*arrival)
	return a
}

// requestID returns the id of the HTTP request that the context belongs to, as
// the header X-Request-Id of its answer has it; "" outside of requests.
func requestID(ctx context.Context) string {
	if a := arrivalOf(ctx); a != nil {
		return a.id
	}
	return ""
}

// answerTo returns the answer that the context's HTTP request will get, or nil if
// it can't be changed.
func answerTo(ctx context.Context) *answer {
	if a := arrivalOf(ctx); a != nil {
		return a.answer
	}
	return nil
}

// requestAttrs returns what a line about the context's HTTP request should hold:
// its id, the client's address and its trace id, as far as they are known.
func requestAttrs(ctx context.Context) []slog.Attr {
	a := arrivalOf(ctx)
	if a == nil {
		return nil
	}
	attrs := []slog.Attr{slog.String("request_id", a.id)}
	if a.client.IsValid() {
		attrs = append(attrs, slog.String("client", a.client.String()))
	}
	if a.trace != "" {
		attrs = append(attrs, slog.String("trace", a.trace))
	}
	return attrs
}

// arrivalAttrs are those of requestAttrs, and what is known of a request that is
// refused before it is dispatched.
func arrivalAttrs(r *http.Request) []slog.Attr {
	return append(requestAttrs(r.Context()), slog.String("http_method", r.Method), slog.String("path", r.URL.Path))
}

// receive is the outermost handler: it notes the arrival and bounds how long
// the client may take over what it sends and reads.
func (s *Server) receive(trusted proxies, limits Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &arrival{id: rand.Text(), trace: traceID(r.Header.Get("Traceparent")), usage: &usage{}}
		a.client, a.host = trusted.origin(r)
		w.Header().Set(requestIDHeader, a.id)
		r = r.WithContext(context.WithValue(r.Context(), arrivalKey{}, a))
		if clean := cleanPath(r.URL.Path); clean != r.URL.Path {
			u := *r.URL
			u.Path, u.RawPath = clean, ""
			r.URL = &u
		}
		defer s.recovered(r)
		next.ServeHTTP(patient(w, r, limits), r)
	})
}

// recovered is deferred. It writes the line of a request whose handling panicked
// outside of MCP, which net/http would write where it writes what strangers do to
// connections, and cuts the connection: how much has been answered is not known.
func (s *Server) recovered(r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p != http.ErrAbortHandler { //nolint:errorlint // as net/http compares it
		s.log.LogAttrs(r.Context(), slog.LevelError, requestLine, append(arrivalAttrs(r), slog.String("outcome", failed),
			slog.String("reason", "internal_error"), slog.String("panic", safelog.Panic(p)), slog.String("stack", string(debug.Stack())))...)
	}
	panic(http.ErrAbortHandler)
}

// cleanPath is the path by which a request is served. A ServeMux would redirect to it
// instead: to a place without what a gateway has taken off the front, and where
// some clients don't send the body or the token again.
func cleanPath(p string) string {
	clean := path.Clean("/" + p)
	if clean != "/" && strings.HasSuffix(p, "/") {
		clean += "/"
	}
	return clean
}

// traceID returns the trace id of a traceparent header, or "" if that is not a
// valid one (https://www.w3.org/TR/trace-context/#traceparent-header).
func traceID(traceparent string) string {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(traceparent) < length || (len(traceparent) > length && (traceparent[length] != '-' || traceparent[:2] == "00")) {
		return ""
	}
	for i := range length {
		c := traceparent[i]
		if hyphen := i == 2 || i == 35 || i == 52; hyphen != (c == '-') || !hyphen && !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return ""
		}
	}
	trace, parent := traceparent[3:35], traceparent[36:52]
	if traceparent[:2] == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return ""
	}
	return strings.Clone(trace)
}

// carriedArrival is where the arrival travels in auth.TokenInfo.Extra.
const carriedArrival = "github.com/mcpentra/mcp-entra-go/mcpentra.arrival"

// carry hands the arrival to the SDK as mcpauth.Bridge hands it the caller, and
// for the same reason: with sessions, the context of a call is that of the
// request which opened the session. It belongs inside the bridge, which makes a
// TokenInfo for each request.
func carry(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info := auth.TokenInfoFromContext(r.Context()); info != nil {
			info.Extra[carriedArrival] = arrivalOf(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// arrived is receiving middleware that puts the arrival of this very request
// into the context.
func arrived(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		var a *arrival
		if extra := req.GetExtra(); extra != nil && extra.TokenInfo != nil {
			a, _ = extra.TokenInfo.Extra[carriedArrival].(*arrival)
		}
		return next(context.WithValue(ctx, arrivalKey{}, a), method, req)
	}
}
