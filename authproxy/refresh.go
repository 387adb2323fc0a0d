package authproxy

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// refresh redeems a refresh token of ours (RFC 6749, section 6). The tokens of public clients
// rotate (OAuth 2.1, section 4.3.1); see package families.
func (p *Proxy) refresh(r *http.Request, form url.Values) (json.RawMessage, error) {
	client, err := p.clients.Authenticate(r, form)
	if err != nil {
		return nil, err
	}
	if client.Kind == clients.Configured && !client.Refresh { // since the token was issued
		return nil, oauth.Errorf(oauth.InvalidGrant, "the server's operator has turned off refresh tokens for this client; sign in again")
	}
	if !form.Has("refresh_token") {
		return nil, oauth.Errorf(oauth.InvalidRequest, "refresh_token is missing")
	}
	token, err := p.openRefresh(form.Get("refresh_token"))
	if err != nil {
		return nil, oauth.Errorf(oauth.InvalidGrant, "this server did not issue the refresh token, or no longer has its key; sign in again")
	}
	if err := token.Holder.Check(client); err != nil {
		return nil, err
	}
	if !p.now().Before(token.Expires) {
		return nil, oauth.Errorf(oauth.InvalidGrant, "the refresh token has expired; sign in again")
	}
	resource, err := p.checkResource(&token.Grant, form)
	if err != nil {
		return nil, err
	}
	scopes, err := p.scopesAgain(token, form.Get("scope"))
	if err != nil {
		return nil, err
	}
	again := func(ctx context.Context) ([]byte, error) { return p.askAgain(ctx, token, scopes) }
	if token.Holder.Auth != clients.None {
		err := p.families.Check(r.Context(), token.Family)
		if err != nil {
			return nil, p.explainFamily(r.Context(), err)
		}
		return again(r.Context())
	}
	line := families.Token{Family: token.Family, ID: token.ID, Generation: token.Generation}
	answer, err := p.families.Rotate(r.Context(), line, requestOf(scopes, resource), again)
	if err != nil {
		return nil, p.explainFamily(r.Context(), err)
	}
	return answer, nil
}

func (p *Proxy) openRefresh(text string) (*grants.Refresh, error) {
	plain, err := p.seals.refresh.OpenText(text, p.sealName())
	if err != nil {
		return nil, err
	}
	return grants.UnmarshalRefresh(plain)
}

// scopesAgain returns the scopes to request from Entra: those of the parameter, which must have
// been granted, or else all. It leaves out what Entra granted without being asked: tokens have it
// anyway, and if its consent is withdrawn, the refresh must not fail.
func (p *Proxy) scopesAgain(token *grants.Refresh, parameter string) ([]string, error) {
	asked := p.scopes.ours(token.Scopes)
	if len(asked) == 0 {
		return nil, oauth.Errorf(oauth.InvalidGrant, "the API no longer has the scopes of this refresh token; sign in again")
	}
	wanted := p.scopes.pick(parameter)
	for _, name := range wanted {
		if !slices.Contains(token.Granted, name) {
			return nil, oauth.Errorf(oauth.InvalidScope, "scope must not exceed what was granted: %s; sign in again for more", strings.Join(p.scopes.fullForm(token.Granted), " "))
		}
	}
	wanted = slices.DeleteFunc(wanted, func(name string) bool { return !slices.Contains(asked, name) })
	if len(wanted) == 0 {
		return asked, nil
	}
	return wanted, nil
}

// requestOf returns the same value for requests that may share an answer.
func requestOf(scopes []string, resource string) families.Request {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(scopes)), " ") + "\n" + resource))
	return families.Request(sum[:16])
}

// askAgain gets new tokens from Entra and returns the response.
func (p *Proxy) askAgain(ctx context.Context, token *grants.Refresh, scopes []string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	got, err := p.ask(ctx, &token.Grant, scopes, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(token.EntraToken)}})
	if err != nil {
		return nil, p.explain(ctx, err)
	}
	return p.issue(ctx, got, token)
}

// explainFamily returns the client's error for an error of package families.
func (p *Proxy) explainFamily(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, families.ErrStore): // also if it kept a family from being ended: the next try ends it
		p.log.ErrorContext(ctx, "the store failed; refresh tokens can't be used", slog.Any("error", err))
		return unavailable("the server can't redeem refresh tokens right now; try again in a moment", retryUpstream, err)
	case errors.Is(err, families.ErrReused):
		p.log.WarnContext(ctx, "a refresh token was used again; it and its successors are revoked", slog.Any("error", err))
		return oauth.Errorf(oauth.InvalidGrant, "the refresh token was used before, so it and its successors are revoked; sign in again")
	case errors.Is(err, families.ErrEnded):
		return oauth.Errorf(oauth.InvalidGrant, "the refresh token was revoked; sign in again")
	case errors.Is(err, families.ErrDiffers):
		return oauth.Errorf(oauth.InvalidRequest, "this refresh token was just used for another scope or resource; use its successor")
	case errors.Is(err, families.ErrBusy):
		return unavailable("another request with this refresh token is running; try again in a moment", time.Second, err)
	case ctx.Err() != nil:
		return unavailable("the request was canceled", time.Second, err)
	}
	return err
}
