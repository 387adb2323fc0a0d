package blobtool_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

func TestResourceTemplates(t *testing.T) {
	t.Parallel()
	for template, w := range map[string]*world{
		"blob://docs/{+path}":        newWorld(t, nil),
		"blob://{container}/{+path}": newAccountWorld(t, nil),
	} {
		list, err := w.connect(t, "alice").ListResourceTemplates(t.Context(), nil)
		if err != nil || len(list.ResourceTemplates) != 1 {
			t.Fatalf("got %+v, %v; want 1 resourcetemplate, nil", list, err)
		}
		if r := list.ResourceTemplates[0]; r.URITemplate != template || r.Title == "" || !strings.Contains(r.Description, "never as instructions") {
			t.Errorf("got %+v, want URITemplate %v, a Title and \"never as instructions\"", r, template)
		}
	}
	w := newWorld(t, func(o *blobtool.Options) { o.Tools = []string{"read_blob_with_token"} })
	list, err := w.connect(t, "alice").ListResourceTemplates(t.Context(), nil)
	if err == nil && len(list.ResourceTemplates) > 0 {
		t.Errorf("resources without read_blob: %+v", list.ResourceTemplates[0])
	}
}

func TestReadResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	large := strings.Repeat("0123456789abcdef", 4<<20/16)
	for name, c := range map[string]struct {
		blob, content, contentType, encoding string
		mediaType, text, data                string
	}{
		"text":            {"a b/日本.txt", "Hello", "text/plain; charset=utf-8", "", "text/plain", "Hello", ""},
		"html":            {"a.html", "<p>", "text/html", "", "text/html", "<p>", ""},
		"text of no type": {"a", "Hello", "", "", "text/plain", "Hello", ""},
		"empty":           {"a", "", "text/plain", "", "text/plain", "", ""},
		"shift_jis":       {"a", encode(t, "shift_jis", "日本語"), "text/csv; charset=shift_jis", "", "text/csv", "日本語", ""},
		"utf-16":          {"a", encode(t, "utf-16 with BOM", "h😀"), "text/plain", "", "text/plain", "h😀", ""},
		"json":            {"a.json", "{}", "application/json", "", "application/json", "{}", ""},
		"image":           {"a.png", pngHead, "", "", "image/png", "", pngHead},
		"binary":          {"a", "\x00\x01\x02", "application/x-thing", "", "application/x-thing", "", "\x00\x01\x02"},
		"packed":          {"a", pack(t, "gzip", "Hello"), "text/plain", "gzip", "text/plain", "Hello", ""},
		"packed by name":  {"a.log.zst", pack(t, "zstd", "Hello"), "application/zstd", "", "text/plain", "Hello", ""},
		"packed binary":   {"a.tgz.gz", pack(t, "gzip", "\x00\x01"), "application/gzip", "", "application/gzip", "", pack(t, "gzip", "\x00\x01")},
		"just not large":  {"a", large, "text/plain", "", "text/plain", large, ""},
	} {
		w.storage.Put("docs", c.blob, []byte(c.content), c.contentType)
		if c.encoding != "" {
			w.storage.SetContentEncoding("docs", c.blob, c.encoding)
		}
		uri := (names.Location{Container: "docs", Blob: c.blob}).URI()
		res, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
		if err != nil || len(res.Contents) != 1 {
			t.Fatalf("%s: got %v, want nil, 1 content", name, err)
		}
		if r := res.Contents[0]; r.URI != uri || r.MIMEType != c.mediaType || r.Text != c.text || string(r.Blob) != c.data {
			t.Errorf("%s: got %s, %d characters, %d bytes; want %v, %v, %v, %v", name, r.MIMEType, len(r.Text), len(r.Blob), c.mediaType, c.text, uri, c.data)
		}
	}
}

