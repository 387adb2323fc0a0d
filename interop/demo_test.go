//go:build unix

package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Clients sign in to the demonstration with what it prints, and no token is pasted anywhere.
func TestDemoSignIn(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 3*time.Minute)
	demo := start(t, "examples/server -demo", command(ctx, t.TempDir(), map[string]string{"PORT": "0"}, exampleServer, "-demo"))
	demo.waitFor(t, demo.stdout, regexp.MustCompile(`(MCP_TOKEN=\$TOKEN)`))
	printed := func(pattern string) string {
		return demo.waitFor(t, demo.stdout, regexp.MustCompile(pattern))
	}
	resource, clientID := printed(`(?m)^  URL +(\S+)$`), printed(`(?m)^  client ID +(\S+) `)
	trust, authority := printed(`NODE_EXTRA_CA_CERTS=(\S+)`), printed(`-authority (\S+) `)
	alice := newPerson(t, "alice@contoso.example", trust)

	t.Run("mcp-entra", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "token")
		p := start(t, "mcp-entra login", command(ctx, dir, map[string]string{"SSL_CERT_FILE": trust}, mcpEntra,
			"login", "-device", "-client", clientID, "-authority", authority, "-out", file, resource))
		code := p.waitFor(t, p.stderr, regexp.MustCompile(`enter the code (\w+)`))
		alice.enter(ctx, t, authority+"/devicelogin", code)
		if exit := p.wait(); exit != 0 || !strings.Contains(p.stdout.String(), "alice@contoso.example") {
			t.Fatalf("exit code %d", exit)
		}
		p = start(t, "mcp-entra call", command(ctx, dir, nil, mcpEntra, "call", "-token", file, resource, "secure_ping"))
		if exit := p.wait(); exit != 0 {
			t.Errorf("exit code %d", exit)
		}
		checkPing(t, decode(t, []byte(p.stdout.String())))
	})
	t.Run("Inspector", func(t *testing.T) {
		dir := t.TempDir()
		p := start(t, "inspector", command(ctx, dir, map[string]string{
			"NODE_EXTRA_CA_CERTS": trust, "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file",
		}, nodeProgram(t, "mcp-inspector"), "--cli", resource, "--transport", "http", "--format", "json", "--client-id", clientID,
			"--method", "tools/call", "--tool-name", "read_blob_with_token", "--tool-arg", "blob_path=readme.txt"))
		page := p.waitFor(t, p.stderr, regexp.MustCompile(`(https://localhost:\d+/\S+/authorize\?\S+)\s`))
		alice.open(ctx, t, page)
		if exit := p.wait(); exit != 0 || !strings.Contains(p.stdout.String(), "Everybody may read this one") {
			t.Errorf("exit code %d", exit)
		}
	})
	if exit := demo.terminate(t); exit != 0 {
		t.Errorf("exit code %d", exit)
	}
}

// A person is a user at a browser, who knows no more of the tenant than its pages show.
type person struct {
	name   string
	client *http.Client
}

func newPerson(t *testing.T, name, trust string) *person {
	t.Helper()
	data, err := os.ReadFile(trust)
	must(t, err)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		t.Fatalf("%s has no certificate", trust)
	}
	jar, err := cookiejar.New(nil)
	must(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &person{name, &http.Client{Transport: transport, Jar: jar}}
}

// open goes through the pages of a sign-in, to where the last one leads.
func (p *person) open(ctx context.Context, t *testing.T, address string) {
	t.Helper()
	_, err := p.browse(ctx, address, nil)
	must(t, err)
}

// enter enters a device's code.
func (p *person) enter(ctx context.Context, t *testing.T, address, code string) {
	t.Helper()
	_, err := p.browse(ctx, address, url.Values{"otc": {code}})
	must(t, err)
}

// until returns the person at a browser that opens no page outside the site.
func (p *person) until(site string) *person {
	stays := *p.client
	stays.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), site) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	return &person{p.name, &stays}
}

var (
	formAction = regexp.MustCompile(`<form method="post"[^>]* action="([^"]*)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	mainAction = regexp.MustCompile(`class="main" name="action" value="([^"]*)"`)
)

// browse opens the page, fills in each form that comes, first with what is given, and returns where
// it ends.
func (p *person) browse(ctx context.Context, address string, fill url.Values) (*url.URL, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	for range 8 {
		response, err := p.client.Do(request)
		if err != nil {
			return nil, err
		}
		page, err := io.ReadAll(response.Body)
		if err = errors.Join(err, response.Body.Close()); err != nil {
			return nil, err
		}
		if response.StatusCode >= 300 && response.StatusCode < 400 {
			return response.Location()
		}
		action := formAction.FindSubmatch(page)
		if action == nil {
			if response.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("the sign-in ended at %s: %s", response.Status, page)
			}
			return response.Request.URL, nil
		}
		form := url.Values{"name": {p.name}}
		maps.Copy(form, fill)
		for _, field := range hidden.FindAllSubmatch(page, -1) {
			form.Set(string(field[1]), html.UnescapeString(string(field[2])))
		}
		if main := mainAction.FindSubmatch(page); main != nil {
			form.Set("action", string(main[1]))
		}
		to, err := response.Request.URL.Parse(html.UnescapeString(string(action[1])))
		if err != nil {
			return nil, err
		}
		if request, err = http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode())); err != nil {
			return nil, err
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return nil, fmt.Errorf("too many pages at %s", address)
}
