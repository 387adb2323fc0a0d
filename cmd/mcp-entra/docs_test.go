package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// needsAzure marks commands that can't be run without Azure. The pages say so, too.
const needsAzure = "needs Azure"

// ranBy says which test runs a documented command that is none of mcp-entra's, or why none does.
var ranBy = map[string]string{
	"go install github.com/mcpentra/mcp-entra-go/cmd/mcp-entra@latest": "not published yet, as README.md says",
	"go get github.com/mcpentra/mcp-entra-go":                          "not published yet, as README.md says",
	"az login --tenant contoso.com":                                    needsAzure,
	"go run ./examples/server":                                         "interop/way_test.go: TestWay",
	"go run ./examples/server -demo":                                   "examples/server/demo_test.go: TestDemoOnce",
	"go run ./examples/server -demo -proxy":                            "examples/server/demo_test.go: TestDemoProxy",
	"go run ./examples/agent -demo":                                    "examples/agent/main_test.go: TestDemo",
	"go run ./examples/server -explain < token.txt":                    "internal/explain/explain_test.go: TestExplain",
	"go run ./examples/server -explain":                                "internal/explain/explain_test.go: TestExplain",
	"go run ./examples/storage -demo":                                  "examples/storage/main_test.go: TestDemo",
	"go run ./examples/storage -demo -write":                           "examples/storage/main_test.go: TestDemoWrites",
	"go run ./examples/graph -demo":                                    "examples/graph/main_test.go: TestDemo",
	"cd examples/services && go run ./keyvault -demo":                  "examples/services/keyvault/main_test.go: TestDemo",
	"cd interop && go test ./mcpclients":                               "Makefile: cd interop && go test",
	"cd examples/services && go test ./...":                            "Makefile: go test -race -vet=off $(OURS)",
	"cd interop && go test -run TestProxyConformance .":                "Makefile: cd interop && go test",
	"cd interop && go test -v ./conformance":                           "Makefile: cd interop && go test",
	"cd bench && go test ./watched -v -rounds 150":                     "Makefile: cd bench && go test -count=1 ./...",
	`curl -H "Authorization: Bearer $(jq -r .key tenant.json)" http://127.0.0.1:8444/control/clock -d '{"advance": "2h"}'`:                                                                                                               "cmd/mcp-entra/internal/tenantcontrol/control_test.go: TestControl",
	"curl -s $AUTHORITY/oauth2/v2.0/token -d grant_type=client_credentials -d client_id=$PLANNER -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer -d client_assertion=$T1 -d scope=api://$FILES/.default": "cmd/mcp-entra/internal/tenantfile/agents_test.go: TestAgents",
	"claude mcp add --transport http --client-id CLIENT_ID --callback-port 8080 myserver https://mcp.example.com/mcp":                                                                                                                    "from its documentation, as docs/clients/claudecode.md says",
	"npx @modelcontextprotocol/inspector --cli https://mcp.example.com/mcp --transport http --client-id CLIENT_ID --method tools/list":                                                                                                   "interop/way_test.go: TestWay",
}

// pages are those that users follow.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"../../README.md", "../../README.ja.md", "../../examples/server/README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/clients/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return slices.DeleteFunc(all, func(name string) bool {
		return slices.Contains([]string{"design.md", "upstream.md"}, filepath.Base(name))
	}) // for developers
}

const helpTexts = "the help texts"

// examplesOf returns the indented commands of help texts as a page's block. What they say about
// them follows after two spaces.
func examplesOf(help string) string {
	var b strings.Builder
	for line := range strings.Lines(help) {
		if rest, ok := strings.CutPrefix(line, "  "); ok {
			command, _, _ := strings.Cut(strings.TrimSpace(rest), "  ")
			b.WriteString(command + "\n")
		}
	}
	return "```sh\n" + b.String() + "```\n"
}

var (
	fenced   = regexp.MustCompile("(?ms)^```(console|sh)\n(.*?)^```")
	inline   = regexp.MustCompile("`((?:mcp-entra|go run|cd [a-z/]+ &&) [^`\n]+)`")
	comment  = regexp.MustCompile(`\s+# .*`)
	program  = regexp.MustCompile(`^(mcp-entra|go|cd|az|curl|npx|claude) `)
	redirect = regexp.MustCompile(` [<>] .*`)
)

