package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
)

// introduce prints an overview of the world.
func (w *world) introduce(p *page, url string) {
	p.line("An MCP server behind Microsoft Entra ID. Tenant and storage are stand-ins on this machine.")
	p.line("")
	p.row("MCP server", url)
	p.row("Entra tenant", w.tenant.AuthorityHost()+"/"+w.tenant.ID())
	p.row("storage", w.blobs.URL()+"/"+demoContainer)
	p.row("Alice", "may read every document")
	p.row("Bob", "may read "+readmeBlob)
	p.row("Carol", "may read "+readmeBlob+", and is asked for her consent first")
	p.line("")
}

// inspector is the command of the MCP Inspector.
const inspector = "npx -y @modelcontextprotocol/inspector@2.12.0"

// invite prints how to sign in to the server, and how to call it with a working token.
func (w *world) invite(p *page, url string, proxy bool, now time.Time) error {
	trust := filepath.Join(w.folder, "entra.pem")
	if err := os.WriteFile(trust, w.tenant.CertificatePEM(), 0o600); err != nil {
		return fmt.Errorf("can't write the tenant's certificate: %w", err)
	}
	p.line("")
	p.line("Serving until Ctrl-C. LOG_LEVEL=info shows a line for each request.")
	p.line("")
	if proxy {
		w.inviteProxy(p, url)
	} else {
		w.inviteSignIn(p, url, trust)
	}
	w.inviteToken(p, url, now)
	return nil
}

// inviteSignIn prints what to enter into a client that signs in by itself.
func (w *world) inviteSignIn(p *page, url, trust string) {
	p.section("Sign in to it with a client of your own, as Alice, Bob or Carol. Enter:")
	p.row("URL", url)
	p.row("client ID", w.client.ClientID+" (no secret)")
	p.row("scope", url+"/access_as_user (clients find it by themselves)")
	p.row("redirects", strings.Join(redirects, "\n                 ")+"\n                 are registered, localhost with any port")
	p.line("")
	p.section("The tenant has a certificate of its own. Programs trust it by one of these; your browser asks you once:",
		"export NODE_EXTRA_CA_CERTS="+trust+"  # Node: Inspector, mcp-remote, the TypeScript SDK\n"+
			"export SSL_CERT_FILE="+trust+"        # Go and Python")
	p.section("For example:",
		inspector+" --cli "+url+" --transport http \\\n  --client-id "+w.client.ClientID+" --method tools/list",
		inspector+"  # the web page at "+inspectorOrigin,
		"npx -y mcp-remote "+url+" --static-oauth-client-info '{\"client_id\": \""+w.client.ClientID+"\"}'",
		"go run ./cmd/mcp-entra call -client "+w.client.ClientID+" \\\n  -authority "+w.tenant.AuthorityHost()+" "+url)
	p.line("This tenant accepts " + url + " as App ID URI. Whether Entra accepts one that begins with http:// is")
	p.line("not known, and clients send it: serve https there. get_azure_blob_storage_token needs the scope")
	p.line(tokenScope + " besides, for which clients sign in again.")
	p.line("")
}

// inviteProxy prints how any client signs in.
func (w *world) inviteProxy(p *page, url string) {
	p.section("Open it in a client of your own, and sign in as Alice, Bob or Carol. Enter:")
	p.row("URL", url)
	p.row("client ID", "none: clients register themselves")
	p.line("")
	p.line("Your browser shows which client asks, then the tenant's sign-in page. The tenant has a certificate of")
	p.line("its own, about which your browser warns once.")
	p.line("")
	p.section("For example:",
		inspector+" --transport http --server-url "+url+"  # its web page opens at "+inspectorOrigin,
		"npx -y mcp-remote "+url,
		"claude mcp add --transport http demo "+url)
	p.line("Cursor works too: its redirect is listed. Claude and ChatGPT run in their makers' clouds and can't reach")
	p.line("this machine.")
	p.line("")
}

// inviteToken prints how to call the server with a token.
func (w *world) inviteToken(p *page, url string, now time.Time) {
	token := w.token(w.alice)
	curl := "curl -sS " + url + " -H \"Authorization: Bearer $TOKEN\" \\\n" +
		"  -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \\\n  -d '"
	shell := ""
	if runtime.GOOS == "windows" {
		shell = " (the commands are for Git Bash or WSL)"
	}
	p.section("Or use Alice's token, valid for "+lifetime(token, now)+shell+":", "export TOKEN='"+token+"'")
	p.section("List the tools, and read a document, with curl:",
		curl+`{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`,
		curl+`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read_blob_with_token","arguments":{"blob_path":"`+welcomeBlob+`"}}}'`)
	p.section("With MCP Inspector:",
		inspector+" --cli "+url+" --transport http \\\n"+
			"  --method tools/list --header \"Authorization: Bearer $TOKEN\"")
	p.section("With this module's client:", "MCP_TOKEN=$TOKEN go run ./cmd/mcp-entra call "+url+" secure_ping")
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
