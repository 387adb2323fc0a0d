//go:build unix

package interop_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A library is a server that the test assembles itself: trust in the certificates
// comes from the options' HTTP clients.
type library struct {
	url       string
	downloads string
	log       *output
}

// newLibrary serves blobtool's tools with the given credential.
func (w *world) newLibrary(t *testing.T, credential blobtool.CredentialFunc) *library {
	t.Helper()
	l := &library{downloads: t.TempDir(), log: newOutput()}
	log := slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	entra := w.tenant.HTTPClient()
	verifier, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: entra, AuthorityHost: w.tenant.AuthorityHost(), Logger: log,
	})
	must(t, err)
	t.Cleanup(func() { _ = verifier.Close() })
	exchanger, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), &obo.Options{
		HTTPClient: entra, AuthorityHost: w.tenant.AuthorityHost(), Logger: log,
	})
	must(t, err)
	blobs, err := blobtool.New(w.storage.accountURL(), container, credential, &blobtool.Options{
		HTTPClient: w.storage.client, Logger: log, DownloadDir: l.downloads,
	})
	must(t, err)
	handler, err := mcpentra.NewServer("http://localhost/mcp", verifier, mcpentra.WithLogger(log),
		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(mcpentra.IdentityTools(verifier), blobs))
	must(t, err)
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	l.url = s.URL + "/mcp"
	return l
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.newLibrary(t, mcpentra.Credential)
	token := w.token(w.alice)
	for _, protocol := range []string{modernProtocol, legacyProtocol} {
		alice := connect(w.ctx, t, l.url, token, protocol)
		checkPing(t, alice.call(t, "secure_ping", nil))
		checkUserInfo(t, alice.call(t, "get_user_info", nil), w.alice)
		for _, d := range w.documents {
			d.checkRead(t, alice.call(t, "read_blob_with_token", d.arguments()), l.downloads, ".")
		}
	}
	for _, s := range append(w.secrets(), token) {
		if strings.Contains(l.log.String(), s) {
			t.Error("a secret is in the log")
		}
	}
}

// Tokens that Azurite refuses: an exchange never returns such, but a credential of
// somebody else's could.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storage := func(change func(claims map[string]any)) string {
		return w.tenant.Mint(w.tenant.Storage(), 1, func(_, claims map[string]any) { change(claims) })
	}
	for _, c := range []struct{ name, token string }{
		{"wrong audience", w.token(w.alice)},
		{"expired", storage(func(claims map[string]any) { claims["exp"] = time.Now().Add(-time.Hour).Unix() })},
		{"v2 issuer", storage(func(claims map[string]any) { claims["iss"] = w.tenant.V2Issuer() })},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := w.newLibrary(t, func(context.Context) (azcore.TokenCredential, error) { return fixedToken(c.token), nil })
			alice := connect(w.ctx, t, l.url, w.token(w.alice), "")
			got := alice.refused(t, "read_blob_with_token", map[string]any{"blob_path": welcomePath}, "AuthenticationFailed")
			if strings.Contains(got, "<?xml") || strings.Contains(got, "127.0.0.1") {
				t.Errorf("the caller is told Azurite's answer: %s", got)
			}
			if status, _ := w.get(t, welcomePath, c.token); status != http.StatusForbidden {
				t.Errorf("Azurite itself answers status %d, want 403", status)
			}
		})
	}
}

// fixedToken is a credential that always has this token.
type fixedToken string

// GetToken implements [azcore.TokenCredential].
func (f fixedToken) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(f), ExpiresOn: time.Now().Add(time.Hour)}, nil
}
