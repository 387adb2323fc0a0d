package authproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

const (
	// upstreamTimeout bounds all requests to Entra for one token request.
	upstreamTimeout = 12 * time.Second
	// retryUpstream is the Retry-After if Entra sends none.
	retryUpstream = 5 * time.Second
	// declareCP1 repeats what the client declared at authorize: it handles claims challenges.
	declareCP1 = `{"access_token":{"xms_cc":{"values":["cp1"]}}}`
)

// ask requests tokens from Entra, for scopes of ours.
func (p *Proxy) ask(ctx context.Context, g *grants.Grant, scopes []string, form url.Values) (*entrawire.Success, error) {
	form.Set("client_id", p.clientID)
	form.Set("scope", p.scopes.forToken(scopes, g.Refresh)) // without it, Entra takes the app for the resource (AADSTS90009)
	if g.CP1 {
		form.Set("claims", declareCP1)
	}
	return p.post(ctx, form)
}

// post sends the form with the app's credential. If Entra rejects the credential, post renews it
// once where that may help, then tries the next one.
func (p *Proxy) post(ctx context.Context, form url.Values) (*entrawire.Success, error) {
	search := p.proofs.Begin()
	var refused error
	for {
		proof, err := search.Next(ctx)
		if err != nil {
			return nil, cmp.Or(refused, err) // refused says more than that no credential is left
		}
		request := maps.Clone(form)
		if err := proof.AddTo(request, p.tokenURL()); err != nil {
			return nil, err
		}
		got, err := p.wire.Post(ctx, p.tokenURL(), request)
		if err == nil {
			search.Accepted()
			return got, nil
		}
		refusal, ok := errors.AsType[*entrawire.RefusalError](err)
		if !ok {
			return nil, err
		}
		code := refusal.Code(clientcred.Blames)
		if !clientcred.Blames(code) {
			if code != 0 && !isOutage(refusal) {
				search.Accepted()
			}
			return nil, err
		}
		refused = fmt.Errorf("AADSTS%d: %w", code, err)
		if !search.Refused(ctx, clientcred.Outdated(code), refused) {
			return nil, refused
		}
	}
}

// tokenURL is Entra's token endpoint.
func (p *Proxy) tokenURL() string { return p.host.Tenant(p.tenantID) + "/oauth2/v2.0/token" }

// isOutage reports whether the refusal is temporary.
func isOutage(r *entrawire.RefusalError) bool {
	return r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout || r.Status >= http.StatusInternalServerError ||
		r.OAuthError == oauth.TemporarilyUnavailable || r.OAuthError == oauth.ServerError
}

// userErrors are Entra's errors that a new sign-in can fix.
var userErrors = []string{oauth.InvalidGrant, oauth.InteractionRequired, oauth.ConsentRequired, oauth.LoginRequired, oauth.AccessDenied}

// explain returns the client's error for an error of post, and logs what only the operator can
// fix. It drops Entra's text, which contains names and addresses.
func (p *Proxy) explain(ctx context.Context, err error) *oauth.Error {
	refusal, refused := errors.AsType[*entrawire.RefusalError](err)
	if !refused {
		return p.explainSilence(ctx, err)
	}
	code := refusal.Code(clientcred.Blames)
	name := "an error without a code"
	if code != 0 {
		name = fmt.Sprintf("AADSTS%d", code)
	}
	switch {
	case isOutage(refusal):
		return unavailable("Microsoft Entra ID is busy or has a problem ("+name+"); try again later", cmp.Or(refusal.RetryAfter, retryUpstream), err)
	case slices.Contains(userErrors, refusal.OAuthError) && !clientcred.Blames(code):
		return &oauth.Error{Code: oauth.InvalidGrant, Description: "Microsoft Entra ID answered: " + name + "; sign in again", Cause: err}
	}
	remedy := "compare the app's registration, Options.Scopes and Downstream with the API's registration"
	if clientcred.Blames(code) {
		remedy = "replace the app's credential: a secret is wrong or has expired, a certificate or federated credential does not match; or it is another app's"
	}
	p.log.ErrorContext(ctx, "Entra refused the proxy's app", slog.String("app", p.clientID), slog.String("remedy", remedy), slog.String("error", refusal.OAuthError),
		slog.String("code", name), slog.Int("status", refusal.Status), slog.String("correlation_id", refusal.CorrelationID))
	return &oauth.Error{Code: oauth.ServerError, Status: http.StatusInternalServerError, Cause: err,
		Description: "Microsoft Entra ID refused the server's own app (" + name + "); ask the server's operator to look at its log"}
}

