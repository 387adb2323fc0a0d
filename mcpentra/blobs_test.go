package mcpentra_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// blobtool knows nothing of this package, and its set does all that a tool set may do.
var _ interface {
	mcpentra.ToolSet
	mcpentra.Configurer
	mcpentra.ResourceOwner
} = (*blobtool.Set)(nil)

// blobtool's resources are read on behalf of the caller, by whoever may use its
// tool read_blob, and by nobody else.
func TestBlobResources(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob", "list_blobs"}})
	must(t, err)
	w.options = []mcpentra.Option{mcpentra.WithTools(all), mcpentra.WithToolPolicy("read_blob", entraauth.Policy{UserRoles: []string{"Reader"}})}
	w.rebuild(t)
	reader := w.bearer(map[string]any{"roles": []string{"Reader"}})
	s := w.connect(t, strings.TrimPrefix(reader["Authorization"], "Bearer "), "2026-07-28")
	var uris []string
	for r, err := range s.Resources(t.Context(), nil) {
		must(t, err)
		uris = append(uris, r.URI)
	}
	if strings.Join(uris, " ") != "blob://docs/hello.txt" {
		t.Errorf("resources %v, want blob://docs/hello.txt", uris)
	}
	read, err := s.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "blob://docs/hello.txt"})
	must(t, err)
	if len(read.Contents) != 1 || read.Contents[0].Text != "Hello, Alice" || read.Contents[0].MIMEType != "text/plain" || read.CacheScope != "private" {
		t.Errorf("got %+v, want 1 content, Contents[0].Text \"Hello, Alice\", Contents[0].MIMEType text/plain, CacheScope private", read)
	}
	completed, err := s.Complete(t.Context(), &mcp.CompleteParams{
		Ref:      &mcp.CompleteReference{Type: "ref/resource", URI: "blob://docs/{+path}"},
		Argument: mcp.CompleteParamsArgument{Name: "path", Value: "he"},
	})
	must(t, err)
	if strings.Join(completed.Completion.Values, " ") != "hello.txt" {
		t.Errorf("completions %v, want hello.txt", completed.Completion.Values)
	}

	for _, body := range []string{
		`"method":"resources/read","params":{"uri":"blob://docs/hello.txt"}`,
		`"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":"blob://docs/{+path}"},"argument":{"name":"path","value":"he"}}`,
	} {
		if status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,`+body+`}`, w.bearer(nil)); status != http.StatusForbidden || strings.Contains(text, "ello") {
			t.Errorf("%s without the role: got %d %s, want 403 and no ello", body, status, text)
		}
	}
	plain := w.connect(t, w.token(w.alice), "2026-07-28")
	for r, err := range plain.Resources(t.Context(), nil) {
		must(t, err)
		t.Errorf("shown without the role: %s", r.URI)
	}
	// Bob has the role, and Azure gives him nothing.
	bob := w.bearer(map[string]any{"roles": []string{"Reader"}, "oid": w.bob.ObjectID})
	status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"blob://docs/hello.txt"}}`, bob)
	if status != http.StatusOK || !strings.Contains(text, "Storage Blob Data Reader") || strings.Contains(text, "Hello") {
		t.Errorf("Bob: got %d %s, want 200 and \"Storage Blob Data Reader\" and no Hello", status, text)
	}
}
