package authproxy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// A tokenResponse is a token response (RFC 6749, section 5.1): of Entra's, what the client needs.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// serveToken serves the token endpoint (RFC 6749, section 3.2).
func (p *Proxy) serveToken(w http.ResponseWriter, r *http.Request) {
	answer, err := p.token(w, r)
	if err != nil {
		p.refuseJSON(w, r, err)
		return
	}
	oauth.WriteJSON(w, http.StatusOK, answer)
}

// tokenParameters are those of the token and the revocation endpoint.
var tokenParameters = []string{
	"client_id", "client_secret", "client_assertion", "client_assertion_type",
	"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource", "token",
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
		return nil, oauth.Errorf(oauth.InvalidRequest, "grant_type is missing")
	default:
		return nil, oauth.Errorf(oauth.UnsupportedGrantType, "grant_type must be authorization_code or refresh_token")
	}
}

// refuseJSON answers with the error at an endpoint that clients call by themselves.
func (p *Proxy) refuseJSON(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		p.log.ErrorContext(r.Context(), "a client's request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		e = &oauth.Error{Code: oauth.ServerError, Status: http.StatusInternalServerError, Description: "internal error; see the log of the server"}
	}
	p.log.WarnContext(r.Context(), "refused a client's request", slog.String("path", r.URL.Path), slog.String("error", e.Code), slog.String("reason", e.Description))
	oauth.Write(w, e)
}

// redeemCode redeems a code of ours (RFC 6749, section 4.1.3). Whatever is wrong with the request
// is found before the code is claimed: clients try again (x/oauth2, with another form of
// authentication).
func (p *Proxy) redeemCode(r *http.Request, form url.Values) (json.RawMessage, error) {
	client, err := p.clients.Authenticate(r, form)
	if err != nil {
		return nil, err
	}
	code, err := p.openCode(form.Get("code"))
	if err != nil {
		return nil, err
	}
	if err := code.Holder.Check(client); err != nil {
		return nil, err
	}
	if err := p.checkCode(code, form); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
	defer cancel()
	release, err := p.claim(ctx, code.ID)
	if err != nil {
		return nil, err
	}
	got, err := p.ask(ctx, &code.Grant, code.Scopes, url.Values{
		"grant_type": {"authorization_code"}, "code": {string(code.EntraCode)},
		"redirect_uri": {p.issuer + pathCallback}, "code_verifier": {encode(code.Verifier[:])},
	})
	if err != nil {
		e := p.explain(r.Context(), err)
		if e.Code != oauth.InvalidGrant { // Entra has not spent its code: its own single use decides
			release(ctx)
		}
		return nil, e
	}
	return p.answer(ctx, got, &grants.Refresh{Grant: code.Grant, Family: code.ID})
}

func (p *Proxy) openCode(text string) (*grants.Code, error) {
	if text == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "code is missing")
	}
	plain, err := p.seals.code.OpenText(text, p.sealName())
	if err != nil {
		return nil, oauth.Errorf(oauth.InvalidGrant, "the code is not one of this server's; sign in again")
	}
	code, err := grants.UnmarshalCode(plain)
	if err != nil { // of another version
		return nil, oauth.Errorf(oauth.InvalidGrant, "the code is not one of this server's; sign in again")
	}
	return code, nil
}

// checkCode checks what the code is bound to.
func (p *Proxy) checkCode(code *grants.Code, form url.Values) error {
	if redirect := form.Get("redirect_uri"); redirect != "" && !sameHash(redirect, code.Redirect) {
		return oauth.Errorf(oauth.InvalidGrant, "redirect_uri must be the one of the authorization request, or be left out")
	}
	verifier := form.Get("code_verifier")
	switch {
	case verifier == "":
		return oauth.Errorf(oauth.InvalidRequest, "code_verifier is missing (RFC 7636)")
	case !isVerifier(verifier) || !sameHash(verifier, code.Challenge):
		return oauth.Errorf(oauth.InvalidGrant, "code_verifier does not match the code_challenge; it must have 43 to 128 unreserved characters")
	case !p.now().Before(code.Expires):
		return oauth.Errorf(oauth.InvalidGrant, "the code has expired: it lives for %v; sign in again", grants.CodeLifetime)
	}
	return p.checkResource(&code.Grant, form)
}

