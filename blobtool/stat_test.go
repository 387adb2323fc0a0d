package blobtool_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// statOutput is stat_blob's output as a client decodes it.
type statOutput struct {
	Container     string            `json:"container"`
	BlobPath      string            `json:"blob_path"`
	URI           string            `json:"uri"`
	Directory     bool              `json:"directory"`
	Size          int64             `json:"size"`
	ContentType   string            `json:"content_type"`
	Encoding      string            `json:"content_encoding"`
	Language      string            `json:"content_language"`
	Disposition   string            `json:"content_disposition"`
	MD5           string            `json:"content_md5"`
	ETag          string            `json:"etag"`
	LastModified  string            `json:"last_modified"`
	Created       string            `json:"created"`
	BlobType      string            `json:"blob_type"`
	Tier          string            `json:"tier"`
	Rehydration   string            `json:"rehydration"`
	LeaseState    string            `json:"lease_state"`
	LeaseDuration string            `json:"lease_duration"`
	Metadata      map[string]string `json:"metadata"`
	Tags          map[string]string `json:"tags"`
	VersionID     string            `json:"version_id"`
	Versions      []struct {
		VersionID    string `json:"version_id"`
		LastModified string `json:"last_modified"`
		Size         int64  `json:"size"`
		Current      bool   `json:"current"`
	} `json:"versions"`
	VersionCount int      `json:"version_count"`
	Notes        []string `json:"notes"`
}

func (s statOutput) notes() string { return strings.Join(s.Notes, " ") }

func TestStatBlob(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	w := newWorldOn(t, func(o *blobtest.Options) { o.Now = func() time.Time { return now } }, nil)
	w.storage.Put("docs", "dir/a b.txt", []byte("Hello"), "text/plain")
	w.storage.Update("docs", "dir/a b.txt", func(p *blobtest.Properties) {
		p.ContentEncoding, p.ContentLanguage, p.ContentDisposition = "gzip", "ja", `attachment; filename="a.txt"`
		p.Metadata = map[string]string{"Author": "Alice", "project": "x"}
		p.Tags = map[string]string{"state": "final", "year": "2026"}
		p.Tier, p.LeaseState, p.LeaseDuration = "Cool", "leased", "infinite"
	})
	session := w.connect(t, "alice")
	stat := func(a args) (out statOutput) {
		t.Helper()
		if more := call(t, session, "stat_blob", a, &out); len(more) > 0 {
			t.Errorf("more content: got %+v, want no more", more)
		}
		return out
	}
	out := stat(args{"blob_path": "dir/a b.txt"})
	if out.Container != "docs" || out.BlobPath != "dir/a b.txt" || out.URI != "blob://docs/dir/a%20b.txt" || out.Directory || out.Size != 5 ||
		out.ContentType != "text/plain" || out.Encoding != "gzip" || out.Language != "ja" || out.Disposition != `attachment; filename="a.txt"` ||
		out.ETag == "" || strings.Contains(out.ETag, `"`) || out.LastModified != now.Format(time.RFC3339) || out.Created != now.Format(time.RFC3339) || out.BlobType != "BlockBlob" ||
		out.Tier != "Cool" || out.Rehydration != "" || out.LeaseState != "leased" || out.LeaseDuration != "infinite" || out.VersionID != "" || out.VersionCount != 0 {
		t.Errorf("got %+v, want all properties of dir/a b.txt", out)
	}
	if sum, err := base64.StdEncoding.DecodeString(out.MD5); err != nil || len(sum) != 16 {
		t.Errorf("MD5 %q, %v; want nil, 16", out.MD5, err)
	}
	if !maps.Equal(out.Metadata, map[string]string{"author": "Alice", "project": "x"}) {
		t.Errorf("metadata %v, want %v", out.Metadata, map[string]string{"author": "Alice", "project": "x"})
	}
	if out.Tags != nil || !strings.Contains(out.notes(), "has 2 index tags, which the signed-in user may not see") || !strings.Contains(out.notes(), "Storage Blob Data Owner") {
		t.Errorf("a reader's tags: got %v, %q; want no Tags and \"has 2 index tags, which the signed-in user may not see\" and \"Storage Blob Data Owner\"", out.Tags, out.Notes)
	}
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	if out := stat(args{"blob_path": "dir/a b.txt"}); !maps.Equal(out.Tags, map[string]string{"state": "final", "year": "2026"}) || len(out.Notes) != 0 {
		t.Errorf("an owner's tags: got %v, %q; want %v, no notes", out.Tags, out.Notes, map[string]string{"state": "final", "year": "2026"})
	}
	w.storage.Fail(blobtest.Fault{Skip: 1, Times: 1, Status: 400, Code: "FeatureNotSupported"})
	if out := stat(args{"blob_path": "dir/a b.txt"}); !strings.Contains(out.notes(), "tags could not be read") || out.Size != 5 {
		t.Errorf("without tags: %+v", out)
	}

	w.storage.ForgetRequests()
	w.storage.Put("docs", "plain", nil, "")
	if out := stat(args{"blob_path": "plain"}); out.Size != 0 || len(out.Metadata) != 0 || out.Metadata == nil || len(w.storage.Requests()) != 1 {
		t.Errorf("%d requests: got %+v, want 1 request, Size 0, no metadata, a Metadata", len(w.storage.Requests()), out)
	}
	w.storage.Update("docs", "plain", func(p *blobtest.Properties) { p.Tier = "Archive" })
	if out := stat(args{"blob_path": "plain"}); out.Tier != "Archive" || !strings.Contains(out.notes(), "must first rehydrate it") {
		t.Errorf("archived: got %+v, want Tier Archive and \"must first rehydrate it\"", out)
	}
	w.storage.Update("docs", "plain", func(p *blobtest.Properties) {
		p.ArchiveStatus, p.RehydratePriority = "rehydrate-pending-to-hot", "High"
	})
	if out := stat(args{"blob_path": "plain"}); !strings.Contains(out.Rehydration, "being moved to the hot tier") || !strings.Contains(out.Rehydration, "under an hour") || len(out.Notes) != 0 {
		t.Errorf("on its way: got %+v, want \"being moved to the hot tier\" and \"under an hour\", no notes", out)
	}
	for name, c := range map[string]struct {
		a    args
		kind error
	}{
		"not found":  {args{"blob_path": "none"}, blobtool.ErrNotFound},
		"empty":      {args{"blob_path": ""}, blobtool.ErrInvalidPath},
		"version id": {args{"blob_path": "plain", "version_id": "x&y"}, blobtool.ErrInvalidArgument},
	} {
		_, err := w.refusedBy(t, session, "stat_blob", c.a)
		wantKind(t, name, err, c.kind)
	}
}

