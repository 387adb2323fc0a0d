package bench

import (
	"context"
	"log/slog"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

func ours() Contestant {
	return Contestant{
		Name:       "entraauth",
		Configured: "as it is: `NewVerifier(tenantID, clientID, nil)`, plus the test's authority, HTTP client and clock",
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			return newOurs(ctx, b, 0)
		},
	}
}

func oursUncached() Contestant {
	return Contestant{
		Name:       "entraauth, uncached",
		Configured: "the same with `TokenCache: -1`",
		Variant:    true,
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			return newOurs(ctx, b, -1)
		},
	}
}

func newOurs(ctx context.Context, b *Bed, cache int) (Verify, error) {
	v, err := entraauth.NewVerifier(b.Tenant.ID(), b.API.ClientID, &entraauth.Options{
		HTTPClient:    b.Tenant.HTTPClient(),
		AuthorityHost: b.Tenant.AuthorityHost(),
		Now:           b.Now,
		Logger:        slog.New(slog.DiscardHandler),
		TokenCache:    cache,
	})
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = v.Close() })
	return func(ctx context.Context, token string) error {
		_, err := v.Verify(ctx, token)
		return err
	}, nil
}
