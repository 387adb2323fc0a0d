package blobtool_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// In an account with a hierarchical namespace: no tags, files and directories are not each other,
// and what the Data Lake API made is replaced as a whole.
func TestWriteHierarchy(t *testing.T) {
	t.Parallel()
	tags := args{"state": "final"}
	for name, c := range map[string]struct {
		tool, blob           string
		a                    args
		outcome, reason, say string
		requests             int // at most
	}{
		"tags of a new blob":        {"write_blob", "new.txt", args{"text": "x", "tags": tags}, "refused", "unsupported", "without tags", 1},
		"tags of an old one":        {"write_blob", "a.txt", args{"text": "x", "tags": tags, "if_match": ""}, "refused", "unsupported", "no index tags", 1},
		"set_tags":                  {"set_tags", "a.txt", args{"old_tags": args{}, "tags": tags, "if_match": ""}, "refused", "unsupported", "no index tags", 1},
		"onto a directory":          {"write_blob", "dir", args{"text": "x"}, "refused", "directory", "is a directory", 2},
		"over a directory":          {"write_blob", "dir", args{"text": "x", "if_match": ""}, "refused", "directory", "is a directory", 1},
		"below a file":              {"write_blob", "a.txt/b.txt", args{"text": "x"}, "refused", "directory", "below a file", 2},
		"in a new directory":        {"write_blob", "new/b.txt", args{"text": "x"}, "done", "", "created", 1},
		"over a file of the other":  {"write_blob", "lake.txt", args{"text": "x", "if_match": ""}, "done", "", "overwritten", 2},
		"edit a file of the other":  {"edit_blob", "lake.txt", args{"old_text": "lake", "new_text": "sea"}, "done", "", "edited", 2},
		"edit a directory":          {"edit_blob", "dir", args{"old_text": "a", "new_text": "b"}, "refused", "directory", "is a directory", 2},
		"append to the other's":     {"append_blob", "lake.txt", args{"text": "x"}, "refused", "unsupported", "BlockBlob", 1},
		"append to a directory":     {"append_blob", "dir", args{"text": "x"}, "refused", "directory", "is a directory", 1},
		"append, new, below a file": {"append_blob", "a.txt/b.log", args{"text": "x", "create": true}, "refused", "directory", "below a file", 2},
		"append, new, on directory": {"append_blob", "dir", args{"text": "x", "create": true}, "refused", "directory", "is a directory", 2},
		"append, new":               {"append_blob", "dir/b.log", args{"text": "x", "create": true}, "done", "", "created", 2},
		"metadata of a directory":   {"set_metadata", "dir", args{"set": args{"a": "1"}, "if_match": ""}, "refused", "directory", "is a directory", 1},
		"metadata of a file":        {"set_metadata", "lake.txt", args{"set": args{"a": "1"}, "if_match": ""}, "done", "", "changed", 2},
		"delete a full directory":   {"delete_blob", "dir", args{"if_match": ""}, "refused", "directory", "not empty", 3},
		"delete an empty directory": {"delete_blob", "empty", args{"if_match": ""}, "done", "", "deleted", 2},
		"delete a file":             {"delete_blob", "lake.txt", args{"if_match": ""}, "done", "", "deleted", 2},
	} {
		w := newWriteWorld(t, func(o *blobtest.Options) { o.HierarchicalNamespace = true }, nil)
		w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("a"), "text/plain")
		w.storage.Put("docs", "dir/a.txt", []byte("a"), "text/plain")
		w.storage.PutFile("docs", "lake.txt", []byte("lake"), "text/plain")
		w.storage.AddDirectory("docs", "empty")
		a := args{"blob_path": c.blob}
		maps.Copy(a, c.a)
		if a["if_match"] != nil {
			a["if_match"] = statOf(t, session, c.blob).ETag
		}
		w.storage.ForgetRequests()
		out := w.write(t, session, c.tool, a)
		n := len(w.storage.Requests())
		if out.Outcome != c.outcome || out.Reason != c.reason || !strings.Contains(out.Message, c.say) || n > c.requests {
			t.Errorf("%s: got %s, %q (%s) after %d requests; want %s, %q, with %q, at most %d", name, out.Outcome, out.Reason, out.Message, n, c.outcome, c.reason, c.say, c.requests)
		}
	}
}

// Results say what locks a blob, of what kind and until when.
func TestWriteLocked(t *testing.T) {
	t.Parallel()
	until := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)
	type state = struct{ leaseState, leaseDuration, kind, until string }
	for name, c := range map[string]struct {
		lock func(*world)
		want state
		says string
	}{
		"infinite lease":        {leased("leased", "infinite"), state{"leased", "infinite", "", ""}, "until it is released"},
		"fixed lease":           {leased("leased", "fixed"), state{"leased", "fixed", "", ""}, "60 seconds unless it is renewed"},
		"breaking lease":        {leased("breaking", ""), state{"breaking", "", "", ""}, "being broken"},
		"policy of a container": {func(w *world) { w.storage.SetRetention("docs", time.Hour) }, state{kind: "policy"}, "retention policy"},
		"hold on a container":   {func(w *world) { w.storage.SetLegalHold("docs", "", true) }, state{kind: "legal_hold"}, "legal hold"},
		"policy of a version":   {func(w *world) { w.storage.SetImmutableUntil("docs", "a.txt", until) }, state{kind: "policy", until: "2099-01-02T03:04:05Z"}, "until 2099-01-02T03:04:05Z"},
		"hold on a version":     {func(w *world) { w.storage.SetLegalHold("docs", "a.txt", true) }, state{kind: "legal_hold"}, "legal hold"},
	} {
		w := newWriteWorld(t, func(o *blobtest.Options) { o.Versioning = strings.HasSuffix(name, "version") }, func(o *blobtool.WriteOptions) { o.Confirm = yes })
		session := w.connect(t, "alice")
		w.storage.Put("docs", "a.txt", []byte("x"), "text/plain")
		w.storage.PutAppend("docs", "a.log", []byte("x"), "text/plain", 1)
		c.lock(w)
		etag := statOf(t, session, "a.txt").ETag
		calls := map[string]args{"set_metadata": {"set": args{"a": "1"}, "if_match": etag}}
		if !strings.HasSuffix(name, "version") { // which let the current version be replaced
			calls["write_blob"] = args{"text": "y", "if_match": etag}
			calls["edit_blob"] = args{"old_text": "x", "new_text": "y"}
			calls["delete_blob"] = args{"if_match": etag}
		}
		for tool, a := range calls {
			a["blob_path"] = "a.txt"
			out := w.write(t, session, tool, a)
			var got state
			if out.Lease != nil {
				got.leaseState, got.leaseDuration = out.Lease.State, out.Lease.Duration
			}
			if out.Immutable != nil {
				got.kind, got.until = out.Immutable.Kind, out.Immutable.Until
			}
			if out.Reason != "locked" || got != c.want || !strings.Contains(out.Message, c.says) {
				t.Errorf("%s: %s: got %s, %+v (%s); want locked, %+v, with %q", name, tool, out.Reason, got, out.Message, c.want, c.says)
			}
		}
	}
}

func leased(state, duration string) func(*world) {
	return func(w *world) {
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = state, duration })
	}
}
