package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// The demo's container and blobs.
const (
	demoContainer = "documents"
	readmeBlob    = "readme.txt"
	welcomeBlob   = "docs/ようこそ.txt"
	reportBlob    = "reports/2026-q3.txt" // readable only by Alice, like all others but readme.txt
	legacyBlob    = "legacy/お知らせ.txt"     // Shift_JIS
	longBlob      = "logs/access.log"
	longSize      = 1 << 20
)

const welcomeText = "ようこそ、アリスさん。\nこの文書は、あなたの権限で読み込まれました。\n"

// legacyText is "お知らせ: 会議は金曜日です。" in Shift_JIS, with one invalid byte.
const legacyText = "\x82\xa8\x92\x6d\x82\xe7\x82\xb9: \x89\xef\x8b\x63\x82\xcd\x8b\xe0\x97\x6a\x93\xfa\x82\xc5\x82\xb7\x81\x42\xff\n"

// tokenScope is what get_azure_blob_storage_token needs in the demo besides access_as_user.
const tokenScope = "Tokens.Read"

// A world is everything that the documented server depends on: an Entra tenant and a storage
// account, on this machine.
type world struct {
	tenant     *entratest.Tenant
	blobs      *blobtest.Server
	api        *entratest.App // the MCP server's app registration
	secret     string         // of api
	client     *entratest.App // the users' client app
	alice, bob *entratest.User
	carol      *entratest.User // has not consented to what the server does for her
	folder     string          // temporary
	downloads  string          // in it
}

// newWorld sets up the tenant as the README tells administrators to: two app registrations, a
// secret, consent for Azure Storage, and roles on the container.
func newWorld() (w *world, err error) {
	folder, err := os.MkdirTemp("", "mcp-entra-demo-")
	if err != nil {
		return nil, fmt.Errorf("can't make a folder for the demo's files: %w", err)
	}
	defer func() {
		if problem := recover(); problem != nil { // like httptest, the doubles panic if they can't listen
			_ = os.RemoveAll(folder)
			w, err = nil, fmt.Errorf("the demo's tenant and storage need a port of 127.0.0.1: %v", problem)
		}
	}()
	tenant := entratest.NewTenant(nil)
	w = &world{
		tenant:    tenant,
		blobs:     blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()}),
		api:       tenant.AddApp("MCP-Server-API", "access_as_user", tokenScope),
		client:    tenant.AddClient("MCP client"),
		alice:     tenant.AddUser("alice@contoso.example", "Alice"),
		bob:       tenant.AddUser("bob@contoso.example", "Bob"),
		carol:     tenant.AddUser("carol@contoso.example", "Carol"),
		folder:    folder,
		downloads: filepath.Join(folder, "downloads"),
	}
	w.secret = w.api.AddSecret()
	w.client.AddRedirectURI(entratest.PlatformDesktop, redirects...)
	w.api.RequirePermissions(tenant.Storage(), "user_impersonation")
	tenant.Consent(w.client, w.api)
	tenant.ConsentUser(w.alice, w.api, tenant.Storage())
	tenant.ConsentUser(w.bob, w.api, tenant.Storage())
	w.fill()
	return w, nil
}

// redirects are those of MCP clients on this machine: Inspector and mcp-remote, the SDKs,
// Inspector's command line, and mcp-entra. Entra ignores the port of localhost.
var redirects = []string{
	"http://localhost/oauth/callback", "http://localhost/callback", "http://127.0.0.1:6276/oauth/callback", "http://localhost",
}

// consentPath is where the server shows that a consent is over.
const consentPath = "/consent/done"

// fill uploads the documents and assigns the users' roles.
func (w *world) fill() {
	const text = "text/plain; charset=utf-8"
	w.blobs.AddContainer(demoContainer)
	w.blobs.Put(demoContainer, readmeBlob, []byte("Documents of Contoso. Everybody may read this one.\n"), text)
	w.blobs.Put(demoContainer, welcomeBlob, []byte(welcomeText), text)
	w.blobs.Put(demoContainer, reportBlob, []byte("Third quarter 2026: revenue up 4 %, costs down 1 %.\n"), text)
	w.blobs.Put(demoContainer, legacyBlob, []byte(legacyText), "text/plain; charset=shift_jis")
	w.blobs.PutSized(demoContainer, longBlob, longSize)
	w.blobs.Grant(w.alice.ObjectID, demoContainer, "")
	w.blobs.Grant(w.bob.ObjectID, demoContainer, readmeBlob)
	w.blobs.Grant(w.carol.ObjectID, demoContainer, readmeBlob)
}

// config returns the configuration that an operator would set for this world.
func (w *world) config(c serverconfig.Listen) serverconfig.Config {
	return serverconfig.Config{
		Listen:         c,
		TenantID:       w.tenant.ID(),
		APIAppID:       w.api.ClientID,
		AuthorityHost:  w.tenant.AuthorityHost(),
		AllowedOrigins: []string{inspectorOrigin},
		StorageURL:     w.blobs.URL(),
		Container:      demoContainer,
		OBO:            true,
		Method:         clientauth.Secret(w.secret),
		Audiences:      []string{serverconfig.StorageResource},
		DownloadDir:    w.downloads,
	}
}

// publish registers the server at the origin in the tenant, as a server that its clients sign in
// to by themselves, and returns its configuration: they send its URL as resource, a tool needs
// another scope, and users are asked for consent during calls.
func (w *world) publish(listen serverconfig.Listen, origin string) serverconfig.Config {
	w.api.AppIDURIs = append(w.api.AppIDURIs, origin+serverconfig.Path)
	w.api.AddRedirectURI(entratest.PlatformWeb, origin+consentPath)
	c := w.config(listen)
	c.AppIDURIs = slices.Clone(w.api.AppIDURIs)
	c.ToolPolicies = []serverconfig.ToolPolicy{{Pattern: "get_azure_blob_storage_token", Policy: entraauth.Policy{Scopes: []string{tokenScope}}}}
	c.ConsentURL = origin + consentPath
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	c.StateKeys = [][]byte{key}
	return c
}

// publishProxy makes the API's app the one that signs users in for clients, and returns the
// configuration of the proxy.
func (w *world) publishProxy(callback string) *serverconfig.AuthProxy {
	w.api.AddRedirectURI(entratest.PlatformWeb, callback)
	w.tenant.Consent(w.api, w.api)
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return &serverconfig.AuthProxy{
		ClientID: w.api.ClientID, Method: clientauth.Secret(w.secret), Keys: [][]byte{key},
		PrivateSchemes: []string{authproxy.CursorRedirect}, Downstream: []string{serverconfig.StorageResource + "/user_impersonation"},
	}
}

// token returns the token that the user's client would send.
func (w *world) token(user *entratest.User) string {
	return w.tenant.Token(user, w.client, w.api, "access_as_user")
}

// clientOf returns an HTTP client that sends the user's tokens. The scopes default to
// access_as_user.
func (w *world) clientOf(user *entratest.User, scopes ...string) *http.Client {
	if len(scopes) == 0 {
		scopes = []string{"access_as_user"}
	}
	return w.tenant.UserClient(user, w.client, w.api, scopes...)
}

// close stops everything and removes the files.
func (w *world) close() {
	w.blobs.Close()
	w.tenant.Close()
	_ = os.RemoveAll(w.folder)
}
