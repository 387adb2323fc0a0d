package services_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armsubscriptions"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/golang-jwt/jwt/v5"
	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// The code of docs/services.md.

func subscriptions(ctx context.Context, cred azcore.TokenCredential, options *arm.ClientOptions) ([]string, error) {
	client, err := armsubscriptions.NewClient(cred, options)
	if err != nil {
		return nil, err
	}
	var names []string
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, s := range page.Value {
			names = append(names, *s.DisplayName)
		}
	}
	return names, nil
}

func database(cred azcore.TokenCredential, dsn string) (*sql.DB, error) {
	connector, err := mssql.NewConnectorWithAccessTokenProvider(dsn, func(ctx context.Context) (string, error) {
		token, err := cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://database.windows.net/.default"}})
		return token.Token, err
	})
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(0) // a connection belongs to one user: never keep it for the next
	return db, nil
}

func queue(cred azcore.TokenCredential, namespace, name string) (*azservicebus.Sender, error) {
	client, err := azservicebus.NewClient(namespace, cred, nil) // mybus.servicebus.windows.net
	if err != nil {
		return nil, err
	}
	return client.NewSender(name, nil)
}

func orders(ctx context.Context, cred azcore.TokenCredential, options *policy.ClientOptions) ([]byte, error) {
	pipeline := runtime.NewPipeline("orders", "v1", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(cred, []string{"api://orders/.default"}, nil)},
	}, options)
	req, err := runtime.NewRequest(ctx, http.MethodGet, "https://orders.example.com/mine")
	if err != nil {
		return nil, err
	}
	resp, err := pipeline.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return nil, runtime.NewResponseError(resp)
	}
	return runtime.Payload(resp)
}

func item(ctx context.Context, cred azcore.TokenCredential, account, id string, options *azcosmos.ClientOptions) ([]byte, error) {
	client, err := azcosmos.NewClient(account, cred, options) // https://acct.documents.azure.com
	if err != nil {
		return nil, err
	}
	container, err := client.NewContainer("shop", "orders")
	if err != nil {
		return nil, err
	}
	found, err := container.ReadItem(ctx, azcosmos.NewPartitionKeyString(id), id, nil)
	return found.Value, err
}

// A world is a tenant with the applications of Azure services, and a user who has signed in to an
// API that may act as the user there.
type world struct {
	tenant     *entratest.Tenant
	credential azcore.TokenCredential
}

// newWorld makes a tenant in which each resource is an application with the permission
// user_impersonation.
func newWorld(t *testing.T, resources ...string) *world {
	t.Helper()
	tenant := entratest.New(t, nil)
	api := tenant.AddApp("My API", "access_as_user")
	for _, resource := range resources {
		if resource == "https://storage.azure.com" { // every tenant has it
			tenant.Consent(api, tenant.Storage(), "user_impersonation")
			continue
		}
		app := tenant.AddApp(resource, "user_impersonation")
		app.AppIDURIs = []string{resource}
		tenant.Consent(api, app, "user_impersonation")
	}
	exchanger, err := obo.NewExchanger(tenant.ID(), api.ClientID, clientauth.Secret(api.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), Resources: resources,
	})
	if err != nil {
		t.Fatalf("NewExchanger(%q) = %v, want no error", resources, err)
	}
	token := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Chat"), api)
	return &world{tenant, exchanger.Credential(obo.NewAssertion(token))}
}

// A service answers each request with body, and remembers who sent it for which audience.
type service struct {
	body           string
	audience, user string
}

func (s *service) Do(r *http.Request) (*http.Response, error) {
	claims := jwt.MapClaims{}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if form, err := url.QueryUnescape(token); err == nil { // Cosmos DB's scheme: type=aad&ver=1.0&sig=TOKEN
		token = strings.TrimPrefix(form, "type=aad&ver=1.0&sig=")
	}
	_, _, err := jwt.NewParser().ParseUnverified(token, claims)
	s.audience, _ = claims["aud"].(string)
	s.user, _ = claims["upn"].(string)
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewBufferString(s.body)),
	}, err
}

// Each client of the Azure SDK asks for its service's resource by itself, and gets the user's
// token for it.
func TestClients(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		resource, audience string
		body               string
		call               func(ctx context.Context, cred azcore.TokenCredential, transport policy.Transporter) error
	}{
		"Resource Manager": {"https://management.core.windows.net/", "https://management.core.windows.net/", `{"value":[{"displayName":"Contoso"}]}`,
			func(ctx context.Context, cred azcore.TokenCredential, transport policy.Transporter) error {
				_, err := subscriptions(ctx, cred, &arm.ClientOptions{ClientOptions: policy.ClientOptions{Transport: transport}, DisableRPRegistration: true})
				return err
			}},
		"an API of one's own": {"api://orders", "api://orders", `[]`,
			func(ctx context.Context, cred azcore.TokenCredential, transport policy.Transporter) error {
				_, err := orders(ctx, cred, &policy.ClientOptions{Transport: transport})
				return err
			}},
		"Cosmos DB": {"https://acct.documents.azure.com", "https://acct.documents.azure.com", `{"id":"42"}`,
			func(ctx context.Context, cred azcore.TokenCredential, transport policy.Transporter) error {
				_, err := item(ctx, cred, "https://acct.documents.azure.com", "42", &azcosmos.ClientOptions{ClientOptions: policy.ClientOptions{Transport: transport}})
				return err
			}},
		"Storage": {"https://storage.azure.com", "https://storage.azure.com", "",
			func(ctx context.Context, cred azcore.TokenCredential, transport policy.Transporter) error {
				client, err := azblob.NewClient("https://acct.blob.core.windows.net", cred, &azblob.ClientOptions{ClientOptions: policy.ClientOptions{Transport: transport}})
				if err != nil {
					return err
				}
				_, err = client.DownloadStream(ctx, "docs", "a.txt", nil)
				return err
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.resource)
			s := &service{body: c.body}
			if err := c.call(t.Context(), w.credential, s); err != nil {
				t.Fatalf("the call = %v, want no error", err)
			}
			if s.audience != c.audience || s.user != "alice@contoso.example" {
				t.Errorf("the service got a token of %q for %q, want alice@contoso.example and %q", s.user, s.audience, c.audience)
			}
		})
	}
}

// These clients don't speak HTTP: the test asks for the token as they do.
func TestOtherProtocols(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "https://database.windows.net", "https://servicebus.azure.net/")
	for scope, audience := range map[string]string{
		"https://database.windows.net/.default":  "https://database.windows.net",
		"https://servicebus.azure.net//.default": "https://servicebus.azure.net/",
	} {
		token, err := w.credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			t.Errorf("GetToken(%q) = %v, want no error", scope, err)
			continue
		}
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token.Token, claims); err != nil || claims["aud"] != audience {
			t.Errorf("GetToken(%q) has the audience %v, %v; want %q", scope, claims["aud"], err, audience)
		}
	}
	if db, err := database(w.credential, "sqlserver://myserver.database.windows.net?database=db"); err != nil {
		t.Errorf("database = %v, want no error", err)
	} else {
		_ = db.Close()
	}
	if _, err := queue(w.credential, "mybus.servicebus.windows.net", "orders"); err != nil {
		t.Errorf("queue = %v, want no error", err)
	}
}
