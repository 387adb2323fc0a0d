package clients_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// Point 3: a registration lives as long as its key, for its proxy alone, in one spelling.
func TestFindRegistered(t *testing.T) {
	t.Parallel()
	id := register(t, newDirectory(t, clients.Config{}), first).ClientID
	flip := func(i int) string {
		b := []byte(id)
		b[i] ^= 1 // another character of base64url, or none
		return string(b)
	}
	for _, c := range []struct {
		what     string
		registry *clients.Registry
		id       string
		want     string
	}{
		{"as it is", newRegistry(t, name, testKey(1)), id, ""},
		{"a new key first", newRegistry(t, name, testKey(2), testKey(1)), id, ""},
		{"the key removed", newRegistry(t, name, testKey(2)), id, oauth.InvalidClient},
		{"another issuer", newRegistry(t, strings.Replace(name, "mcp.", "other.", 1), testKey(1)), id, oauth.InvalidClient},
		{"cut", nil, id[:len(id)-1], oauth.InvalidClient},
		{"longer", nil, id + "A", oauth.InvalidClient},
		{"padded", nil, id + "=", oauth.InvalidClient},
		{"with a line break", nil, id[:9] + "\n" + id[9:], oauth.InvalidClient},
		{"another key ID", nil, flip(0), oauth.InvalidClient},
		{"another nonce", nil, flip(8), oauth.InvalidClient},
		{"other content", nil, flip(40), oauth.InvalidClient},
		{"a made-up one", nil, "d3b07384-d9a0-4c9b-8f6e-000000000000", oauth.InvalidClient},
		{"a very long one", nil, strings.Repeat("A", 100_000), oauth.InvalidClient},
		{"none", nil, "", oauth.InvalidClient},
	} {
		got, err := newDirectory(t, clients.Config{Registry: c.registry}).Find(t.Context(), c.id)
		if code := codeOf(t, err); code != c.want || code == "" && got.ID != id {
			t.Errorf("%s: Find = %+v, %v; want %q", c.what, got, err, c.want)
		}
		if e, ok := err.(*oauth.Error); ok && (e.Status != http.StatusUnauthorized || !strings.Contains(e.Description, "register again")) { //nolint:errorlint // Find's are
			t.Errorf("%s: Find = %v with status %d, want a 401 that says to register again", c.what, err, e.Status)
		}
	}
}

