package obo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A server that Alice has called calls another API as Alice. The credential
// goes into any client of the Azure SDK, or into a pipeline of one's own.
func Example() {
	// A tenant, so that this runs anywhere. Yours is real.
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	server := tenant.AddApp("My MCP server", "access_as_user")
	billing := tenant.AddApp("Billing", "Invoices.Read")
	tenant.Consent(server, billing, "Invoices.Read")
	callersToken := tenant.Token(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), server)

	// Once per process.
	exchanger, err := obo.NewExchanger(tenant.ID(), server.ClientID, clientauth.Secret(server.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), // not needed in the public cloud
		HTTPClient:    tenant.HTTPClient(),
		Resources:     []string{billing.AppIDURI()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Once per user, with the verified token that the user called with.
	cred := exchanger.Credential(obo.NewAssertion(callersToken))

	api := billingAPI()
	defer api.Close()
	client := runtime.NewPipeline("billing", "v1.0.0", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(cred, []string{billing.Scope(".default")}, nil)},
	}, &policy.ClientOptions{Transport: api.Client()})
	req, err := runtime.NewRequest(context.Background(), http.MethodGet, api.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(printer{}, resp.Body)
	// Output: The invoices of Alice
}

// What to do when there is no token is the error's kind; UserText is what the
// user, or a model, may read.
func ExampleError() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	server := tenant.AddApp("My MCP server", "access_as_user")
	callersToken := tenant.Token(tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddClient("CLI"), server)
	exchanger, err := obo.NewExchanger(tenant.ID(), server.ClientID, clientauth.Secret(server.AddSecret()),
		&obo.Options{AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient()})
	if err != nil {
		fmt.Println(err)
		return
	}
	var cred azcore.TokenCredential = exchanger.Credential(obo.NewAssertion(callersToken))
	_, err = cred.GetToken(context.Background(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})

	var e *obo.Error
	if errors.As(err, &e) && errors.Is(err, obo.ErrConsentRequired) {
		sentence, _, _ := strings.Cut(e.UserText(), ". ")
		fmt.Println(sentence)
		fmt.Println("has a URL to consent at:", e.ConsentURL != "")
	}
	// Output:
	// AADSTS65001 consent_required: neither the user nor an administrator has consented to the server's use of this resource
	// has a URL to consent at: true
}

// billingAPI greets the user of the token that it gets.
func billingAPI() *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := decode(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintln(w, "The invoices of", claims["name"])
	}))
}

type printer struct{}

func (printer) Write(p []byte) (int, error) { return fmt.Print(string(p)) }
