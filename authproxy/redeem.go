package authproxy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// redeemCode redeems a code of ours (RFC 6749, section 4.1.3). It checks the whole request before
// it claims the code, because clients try again: x/oauth2 does so with another authentication
// method.
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
		"redirect_uri": {p.callbackURL()}, "code_verifier": {base64.RawURLEncoding.EncodeToString(code.Verifier[:])},
	})
	if err != nil {
		e := p.explain(r.Context(), err)
		if e.Code != oauth.InvalidGrant { // Entra has not spent its code: its own single use decides
			release(ctx)
		}
		return nil, e
	}
	grant := code.Grant
	grant.Holder = client.Hold() // a client that has authenticated once must do so again
	answer, err := p.issue(ctx, got, &grants.Refresh{Grant: grant, Family: code.ID})
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Code == oauth.TemporarilyUnavailable {
		// Entra has spent its code: the same request would fail, as a replay of this code.
		return nil, &oauth.Error{Code: oauth.InvalidGrant, Cause: err, Description: "the server can't verify the token of Microsoft Entra ID " +
			"at the moment, and the code is used up; wait a minute and sign in again"}
	}
	return answer, err
}

func (p *Proxy) openCode(text string) (*grants.Code, error) {
	if text == "" {
		return nil, oauth.Errorf(oauth.InvalidRequest, "code is missing")
	}
	var code *grants.Code
	plain, err := p.seals.code.OpenText(text, p.sealName())
	if err == nil {
		code, err = grants.UnmarshalCode(plain)
	}
	if err != nil {
		return nil, oauth.Errorf(oauth.InvalidGrant, "this server did not issue the code, or no longer has its key; sign in again")
	}
	return code, nil
}

// checkCode checks the parameters that the code is bound to.
func (p *Proxy) checkCode(code *grants.Code, form url.Values) error {
	if redirect := form.Get("redirect_uri"); redirect != "" && !sameHash(redirect, code.Redirect) {
		return oauth.Errorf(oauth.InvalidGrant, "redirect_uri must equal that of the authorization request; send that or leave it out")
	}
	verifier := form.Get("code_verifier")
	switch {
	case verifier == "":
		return oauth.Errorf(oauth.InvalidRequest, "code_verifier is missing (RFC 7636)")
	case !isVerifier(verifier) || !sameHash(verifier, code.Challenge):
		return oauth.Errorf(oauth.InvalidGrant, "code_verifier does not match the code_challenge; send the one from which it was made, 43 to 128 unreserved characters")
	case !p.now().Before(code.Expires):
		return oauth.Errorf(oauth.InvalidGrant, "the code has expired: it lives for %v; sign in again", grants.CodeLifetime)
	}
	_, err := p.checkResource(&code.Grant, form)
	return err
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

// claim claims a code. If the store fails, the client must try again, because a use that is not
// recorded could be repeated.
func (p *Proxy) claim(ctx context.Context, id grants.ID) (release func(context.Context), err error) {
	release, err = p.families.Begin(ctx, id)
	switch {
	case err == nil:
		return release, nil
	case errors.Is(err, families.ErrBegun) && errors.Is(err, families.ErrStore): // its family has not ended; the next try ends it
		p.log.ErrorContext(ctx, "the store failed; the refresh tokens of a code that was used again are not revoked yet", slog.Any("error", err))
		return nil, unavailable("the server can't check the code right now; try again in a moment", retryUpstream, err)
	case errors.Is(err, families.ErrBegun):
		p.log.WarnContext(ctx, "a code was used again; its refresh tokens are revoked", slog.Any("error", err))
		return nil, oauth.Errorf(oauth.InvalidGrant, "the code was used before, so its refresh tokens are revoked; sign in again")
	case ctx.Err() != nil:
		release(ctx)
		return nil, unavailable("the request was canceled", time.Second, err)
	default:
		release(ctx) // the claim may have arrived
		p.log.ErrorContext(ctx, "the store failed; codes can't be redeemed", slog.Any("error", err))
		return nil, unavailable("the server can't check the code right now; try again in a moment", retryUpstream, err)
	}
}
