package obo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// agentWorld is a world whose app is the blueprint of two agents, which may use storage.
type agentWorld struct {
	*world
	a, b *entratest.App
}

func newAgentWorld(t *testing.T) *agentWorld {
	t.Helper()
	w := &agentWorld{world: newWorld(t)}
	w.api = w.tenant.AddBlueprint("My MCP agents", "access_as_user")
	w.secret = w.api.AddSecret()
	w.a, w.b = w.tenant.AddAgent(w.api, "Reader"), w.tenant.AddAgent(w.api, "Writer")
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.api.AllowInheritance(w.tenant.Storage(), "user_impersonation")
	return w
}

func (w *agentWorld) agents(m clientauth.Method, agents ...*entratest.App) *obo.Exchanger {
	w.t.Helper()
	return w.exchangerWith(m, func(o *obo.Options) {
		for _, a := range agents {
			o.Agents = append(o.Agents, a.ClientID)
		}
	})
}

func (w *agentWorld) as(x *obo.Exchanger, u *entratest.User, agent *entratest.App) *obo.Credential {
	return x.AgentCredential(w.assertion(u), agent.ClientID)
}

// TestAgentOfTheTenant: the token is the user's, and names the agent.
func TestAgentOfTheTenant(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		w := newAgentWorld(t)
		w.api.AccessTokenVersion = version
		x := w.agents(clientauth.Secret(w.secret), w.a, w.b)
		for _, user := range []*entratest.User{w.alice, w.bob} {
			for _, agent := range []*entratest.App{w.a, w.b} {
				claims := w.mustGet(w.as(x, user, agent))
				if claims["oid"] != user.ObjectID || claims["appid"] != agent.ClientID || claims["scp"] != "user_impersonation" {
					t.Errorf("v%d: got a token of %v through %v for %v, want %s through %s for user_impersonation",
						version, claims["oid"], claims["appid"], claims["scp"], user.ObjectID, agent.ClientID)
				}
			}
		}
		if w.exchanges() != 6 {
			t.Errorf("v%d: %d token requests for two users of two agents, want 2 first steps and 4 second ones", version, w.exchanges())
		}
		if _, err := w.get(t.Context(), x.Credential(w.assertion(w.alice))); !errors.Is(err, obo.ErrAgentNotAllowed) {
			t.Errorf("the blueprint's own credential: got %v, want ErrAgentNotAllowed", err)
		}
	}
}

// TestAgentURIOfTheTenant: a v1 token has the App ID URI as audience, whichever it is.
func TestAgentURIOfTheTenant(t *testing.T) {
	t.Parallel()
	w := newAgentWorld(t)
	w.api.AccessTokenVersion, w.api.AppIDURIs = 1, []string{"api://contoso/agents"}
	x := w.agents(clientauth.Secret(w.secret), w.a)
	w.mustGet(w.as(x, w.alice, w.a))

	other := w.tenant.AddBlueprint("Others' agents", "access_as_user")
	other.AccessTokenVersion, other.AppIDURIs = 1, []string{"api://contoso/others"}
	_, err := w.get(t.Context(), x.AgentCredential(obo.NewAssertion(w.tenant.Token(w.alice, w.client, other)), w.a.ClientID))
	if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS == 0 || !strings.Contains(e.UserText(), w.api.ClientID) {
		t.Errorf("another app's URI: %v, want Entra's refusal and the blueprint's ID", e)
	}
}

