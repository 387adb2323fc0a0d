package blobtool_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

var update = flag.Bool("update", false, "write the golden files of testdata")

func noCredential(context.Context) (azcore.TokenCredential, error) {
	return nil, errors.New("none")
}

func TestNew(t *testing.T) {
	t.Parallel()
	const account = "https://account.blob.core.windows.net"
	for name, c := range map[string]struct {
		url, container string
		credential     blobtool.CredentialFunc
		options        *blobtool.Options
		faults         []string
	}{
		"good":                 {account, "docs", noCredential, nil, nil},
		"trailing slash":       {account + "/", "docs", noCredential, nil, nil},
		"Azurite":              {"https://127.0.0.1:10000/devstoreaccount1", "docs", noCredential, nil, nil},
		"root container":       {account, "$root", noCredential, nil, nil},
		"nothing":              {"", "", nil, nil, []string{"serviceURL is missing", "container is missing", "cred is nil"}},
		"http":                 {"http://account.blob.core.windows.net", "docs", noCredential, nil, []string{"serviceURL must begin with https://"}},
		"no host":              {"https:///docs", "docs", noCredential, nil, []string{"serviceURL must have a host"}},
		"not a URL":            {"https://a b", "docs", noCredential, nil, []string{"serviceURL is not a URL"}},
		"SAS":                  {account + "?sv=2026&sig=hush", "docs", noCredential, nil, []string{"serviceURL must have no query: requests use"}},
		"user name":            {"https://user:hush@account.blob.core.windows.net", "docs", noCredential, nil, []string{"serviceURL must have a host and no user name"}},
		"fragment":             {account + "#x", "docs", noCredential, nil, []string{"serviceURL must have no fragment"}},
		"container in the URL": {account + "/docs", "docs", noCredential, nil, []string{"pass the container as its own argument"}},
		"deep path":            {"https://127.0.0.1:10000/devstoreaccount1/docs", "docs", noCredential, nil, []string{"the path may only be the name of the account"}},
		"upper case":           {account, "Docs", noCredential, nil, []string{`container "Docs" may only have lowercase letters`}},
		"short":                {account, "ab", noCredential, nil, []string{"container \"ab\" must have 3 to 63 characters"}},
		"long":                 {account, strings.Repeat("a", 64), noCredential, nil, []string{"3 to 63 characters"}},
		"two hyphens":          {account, "a--b", noCredential, nil, []string{"single hyphens"}},
		"injected query":       {account, "c?comp=list&x=", noCredential, nil, []string{"container"}},
		"two containers":       {account, "docs/more", noCredential, nil, []string{"container"}},
		"newline":              {account, "docs\n", noCredential, nil, []string{"container"}},
		"negative numbers": {account, "docs", noCredential, &blobtool.Options{MaxFileBytes: -1, MaxUserBytes: -1, Timeout: -1},
			[]string{"Options.MaxFileBytes is -1", "Options.MaxUserBytes is -1", "Options.Timeout is -1"}},
	} {
		set, err := blobtool.New(c.url, c.container, c.credential, c.options)
		if (err == nil) != (len(c.faults) == 0) || (set == nil) != (err != nil) {
			t.Errorf("%s: got %v, want a set, or the faults %q", name, err, c.faults)
			continue
		}
		if err == nil {
			continue
		}
		wantKind(t, name, err, blobtool.ErrConfiguration)
		for _, fault := range c.faults {
			if !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v, want %q", name, err, fault)
			}
		}
		if strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: a secret is in the error: %v", name, err)
		}
	}
}

// A changed name, description, default or annotation shows in review. The tools of
// an account differ from those of a container.
func TestToolSchemas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for folder, list := range map[string]*mcp.ListToolsResult{
		"testdata":         listTools(t, w.connect(t, "alice")),
		"testdata/account": listTools(t, newAccountWorld(t, nil).connect(t, "alice")),
	} {
		for _, tool := range list.Tools {
			got, err := json.MarshalIndent(tool, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden := filepath.Join(folder, tool.Name+".json")
			if *update {
				if err := errors.Join(os.MkdirAll(folder, 0o750), os.WriteFile(golden, got, 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is now (go test -update accepts it): %s\n%v", golden, got, err)
			}
			if a := tool.Annotations; tool.Title == "" || a == nil || !a.ReadOnlyHint || a.DestructiveHint == nil || a.OpenWorldHint == nil {
				t.Errorf("%s lacks a title or annotations", tool.Name)
			}
			if strings.Contains(string(got), `"null"`) {
				t.Errorf("%s: some clients refuse a list of types", golden)
			}
		}
		if files, err := filepath.Glob(folder + "/*.json"); err != nil || len(files) != len(list.Tools) {
			t.Errorf("%d tools and the golden files %q, %v; want %v, nil", len(list.Tools), files, err, len(list.Tools))
		}
	}
}

func listTools(t *testing.T, session *mcp.ClientSession) *mcp.ListToolsResult {
	t.Helper()
	list, err := session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
