package obo_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestNewExchangerReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := obo.NewExchanger("contoso.com", "", clientauth.Secret(""), &obo.Options{
		AuthorityHost: "http://login.example.com",
		Resources: []string{
			"https://storage.azure.com", "https://graph.microsoft.com/.default", "http://x", "", "user_impersonation",
			"https://a b", "https://u@host", "https://x?y", "api:", "ftp://x",
		},
		CacheBytes:  -1,
		RedirectURL: "http://example.com/consent",
	})
	if err == nil {
		t.Fatal("NewExchanger = nil, want the faults of all fields")
	}
	for _, want := range []string{
		"tenantID: ", "clientID: ", "method: ", "Options.AuthorityHost: ", "Options.CacheBytes: ", "Options.RedirectURL: ",
		"Options.Resources[1]: ", "Options.Resources[2]: ", "Options.Resources[3]: ", "Options.Resources[4]: ",
		"Options.Resources[5]: ", "Options.Resources[6]: ", "Options.Resources[7]: ", "Options.Resources[8]: ", "Options.Resources[9]: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "Resources[0]") {
		t.Errorf("a good resource is reported:\n%v", err)
	}
}

func TestNewExchangerAcceptsResources(t *testing.T) {
	t.Parallel()
	for _, r := range []string{
		"https://storage.azure.com", "https://storage.azure.com/", "api://contoso/billing", "https://contoso.com/api/v1",
		"https://management.core.windows.net/", "https://contoso.com/billing/", "https://contoso.com/profile", "api://contoso/asset.reader", "https://read.example", "api://files.read",
		"00000003-0000-0000-c000-000000000000", "api://11111111-2222-3333-4444-555555555555",
	} {
		_, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{Resources: []string{r}})
		if err != nil {
			t.Errorf("%s: got %v, want nil", r, err)
		}
	}
}

// A resource is the identifier of an API, once, and not a scope of it.
func TestNewExchangerRefusesResources(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		resource, says string
	}{
		{"https://storage.azure.com/.default", `the resource is "https://storage.azure.com"`},
		{"https://storage.azure.com/user_impersonation", `the resource is "https://storage.azure.com"`},
		{"https://storage.azure.com/USER_IMPERSONATION", `the resource is "https://storage.azure.com"`},
		{"https://storage.azure.com/user_impersonation/", `the resource is "https://storage.azure.com"`},
		{"https://storage.azure.com//.default", `the resource is "https://storage.azure.com/"`},
		{"https://storage.azure.com/%2Edefault", `the resource is "https://storage.azure.com"`},
		{"https://graph.microsoft.com/User.Read", `the resource is "https://graph.microsoft.com"`},
		{"https://graph.microsoft.com/Files.ReadWrite.All", `the resource is "https://graph.microsoft.com"`},
		{"https://graph.microsoft.com/Mail.Send.Shared", `the resource is "https://graph.microsoft.com"`},
		{"https://graph.microsoft.com/offline_access", `the resource is "https://graph.microsoft.com"`},
		{"api://contoso/billing/access_as_user", `the resource is "api://contoso/billing"`},
		{"api://11111111-2222-3333-4444-555555555555/Invoices.Read", `the resource is "api://11111111-2222-3333-4444-555555555555"`},
		{someGUID + "/.default", `the resource is "` + someGUID + `"`},
		{"api://contoso/billing/", `use "api://contoso/billing"`},
		{"api://11111111-2222-3333-4444-555555555555/", `use "api://11111111-2222-3333-4444-555555555555"`},
		{"https://contoso.com/billing//", `use "https://contoso.com/billing"`},
		{"https://storage.azure.com//", `use "https://storage.azure.com"`},
		{"http://storage.azure.com", "https://"},
		{" https://storage.azure.com", "whitespace"},
		{"https://storage.azure.com\n", "whitespace"},
		{"https://storage.azure.com https://graph.microsoft.com", "whitespace"},
		{"https://*.azure.com", "wildcard"},
		{"api://*", "wildcard"},
		{"*", "wildcard"},
		{"User.Read", "must be a resource's URI"},
	} {
		_, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{Resources: []string{"https://good.example", test.resource}})
		if err == nil || !strings.Contains(err.Error(), "Options.Resources[1]: ") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: got %v, want %q", test.resource, err, test.says)
		}
	}
	for _, twice := range [][]string{{"https://a.example", "https://a.example"}, {"api://Contoso/Billing", "https://a.example", "API://contoso/billing"}, {someGUID, strings.ToLower(someGUID)}} {
		_, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{Resources: twice})
		if err == nil || !strings.Contains(err.Error(), "is the same as Options.Resources[0]") {
			t.Errorf("%q: got %v, want both resources in the error", twice, err)
		}
	}
}

func TestTenantIDAsClientID(t *testing.T) {
	t.Parallel()
	for _, clientID := range []string{someGUID, strings.ToLower(someGUID)} {
		_, err := obo.NewExchanger(someGUID, clientID, clientauth.Secret("s"), nil)
		if err == nil || !strings.Contains(err.Error(), "clientID: ") || !strings.Contains(err.Error(), "tenant ID") {
			t.Errorf("got %v, want the tenant ID named as the client ID", err)
		}
	}
	if _, err := obo.NewExchanger("", "", clientauth.Secret("s"), nil); err == nil || strings.Contains(err.Error(), "is the tenant ID") {
		t.Errorf("both missing: got %v, want an error for each", err)
	}
}