func TestStatBlobVersions(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, func(o *blobtest.Options) { o.Versioning = true }, nil)
	for i := range 25 {
		w.storage.Put("docs", "a.txt", []byte(strings.Repeat("x", i)), "text/plain")
		w.storage.Put("docs", "a.txt.bak", nil, "")
	}
	session := w.connect(t, "alice")
	ids := w.storage.Versions("docs", "a.txt")
	var out statOutput
	call(t, session, "stat_blob", args{"blob_path": "a.txt"}, &out)
	if out.VersionID != ids[24] || out.VersionCount != 25 || len(out.Versions) != 20 || !strings.Contains(out.notes(), "The newest 20 of 25 versions are shown") {
		t.Fatalf("got %+v, want VersionID %v, VersionCount 25, 20 versions and \"The newest 20 of 25 versions are shown\"", out, ids[24])
	}
	for i, v := range out.Versions {
		if v.VersionID != ids[24-i] || v.Size != int64(24-i) || v.Current != (i == 0) || v.LastModified == "" {
			t.Errorf("version %d: got %+v, want VersionID %s", i, v, ids[24-i])
		}
	}
	call(t, session, "stat_blob", args{"blob_path": "a.txt", "version_id": ids[3]}, &out)
	if out.Size != 3 || out.VersionID != ids[3] {
		t.Errorf("an earlier one: got %+v, want Size 3, VersionID %v", out, ids[3])
	}
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpListBlobs, Status: 403, Code: "AuthorizationPermissionMismatch"})
	out = statOutput{}
	call(t, session, "stat_blob", args{"blob_path": "a.txt"}, &out)
	if !strings.Contains(out.notes(), "versions could not be listed") || out.Versions != nil || out.Size != 24 {
		t.Errorf("without a list: %+v", out)
	}
}

