package obo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

const (
	// cp1 is the client capability of handling claims challenges.
	cp1 = "cp1"
	// challengeLife is how long the same challenge gets the same token: the calls
	// that ran when a token was revoked are all challenged at once. When the
	// token that came of it is revoked in its turn, it must not be the answer.
	challengeLife = 5 * time.Minute
)

// answerChallenge gets the token that a resource's claims challenge wants. The
// one that was challenged is of no use any more: the new one takes its place, also
// where a plain exchange is under way that may bring another like the old.
func (c *Credential) answerChallenge(ctx context.Context, r request) (cache.Item[azcore.AccessToken], error) {
	item, err := c.x.exchange(ctx, c.subject, r)
	if err != nil {
		return item, err
	}
	plain := r
	plain.claims = ""
	c.x.tokens.Put(c.x.key(&c.subject, plain), item)
	if end := c.x.now().Add(challengeLife); end.Before(item.ExpiresAt) {
		item.ExpiresAt = end
	}
	item.RefreshAt = time.Time{}
	return item, nil
}

// checkClaims refuses claims that are no challenge (OpenID Connect Core, section
// 5.5), and those that would declare capabilities (xms_cc) behind our back.
func checkClaims(s string) *Error {
	var all, ofAccessToken map[string]json.RawMessage
	if len(s) > entrawire.MaxClaims || json.Unmarshal([]byte(s), &all) != nil || all == nil {
		return refuse(ErrClaimsInvalid, fmt.Sprintf("the claims challenge is not a JSON object of at most %d bytes", entrawire.MaxClaims), "")
	}
	raw, ok := all["access_token"]
	if !ok {
		return nil
	}
	if json.Unmarshal(raw, &ofAccessToken) != nil || ofAccessToken == nil {
		return refuse(ErrClaimsInvalid, "access_token in the claims challenge is not a JSON object", "")
	}
	if _, ok := ofAccessToken["xms_cc"]; ok {
		return refuse(ErrClaimsInvalid, "the claims challenge asks for client capabilities (xms_cc), which are not the resource's to ask for", "")
	}
	return nil
}
