package authproxy

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// serveToken serves the token endpoint (RFC 6749, section 3.2).
func (p *Proxy) serveToken(w http.ResponseWriter, r *http.Request) {
	answer, err := p.token(w, r)
	if err != nil {
		p.refuseJSON(w, r, err)
		return
	}
	oauth.WriteJSON(w, http.StatusOK, answer)
}

// tokenParameters are the parameters of the token and the revocation endpoint.
var tokenParameters = []string{
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource",
	"token", "token_type_hint",
}

// token returns a token response as JSON.
func (p *Proxy) token(w http.ResponseWriter, r *http.Request) (json.RawMessage, error) {
	form, err := oauth.ReadForm(w, r, tokenParameters...)
	if err != nil {
		return nil, err
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return p.redeemCode(r, form)
	case "refresh_token":
		return p.refresh(r, form)
	case "":
		return nil, oauth.Errorf(oauth.InvalidRequest, "grant_type is missing; send authorization_code or refresh_token")
	default:
		return nil, oauth.Errorf(oauth.UnsupportedGrantType, "grant_type must be authorization_code or refresh_token")
	}
}

// refuseJSON logs the error and answers with it, at an endpoint that clients call directly.
func (p *Proxy) refuseJSON(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		p.log.ErrorContext(r.Context(), "a client's request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		e = &oauth.Error{Code: oauth.ServerError, Status: http.StatusInternalServerError, Description: "internal error; see the log of the server"}
	}
	noteRefusal(r, e.Code)
	p.log.WarnContext(r.Context(), "refused a client's request", slog.String("path", r.URL.Path), slog.String("error", e.Code), slog.String("reason", e.Description))
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") { // RFC 6749, section 5.2
		challenged := *e
		challenged.Basic, e = true, &challenged
	}
	oauth.Write(w, e)
}