func TestStatBlobDirectory(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, func(o *blobtest.Options) { o.HierarchicalNamespace = true }, nil)
	w.storage.Put("docs", "dir/a.txt", []byte("Hello"), "text/plain")
	session := w.connect(t, "alice")
	for path, directory := range map[string]bool{"dir": true, "dir/a.txt": false} {
		var out statOutput
		call(t, session, "stat_blob", args{"blob_path": path}, &out)
		if out.Directory != directory {
			t.Errorf("%s: got %+v, want Directory %v", path, out, directory)
		}
	}
}

// What is not allowed costs no request, by whichever tool.
func TestAllowOnEachTool(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *blobtool.Options) { o.Allow = []string{"docs/open/"} })
	w.storage.Put("docs", "open/a.txt", []byte("Hello"), "text/plain")
	session := w.connect(t, "alice")
	for _, tool := range []string{"read_blob", "stat_blob", "read_blob_with_token"} {
		var out struct{ Container string }
		if call(t, session, tool, args{"blob_path": "open/a.txt"}, &out); out.Container != "docs" {
			t.Errorf("%s: got %+v, want Container docs", tool, out)
		}
		w.storage.ForgetRequests()
		for _, path := range []string{"closed/a.txt", "open", "Open/a.txt", "open2/a.txt"} {
			_, err := w.refusedBy(t, session, tool, args{"blob_path": path})
			wantKind(t, tool+" "+path, err, blobtool.ErrNotAllowed)
		}
		if n := len(w.storage.Requests()); n != 0 {
			t.Errorf("%s: %d requests, want 0", tool, n)
		}
	}
}

// In a set for an account, calls say the container.
func TestAccountContainers(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, func(o *blobtool.Options) { o.Allow = []string{"docs", "logs/2026/"} })
	w.storage.Grant(w.alice.ObjectID, "", "")
	for _, container := range []string{"docs", "logs", "secret"} {
		w.storage.Put(container, "2026/a.txt", []byte("in "+container), "text/plain")
		w.storage.Put(container, "2025/a.txt", []byte("in "+container), "text/plain")
	}
	session := w.connect(t, "alice")
	for _, container := range []string{"docs", "logs"} {
		out := readBlob(t, session, args{"container": container, "blob_path": "2026/a.txt"})
		if out.Text != "in "+container || out.URI != fmt.Sprintf("blob://%s/2026/a.txt", container) {
			t.Errorf("got %+v, want Text %v, URI %v", out, "in "+container, fmt.Sprintf("blob://%s/2026/a.txt", container))
		}
		var stat statOutput
		if call(t, session, "stat_blob", args{"container": container, "blob_path": "2026/a.txt"}, &stat); stat.Container != container {
			t.Errorf("got %+v, want Container %v", stat, container)
		}
	}
	w.storage.ForgetRequests()
	for name, c := range map[string]struct {
		container, blob string
		kind            error
	}{
		"not allowed":      {"secret", "2026/a.txt", blobtool.ErrNotAllowed},
		"other part":       {"logs", "2025/a.txt", blobtool.ErrNotAllowed},
		"climbing":         {"logs", "2026/../2025/a.txt", blobtool.ErrInvalidPath},
		"encoded":          {"logs", "2026%2f..%2f2025/a.txt", blobtool.ErrNotAllowed},
		"into a container": {"docs/../secret", "2026/a.txt", blobtool.ErrInvalidArgument},
		"none":             {"", "2026/a.txt", blobtool.ErrInvalidArgument},
	} {
		for _, tool := range []string{"read_blob", "stat_blob"} {
			_, err := w.refusedBy(t, session, tool, args{"container": c.container, "blob_path": c.blob})
			wantKind(t, name, err, c.kind)
		}
	}
	if n := len(w.storage.Requests()); n != 0 {
		t.Errorf("%d requests for what is not offered, want 0", n)
	}
}
