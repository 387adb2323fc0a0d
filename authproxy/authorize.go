package authproxy

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// maxState bounds a client's state, in bytes.
const maxState = 1 << 10

// An authorizeRequest is a client's authorization request (RFC 6749, section 4.1.1). Client and
// redirect were checked; faults of the rest are reported to the client.
type authorizeRequest struct {
	client   *clients.Client
	redirect string
	form     url.Values // without empty parameters
	state    string     // to echo; "" for none
}

// authorizeParameters are the parameters that may occur only once. Others are ignored.
var authorizeParameters = []string{
	"response_type", "scope", "state", "code_challenge", "code_challenge_method", "response_mode", "nonce",
	"prompt", "max_age", "login_hint", "domain_hint", "claims", "acr_values",
}

// serveAuthorize begins a sign-in: it shows the consent page, or redirects to Entra if the user
// has already approved the client in this browser.
func (p *Proxy) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q, fault := p.readAuthorize(r)
	if fault != nil {
		p.showPage(w, r, fault)
		return
	}
	t, extra, err := p.newTransaction(q)
	if err == nil {
		approval := p.approvalOf(q.client.ConsentHash(), q.redirect)
		asks := !p.remembers(q.redirect) || !p.consents(r).has(approval) || slices.Contains(strings.Fields(q.form.Get("prompt")), "consent")
		switch {
		case asks && extra.Get("prompt") == "none":
			err = oauth.Errorf(oauth.InteractionRequired, "the user must first approve this client in this browser; send the request without prompt=none")
		case asks:
			err = p.askConsent(w, r, q.client, t, extra, approval)
		default:
			t.approved = true
			if err = p.begin(w, r, t, p.otherCookies(r)); err == nil {
				redirectTo(w, p.upstreamURL(t, extra))
			}
		}
	}
	if err != nil {
		p.refuse(w, r, q, err)
	}
}

// readAuthorize reads the client and its redirect. Until both are known, errors are pages.
func (p *Proxy) readAuthorize(r *http.Request) (*authorizeRequest, *pageError) {
	form, fault := readQuery(r)
	if fault != nil {
		return nil, fault
	}
	if len(form["client_id"]) != 1 || len(form["redirect_uri"]) > 1 {
		return nil, badRequest(pages.BadRequest, "send client_id once, and redirect_uri at most once")
	}
	client, err := p.clients.Find(r.Context(), form.Get("client_id"))
	if err != nil {
		return nil, unknownClient(err)
	}
	if client.Several && form.Get("redirect_uri") == "" {
		return nil, badRequest(pages.BadRedirect, "redirect_uri is missing; it may be left out only if one is registered")
	}
	redirect, err := redirecturi.Choose(client.Redirects, form.Get("redirect_uri"))
	if err != nil {
		return nil, badRequest(pages.BadRedirect, err.Error())
	}
	q := &authorizeRequest{client: client, redirect: redirect, form: form}
	if len(form["state"]) == 1 {
		q.state = form.Get("state")
	}
	return q, nil
}

func unknownClient(err error) *pageError {
	e, ok := errors.AsType[*oauth.Error](err)
	switch {
	case !ok:
		return &pageError{status: http.StatusInternalServerError, problem: pages.ServerProblem, cause: err}
	case e.Code == oauth.TemporarilyUnavailable:
		return &pageError{cmp.Or(e.Status, http.StatusServiceUnavailable), pages.Unavailable, e.Description, e.RetryAfter, e.Cause}
	default:
		return &pageError{status: http.StatusBadRequest, problem: pages.UnknownClient, detail: e.Description, cause: e.Cause}
	}
}

