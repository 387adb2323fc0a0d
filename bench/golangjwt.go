package bench

import (
	"context"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// jwtClaims are claims as golang-jwt decodes them. It calls Validate after its
// own checks.
type jwtClaims struct {
	jwt.RegisteredClaims
	entraClaims
}

// Validate requires the scope.
func (c *jwtClaims) Validate() error { return c.requireScope() }

func golangJWT() Contestant {
	return Contestant{
		Name:       "golang-jwt + keyfunc",
		Modules:    []string{"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"},
		Configured: "`ParseWithClaims` into a struct whose `Validate` requires the scope; methods, issuer, audience, `WithExpirationRequired`; keyfunc v3 with its defaults on the v2 key set",
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			return newGolangJWT(ctx, b, func() jwt.Claims { return new(jwtClaims) })
		},
	}
}

func golangJWTMap() Contestant {
	return Contestant{
		Name:       "golang-jwt + keyfunc, map",
		Modules:    []string{"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/keyfunc/v3"},
		Configured: "the same with `MapClaims`, and so without the scope",
		Variant:    true,
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			return newGolangJWT(ctx, b, func() jwt.Claims { return jwt.MapClaims{} })
		},
	}
}

func newGolangJWT(ctx context.Context, b *Bed, claims func() jwt.Claims) (Verify, error) {
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{b.KeysURL()}, keyfunc.Override{Client: b.Tenant.HTTPClient()})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"RS256"}),
		jwt.WithIssuer(b.Tenant.V2Issuer()),
		jwt.WithAudience(b.API.ClientID),
		jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(b.Now),
	)
	return func(_ context.Context, token string) error {
		_, err := parser.ParseWithClaims(token, claims(), keys.Keyfunc)
		return err
	}, nil
}
