package authproxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// A changingDocument is one document, whose name may change.
type changingDocument struct{ name atomic.Value }

func (d *changingDocument) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]any{
		"client_id": r.URL.String(), "client_name": d.name.Load(), "redirect_uris": []string{"https://app.example/callback"}, "logo_uri": "https://app.example/logo.png",
	})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(body))), Request: r,
	}, nil
}

// Whoever takes a document over, or changes it, gets no consent that users gave before.
func TestThreatChangedDocument(t *testing.T) {
	t.Parallel()
	d := &changingDocument{}
	d.name.Store("An app")
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.UnsafeDocumentClient = &http.Client{Transport: d} }})
	b := w.browser(w.alice)
	q := request("client_id=https://docs.example/client.json", "redirect_uri=https://app.example/callback")
	page := b.authorize(q)
	w.asked("a document", page, "docs.example")
	if !strings.Contains(page.body, "app.example") || strings.Contains(page.body, "logo.png") {
		t.Errorf("the page is\n%s\nwant the redirect's host too, and no logo", page.body)
	}
	b.decide(page, "approve")
	if p := b.authorize(q); p.status != http.StatusFound {
		t.Errorf("after approval: %d, want 302 to Entra", p.status)
	}
	d.name.Store("Another app")
	w.clock.advance(25 * time.Hour) // nothing is kept longer than a day
	w.asked("the document, changed", b.authorize(q), "docs.example")
}

// SSRF: an address is no client ID, in whatever form; nor is a name that means this network. None
// of these is fetched.
func TestThreatDocumentAddresses(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	count := transportFunc(func(*http.Request) (*http.Response, error) {
		fetched.Add(1)
		return nil, io.ErrUnexpectedEOF
	})
	w := newWorld(t, setup{options: func(_ *world, o *authproxy.Options) { o.UnsafeDocumentClient = &http.Client{Transport: count} }})
	b := w.browser(w.alice)
	for _, id := range []string{
		"https://169.254.169.254/latest/meta-data", "https://168.63.129.16/metadata", "https://127.0.0.1/x", "https://127.1/x", "https://2130706433/x", "https://0x7f000001/x", "https://0177.0.0.1/x",
		"https://[::1]/x", "https://[::ffff:169.254.169.254]/x", "https://[64:ff9b::a9fe:a9fe]/x", "https://[fe80::1%25eth0]/x", "https://[2002:7f00:1::]/x",
		"https://localhost/x", "https://a.localhost/x", "https://host.local/x", "https://metadata.google.internal/x", "https://metadata/x", "https://example.com./x", "https://127.0.0.1.:443/x",
		"https://app.example/", "https://app.example", "https://app.example/a/../b", "https://app.example/%2e%2e/b", "https://app.example/x#y", "https://user@app.example/x", "https://user:pw@app.example/x",
		`https://app.example\@127.0.0.1/x`, "https://app.example/x\n", "https://127。0。0。1/x", "https://①②⑦.0.0.1/x", "https://app.example:0/x", "https://" + strings.Repeat("a", 600) + ".example/x",
		"http://app.example/x", "HTTPS://app.example/x", "ftp://app.example/x", "file:///etc/passwd",
	} {
		q := request("redirect_uri=https://app.example/callback")
		q.Set("client_id", id)
		w.refused(id, b.authorize(q), http.StatusBadRequest)
		form := refreshForm("x")
		form.Set("client_id", id)
		form.Set("client_assertion", "e30.e30.e30")
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		if r := w.post("/token", form, nil); r.status != http.StatusUnauthorized && r.status != http.StatusBadRequest {
			t.Errorf("%s at /token: %d %s, want 401 or 400", id, r.status, r.text)
		}
	}
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Nothing that a request says about hosts changes what the proxy says about itself.
func TestThreatForwardedHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	b := w.browser(w.alice)
	const document = "/.well-known/oauth-authorization-server"
	want := b.get(w.proxy.Issuer() + document).body
	b.header = http.Header{
		"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"1"}, "X-Forwarded-Prefix": {"/evil"}, "Forwarded": {"host=evil.example;proto=http"},
		"X-Original-Url": {"/evil"}, "X-Forwarded-For": {"127.0.0.1"},
	}
	if got := b.get(w.proxy.Issuer() + document).body; got != want {
		t.Errorf("with forwarded headers the metadata is\n%s\nwant\n%s", got, want)
	}
	page := b.authorize(request())
	if action, _ := page.form(); action != w.proxy.Issuer()+"/consent" || strings.Contains(page.body, "evil.example") {
		t.Errorf("with forwarded headers the form goes to %q, want the issuer's", action)
	}
	if to := b.decide(page, "approve").next(); strings.Contains(to, "evil") || !strings.Contains(to, "oauth%2Fcallback") {
		t.Errorf("with forwarded headers the browser is sent to %q", to)
	}
}