// The configuration of today judges the redirects of earlier registrations.
func TestFindAppliesTheConfiguration(t *testing.T) {
	t.Parallel()
	const a, loopback = "https://a.example/cb", "http://localhost:1/cb"
	id := register(t, newDirectory(t, clients.Config{Private: []string{cursor}}),
		`{"redirect_uris":["`+cursor+`","`+a+`","`+loopback+`"]}`).ClientID
	preset := redirecturi.Preset{Name: "A", Redirects: []string{a, loopback, cursor}}
	for _, c := range []struct {
		what   string
		config clients.Config
		want   []string
		preset string
	}{
		{"the same", clients.Config{Private: []string{cursor}}, []string{cursor, a, loopback}, ""},
		{"private schemes off", clients.Config{}, []string{a, loopback}, ""},
		{"a list", clients.Config{Private: []string{cursor}, Only: []redirecturi.Preset{{Redirects: []string{a}}}}, []string{a}, ""},
		{"two lists", clients.Config{Only: []redirecturi.Preset{{Redirects: []string{a}}, {Redirects: []string{loopback}}}}, []string{a, loopback}, ""},
		{"a preset with all", clients.Config{Presets: []redirecturi.Preset{preset}}, []string{a, loopback}, "A"},
		{"presets with some", clients.Config{Presets: []redirecturi.Preset{{Name: "B", Redirects: []string{a}}}}, []string{a, loopback}, ""},
	} {
		got, err := newDirectory(t, c.config).Find(t.Context(), id)
		if err != nil || !slices.Equal(got.Redirects, c.want) || got.Preset != c.preset || got.IsKnown() != (c.preset != "") {
			t.Errorf("%s: Find = %+v, %v; want redirects %q, preset %q", c.what, got, err, c.want, c.preset)
		}
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s3cret-", 5)
	d := newDirectory(t, clients.Config{Entries: []clients.Entry{
		{ID: "desk", Redirects: []string{"http://localhost/cb"}},
		{ID: "Web.1", Name: "The Web\u202e", Redirects: []string{"https://a.example/cb"}, Secret: secret, NoRefresh: true},
	}, Only: []redirecturi.Preset{{Redirects: []string{"https://b.example/"}}}})
	for id, want := range map[string]clients.Client{
		"desk":  {Name: "desk", Auth: clients.None, Refresh: true, Redirects: []string{"http://localhost/cb"}},
		"Web.1": {Name: "The Web", Auth: clients.SecretBasic, Redirects: []string{"https://a.example/cb"}},
	} {
		got, err := d.Find(t.Context(), id)
		if err != nil || got.Name != want.Name || got.Auth != want.Auth || got.Refresh != want.Refresh || !slices.Equal(got.Redirects, want.Redirects) ||
			got.Kind != clients.Configured || !got.IsKnown() {
			t.Errorf("Find(%q) = %+v, %v; want %+v", id, got, err, want)
		}
		if strings.Contains(fmt.Sprintf("%+v %#v", got, got), secret) {
			t.Errorf("the client %s prints its secret", id)
		}
	}
	for _, c := range []struct {
		what  string
		entry clients.Entry
		want  string
	}{
		{"no ID", clients.Entry{Redirects: []string{"https://a.example/"}}, "the ID must have"},
		{"a space", clients.Entry{ID: "a b", Redirects: []string{"https://a.example/"}}, "the ID must have"},
		{"a URL", clients.Entry{ID: "https://a.example/client.json", Redirects: []string{"https://a.example/"}}, "client ID metadata document"},
		{"the same ID", clients.Entry{ID: "first", Redirects: []string{"https://a.example/"}}, "same ID"},
		{"no redirects", clients.Entry{ID: "a"}, "no Redirects"},
		{"a bad redirect", clients.Entry{ID: "a", Redirects: []string{"https://a.example/", "http://a.example/"}}, "redirect 1: http is only"},
		{"a private scheme", clients.Entry{ID: "a", Redirects: []string{cursor}}, "schemes other than https are off"},
		{"a short secret", clients.Entry{ID: "a", Redirects: []string{"https://a.example/"}, Secret: "short-secret"}, "at least 32"},
	} {
		_, err := clients.NewDirectory(clients.Config{Registry: newRegistry(t, name, testKey(1)),
			Entries: []clients.Entry{{ID: "first", Redirects: []string{"https://a.example/"}}, c.entry}})
		if err == nil || !strings.Contains(err.Error(), "client 1: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "short-secret") {
			t.Errorf("%s: NewDirectory = %v, want %q", c.what, err, c.want)
		}
	}
}

// documents are documents by URL; others can't be fetched. It counts.
type documents struct {
	by      map[string]*clientdoc.Document
	fetches int
}

func (d *documents) Document(_ context.Context, url string) (*clientdoc.Document, error) {
	d.fetches++
	if doc := d.by[url]; doc != nil {
		return doc, nil
	}
	return nil, &oauth.Error{Code: oauth.TemporarilyUnavailable, Status: http.StatusServiceUnavailable, Description: "later"}
}

const docURL, keyedURL, bothURL = "https://a.example/client.json", "https://keyed.example/client.json", "https://both.example/client.json"

func newDocuments() *documents {
	return &documents{by: map[string]*clientdoc.Document{
		docURL: {URL: docURL, Host: "a.example", Name: "A\u202e ", Redirects: []string{"https://a.example/cb", "http://a.example/cb", "javascript:x", "http://localhost/cb"},
			Grants: []string{"authorization_code", "refresh_token"}, Public: true, Hash: [32]byte{1}},
		keyedURL:                              {URL: keyedURL, Host: "keyed.example", Redirects: []string{"https://keyed.example/cb"}, Keyed: true, JWKSURI: "https://keyed.example/keys"},
		bothURL:                               {URL: bothURL, Host: "both.example", Redirects: []string{"https://both.example/cb"}, Public: true, Keyed: true, JWKSURI: "https://both.example/keys"},
		"https://machine.example/client.json": {Public: true, Redirects: []string{"https://a.example/cb"}, Grants: []string{"client_credentials"}},
	}}
}

// Points 14, 17, 26: what a document's client may do.
func TestFindDocument(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, clients.Config{Documents: newDocuments()})
	for _, c := range []struct {
		id   string
		want clients.Client
	}{
		{docURL, clients.Client{Name: "A", Host: "a.example", Redirects: []string{"https://a.example/cb", "http://localhost/cb"}, Auth: clients.None, Refresh: true}},
		{keyedURL, clients.Client{Host: "keyed.example", Redirects: []string{"https://keyed.example/cb"}, Auth: clients.PrivateKeyJWT}},
		{bothURL, clients.Client{Host: "both.example", Redirects: []string{"https://both.example/cb"}, Auth: clients.None}},
	} {
		got, err := d.Find(t.Context(), c.id)
		if err != nil || got.ID != c.id || got.Kind != clients.Document || got.Name != c.want.Name || got.Host != c.want.Host || got.Auth != c.want.Auth ||
			got.Refresh != c.want.Refresh || !slices.Equal(got.Redirects, c.want.Redirects) || got.IsKnown() {
			t.Errorf("Find(%q) = %+v, %v; want %+v", c.id, got, err, c.want)
		}
	}
	for id, want := range map[string]string{
		"https://machine.example/client.json": oauth.InvalidClient,
		"https://gone.example/client.json":    oauth.TemporarilyUnavailable,
	} {
		if got, err := d.Find(t.Context(), id); codeOf(t, err) != want {
			t.Errorf("Find(%q) = %+v, %v; want %s", id, got, err, want)
		}
	}
	if got, err := newDirectory(t, clients.Config{}).Find(t.Context(), docURL); codeOf(t, err) != oauth.InvalidClient {
		t.Errorf("without documents, Find(%q) = %+v, %v; want %s", docURL, got, err, oauth.InvalidClient)
	}
}