const (
	someGUID  = "12345678-1234-1234-1234-123456789ABC"
	someAppID = "87654321-1234-1234-1234-123456789ABC"
)

func TestMethodFaults(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]clientauth.Method{
		"zero":                      {},
		"secret with a line break":  clientauth.Secret("secret\n"),
		"no function":               clientauth.Func(nil),
		"identity without id":       clientauth.ManagedIdentity(""),
		"identity that is no GUID":  clientauth.ManagedIdentity("my-identity"),
		"identity's id with braces": clientauth.ManagedIdentity("{" + someGUID + "}"),
	} {
		_, err := obo.NewExchanger(someGUID, someAppID, m, nil)
		if err == nil || !strings.Contains(err.Error(), "method: ") {
			t.Errorf("%s: got %v, want an error of the method", name, err)
		}
	}
}

func TestOptionsAreCopied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.Resources = []string{"https://storage.azure.com"}
	x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), o)
	if err != nil {
		t.Fatal(err)
	}
	o.Resources[0] = "https://graph.microsoft.com"
	o.HTTPClient.Jar = nil
	w.mustGet(x.Credential(w.assertion(w.alice)))
	if o.HTTPClient.CheckRedirect != nil {
		t.Error("the caller's HTTP client was changed")
	}
}

// TestNothingPrintsSecrets prints what a careless line of code would print.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := clientauth.Secret(w.secret)
	x := w.exchangerWith(m, nil)
	c := x.Credential(w.assertion(w.alice))
	w.mustGet(c)
	for _, v := range []any{m, x, c, &m} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			_, _ = fmt.Fprintf(writer{w}, verb+"\n", v)
		}
	}
	// The world looks through it at its end.
}

func TestProofs(t *testing.T) {
	w := newWorld(t)
	cluster := w.tenant.AddIssuer("https://cluster.example.com/")
	w.api.AddFederatedCredential("https://cluster.example.com/", "system:serviceaccount:mcp:server", "api://AzureADTokenExchange")

	endpoint, header := w.tenant.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	identity := w.tenant.AddManagedIdentity("mcp-server")
	w.api.AddFederatedCredential(w.tenant.V2Issuer(), identity.ObjectID, "api://AzureADTokenExchange")

	for _, test := range []struct {
		name   string
		method clientauth.Method
		sends  string // the form's member that is the proof
		spared string // the one that must not be there
	}{
		{"secret", clientauth.Secret(w.secret), "client_secret", "client_assertion"},
		{"managed identity", clientauth.ManagedIdentity(identity.ClientID), "client_assertion", "client_secret"},
		{"function", clientauth.Func(func(context.Context) (string, error) {
			return cluster.Token("system:serviceaccount:mcp:server", "api://AzureADTokenExchange", nil), nil
		}), "client_assertion", "client_secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := w.exchangerWith(test.method, nil)
			for _, user := range []*entratest.User{w.alice, w.bob} {
				claims, err := w.get(t.Context(), x.Credential(w.assertion(user)))
				if err != nil {
					t.Fatal(err)
				}
				if claims["oid"] != user.ObjectID || claims["aud"] != "https://storage.azure.com" || claims["scp"] != "user_impersonation" {
					t.Errorf("got a token with oid %v, aud %v, scp %v; want %s, storage, user_impersonation", claims["oid"], claims["aud"], claims["scp"], user.ObjectID)
				}
			}
			last := lastTokenRequest(t, w)
			if last.Form.Get(test.sends) == "" || last.Form.Has(test.spared) {
				t.Errorf("the form is %v, want %s and no %s", last.Form, test.sends, test.spared)
			}
		})
	}
	if got := w.tenant.Count(entratest.EndpointManagedIdentity); got != 1 {
		t.Errorf("%d requests to the managed identity endpoint for 2 users, want 1: it must be cached", got)
	}
}

func lastTokenRequest(t *testing.T, w *world) entratest.Request {
	t.Helper()
	requests := w.tenant.Requests()
	for _, request := range slices.Backward(requests) {
		if request.Endpoint == entratest.EndpointToken {
			return request
		}
	}
	t.Fatal("no token request")
	return entratest.Request{}
}

// TestRequestOnTheWire: one request for a user's first token, with nothing in it
// but what On-Behalf-Of wants, and no discovery.
func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustGet(w.exchanger(nil).Credential(w.assertion(w.alice)))
	if n := len(w.tenant.Requests()); n != 1 {
		t.Fatalf("%d requests, want 1", n)
	}
	r := lastTokenRequest(t, w)
	if r.Method != http.MethodPost || r.Path != "/"+w.tenant.ID()+"/oauth2/v2.0/token" {
		t.Errorf("got %s %s, want a POST to the token endpoint", r.Method, r.Path)
	}
	for name, want := range map[string]string{
		"grant_type":          "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"requested_token_use": "on_behalf_of",
		"client_id":           w.api.ClientID,
		"client_secret":       w.secret,
		"claims":              "",
	} {
		if got := r.Form.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if scopes := strings.Fields(r.Form.Get("scope")); len(scopes) == 0 || scopes[0] != storageScope {
		t.Errorf("scope: got %q, want %q first", scopes, storageScope)
	}
}
