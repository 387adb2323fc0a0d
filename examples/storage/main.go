// Command storage is an MCP server with all tools of package blobtool: a model finds
// and reads blobs of an Azure Storage account as the signed-in user, and sees what
// Azure lets that user see. With -write it also writes, edits and deletes them.
//
//	go run ./examples/storage -demo           # offline: two users, a tenant and an account in this process
//	go run ./examples/storage -demo -write    # the same, writing
//	go run ./examples/storage                 # for real
//
// For real it needs, in the environment:
//
//	TENANT_ID                    the directory (tenant) id
//	API_APP_ID                   the application (client) id of your API
//	AZURE_STORAGE_ACCOUNT_URL    such as https://account.blob.core.windows.net
//
// one proof of the app:
//
//	ENTRA_APP_CLIENT_SECRET          a client secret of API_APP_ID, or
//	AZURE_CLIENT_CERTIFICATE_PATH    a PEM or PFX file (password in AZURE_CLIENT_CERTIFICATE_PASSWORD), or
//	UMI_CLIENT_ID                    the client ID of a managed identity that the app trusts;
//	                                 on AKS the platform adds AZURE_FEDERATED_TOKEN_FILE
//
// and takes, if set:
//
//	AZURE_STORAGE_CONTAINER    the only container; without it, all that the user may see
//	AZURE_STORAGE_ALLOW        containers, or beginnings of names in them, to which it is
//	                           limited: docs/reports/,public
//	PUBLIC_URL                 the origin that clients use, by default http://localhost:8000
//	PORT                       by default 8000
//	AZURE_AUTHORITY_HOST       another cloud, such as https://login.microsoftonline.us
//
// The app needs the delegated permission user_impersonation of Azure Storage, and
// consent to it; each user needs the role Storage Blob Data Reader, and Storage Blob
// Data Owner to search by tags. The endpoint is PUBLIC_URL/mcp.
//
// # Writing
//
// -write needs one more variable:
//
//	AZURE_STORAGE_WRITE_ALLOW    where blobs may be written, in the form of
//	                             AZURE_STORAGE_ALLOW, which applies too: docs/reports/
//
// The app's permission stays the same: user_impersonation covers writing. Give each
// user who may write the role Storage Blob Data Contributor on the container, or
// Storage Blob Data Owner to set tags; it takes up to 10 minutes to take effect:
//
//	az role assignment create --role "Storage Blob Data Contributor" --assignee USER \
//	    --scope $(az storage account show -n ACCOUNT --query id -o tsv)/blobServices/default/containers/docs
//
// Turn on versioning or soft delete of blobs in the account, so that a write can be
// undone. Overwriting, editing and deleting ask the user, by a form that the client shows.
// If the client can't show one, edits are allowed, and overwriting and deleting are refused
// unless [blobtool.WriteOptions.Confirm] allows them.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("storage", flag.ContinueOnError)
	flags.SetOutput(stderr)
	demo := flags.Bool("demo", false, "run offline, on a tenant and a storage account in this process")
	write := flags.Bool("write", false, "offer the tools that write, edit and delete blobs")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	action := online
	if *demo {
		action = offline
	}
	if err := action(ctx, *write, getenv, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "storage:", err)
		return 1
	}
	return 0
}

// online serves as configured by the environment until the context ends.
func online(ctx context.Context, write bool, getenv func(string) string, stdout, stderr io.Writer) error {
	port := cmp.Or(getenv("PORT"), "8000")
	public := cmp.Or(getenv("PUBLIC_URL"), "http://localhost:"+port)
	s := settings{
		tenantID: getenv("TENANT_ID"), apiAppID: getenv("API_APP_ID"), authorityHost: getenv("AZURE_AUTHORITY_HOST"),
		proof:      proof(getenv),
		accountURL: getenv("AZURE_STORAGE_ACCOUNT_URL"), container: getenv("AZURE_STORAGE_CONTAINER"),
		allow: list(getenv("AZURE_STORAGE_ALLOW")),
		log:   slog.New(slog.NewTextHandler(stderr, nil)),
	}
	if write {
		s.write = &blobtool.WriteOptions{Allow: list(getenv("AZURE_STORAGE_WRITE_ALLOW"))}
	}
	server, closeAll, err := assemble(s, public+"/mcp")
	if err != nil && getenv("TENANT_ID")+getenv("API_APP_ID") == "" {
		return fmt.Errorf("nothing is configured yet (examples/storage/main.go begins with the variables); to see it without a tenant: go run ./examples/storage -demo\n%w", err)
	}
	if err != nil {
		return err
	}
	defer closeAll()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "MCP endpoint: %s/mcp\n", public)
	return server.Serve(ctx, listener)
}

// settings are what assemble needs to build the server.
type settings struct {
	tenantID, apiAppID, authorityHost string
	proof                             clientauth.Method
	accountURL, container             string
	allow                             []string
	write                             *blobtool.WriteOptions // nil: the tools only read
	log                               *slog.Logger
	authority, storage                *http.Client // for the demo
}

// assemble returns the server and a function that stops its background work.
func assemble(s settings, resource string) (*mcpentra.Server, func(), error) {
	verifier, errVerifier := entraauth.NewVerifier(s.tenantID, s.apiAppID, &entraauth.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Logger: s.log,
	})
	exchanger, errExchanger := obo.NewExchanger(s.tenantID, s.apiAppID, s.proof, &obo.Options{
		AuthorityHost: s.authorityHost, HTTPClient: s.authority, Resources: []string{"https://storage.azure.com"}, Logger: s.log,
	})
	blobs, errBlobs := blobSet(s)
	if err := errors.Join(errVerifier, errExchanger, errBlobs); err != nil {
		return nil, nil, err
	}
	server, err := mcpentra.NewServer(resource, verifier,
		mcpentra.WithExchanger(exchanger), mcpentra.WithTools(blobs), mcpentra.WithLogger(s.log))
	if err != nil {
		return nil, nil, err
	}
	return server, func() { _ = verifier.Close() }, nil
}

// blobSet returns the tools for one container, or for the whole account.
func blobSet(s settings) (*blobtool.Set, error) {
	options := &blobtool.Options{HTTPClient: s.storage, Logger: s.log, Allow: s.allow, Write: s.write}
	if s.container != "" {
		return blobtool.New(s.accountURL, s.container, mcpentra.Credential, options)
	}
	return blobtool.NewAccount(s.accountURL, mcpentra.Credential, options)
}

// proof chooses how the app authenticates to Entra.
func proof(getenv func(string) string) clientauth.Method {
	identity, projected := getenv("UMI_CLIENT_ID"), getenv("AZURE_FEDERATED_TOKEN_FILE")
	switch file := getenv("AZURE_CLIENT_CERTIFICATE_PATH"); {
	case file != "":
		return clientauth.CertificateFile(file, getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))
	case identity != "" && projected != "":
		return clientauth.WorkloadManagedIdentity(projected, identity)
	case identity != "":
		return clientauth.ManagedIdentity(identity)
	default:
		return clientauth.Secret(getenv("ENTRA_APP_CLIENT_SECRET"))
	}
}

// list splits a comma-separated list.
func list(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	all := strings.Split(s, ",")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	return all
}
