package entraauth_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

func uncached(o *entraauth.Options) { o.TokenCache = -1 }

// withGroups is a token of about 12 kB: a user in 200 groups.
func (f *fixture) withGroups() string {
	groups := make([]string, 200)
	for i := range groups {
		groups[i] = fmt.Sprintf("%08x-1111-2222-3333-444444444444", i)
	}
	return f.tenant.Mint(f.api, 2, func(_, c map[string]any) { c["groups"] = groups })
}

// BenchmarkVerify is a whole verification, keys at hand, nothing remembered.
// Compare it to BenchmarkSignatureAlone, of the same token and run.
func BenchmarkVerify(b *testing.B) {
	f := newFixture(b, uncached)
	agents := f.tenant.Mint(f.api, 2, func(h, c map[string]any) { throughAgent(f, h, c) })
	for name, token := range map[string]string{"claims=25": f.token(), "groups=200": f.withGroups(), "agent": agents} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyCached is the second and every further sight of a token.
func BenchmarkVerifyCached(b *testing.B) {
	f := newFixture(b, nil)
	token := f.token()
	b.Run("goroutines=1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := f.verifier.Verify(b.Context(), token); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("goroutines=all", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := f.verifier.Verify(b.Context(), token); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkVerifyCachedWithMetrics is the same with providers for spans and metrics.
func BenchmarkVerifyCachedWithMetrics(b *testing.B) {
	f, r := newTenant(b), telemetrytest.New()
	f.start(b, func(o *entraauth.Options) { o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider() })
	token := f.token()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.verifier.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSignatureAlone is what no verifier can do without.
func BenchmarkSignatureAlone(b *testing.B) {
	f := newFixture(b, nil)
	token := f.token()
	key, ok := f.tenant.PublicKey(keyIDOf(b, token))
	if !ok {
		b.Fatal("no key, want one")
	}
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sum := sha256.Sum256([]byte(token[:i]))
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMiddleware is what a bearer check adds to a request with a known token.
func BenchmarkMiddleware(b *testing.B) {
	f := newFixture(b, nil)
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	handler := f.verifier.Middleware(&entraauth.BearerCheck{Policy: entraauth.Policy{Scopes: []string{"access_as_user"}}})(next)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set("Authorization", "Bearer "+f.token())
	w := httptest.NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}

// BenchmarkScopeCheck is the check of a policy that wants one scope, by whether there is a
// hierarchy and the token has the scope or a broader one.
func BenchmarkScopeCheck(b *testing.B) {
	for name, row := range map[string]struct {
		implied    map[string][]string
		scp, wants string
	}{
		"hierarchy=none":                {nil, "access_as_user Files.List", "Files.List"},
		"hierarchy=files/token=narrow":  {files, "access_as_user Files.List", "Files.List"},
		"hierarchy=files/token=broader": {files, "access_as_user Files.Manage", "Files.List"},
	} {
		b.Run(name, func(b *testing.B) {
			f := newFixture(b, func(o *entraauth.Options) { o.ImpliedScopes = row.implied })
			id, err := f.verifier.Verify(b.Context(), f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["scp"] = row.scp }))
			if err != nil {
				b.Fatal(err)
			}
			policy := entraauth.Policy{Scopes: []string{row.wants}}
			b.ReportAllocs()
			for b.Loop() {
				if err := policy.Check(id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