// newTransaction checks the rest of the request. Its error is for the client. extra has the
// parameters to pass on to Entra.
func (p *Proxy) newTransaction(q *authorizeRequest) (t *transaction, extra url.Values, err error) {
	for _, name := range authorizeParameters {
		if len(q.form[name]) > 1 {
			return nil, nil, oauth.Errorf(oauth.InvalidRequest, "%s occurs twice; send it once", name)
		}
	}
	switch kind, mode := q.form.Get("response_type"), q.form.Get("response_mode"); {
	case len(q.state) > maxState:
		return nil, nil, oauth.Errorf(oauth.InvalidRequest, "state has %d bytes; send at most %d", len(q.state), maxState)
	case kind == "":
		return nil, nil, oauth.Errorf(oauth.InvalidRequest, "response_type is missing; it must be code")
	case kind != "code":
		return nil, nil, oauth.Errorf(oauth.UnsupportedResponse, "response_type must be code")
	case mode != "" && mode != "query":
		return nil, nil, oauth.Errorf(oauth.InvalidRequest, "response_mode must be query; send that or leave it out")
	}
	t = &transaction{id: newTransactionID(), expires: p.now().Add(transactionLifetime), redirect: q.redirect, state: q.state}
	c := &t.code
	c.Holder, c.Refresh, c.Redirect = q.client.Hold(), q.client.Refresh, sha256.Sum256([]byte(q.redirect))
	_, _ = rand.Read(c.Verifier[:]) // never fails
	if c.Challenge, err = readChallenge(q.form); err != nil {
		return nil, nil, err
	}
	if c.Resource, err = p.resourceOf(q.form["resource"]); err != nil {
		return nil, nil, err
	}
	if c.Scopes = p.scopes.pick(q.form.Get("scope")); len(c.Scopes) == 0 {
		c.Scopes = p.scopes.names[:1]
	}
	if extra, c.CP1, err = passedOn(q.form); err != nil {
		return nil, nil, err
	}
	if len(p.upstreamQuery(t, extra)) > maxUpstream {
		return nil, nil, oauth.Errorf(oauth.InvalidRequest, "scope, login_hint, domain_hint and claims together are too long for Entra, which takes %d characters", maxUpstream)
	}
	return t, extra, nil
}

// readChallenge reads the PKCE challenge (RFC 7636, section 4.3). It takes only S256: a plain
// challenge is of no use once the request has leaked.
func readChallenge(form url.Values) (challenge [sha256.Size]byte, err error) {
	if form.Get("code_challenge") == "" || form.Get("code_challenge_method") != "S256" {
		return challenge, oauth.Errorf(oauth.InvalidRequest, "PKCE is required; send code_challenge and code_challenge_method=S256")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(form.Get("code_challenge"))
	if err != nil || len(b) != sha256.Size || strings.ContainsAny(form.Get("code_challenge"), "\r\n") {
		return challenge, oauth.Errorf(oauth.InvalidRequest, "code_challenge must be a SHA-256 hash in base64url, 43 characters (RFC 7636 section 4.2)")
	}
	return [sha256.Size]byte(b), nil
}

// refuse tells the client why it gets no code.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, q *authorizeRequest, err error) {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		p.log.ErrorContext(r.Context(), "an authorization request failed", slog.Any("error", err))
		e = &oauth.Error{Code: oauth.ServerError, Description: "internal error; see the log of the server"}
	}
	noteRefusal(r, e.Code)
	p.log.WarnContext(r.Context(), "refused an authorization request", append(clientAttrs(q), slog.String("error", e.Code), slog.String("reason", e.Description))...)
	back := p.errorURL(q.redirect, q.state, e)
	if p.answersDirectly(r, q.client, q.redirect) {
		redirectTo(w, back)
		return
	}
	status, problem := http.StatusBadRequest, pages.BadRequest
	if e.Code == oauth.ServerError {
		status, problem = http.StatusInternalServerError, pages.ServerProblem
	}
	p.pages.ShowError(w, r, status, &pages.ErrorPage{
		Problem: problem, Code: e.Code, Detail: e.Description,
		Back: template.URL(back), //nolint:gosec // the redirect was checked against the registration
	})
}

// clientAttrs describes the client in the log, in a bounded length.
func clientAttrs(q *authorizeRequest) []any {
	return []any{slog.String("client", q.client.Name), slog.String("host", redirecturi.Host(q.redirect))}
}
