package bench

import (
	"context"

	"github.com/coreos/go-oidc/v3/oidc"
)

func goOIDC() Contestant {
	return Contestant{
		Name:       "go-oidc",
		Modules:    []string{"github.com/coreos/go-oidc/v3"},
		Configured: "`NewProvider` on the v2 issuer, `Verifier` with the API's client ID, then `Claims` into a struct; it knows no scopes",
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			provider, err := oidc.NewProvider(oidc.ClientContext(ctx, b.Tenant.HTTPClient()), b.Tenant.V2Issuer())
			if err != nil {
				return nil, err
			}
			verifier := provider.Verifier(&oidc.Config{ClientID: b.API.ClientID, Now: b.Now})
			return func(ctx context.Context, token string) error {
				t, err := verifier.Verify(ctx, token)
				if err != nil {
					return err
				}
				return t.Claims(new(entraClaims))
			}, nil
		},
	}
}