// explainSilence is explain for an error that is no refusal by Entra.
func (p *Proxy) explainSilence(ctx context.Context, err error) *oauth.Error {
	fault, _ := errors.AsType[*clientcred.Error](err)
	_, unsent := errors.AsType[*entrawire.NotSentError](err)
	broken, _ := errors.AsType[*entrawire.AnswerError](err)
	if fault != nil && fault.Permanent || unsent || broken != nil && !broken.Transient {
		p.log.ErrorContext(ctx, "a token request to Entra failed", slog.Any("error", err))
		return &oauth.Error{Code: oauth.ServerError, Status: http.StatusInternalServerError, Cause: err,
			Description: "the server can't request tokens from Microsoft Entra ID; ask the server's operator to look at its log"}
	}
	p.log.WarnContext(ctx, "Entra can't be reached, or gave no valid answer", slog.Any("error", err))
	return unavailable("Microsoft Entra ID did not answer; try again in a moment", retryUpstream, err)
}

// unavailable returns an error that is temporary.
func unavailable(description string, after time.Duration, cause error) *oauth.Error {
	return &oauth.Error{Code: oauth.TemporarilyUnavailable, Status: http.StatusServiceUnavailable, Description: description, RetryAfter: after, Cause: cause}
}

// verify verifies an access token of Entra's and returns its user, who need not be a person:
// whether agent users may call is the MCP server's policy. A valid token that does not
// satisfy a policy passes: the MCP server then says what is missing, by a status and a challenge
// that the client can act on.
func (p *Proxy) verify(ctx context.Context, token string) (*entraauth.Identity, error) {
	user, err := p.verifier.Verify(ctx, token)
	switch e, ok := errors.AsType[*entraauth.Error](err); {
	case !ok:
	case e.Caller() != nil:
		user, err = e.Caller(), nil
	case errors.Is(err, entraauth.ErrKeysUnavailable):
		return nil, unavailable("the keys of Microsoft Entra ID are unavailable; try again in a moment", cmp.Or(e.RetryAfter, retryUpstream), err)
	case e.Reason == "key_not_found": // right after a rotation: the verifier waits a while between two fetches
		p.log.WarnContext(ctx, "Entra signed a token with a key that the tenant's set did not have a moment ago; if this persists, the API has a signing key of its own", slog.Any("error", err))
		return nil, unavailable("Microsoft Entra ID signs with a new key, which this server does not know yet; try again in a moment", retryUpstream, err)
	}
	switch {
	case err != nil:
	case user.Kind() != entraauth.KindUser:
		err = errors.New("the token has no user")
	case !strings.EqualFold(user.ClientID(), p.clientID):
		err = fmt.Errorf("the token was issued to the app %s and not to the proxy's", user.ClientID())
	}
	if err != nil {
		return nil, p.unusable(ctx, err)
	}
	return user, nil
}

// unusable returns the client's error for a token of Entra's that must not be handed on.
func (p *Proxy) unusable(ctx context.Context, err error) error {
	p.log.ErrorContext(ctx, "Entra issued a token that can't be handed on; check the proxy's app, the scopes and the verifier", slog.Any("error", err))
	return &oauth.Error{Code: oauth.ServerError, Status: http.StatusInternalServerError, Cause: err,
		Description: "Microsoft Entra ID issued a token that this server rejects; ask the server's operator to look at its log"}
}
