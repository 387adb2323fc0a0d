package bench

import (
	"context"

	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

func jwx() Contestant {
	return Contestant{
		Name:       "jwx",
		Modules:    []string{"github.com/lestrrat-go/jwx/v3"},
		Configured: "`jwk.Cache` on the v2 key set, `WithInferAlgorithmFromKey` (without it every token of Entra's is refused); issuer, audience, required `exp`; `WithClaimValue` for the scope, which compares the whole of `scp`",
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			cache, err := jwk.NewCache(ctx, httprc.NewClient(httprc.WithHTTPClient(b.Tenant.HTTPClient())))
			if err != nil {
				return nil, err
			}
			if err := cache.Register(ctx, b.KeysURL(), jwk.WithHTTPClient(b.Tenant.HTTPClient())); err != nil {
				return nil, err
			}
			keys, err := cache.CachedSet(b.KeysURL())
			if err != nil {
				return nil, err
			}
			options := []jwt.ParseOption{
				jwt.WithKeySet(keys, jws.WithInferAlgorithmFromKey(true)),
				jwt.WithIssuer(b.Tenant.V2Issuer()),
				jwt.WithAudience(b.API.ClientID),
				jwt.WithRequiredClaim(jwt.ExpirationKey),
				jwt.WithClaimValue("scp", Scope),
				jwt.WithClock(jwt.ClockFunc(b.Now)),
			}
			return func(_ context.Context, token string) error {
				_, err := jwt.ParseString(token, options...)
				return err
			}, nil
		},
	}
}