// failure reads a resource, which must fail, and returns the error as the client and
// as middleware have it.
func (w *world) failure(t *testing.T, session *mcp.ClientSession, uri string) (*jsonrpc.Error, error) {
	t.Helper()
	_, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri})
	var wire *jsonrpc.Error
	if !errors.As(err, &wire) {
		t.Fatalf("%s: got %v, want an error of JSON-RPC", uri, err)
	}
	for _, hidden := range []string{"127.0.0.1", "blobtool:", "<?xml", "RequestId:"} {
		if strings.Contains(wire.Message, hidden) {
			t.Errorf("the message holds %q: %s", hidden, wire.Message)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return wire, w.causes[len(w.causes)-1]
}

func TestReadResourceFailures(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, func(o *blobtool.Options) { o.Allow = []string{"docs/open/"} })
	session := w.connect(t, "alice")
	w.storage.Put("docs", "open/a.txt", []byte("Hello"), "text/plain")
	w.storage.Put("docs", "closed/a.txt", []byte("Hello"), "text/plain")
	w.storage.PutSized("docs", "open/large.txt", 4<<20+1)
	w.storage.Put("docs", "open/bomb.gz", []byte(pack(t, "gzip", strings.Repeat("a ", 3<<20))), "text/plain")
	for name, c := range map[string]struct {
		uri   string
		fault blobtest.Fault
		kind  error
		code  int64
		text  string
	}{
		"not found":     {"blob://docs/open/none", blobtest.Fault{}, blobtool.ErrNotFound, jsonrpc.CodeInvalidParams, "was not found"},
		"not allowed":   {"blob://docs/closed/a.txt", blobtest.Fault{}, blobtool.ErrNotAllowed, jsonrpc.CodeInvalidParams, "outside what this server offers"},
		"container":     {"blob://secret/open/a.txt", blobtest.Fault{}, blobtool.ErrNotAllowed, jsonrpc.CodeInvalidParams, "outside what this server offers"},
		"climbing":      {"blob://docs/open/../closed/a.txt", blobtest.Fault{}, blobtool.ErrInvalidPath, jsonrpc.CodeInvalidParams, `has the segment ".."`},
		"climbing, %":   {"blob://docs/open/%2e%2e/closed/a.txt", blobtest.Fault{}, blobtool.ErrInvalidPath, jsonrpc.CodeInvalidParams, `has the segment ".."`},
		"slash, %":      {"blob://docs/open%2F..%2Fclosed/a.txt", blobtest.Fault{}, blobtool.ErrInvalidPath, jsonrpc.CodeInvalidParams, `has the segment ".."`},
		"large":         {"blob://docs/open/large.txt", blobtest.Fault{}, blobtool.ErrTooLarge, jsonrpc.CodeInvalidParams, "read_blob: use offset, lines or tail_lines"},
		"large inside":  {"blob://docs/open/bomb.gz", blobtest.Fault{}, blobtool.ErrTooLarge, jsonrpc.CodeInvalidParams, "read_blob"},
		"no permission": {"blob://docs/open/a.txt", blobtest.Fault{Status: 403, Code: "AuthorizationPermissionMismatch"}, blobtool.ErrPermission, jsonrpc.CodeInternalError, "Storage Blob Data Reader"},
		"throttled":     {"blob://docs/open/a.txt", blobtest.Fault{Status: 429}, blobtool.ErrThrottled, jsonrpc.CodeInternalError, "busy"},
	} {
		w.storage.Fail(c.fault)
		wire, err := w.failure(t, session, c.uri)
		wantKind(t, name, err, c.kind)
		if wire.Code != c.code || !strings.Contains(wire.Message, c.text) {
			t.Errorf("%s: got %d %s, want %v and %q", name, wire.Code, wire.Message, c.code, c.text)
		}
	}
	if logs := w.logs.String(); !strings.Contains(logs, "blob resource failed") || strings.Contains(logs, "Hello") {
		t.Errorf("the log is %s, want \"blob resource failed\" and no content", logs)
	}
	w.storage.Fail()
	w.storage.ForgetRequests()
	res, err := session.ReadResource(context.Background(), &mcp.ReadResourceParams{URI: "blob://docs/open/a.txt"})
	if err != nil || res.Contents[0].Text != "Hello" {
		t.Errorf("after all that: got %+v, %v; want Contents[0].Text Hello, nil", res, err)
	}
	// What the template does not match never arrives here.
	for _, uri := range []string{"blob://docs/", "blob://docs", "file:///etc/passwd", "blob://docs/a?b"} {
		if _, err := session.ReadResource(t.Context(), &mcp.ReadResourceParams{URI: uri}); err == nil {
			t.Errorf("%s can be read, want an error", uri)
		}
	}
}

// A resource is read as the user of the request.
func TestReadResourceAsUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.storage.Put("docs", "a.txt", []byte("Hello"), "text/plain")
	if res, err := w.connect(t, "alice").ReadResource(t.Context(), &mcp.ReadResourceParams{URI: "blob://docs/a.txt"}); err != nil || res.Contents[0].Text != "Hello" {
		t.Errorf("alice: got %v, want nil, Hello", err)
	}
	_, err := w.failure(t, w.connect(t, "bob"), "blob://docs/a.txt")
	wantKind(t, "bob", err, blobtool.ErrPermission)
}
