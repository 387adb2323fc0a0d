package knownclients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// Each page says what the data says, and there is no page without a client.
func TestPages(t *testing.T) {
	t.Parallel()
	index := read(t, "clients.md")
	pages := map[string]bool{}
	for _, c := range knownclients.All() {
		if !strings.Contains(index, "`"+c.ID+"`") {
			t.Errorf("docs/clients.md does not name %s", c.ID)
		}
		if !c.HasPage() {
			checkSays(t, "clients.md", index, c.AppID, string(c.Platform), c.Checked)
			continue
		}
		name := filepath.Join("clients", c.ID+".md")
		pages[c.ID+".md"] = true
		page := read(t, name)
		checkSays(t, "clients.md", index, "("+filepath.ToSlash(name)+")")
		checkSays(t, name, page, c.AppID, string(c.Platform), c.Checked)
		option, _, _ := strings.Cut(c.ResourceOff, " ")
		checkSays(t, name, page, option)
		checkSays(t, name, page, c.Sources...)
		checkSays(t, name, page, urls(c.RedirectShown)...)
		for _, r := range c.Redirects {
			checkSays(t, name, page, "`"+r+"`")
		}
		for _, d := range c.Known {
			checkSays(t, name, page, d.Code)
		}
		if got := strings.Contains(strings.ToLower(page), "run here"); got != (c.Run != "") {
			t.Errorf("docs/%s: says that it was run here: %v, want %q", name, got, c.Run)
		}
		checkSays(t, name, page, c.Run)
	}
	entries, err := os.ReadDir(filepath.Join("..", "..", "docs", "clients"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !pages[e.Name()] {
			t.Errorf("docs/clients/%s is about no known client", e.Name())
		}
	}
}

// The data is what setup, doctor and the pages rely on.
func TestClients(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range knownclients.All() {
		if seen[c.ID] || !regexp.MustCompile(`^[a-z]+$`).MatchString(c.ID) {
			t.Errorf("id %q is not unique or not lower-case letters", c.ID)
		}
		seen[c.ID] = true
		if c.Registered() == (c.Platform == "") {
			t.Errorf("%s: application ID %q and platform %q, want one of the two", c.ID, c.AppID, c.Platform)
		}
		if c.Registered() == (len(c.Redirects) == 0 && c.RedirectShown == "") {
			t.Errorf("%s: application ID %q, redirects %q and %q: a registered client has one, others have none", c.ID, c.AppID, c.Redirects, c.RedirectShown)
		}
		if c.Name == "" || c.Type == "" || len(c.Sources) == 0 || !regexp.MustCompile(`^20\d\d-[01]\d$`).MatchString(c.Checked) {
			t.Errorf("%s: name, type, sources or date is missing: %+v", c.ID, c)
		}
		for _, r := range c.Redirects { // two that differ in the port alone get an arbitrary platform
			if strings.HasPrefix(r, "http://localhost:") {
				t.Errorf("%s: redirect %q has a port, which Entra ignores for localhost", c.ID, r)
			}
		}
		if got, ok := knownclients.ByID(c.ID); !ok || got.Name != c.Name {
			t.Errorf("ByID(%q) = %q, %v; want %q", c.ID, got.Name, ok, c.Name)
		}
	}
	for _, id := range []string{"azure-cli", "Azure CLI", "azure_cli"} {
		if got, ok := knownclients.ByID(id); !ok || got.ID != "azurecli" {
			t.Errorf("ByID(%q) = %q, %v; want azurecli", id, got.ID, ok)
		}
	}
	if ids := knownclients.IDs(); len(ids) != len(seen) {
		t.Errorf("IDs() = %q, want all %d", ids, len(seen))
	}
	if _, ok := knownclients.ByID("nobody"); ok {
		t.Error(`ByID("nobody") is known`)
	}
}

func urls(s string) []string { return regexp.MustCompile(`https://[^\s,)]+`).FindAllString(s, -1) }

func checkSays(t *testing.T, name, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(page, strings.TrimPrefix(w, "AADSTS")) {
			t.Errorf("docs/%s does not say %q", name, w)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Each AADSTS code that clients meet has a section in docs/troubleshooting.md.
func TestCodesHaveSections(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile(`AADSTS([0-9]+)`)
	sections := map[string]bool{}
	for line := range strings.Lines(read(t, "troubleshooting.md")) {
		if strings.HasPrefix(line, "### ") {
			for _, m := range code.FindAllStringSubmatch(line, -1) {
				sections[m[1]] = true
			}
		}
	}
	sources := []string{"../internal/knownclients/clients.go", "../internal/knownclients/judge.go", "../cmd/mcp-entra/internal/login/refusal.go", "clients.md"}
	for _, c := range knownclients.All() {
		if c.HasPage() {
			sources = append(sources, "clients/"+c.ID+".md")
		}
	}
	for _, name := range sources {
		for _, m := range code.FindAllStringSubmatch(read(t, name), -1) {
			if !sections[m[1]] {
				t.Errorf("docs/troubleshooting.md has no section for AADSTS%s, which %s names", m[1], name)
			}
		}
	}
}
