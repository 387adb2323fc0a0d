package authproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

// A tokenResponse is a token response (RFC 6749, section 5.1) with what the client needs of
// Entra's.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	Scope        string `json:"scope"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// issue verifies Entra's access token and returns it to the client, with a refresh token of ours.
// last is the refresh token that was redeemed; it has no ID if a code was.
func (p *Proxy) issue(ctx context.Context, got *entrawire.Success, last *grants.Refresh) (json.RawMessage, error) {
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
		AccessToken: got.AccessToken, TokenType: "Bearer", ExpiresIn: int64(got.Lifetime.Seconds()), Scope: strings.Join(p.scopes.ofToken(names), " "),
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