// commandsOf returns the commands of a page, with their comments: those in blocks, and those that
// are only named in its text.
func commandsOf(page string) (blocks, named []string) {
	for _, m := range fenced.FindAllStringSubmatch(page, -1) {
		text := strings.ReplaceAll(m[2], "\\\n", "")
		for line := range strings.Lines(text) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
			if program.MatchString(line) {
				blocks = append(blocks, line)
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(page, -1) {
		named = append(named, m[1])
	}
	return blocks, named
}

// Every command of the READMEs, the documentation and the help texts is one that mcp-entra takes, or
// is run by a test, or is marked as needing Azure.
func TestDocumentedCommands(t *testing.T) {
	texts := map[string]string{}
	for _, name := range pages(t) {
		texts[name] = string(readFile(t, name))
	}
	texts[helpTexts] = examplesOf(setupHelp + doctorHelp + loginHelp + callHelp + explainHelp + tenantHelp + mintHelp + controlHelp)
	for name := range ranBy {
		checkRun(t, name)
	}
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if err := os.WriteFile("token.txt", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	seen, takes := map[string]bool{}, 0
	for page, text := range texts {
		blocks, named := commandsOf(text)
		for _, line := range blocks {
			said, words := line, strings.Join(strings.Fields(comment.ReplaceAllString(line, "")), " ")
			words = strings.ReplaceAll(words, " | mcp-entra ", " && mcp-entra ")
			for command := range strings.SplitSeq(words, " && mcp-entra ") {
				if command != words && !strings.HasPrefix(command, "mcp-entra ") {
					command = "mcp-entra " + command
				}
				if strings.HasPrefix(command, "mcp-entra ") {
					takes++
					checkTaken(t, page, command, true)
					continue
				}
				seen[command] = true
				if ranBy[command] == "" {
					t.Errorf("%s: no test runs %q: say in ranBy which one does", page, command)
				}
				if ranBy[command] == needsAzure && page != helpTexts && !strings.Contains(said, needsAzure) && !strings.Contains(said, "Azure が必要") {
					t.Errorf("%s: the page does not say that %q needs Azure", page, command)
				}
			}
		}
		for _, command := range named {
			if strings.HasPrefix(command, "mcp-entra ") {
				checkTaken(t, page, command, false)
				continue
			}
			seen[command] = true
			if ranBy[command] == "" {
				t.Errorf("%s: no test runs %q: say in ranBy which one does", page, command)
			}
		}
	}
	for command := range ranBy {
		if !seen[command] {
			t.Errorf("no page has the command %q any more", command)
		}
	}
	if takes < 40 {
		t.Errorf("%d commands of mcp-entra were found, want at least 40", takes)
	}
}

// checkRun checks that the test that runs a command is there.
func checkRun(t *testing.T, command string) {
	t.Helper()
	file, name, ok := strings.Cut(ranBy[command], ": ")
	if !ok {
		return
	}
	data, err := os.ReadFile(filepath.Join("../..", file))
	if err != nil || !strings.Contains(string(data), name) {
		t.Errorf("%q is run by %s, which is not there (%v)", command, ranBy[command], err)
	}
}

// checkTaken gives a line to the program, in a folder without files and without a network. It
// must know the command and its flags; whole, it must find nothing wrong with the command line.
func checkTaken(t *testing.T, page, line string, whole bool) {
	t.Helper()
	var args []string
	for _, word := range shellWord.FindAllString(redirect.ReplaceAllString(line, ""), -1)[1:] {
		args = append(args, strings.Trim(word, "'"))
	}
	if len(args) == 0 || args[0] == "COMMAND" || args[len(args)-1] == "..." || strings.ContainsAny(strings.Join(args, " "), "[|") {
		return // a form, not a command
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said strings.Builder
	p := &process{
		lookup: variables(), stdin: strings.NewReader("x"), stdout: &said, stderr: &said,
		client: &http.Client{Transport: nowhereToGo{}}, terminal: true, openURL: func(string) error { return errors.New("there is no browser") },
	}
	code := run(ctx, p, args)
	unknown := regexp.MustCompile("there is no command|setup has no|not defined").FindString(said.String())
	if unknown != "" || whole && code == exitUsage {
		t.Errorf("%s: %s = %d: %.300s", page, line, code, said.String())
	}
}

// nowhereToGo is a network without anybody.
type nowhereToGo struct{}

func (nowhereToGo) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("there is no network")
}
