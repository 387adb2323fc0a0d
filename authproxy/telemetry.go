package authproxy

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// proxyTelemetry is what a proxy tells OpenTelemetry. Without providers, each method does nothing.
type proxyTelemetry struct {
	*telemetry.Telemetry
	requests *telemetry.Counter[endpointOutcome]
	refused  *telemetry.Counter[string] // by reason
}

// endpointOutcome is a set of attributes of a request.
type endpointOutcome struct{ endpoint, outcome string }

const (
	outcomeOK      = "ok"
	outcomeRefused = "refused" // the client's or the user's fault, or the user's decision
	outcomeError   = "error"   // the server's or Entra's fault
)

// endpointNames are the endpoints as telemetry has them.
var endpointNames = []string{"authorize", "consent", "callback", "token", "revoke", "register", "metadata"}

// reasonNames are why requests are refused: OAuth's errors, or a page's problem.
var reasonNames = []string{
	oauth.InvalidRequest, oauth.InvalidClient, oauth.InvalidGrant, oauth.InvalidScope, oauth.InvalidTarget, oauth.InvalidRedirectURI,
	oauth.InvalidClientMetadata, oauth.UnsupportedGrantType, oauth.UnsupportedTokenType, oauth.UnsupportedResponse, oauth.AccessDenied,
	oauth.ServerError, oauth.TemporarilyUnavailable, oauth.LoginRequired, oauth.InteractionRequired, oauth.ConsentRequired,
	string(pages.BadRequest), string(pages.UnknownClient), string(pages.BadRedirect), string(pages.Unavailable), string(pages.Expired),
	string(pages.Finished), string(pages.Foreign), string(pages.ServerProblem), string(pages.Denied), string(pages.NotFromThisPage),
	telemetry.Other,
}

// serverReasons are those that are not the client's or the user's fault.
var serverReasons = []string{oauth.ServerError, oauth.TemporarilyUnavailable, string(pages.ServerProblem), string(pages.Unavailable)}

func newProxyTelemetry(o *Options) proxyTelemetry {
	t := proxyTelemetry{Telemetry: telemetry.New(o.TracerProvider, o.MeterProvider)}
	var all []endpointOutcome
	for _, endpoint := range endpointNames {
		for _, outcome := range []string{outcomeOK, outcomeRefused, outcomeError} {
			all = append(all, endpointOutcome{endpoint, outcome})
		}
	}
	t.requests = telemetry.NewCounter(t.Telemetry, telemetry.SignIns, func(k endpointOutcome) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Endpoint.String(k.endpoint), telemetry.Outcome.String(k.outcome)}
	}, all...)
	t.refused = telemetry.NewCounter(t.Telemetry, telemetry.SignInsRefused, func(reason string) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Reason.String(reason)}
	}, reasonNames...)
	return t
}

// client returns an HTTP client whose requests to Entra have spans with that name.
func (t *proxyTelemetry) client(c *http.Client, name string) *http.Client {
	return t.Client(c, name, authority.ShownHost)
}

// observe reports the end of the app's certificate whenever metrics are collected.
func (t *proxyTelemetry) observe(p *Proxy) {
	t.Observe(telemetry.AssertionEnds, func() (float64, bool) {
		end, ok := p.proofs.Expires()
		return float64(end.Unix()), ok
	}, telemetry.Use.String("signin"))
}

// refusalKey is the key of a request's refusal in its context: a *string.
type refusalKey struct{}

// count serves a request at an endpoint and counts it, unless it is a CORS preflight.
func (t *proxyTelemetry) count(w http.ResponseWriter, r *http.Request, endpoint string, serve http.HandlerFunc) {
	if !t.Measures() || r.Method == http.MethodOptions {
		serve(w, r)
		return
	}
	ctx, reason := r.Context(), string(pages.ServerProblem) // unless serve returns
	defer func() {
		outcome := outcomeOK
		switch {
		case slices.Contains(serverReasons, reason):
			outcome = outcomeError
		case reason != "":
			outcome = outcomeRefused
		}
		t.requests.Add(ctx, endpointOutcome{endpoint, outcome}, 1)
		if reason != "" {
			t.refused.Add(ctx, reason, 1)
		}
	}()
	var refusal string
	serve(w, r.WithContext(context.WithValue(ctx, refusalKey{}, &refusal)))
	reason = refusal
}

// noteRefusal notes why a request is refused.
func noteRefusal(r *http.Request, reason string) {
	if refusal, ok := r.Context().Value(refusalKey{}).(*string); ok {
		if !slices.Contains(reasonNames, reason) {
			reason = telemetry.Other
		}
		*refusal = reason
	}
}
