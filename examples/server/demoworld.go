package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/explain"
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

// A world is everything that the documented server depends on: an Entra tenant and a storage
// account, on this machine.
type world struct {
	tenant     *entratest.Tenant
	blobs      *blobtest.Server
	api        *entratest.App // the MCP server's app registration
	secret     string         // of api
	client     *entratest.App // the users' client app
	alice, bob *entratest.User
	downloads  string // a temporary folder
}

// newWorld sets up the tenant as the README tells administrators to: two app registrations, a
// secret, consent for Azure Storage, and roles on the container.
func newWorld() (*world, error) {
	downloads, err := os.MkdirTemp("", "mcp-entra-demo-")
	if err != nil {
		return nil, fmt.Errorf("can't make a folder for the demo's downloads: %w", err)
	}
	tenant := entratest.NewTenant(nil)
	w := &world{
		tenant:    tenant,
		blobs:     blobtest.NewServer(&blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()}),
		api:       tenant.AddApp("MCP-Server-API", "access_as_user"),
		client:    tenant.AddClient("MCP client"),
		alice:     tenant.AddUser("alice@contoso.example", "Alice"),
		bob:       tenant.AddUser("bob@contoso.example", "Bob"),
		downloads: downloads,
	}
	w.secret = w.api.AddSecret()
	tenant.Consent(w.client, w.api, "access_as_user")
	tenant.Consent(w.api, tenant.Storage(), "user_impersonation")
	w.fill()
	return w, nil
}

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

// token returns the token that the user's client would send.
func (w *world) token(user *entratest.User) string {
	return w.tenant.Token(user, w.client, w.api, "access_as_user")
}

// clientOf returns an HTTP client that sends the user's tokens.
func (w *world) clientOf(user *entratest.User) *http.Client {
	return w.tenant.UserClient(user, w.client, w.api, "access_as_user")
}

// close stops everything and removes the downloads.
func (w *world) close() {
	w.blobs.Close()
	w.tenant.Close()
	_ = os.RemoveAll(w.downloads)
}

// introduce prints an overview of the world.
func (w *world) introduce(p *page, url string) {
	p.line("An MCP server behind Microsoft Entra ID. Tenant and storage are stand-ins on this machine.")
	p.line("")
	p.row("MCP server", url)
	p.row("Entra tenant", w.tenant.AuthorityHost()+"/"+w.tenant.ID())
	p.row("storage", w.blobs.URL()+"/"+demoContainer)
	p.row("Alice", "may read every document")
	p.row("Bob", "may read "+readmeBlob)
	p.line("")
}

// invite prints how to call the server with a working token.
func (w *world) invite(p *page, url string, now time.Time) {
	token := w.token(w.alice)
	curl := "curl -sS " + url + " -H \"Authorization: Bearer $TOKEN\" \\\n" +
		"  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n  -d '"
	shell := ""
	if runtime.GOOS == "windows" {
		shell = " (the commands are for Git Bash or WSL)"
	}
	p.line("")
	p.line("Serving until Ctrl-C. LOG_LEVEL=info shows a line for each request.")
	p.line("")
	p.section("Alice's token, valid for "+lifetime(token, now)+shell+":", "export TOKEN='"+token+"'")
	p.section("List the tools, and read a document, with curl:",
		curl+`{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`,
		curl+`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read_blob_with_token","arguments":{"blob_path":"`+welcomeBlob+`"}}}'`)
	p.section("With MCP Inspector (its web page at "+inspectorOrigin+" is allowed, too):",
		"npx -y @modelcontextprotocol/inspector@2.12.0 --cli "+url+" --transport http \\\n"+
			"  --method tools/list --header \"Authorization: Bearer $TOKEN\"")
	p.section("With this module's client:", "MCP_TOKEN=$TOKEN go run ./examples/client -call secure_ping "+url)
}

// lifetime returns how long the token stays valid, as text.
func lifetime(token string, now time.Time) string {
	claims, err := explain.DecodeClaims(token)
	expires, ok := claims["exp"].(float64)
	if err != nil || !ok {
		return "about an hour"
	}
	return fmt.Sprintf("%d minutes", int(time.Unix(int64(expires), 0).Sub(now).Minutes()))
}