// A changed document is another client to those who consented, and the same one to its tokens.
func TestHashes(t *testing.T) {
	t.Parallel()
	docs := newDocuments()
	d := newDirectory(t, clients.Config{Documents: docs})
	before, err := d.Find(t.Context(), docURL)
	if err != nil {
		t.Fatal(err)
	}
	changed := *docs.by[docURL]
	changed.Hash[0]++
	docs.by[docURL] = &changed
	after, err := d.Find(t.Context(), docURL)
	if err != nil {
		t.Fatal(err)
	}
	if before.Hash() != after.Hash() || before.ConsentHash() == after.ConsentHash() {
		t.Errorf("after a change Hash = %x, ConsentHash = %x; before %x, %x; want the same and another", after.Hash(), after.ConsentHash(), before.Hash(), before.ConsentHash())
	}
	one, two := register(t, d, first), register(t, d, first)
	if clients.HashID(one.ClientID) == clients.HashID(two.ClientID) || one.Secret == two.Secret {
		t.Error("two equal registrations are one client, want two")
	}
}

// FuzzFind: only what was issued is found.
func FuzzFind(f *testing.F) {
	d := newDirectory(f, clients.Config{Entries: []clients.Entry{{ID: "desk", Redirects: []string{"https://a.example/"}}}})
	// Sealed once: each process of the fuzzer would have another.
	const id = "DzfGAhp6F91819rqlpWBlPrFehRCuPPxb5u0nDk2Y38hOg7w8kKhxRbj8-ZjxJgqVY4qqWGiUtE2-uyI-nWZ"
	if _, err := d.Find(f.Context(), id); err != nil {
		f.Fatalf("%v; use %s", err, register(f, d, first).ClientID)
	}
	for _, seed := range []string{id, id[:20], id + "=", strings.ToLower(id), "desk", "DESK", docURL, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, other string) {
		c, err := d.Find(t.Context(), other)
		if code := codeOf(t, err); code != "" && code != oauth.InvalidClient || code == "" && other != id && other != "desk" {
			t.Errorf("Find(%q) = %+v, %v", other, c, err)
		}
	})
}
