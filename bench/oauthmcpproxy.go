package bench

import (
	"context"

	oauth "github.com/tuannvm/oauth-mcp-proxy"
)

// silence is a logger that says nothing.
type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Info(string, ...any)  {}
func (silence) Warn(string, ...any)  {}
func (silence) Error(string, ...any) {}

func oauthMCPProxy() Contestant {
	return Contestant{
		Name:       "oauth-mcp-proxy",
		Modules:    []string{"github.com/tuannvm/oauth-mcp-proxy"},
		Configured: "provider `azure` on the v2 issuer with the API's client ID as audience, as its guide says; `ValidateTokenCached`, which its middleware calls; it knows no scopes",
		New: func(_ context.Context, b *Bed) (Verify, error) {
			server, err := oauth.NewServer(oauthMCPProxyConfig(b))
			if err != nil {
				return nil, err
			}
			return func(ctx context.Context, token string) error {
				_, err := server.ValidateTokenCached(ctx, token)
				return err
			}, nil
		},
	}
}

func oauthMCPProxyUncached() Contestant {
	return Contestant{
		Name:       "oauth-mcp-proxy, uncached",
		Modules:    []string{"github.com/tuannvm/oauth-mcp-proxy"},
		Configured: "its validator without the cache",
		Variant:    true,
		New: func(_ context.Context, b *Bed) (Verify, error) {
			v, err := oauth.SetupOAuth(oauthMCPProxyConfig(b)) //nolint:staticcheck // SA1019: deprecated, and the only way to the validator
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

func oauthMCPProxyConfig(b *Bed) *oauth.Config {
	return &oauth.Config{Provider: "azure", Issuer: b.Tenant.V2Issuer(), Audience: b.API.ClientID, Logger: silence{}}
}
