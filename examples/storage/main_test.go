package main

import (
	"bytes"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestDemo(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-demo"}, func(string) string { return "" }, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	out := stdout.String()
	for _, want := range []string{
		"As Alice", `"name":"finance"`, `"folder":true,"name":"2026/"`,
		`{"blob":"2026/q3.csv","line":4,"offset":28,"text":"total,19"}`, `"tags":{"state":"draft"}`, `"text":"pens,7\npaper,12\ntotal,19\n"`,
		"As Bob", `"name":"welcome.md"`, `The signed-in user may not read "2026/q3.csv" in container "finance"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
	if strings.Contains(out, "eyJ0") {
		t.Error("a token is in the output")
	}
}

// Every result says what became of the write, and nothing is destroyed without the user's word.
func TestDemoWrites(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-demo", "-write"}, func(string) string { return "" }, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d: %s", code, stderr.String())
	}
	rest := stdout.String()
	for _, want := range []string{
		"write_blob", `"action":"created"`, "stat_blob", `"tags":{"state":"draft"}`,
		"edit_blob", "says yes", `-Total: 19\n+Total: 19 (pens, paper)\n`, "edit_blob", `"outcome":"refused","reason":"changed"`,
		"delete_blob", "The user is asked:\n        The tool delete_blob", "says no", `"reason":"not_confirmed"`,
		"delete_blob", "says yes", `"action":"deleted"`, `"undo":{"how":"The account keeps the content as a version.`, "undelete_blob", `"action":"undeleted"`,
		"plan.md", `"reason":"not_allowed"`, "index.html", ".html", "As Bob", `"reason":"permission"`, "Storage Blob Data Contributor",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the output lacks %s, in its order:\n%s", want, stdout.String())
		}
		rest = after
	}
	if strings.Contains(stdout.String(), "eyJ0") {
		t.Error("a token is in the output")
	}
}

// Without configuration, the program first suggests the demo.
func TestNothingConfigured(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), nil, func(string) string { return "" }, &stdout, &stderr)
	if demo := strings.Index(stderr.String(), "go run ./examples/storage -demo"); code != 1 || demo < 0 || demo > strings.Index(stderr.String(), "tenantID") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), nil, func(string) string { return "" }, &stdout, &stderr); code != 1 {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"tenantID", "clientID", "method", "serviceURL is missing"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in %s", want, stderr.String())
		}
	}
	stderr.Reset()
	if code := run(t.Context(), []string{"-write"}, func(string) string { return "" }, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "Options.Write.Allow is empty") {
		t.Errorf("-write without anything to write: exit %d: %s", code, stderr.String())
	}
	if code := run(t.Context(), []string{"-x"}, func(string) string { return "" }, &stdout, &stderr); code != 2 {
		t.Errorf("unknown flag: exit %d", code)
	}
}

// Resources and completions are those that the caller may see, in the complete server.
func TestResources(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	api, client := tenant.AddApp("API", "access_as_user"), tenant.AddClient("client")
	tenant.Consent(api, tenant.Storage(), "user_impersonation")
	alice, bob := tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddUser("bob@contoso.example", "Bob")
	storage := blobtest.New(t, &blobtest.Options{Key: tenant.PublicKey, Issuer: tenant.V1Issuer()})
	fill(storage)
	storage.Grant(alice.ObjectID, "finance", "")
	storage.Grant(bob.ObjectID, "public", "")

	front := httptest.NewUnstartedServer(nil)
	endpoint := "http://" + front.Listener.Addr().String() + "/mcp"
	handler, closeAll, err := assemble(settings{
		tenantID: tenant.ID(), apiAppID: api.ClientID, authorityHost: tenant.AuthorityHost(),
		proof: clientauth.Secret(api.AddSecret()), authority: tenant.HTTPClient(),
		accountURL: storage.URL(), storage: storage.HTTPClient(), allow: list("finance/2026/, public"),
		log: slog.New(slog.DiscardHandler),
	}, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	front.Config.Handler = handler
	front.Start()
	defer front.Close()

	for _, c := range []struct {
		user *entratest.User
		want string
	}{
		{alice, "blob://finance/2026/q2.csv blob://finance/2026/q3.csv"},
		{bob, "blob://public/welcome.md"},
	} {
		session, err := connect(t.Context(), endpoint, tenant.UserClient(c.user, client, api), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := session.ListResources(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var uris []string
		for _, r := range res.Resources {
			uris = append(uris, r.URI)
		}
		if got := strings.Join(uris, " "); got != c.want || res.CacheScope != "private" {
			t.Errorf("%s sees %s, cache scope %q", c.user.DisplayName, got, res.CacheScope)
		}
		done, err := session.Complete(t.Context(), &mcp.CompleteParams{
			Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: "blob://{container}/{+path}"},
			Argument: mcp.CompleteParamsArgument{Name: "container", Value: ""},
		})
		if err != nil || !slices.Equal(done.Completion.Values, []string{"finance", "public"}) {
			t.Errorf("%s: %+v, %v", c.user.DisplayName, done, err)
		}
		_ = session.Close()
	}
}
