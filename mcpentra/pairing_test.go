package mcpentra_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	tenantA = "aaaaaaaa-1111-2222-3333-444444444444"
	tenantB = "bbbbbbbb-1111-2222-3333-444444444444"
	appA    = "aaaaaaaa-5555-6666-7777-888888888888"
	appB    = "bbbbbbbb-5555-6666-7777-888888888888"
)

// An exchanger that can't act for the verifier's callers is found out at start.
func TestExchangerFitsVerifier(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tenant, app string
		v           entraauth.Options
		x           obo.Options
		want        []string // faults; none if it fits
	}{
		"the same":                {tenant: tenantA, app: appA},
		"the same, in upper case": {tenant: strings.ToUpper(tenantA), app: strings.ToUpper(appA)},
		"another app":             {tenant: tenantA, app: appB, want: []string{"the app " + appB + ", the verifier of " + appA}},
		"another app, as agents, whose URI the verifier accepts": {tenant: tenantA, app: appB, v: entraauth.Options{AppIDURIs: []string{"api://" + appB}},
			x: obo.Options{Agents: []string{tenantB}}, want: []string{"the app " + appB + ", the verifier of " + appA}},
		"another tenant":         {tenant: tenantB, app: appA, want: []string{"the tenant " + tenantB + ", the verifier of " + tenantA}},
		"another app and tenant": {tenant: tenantB, app: appB, want: []string{"the app " + appB, "the tenant " + tenantB}},
		"another cloud":          {tenant: tenantA, app: appA, x: obo.Options{AuthorityHost: "https://login.microsoftonline.us"}, want: []string{"https://login.microsoftonline.us", "same cloud"}},
		"another cloud, the other way round": {tenant: tenantA, app: appA, v: entraauth.Options{AuthorityHost: "https://login.microsoftonline.us"},
			want: []string{"same cloud"}},
		"another spelling of the cloud": {tenant: tenantA, app: appA,
			v: entraauth.Options{AuthorityHost: "https://LOGIN.microsoftonline.com/"}, x: obo.Options{AuthorityHost: "https://login.microsoftonline.com:443"}},
		"another name of the cloud": {tenant: tenantA, app: appA, x: obo.Options{AuthorityHost: "https://login.windows.net"}},
		"an external tenant's two hosts": {tenant: tenantA, app: appA,
			v: entraauth.Options{AuthorityHost: "https://contoso.ciamlogin.com"}, x: obo.Options{AuthorityHost: "https://" + tenantA + ".ciamlogin.com"}},
		"a tenant that only the verifier accepts": {tenant: tenantA, app: appA, v: entraauth.Options{OtherTenants: []string{tenantB}},
			want: []string{"the tenant " + tenantB, "obo.Options.OtherTenants"}},
		"a tenant that both accept": {tenant: tenantA, app: appA,
			v: entraauth.Options{OtherTenants: []string{strings.ToUpper(tenantB)}}, x: obo.Options{OtherTenants: []string{tenantB}}},
		"a tenant that only the exchanger has": {tenant: tenantA, app: appA, x: obo.Options{OtherTenants: []string{tenantB}}},
		"any organization": {tenant: tenantA, app: appA, v: entraauth.Options{AcceptAnyOrganization: true},
			want: []string{"AcceptAnyOrganization", "obo.Options.OtherTenants"}},
		"any organization, with a list of whom to act for": {tenant: tenantA, app: appA,
			v: entraauth.Options{AcceptAnyOrganization: true}, x: obo.Options{OtherTenants: []string{tenantB}}},
		"the API itself, by id": {tenant: tenantA, app: appA, x: obo.Options{Resources: []string{"https://storage.azure.com", strings.ToUpper(appA)}},
			want: []string{"obo.Options.Resources[1] is this API itself"}},
		"the API itself, by its usual URI": {tenant: tenantA, app: appA, x: obo.Options{Resources: []string{"api://" + appA}}, want: []string{"this API itself"}},
		"the API itself, by its own URI": {tenant: tenantA, app: appA, v: entraauth.Options{AppIDURIs: []string{"https://mcp.contoso.com"}},
			x: obo.Options{Resources: []string{"https://MCP.contoso.com/"}}, want: []string{"this API itself"}},
		"another API": {tenant: tenantA, app: appA, x: obo.Options{Resources: []string{"api://" + appB, "https://graph.microsoft.com"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.v.HTTPClient = &http.Client{Transport: offline{}}
			v, err := entraauth.NewVerifier(tenantA, appA, &c.v)
			must(t, err)
			t.Cleanup(func() { _ = v.Close() })
			x, err := obo.NewExchanger(c.tenant, c.app, clientauth.Secret("s"), &c.x)
			must(t, err)
			_, err = mcpentra.NewServer(resourceURL, v, mcpentra.WithExchanger(x), mcpentra.WithAllowedOrigins("not an origin"))
			if err == nil || !strings.Contains(err.Error(), "WithAllowedOrigins") {
				t.Fatalf("the other fault is lost: got %v, want an error and WithAllowedOrigins", err)
			}
			if got := strings.Contains(err.Error(), "WithExchanger: "); got != (len(c.want) > 0) {
				t.Errorf("a fault of the exchanger: %v, want %v: %v", got, len(c.want) > 0, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// offline reaches nothing.
type offline struct{}

func (offline) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("offline") }

// A tool set whose tokens the exchanger may not get is found out at start, however it is
// wrapped; one that gets its credential elsewhere is its operator's affair.
func TestExchangerFitsToolSets(t *testing.T) {
	t.Parallel()
	v, err := entraauth.NewVerifier(tenantA, appA, &entraauth.Options{HTTPClient: &http.Client{Transport: offline{}}})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	own := func(context.Context) (azcore.TokenCredential, error) { return nil, errors.New("none") }
	wrapped := func(ctx context.Context) (azcore.TokenCredential, error) { return mcpentra.Credential(ctx) }
	for name, c := range map[string]struct {
		resources []string // nil: the default
		cred      blobtool.CredentialFunc
		wrap      bool
		want      string // of the fault
	}{
		"the default":                    {cred: mcpentra.Credential},
		"named":                          {resources: []string{"https://graph.microsoft.com", "https://storage.azure.com"}, cred: mcpentra.Credential},
		"named with a slash, upper case": {resources: []string{"https://STORAGE.azure.com/"}, cred: mcpentra.Credential},
		"without storage":                {resources: []string{"https://graph.microsoft.com"}, cred: mcpentra.Credential, want: "https://storage.azure.com"},
		"without storage, in a bundle":   {resources: []string{"https://graph.microsoft.com"}, cred: mcpentra.Credential, wrap: true, want: "https://storage.azure.com"},
		"without storage, by a function": {resources: []string{"https://graph.microsoft.com"}, cred: wrapped, want: "https://storage.azure.com"},
		"an account's URL":               {resources: []string{"https://account.blob.core.windows.net"}, cred: mcpentra.Credential, want: "https://storage.azure.com"},
		"a credential of its own":        {resources: []string{"https://graph.microsoft.com"}, cred: own},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := obo.NewExchanger(tenantA, appA, clientauth.Secret("s"), &obo.Options{Resources: c.resources})
			must(t, err)
			set, err := blobtool.New("https://account.blob.core.windows.net", "docs", c.cred, nil)
			must(t, err)
			var tools mcpentra.ToolSet = set
			if c.wrap {
				tools = struct{ mcpentra.ToolSet }{set}
			}
			_, err = mcpentra.NewServer(resourceURL, v, mcpentra.WithExchanger(x), mcpentra.WithTools(tools))
			switch {
			case c.want == "" && err != nil:
				t.Errorf("NewServer: got %v, want nil", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "obo.Options.Resources")):
				t.Errorf("NewServer: %v, want a fault with %q and obo.Options.Resources", err, c.want)
			}
		})
	}
}
