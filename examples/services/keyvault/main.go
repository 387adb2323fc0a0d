// Command keyvault is an MCP server with a tool of its own for Azure Key Vault: list_secrets says
// which secrets the signed-in user may see, and when they expire. It never shows a secret's value,
// which a model has no use for.
//
//	go run . -demo    # offline: two users, a tenant and a vault in this process
//	go run .          # for real
//
// For real it needs, in the environment:
//
//	TENANT_ID        the directory (tenant) ID
//	API_APP_ID       the application (client) ID of your API
//	KEY_VAULT_URL    such as https://myvault.vault.azure.net
//
// and one proof of the app:
//
//	ENTRA_APP_CLIENT_SECRET    a client secret of API_APP_ID, or
//	UMI_CLIENT_ID              the client ID of a managed identity that the app trusts
//
// The app needs the delegated permission user_impersonation of Azure Key Vault, and consent to it.
// Each user needs the role Key Vault Reader on the vault. The endpoint is
// http://localhost:8000/mcp, or PUBLIC_URL/mcp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// vaultResource is Key Vault's App ID URI in the public cloud.
const vaultResource = "https://vault.azure.net"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("keyvault", flag.ContinueOnError)
	flags.SetOutput(stderr)
	demo := flags.Bool("demo", false, "run offline, on a tenant and a vault in this process")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	action := online
	if *demo {
		action = offline
	}
	if err := action(ctx, getenv, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "keyvault:", err)
		return 1
	}
	return 0
}

// online serves as configured by the environment until the context ends.
func online(ctx context.Context, getenv func(string) string, _, stderr io.Writer) error {
	public := getenv("PUBLIC_URL")
	if public == "" {
		public = "http://localhost:8000"
	}
	proof := clientauth.Secret(getenv("ENTRA_APP_CLIENT_SECRET"))
	if identity := getenv("UMI_CLIENT_ID"); identity != "" {
		proof = clientauth.ManagedIdentity(identity)
	}
	server, closeAll, err := assemble(settings{
		tenantID: getenv("TENANT_ID"), apiAppID: getenv("API_APP_ID"), authorityHost: getenv("AZURE_AUTHORITY_HOST"),
		proof: proof, vaultURL: getenv("KEY_VAULT_URL"), log: slog.New(slog.NewTextHandler(stderr, nil)),
	}, public+"/mcp")
	if err != nil {
		return err
	}
	defer closeAll()
	return server.ListenAndServe(ctx, "127.0.0.1:8000")
}

// settings are what assemble needs to build the server.
type settings struct {
	tenantID, apiAppID, authorityHost string
	proof                             clientauth.Method
	vaultURL                          string
	log                               *slog.Logger
	authority                         *http.Client // nil: Entra's
	vault                             azsecrets.ClientOptions
}

// assemble returns the server and a function that stops its background work.
func assemble(s settings, resource string) (*mcpentra.Server, func(), error) {
	verifier, errVerifier := entraauth.NewVerifier(s.tenantID, s.apiAppID, &entraauth.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Logger: s.log,
	})
	exchanger, errExchanger := obo.NewExchanger(s.tenantID, s.apiAppID, s.proof, &obo.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Logger: s.log,
		Resources: []string{vaultResource}, // what the server may ask for, as its users
	})
	if err := errors.Join(errVerifier, errExchanger); err != nil {
		return nil, nil, err
	}
	tool := mcpentra.Tool(&mcp.Tool{
		Name:        "list_secrets",
		Description: "Lists the names of the secrets that you may see in the vault, and when they expire. Values are never shown.",
		Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true},
	}, s.listSecrets)
	server, err := mcpentra.NewServer(resource, verifier,
		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(tool), mcpentra.WithLogger(s.log))
	if err != nil {
		return nil, nil, err
	}
	return server, func() { _ = verifier.Close() }, nil
}

// A secretInfo is what the tool says about a secret.
type secretInfo struct {
	Name    string     `json:"name"`
	Enabled bool       `json:"enabled"`
	Expires *time.Time `json:"expires,omitempty"`
}

type secretList struct {
	Secrets []secretInfo `json:"secrets"`
}

// listSecrets is the tool. Errors of the Azure SDK and of package obo are returned as they are:
// mcpentra tells the caller what to do, and logs the rest.
func (s *settings) listSecrets(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, secretList, error) {
	list := secretList{Secrets: []secretInfo{}}
	credential, err := mcpentra.Credential(ctx) // acts as the caller
	if err != nil {
		return nil, list, err
	}
	client, err := s.client(credential)
	if err != nil {
		return nil, list, err
	}
	for pager := client.NewListSecretPropertiesPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, list, err
		}
		for _, p := range page.Value {
			info := secretInfo{Name: p.ID.Name()}
			if p.Attributes != nil {
				info.Enabled, info.Expires = p.Attributes.Enabled != nil && *p.Attributes.Enabled, p.Attributes.Expires
			}
			list.Secrets = append(list.Secrets, info)
		}
	}
	return nil, list, nil
}

func (s *settings) client(credential azcore.TokenCredential) (*azsecrets.Client, error) {
	options := s.vault
	return azsecrets.NewClient(s.vaultURL, credential, &options)
}
