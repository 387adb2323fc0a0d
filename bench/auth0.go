package bench

import (
	"context"
	"net/url"
	"time"

	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
)

// auth0Claims are custom claims as the validator decodes and validates them.
type auth0Claims struct{ entraClaims }

// Validate requires the scope.
func (c *auth0Claims) Validate(context.Context) error { return c.requireScope() }

func auth0() Contestant {
	return Contestant{
		Name:       "auth0",
		Modules:    []string{"github.com/auth0/go-jwt-middleware/v2"},
		Configured: "`CachingProvider` of 5 minutes; RS256, v2 issuer, audience; custom claims whose `Validate` requires the scope",
		New: func(_ context.Context, b *Bed) (Verify, error) {
			issuer, err := url.Parse(b.Tenant.V2Issuer())
			if err != nil {
				return nil, err
			}
			keys := jwks.NewCachingProvider(issuer, 5*time.Minute, jwks.WithCustomClient(b.Tenant.HTTPClient()))
			v, err := validator.New(keys.KeyFunc, validator.RS256, issuer.String(), []string{b.API.ClientID},
				validator.WithCustomClaims(func() validator.CustomClaims { return new(auth0Claims) }))
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, token string) error {
				_, err := v.ValidateToken(ctx, token)
				return err
			}, nil
		},
	}
}
