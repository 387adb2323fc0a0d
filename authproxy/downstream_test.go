package authproxy_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// token signs Alice in and returns the access token.
func (w *world) token(b *browser) string {
	w.t.Helper()
	q := b.signIn(request()).Query()
	if q.Get("code") == "" {
		w.t.Fatalf("the client gets %v, want a code", q)
	}
	answer := w.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "code": {q.Get("code")}, "code_verifier": {verifier},
	}, nil)
	if answer.get("access_token") == "" {
		w.t.Fatalf("/token answers %d %s", answer.status, answer.text)
	}
	return answer.get("access_token")
}

// Tokens of the proxy are exchanged for one of the API downstream once the user or an
// administrator has consented to it, in each of the three arrangements.
func TestDownstreamConsent(t *testing.T) {
	t.Parallel()
	const scope = "https://storage.azure.com/user_impersonation"
	for _, row := range []struct {
		name           string
		self, combined bool
		admin          bool // must consent
	}{
		{name: "the API's own app", self: true},
		{name: "knownClientApplications", combined: true},
		{name: "neither", admin: true},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{self: row.self, options: func(w *world, o *authproxy.Options) {
				o.Downstream, o.CombinedConsent = []string{scope}, row.combined
				w.api.RequirePermissions(w.tenant.Storage(), "user_impersonation")
				w.app.RequirePermissions(w.api, "access_as_user", "Files.Read")
				if row.combined {
					w.api.KnownClients = []*entratest.App{w.app}
				}
			}})
			x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), &obo.Options{
				HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Now: w.clock.now, MaxRetries: -1,
			})
			if err != nil {
				t.Fatal(err)
			}
			exchange := func(token string) error {
				_, err := x.Credential(obo.NewAssertion(token)).GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
				return err
			}
			token := w.token(w.browser(w.alice))
			err = exchange(token)
			if !row.admin {
				if err != nil {
					t.Errorf("the exchange: %v, want none: Alice has consented as she signed in", err)
				}
				return
			}
			e, ok := errors.AsType[*obo.Error](err)
			if !ok || e.AADSTS != 65001 || e.AdminConsentURL == "" || !strings.Contains(e.UserText(), "storage.azure.com") {
				t.Fatalf("the exchange: %v, want AADSTS65001 that names what lacks consent, and where to give it", err)
			}
			_, rest, _ := strings.Cut(w.logs.String(), `url="`)
			address, _, _ := strings.Cut(rest, `"`)
			root := w.tenant.AddUser("root@contoso.com", "Root")
			root.Administrator = true
			w.api.AddRedirectURI(entratest.PlatformWeb, "https://mcp.example.com/consent/done")
			if _, err := w.tenant.Browser(root).Open(t.Context(), address); err != nil {
				t.Fatalf("the administrator opens %s: %v", address, err)
			}
			x.ForgetRefusals(w.alice.ObjectID)
			if err := exchange(token); err != nil {
				t.Errorf("the exchange after the administrator's consent: %v, want none", err)
			}
		})
	}
}
