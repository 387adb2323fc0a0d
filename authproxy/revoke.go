package authproxy

import (
	"net/http"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// serveRevoke serves the revocation endpoint (RFC 7009). It ends a family of refresh tokens. It
// revokes nothing at Entra, whose access tokens are valid until they expire.
func (p *Proxy) serveRevoke(w http.ResponseWriter, r *http.Request) {
	if err := p.revoke(w, r); err != nil {
		p.refuseJSON(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (p *Proxy) revoke(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ReadForm(w, r, tokenParameters...)
	if err != nil {
		return err
	}
	client, err := p.clients.Authenticate(r, form)
	if err != nil {
		return err
	}
	text := form.Get("token")
	if text == "" {
		return oauth.Errorf(oauth.InvalidRequest, "token is missing")
	}
	if isJWT(text) { // our own tokens have no dots
		return oauth.Errorf(oauth.UnsupportedTokenType, "access tokens can't be revoked and are valid until they expire; revoke the refresh token")
	}
	token, err := p.openRefresh(text)
	if err != nil {
		return nil //nolint:nilerr // unknown, of a key that is gone, or a code, which lives for a minute (RFC 7009, section 2.2)
	}
	if err := token.Holder.Check(client); err != nil {
		return err
	}
	if !p.now().Before(token.Expires) {
		return nil
	}
	if err := p.families.End(r.Context(), token.Family); err != nil {
		return p.explainFamily(r.Context(), err)
	}
	return nil
}

// isJWT reports whether the text looks like a JWT, as Entra's access tokens are: a JSON object in
// base64url begins with "ey".
func isJWT(text string) bool { return strings.HasPrefix(text, "ey") && strings.Count(text, ".") == 2 }
