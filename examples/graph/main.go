// Command graph asks Microsoft Graph who the user is, on behalf of the user:
// GET /v1.0/me through a pipeline of the Azure SDK, with a credential of package
// obo. Any other client of the Azure SDK takes the same credential.
//
//	go run ./examples/graph -demo      # offline, on a tenant that it brings along
//	go run ./examples/graph            # for real
//
// For real it needs, in the environment:
//
//	TENANT_ID     the directory (tenant) id
//	API_APP_ID    the application (client) id of your API
//	MCP_TOKEN     the user's access token for your API, such as from
//	              az account get-access-token --scope api://{API_APP_ID}/access_as_user --query accessToken -o tsv
//
// and one proof of the app:
//
//	ENTRA_APP_CLIENT_SECRET         a client secret of API_APP_ID, or
//	ENTRA_APP_CLIENT_CERTIFICATE    a PEM or PFX file (password in ENTRA_APP_CLIENT_CERTIFICATE_PASSWORD), or
//	UMI_CLIENT_ID                   the client ID of a managed identity that the app trusts;
//	                                on AKS the platform adds AZURE_FEDERATED_TOKEN_FILE
//
// AZURE_AUTHORITY_HOST and GRAPH_URL choose another cloud, such as
// https://login.microsoftonline.us with https://graph.microsoft.us. The app needs
// Graph's delegated permission User.Read, and consent to it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const publicGraph = "https://graph.microsoft.com"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("graph", flag.ContinueOnError)
	flags.SetOutput(stderr)
	demo := flags.Bool("demo", false, "run offline, on a tenant in this process")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	action := online
	if *demo {
		action = offline
	}
	if err := action(ctx, getenv, stdout); err != nil {
		// Says what happened and what to do, and contains no token.
		if e, ok := errors.AsType[*obo.Error](err); ok {
			_, _ = fmt.Fprintln(stderr, "graph:", e.UserText())
		} else {
			_, _ = fmt.Fprintln(stderr, "graph:", err)
		}
		return 1
	}
	return 0
}

// online calls Microsoft Graph as configured by the environment.
func online(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	graph := getenv("GRAPH_URL")
	if graph == "" {
		graph = publicGraph
	}
	exchanger, err := obo.NewExchanger(getenv("TENANT_ID"), getenv("API_APP_ID"), proof(getenv), &obo.Options{
		AuthorityHost: getenv("AZURE_AUTHORITY_HOST"),
		Resources:     []string{graph},
	})
	if err != nil && getenv("TENANT_ID")+getenv("API_APP_ID") == "" {
		return fmt.Errorf("nothing is configured yet (examples/graph/main.go begins with the variables); to see it without a tenant: go run ./examples/graph -demo\n%w", err)
	}
	if err != nil {
		return err
	}
	// A server first verifies the request's token and then takes the assertion from the identity
	// (package entraauth). Here the user runs the program themselves.
	credential := exchanger.Credential(obo.NewAssertion(getenv("MCP_TOKEN")))
	return greet(ctx, credential, graph, graph, http.DefaultClient, stdout)
}

// proof chooses how the app authenticates to Entra.
func proof(getenv func(string) string) clientauth.Method {
	identity, projected := getenv("UMI_CLIENT_ID"), getenv("AZURE_FEDERATED_TOKEN_FILE")
	switch file := getenv("ENTRA_APP_CLIENT_CERTIFICATE"); {
	case file != "":
		return clientauth.CertificateFile(file, getenv("ENTRA_APP_CLIENT_CERTIFICATE_PASSWORD"))
	case identity != "" && projected != "":
		return clientauth.WorkloadManagedIdentity(projected, identity)
	case identity != "":
		return clientauth.ManagedIdentity(identity)
	default:
		return clientauth.Secret(getenv("ENTRA_APP_CLIENT_SECRET"))
	}
}

// greet prints who Graph says the user is. resource is Graph's name in scopes, url its address.
func greet(ctx context.Context, credential azcore.TokenCredential, resource, url string, client policy.Transporter, stdout io.Writer) error {
	pipeline := runtime.NewPipeline("graph", "v1.0.0", runtime.PipelineOptions{
		PerRetry: []policy.Policy{runtime.NewBearerTokenPolicy(credential, []string{resource + "/.default"}, nil)},
	}, &policy.ClientOptions{Transport: client})
	req, err := runtime.NewRequest(ctx, http.MethodGet, url+"/v1.0/me")
	if err != nil {
		return err
	}
	resp, err := pipeline.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return runtime.NewResponseError(resp)
	}
	var me struct {
		DisplayName       string `json:"displayName"`
		UserPrincipalName string `json:"userPrincipalName"`
	}
	if err := runtime.UnmarshalAsJSON(resp, &me); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "Microsoft Graph says that you are %s (%s)\n", me.DisplayName, me.UserPrincipalName)
	return err
}

// offline does the same for two users of an in-process tenant.
func offline(ctx context.Context, _ func(string) string, stdout io.Writer) error {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api, client := tenant.AddApp("My API", "access_as_user"), tenant.AddClient("My client")
	tenant.Consent(api, tenant.Graph(), "User.Read")
	exchanger, err := obo.NewExchanger(tenant.ID(), api.ClientID, clientauth.Secret(api.AddSecret()), &obo.Options{
		AuthorityHost: tenant.AuthorityHost(),
		HTTPClient:    tenant.HTTPClient(),
		Resources:     []string{publicGraph},
	})
	if err != nil {
		return err
	}
	for _, user := range []*entratest.User{tenant.AddUser("alice@contoso.com", "Alice"), tenant.AddUser("bob@contoso.com", "Bob")} {
		token := tenant.Token(user, client, api) // the token that the user's client sends to your API
		credential := exchanger.Credential(obo.NewAssertion(token))
		if err := greet(ctx, credential, publicGraph, tenant.AuthorityHost(), tenant.HTTPClient(), stdout); err != nil {
			return err
		}
	}
	return nil
}
