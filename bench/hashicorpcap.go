package bench

import (
	"context"

	"github.com/hashicorp/cap/jwt"
)

func hashicorpCap() Contestant {
	return Contestant{
		Name:       "hashicorp/cap",
		Modules:    []string{"github.com/hashicorp/cap"},
		Configured: "`NewOIDCDiscoveryKeySet` on the v2 issuer; issuer, audience, RS256, its default leeways; it knows no scopes",
		New: func(ctx context.Context, b *Bed) (Verify, error) {
			keys, err := jwt.NewOIDCDiscoveryKeySet(ctx, b.Tenant.V2Issuer(), string(b.Tenant.CertificatePEM()))
			if err != nil {
				return nil, err
			}
			v, err := jwt.NewValidator(keys)
			if err != nil {
				return nil, err
			}
			expected := jwt.Expected{
				Issuer:            b.Tenant.V2Issuer(),
				Audiences:         []string{b.API.ClientID},
				SigningAlgorithms: []jwt.Alg{jwt.RS256},
				Now:               b.Now,
			}
			return func(ctx context.Context, token string) error {
				_, err := v.Validate(ctx, token, expected)
				return err
			}, nil
		},
	}
}
