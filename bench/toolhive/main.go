// Toolhive is program compare with one contestant more, ToolHive. Its verifier
// is a library like the others, but one that builds 500 packages and more; so it
// is a module by itself.
//
//	go run . -write ../README.md
package main

import (
	"context"
	"log/slog"

	"github.com/stacklok/toolhive/pkg/auth"

	"github.com/mcpentra/mcp-entra-go/bench"
)

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // where it logs
	bench.Main(append(bench.Contestants(), toolhive()))
}

func toolhive() bench.Contestant {
	return bench.Contestant{
		Name:       "toolhive",
		Modules:    []string{"github.com/stacklok/toolhive"},
		Configured: "`NewTokenValidator` with the v2 issuer and the API's client ID as audience; keys found by discovery. Its `Scopes` are advertised, never required",
		New: func(ctx context.Context, b *bench.Bed) (bench.Verify, error) {
			v, err := auth.NewTokenValidator(ctx, auth.TokenValidatorConfig{
				Issuer:         b.Tenant.V2Issuer(),
				Audience:       b.API.ClientID,
				Scopes:         []string{bench.Scope},
				CACertPath:     b.CertificateFile,
				AllowPrivateIP: true, // the test's tenant is on loopback
			})
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