// TestAgentRefusalsOfTheTenant, of a tenant that refuses as Entra is documented to.
func TestAgentRefusalsOfTheTenant(t *testing.T) {
	t.Parallel()
	w := newAgentWorld(t)
	other := w.tenant.AddBlueprint("Others' agents", "access_as_user")
	cousin := w.tenant.AddAgent(other, "Cousin")
	for _, test := range []struct {
		name string
		try  func() error
		want error
		code int
	}{
		{"a child of another blueprint", func() error {
			_, err := w.get(t.Context(), w.as(w.agents(clientauth.Secret(w.secret), cousin), w.alice, cousin))
			return err
		}, obo.ErrMisconfigured, 700213},
		{"a wrong secret", func() error {
			_, err := w.get(t.Context(), w.as(w.agents(clientauth.Secret("not-the-secret"), w.a), w.alice, w.a))
			return err
		}, obo.ErrMisconfigured, 7000215},
		{"an ordinary app's exchanger", func() error {
			_, err := w.get(t.Context(), w.exchangerWith(clientauth.Secret(w.secret), nil).Credential(w.assertion(w.alice)))
			return err
		}, obo.ErrMisconfigured, 82002},
		{"a token for another app", func() error {
			x := w.agents(clientauth.Secret(w.secret), w.a)
			_, err := w.get(t.Context(), x.AgentCredential(obo.NewAssertion(w.tenant.Token(w.alice, w.client, other)), w.a.ClientID))
			return err
		}, obo.ErrMisconfigured, 0},
		{"an agent on its own", func() error {
			w.api.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
			x := w.agents(clientauth.Secret(w.secret), w.a)
			_, err := w.get(t.Context(), x.AgentCredential(obo.NewAssertion(w.tenant.AppToken(w.b, w.api)), w.a.ClientID))
			return err
		}, obo.ErrAssertionInvalid, 0},
		{"no grant", func() error {
			w.tenant.RevokeConsent(w.api, w.tenant.Storage())
			_, err := w.get(t.Context(), w.as(w.agents(clientauth.Secret(w.secret), w.b), w.alice, w.b))
			return err
		}, obo.ErrConsentRequired, 65001},
	} {
		e := wantKind(t, test.try(), test.want)
		if e.AADSTS != test.code || e.ConsentURL != "" || e.AdminConsentURL != "" || e.Claims != "" {
			t.Errorf("%s: got AADSTS%d, URLs %q %q, claims %q; want %d and nothing for the user",
				test.name, e.AADSTS, e.ConsentURL, e.AdminConsentURL, e.Claims, test.code)
		}
	}
	// A grant to the agent itself, and the same token succeeds.
	w.tenant.Consent(w.b, w.tenant.Storage(), "user_impersonation")
	w.mustGet(w.as(w.agents(clientauth.Secret(w.secret), w.b), w.alice, w.b))
}

// TestAgentAssertionOfTheTenant lives for an hour, and a rejected one is replaced.
func TestAgentAssertionOfTheTenant(t *testing.T) {
	t.Parallel()
	w := newAgentWorld(t)
	x := w.agents(clientauth.Secret(w.secret), w.a)
	w.mustGet(w.as(x, w.alice, w.a))
	w.clock.Advance(50 * time.Minute)
	w.mustGet(w.as(x, w.bob, w.a))
	if w.exchanges() != 3 {
		t.Errorf("%d token requests, want one first step and two second ones", w.exchanges())
	}
	w.clock.Advance(14 * time.Minute)
	w.mustGet(w.as(x, w.bob, w.a))
	if w.exchanges() != 5 {
		t.Errorf("%d token requests an hour later, want one more of each step", w.exchanges())
	}
	w.clock.Advance(-5 * time.Minute)
	w.mustGet(w.as(x, w.alice, w.a))
	w.clock.Advance(10 * time.Minute)
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 700024, Times: 1})
	w.mustGet(w.as(x, w.bob, w.a))
}

// TestBlueprintProofsOfTheTenant: every method proves the blueprint, and the tenant checks it.
func TestBlueprintProofsOfTheTenant(t *testing.T) {
	w := newAgentWorld(t)
	const issuer, subject, audience = "https://cluster.example.com/", "system:serviceaccount:mcp:server", "api://AzureADTokenExchange"
	cluster := w.tenant.AddIssuer(issuer)
	w.api.AddFederatedCredential(issuer, subject, audience)
	endpoint, header := w.tenant.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	identity := w.tenant.AddManagedIdentity("mcp-server")
	w.api.AddFederatedCredential(w.tenant.V2Issuer(), identity.ObjectID, audience)
	stranger := w.tenant.AddManagedIdentity("stranger")
	pem, projected := filepath.Join(t.TempDir(), "app.pem"), filepath.Join(t.TempDir(), "token")
	w.api.AddCertificate(certificateFile(t, pem))
	token := cluster.Token(subject, audience, nil)
	w.hide(token)
	if err := os.WriteFile(projected, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]clientauth.Method{
		"secret":            clientauth.Secret(w.secret),
		"managed identity":  clientauth.ManagedIdentity(identity.ClientID),
		"workload identity": clientauth.WorkloadIdentity(projected),
		"certificate":       clientauth.CertificateFile(pem, ""),
		"chain":             clientauth.Chain(clientauth.ManagedIdentity(stranger.ClientID), clientauth.Secret("wrong"), clientauth.Secret(w.secret)),
	} {
		claims, err := w.get(t.Context(), w.as(w.agents(m, w.a), w.alice, w.a))
		if err != nil || claims["appid"] != w.a.ClientID {
			t.Errorf("%s: got a token through %v, %v; want %s, nil", name, claims["appid"], err, w.a.ClientID)
		}
	}
	if !strings.Contains(w.text(), `"failed":"managed identity"`) {
		t.Errorf("the log is %s, want the failure of the chain's first", w.text())
	}
}
