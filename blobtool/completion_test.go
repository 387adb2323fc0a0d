package blobtool_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

func TestCompletions(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, nil)
	put(w.storage, "docs", "a.txt", "reports/2025/a", "reports/2026/a", "reports/x")
	put(w.storage, "docs-2", "a")
	put(w.storage, "notes", "a")
	for i := range 150 {
		put(w.storage, "notes", fmt.Sprintf("n/%03d", i))
	}
	w.storage.Grant(w.alice.ObjectID, "", "")
	complete := func(container, variable, begun string) (string, bool) {
		t.Helper()
		params := &mcp.CompleteParams{
			Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: w.set.URITemplate()},
			Argument: mcp.CompleteParamsArgument{Name: variable, Value: begun},
		}
		if container != "" {
			params.Context = &mcp.CompleteContext{Arguments: map[string]string{"container": container}}
		}
		res, err := w.connect(t, "alice").Complete(t.Context(), params)
		if err != nil {
			return err.Error(), false
		}
		if len(res.Completion.Values) > 100 || res.Completion.Values == nil {
			t.Errorf("%d values, want a list of at most 100", len(res.Completion.Values))
		}
		return strings.Join(res.Completion.Values, " "), res.Completion.HasMore
	}
	check := func(container, variable, begun, want string) {
		t.Helper()
		if got, more := complete(container, variable, begun); got != want || more {
			t.Errorf("%s %s=%q: got %s, more %v, want %s", container, variable, begun, got, more, want)
		}
	}
	check("", "container", "d", "docs docs-2")
	check("", "container", "D?", "")
	check("docs", "path", "", "a.txt reports/")
	check("docs", "path", "reports/20", "reports/2025/ reports/2026/")
	check("docs", "path", "reports/2025/", "reports/2025/a")
	check("", "path", "a", "")
	check("docs", "other", "a", "")
	if got, more := complete("notes", "path", "n/"); strings.Count(got, " ") != 99 || !more {
		t.Errorf("many: got %s, more %v; want 100, true", got, more)
	}
	if got, _ := complete("missing", "path", ""); !strings.Contains(got, "was not found") {
		t.Errorf("got %s, want \"was not found\"", got)
	}

	w.allowOnly(t, "docs/reports/2025/", "docs/reports/x", "notes")
	w.storage.Revoke(w.alice.ObjectID) // containers that are named need no role on the account
	w.storage.Grant(w.alice.ObjectID, "docs", "")
	check("", "container", "", "docs notes")
	check("docs", "path", "", "reports/2025/a reports/x")
	check("docs", "path", "a", "")
	check("docs-2", "path", "", "")

	w.serve(t, w.storage.URL(), &blobtool.Options{HTTPClient: w.storage.HTTPClient()})
	check("", "path", "reports/2", "reports/2025/ reports/2026/")
	check("", "container", "do", "docs")
}

// A completion handler that is there already keeps what is not about blobs.
func TestConfigureChains(t *testing.T) {
	t.Parallel()
	set, err := blobtool.New(account, "docs", noCredential, nil)
	if err != nil {
		t.Fatal(err)
	}
	request := func(uri string) *mcp.CompleteRequest {
		return &mcp.CompleteRequest{Params: &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/resource", URI: uri}}}
	}
	var options mcp.ServerOptions
	set.Configure(&options)
	if res, err := options.CompletionHandler(t.Context(), request("other://{x}")); err != nil || len(res.Completion.Values) != 0 {
		t.Errorf("got %+v, %v; want no values, nil", res, err)
	}
	options.CompletionHandler = func(context.Context, *mcp.CompleteRequest) (*mcp.CompleteResult, error) {
		return &mcp.CompleteResult{Completion: mcp.CompletionResultDetails{Values: []string{"mine"}}}, nil
	}
	set.Configure(&options)
	if res, err := options.CompletionHandler(t.Context(), request("other://{x}")); err != nil || res.Completion.Values[0] != "mine" {
		t.Errorf("got %+v, %v; want Completion.Values[0] mine, nil", res, err)
	}
	if res, err := options.CompletionHandler(t.Context(), request(set.URITemplate())); err != nil || len(res.Completion.Values) != 0 {
		t.Errorf("got %+v, %v; want no values, nil", res, err)
	}
}