func sameHash(text string, hash [sha256.Size]byte) bool {
	sum := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(sum[:], hash[:]) == 1
}

// isVerifier reports whether the text has the form of a code_verifier (RFC 7636, section 4.1).
func isVerifier(s string) bool {
	odd := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("-._~", r)
	}
	return len(s) >= 43 && len(s) <= 128 && !strings.ContainsFunc(s, odd)
}

// checkResource checks that the request names no other resource than authorize did.
func (p *Proxy) checkResource(g *grants.Grant, form url.Values) error {
	named, err := p.resourceOf(form["resource"])
	if err != nil {
		return err
	}
	if named != "" && g.Resource != "" && named != g.Resource {
		return oauth.Errorf(oauth.InvalidTarget, "resource must be the one of the authorization request, %s", g.Resource)
	}
	return nil
}

// claim claims a code. If the store fails, sign-in goes on: Entra's codes are single-use too.
func (p *Proxy) claim(ctx context.Context, id grants.ID) (release func(context.Context), err error) {
	release, err = p.families.Begin(ctx, id)
	switch {
	case err == nil:
		return release, nil
	case errors.Is(err, families.ErrBegun):
		p.log.WarnContext(ctx, "a code was used twice; its refresh tokens are revoked", slog.Any("error", err))
		return nil, oauth.Errorf(oauth.InvalidGrant, "the code was used before, so the refresh tokens that came of it are revoked; sign in again")
	case ctx.Err() != nil:
		return nil, unavailable("the client has gone", time.Second, err)
	default:
		p.log.ErrorContext(ctx, "the store fails; a code is redeemed without it", slog.Any("error", err))
		return func(context.Context) {}, nil
	}
}

// answer returns the response with Entra's tokens, once they are verified. last is the refresh
// token that they were got with, or one without ID for a code.
func (p *Proxy) answer(ctx context.Context, got *entrawire.Success, last *grants.Refresh) (json.RawMessage, error) {
	user, err := p.verify(ctx, got.AccessToken)
	if err != nil {
		return nil, err
	}
	names, next := user.Scopes(), *last
	next.User, next.Granted = grants.HashUser(user.UserID()), p.scopes.ours(names)
	if last.ID != (grants.ID{}) {
		if next.User != last.User {
			return nil, p.unusable(ctx, errors.New("the token is another user's"))
		}
		next.Generation++
	}
	answer := &tokenResponse{
		AccessToken: got.AccessToken, TokenType: "Bearer", ExpiresIn: int64(got.Lifetime.Seconds()), Scope: strings.Join(p.fullNames(names), " "),
	}
	if got.RefreshToken != "" {
		next.EntraToken = []byte(got.RefreshToken)
	}
	if next.Refresh && len(next.EntraToken) > 0 {
		next.ID, next.Expires = grants.NewID(), p.now().Add(grants.RefreshLifetime)
		answer.RefreshToken = p.seals.refresh.SealText(next.Marshal(), p.sealName())
	}
	text, err := json.Marshal(answer) //nolint:gosec // the tokens are for the client
	if err != nil {
		return nil, fmt.Errorf("token response: %w", err)
	}
	return text, nil
}

// fullNames returns a token's scopes in full form. Those that Options.Scopes lacks have the
// prefix of the default one.
func (p *Proxy) fullNames(names []string) []string {
	prefix, _ := cutScope(p.scopes.full[0])
	full := make([]string, 0, len(names))
	for _, name := range names {
		if ours := p.scopes.fullForm([]string{name}); len(ours) > 0 {
			full = append(full, ours[0])
			continue
		}
		full = append(full, prefix+"/"+name)
	}
	return full
}
