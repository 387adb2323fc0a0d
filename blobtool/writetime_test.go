package blobtool_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// A write whose answers do not come ends within the time of a call, and says that nobody knows,
// whether looking works or not. The clock is a bubble's.
func TestWriteTimeBound(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, softDelete, nil)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	w.storage.Put("docs", "other.txt", []byte("new"), "text/plain")
	w.storage.PutAppend("docs", "a.log", []byte("old"), "text/plain", 1)
	w.storage.Put("docs", "gone.txt", []byte("old"), "text/plain")
	w.storage.Delete("docs", "gone.txt")
	etag := statOf(t, w.connect(t, "alice"), "a.txt").ETag
	const bound = 2 * time.Minute
	for name, c := range map[string]struct {
		tool string
		a    args
	}{
		"create":         {"write_blob", args{"blob_path": "new.txt", "text": "new"}},
		"overwrite":      {"write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": etag}},
		"edit":           {"edit_blob", args{"blob_path": "a.txt", "old_text": "old", "new_text": "new"}},
		"delete":         {"delete_blob", args{"blob_path": "a.txt", "if_match": etag}},
		"append":         {"append_blob", args{"blob_path": "a.log", "text": "new"}},
		"append, create": {"append_blob", args{"blob_path": "new.log", "text": "new", "create": true}},
		"metadata":       {"set_metadata", args{"blob_path": "a.txt", "if_match": etag, "set": args{"a": "1"}}},
		"tags":           {"set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": args{}, "tags": args{"a": "1"}}},
		"copy":           {"copy_blob", args{"source_path": "a.txt", "blob_path": "new.txt"}},
		"copy over":      {"copy_blob", args{"source_path": "other.txt", "blob_path": "a.txt", "if_match": etag}},
		"undelete":       {"undelete_blob", args{"blob_path": "gone.txt"}},
	} {
		for _, blind := range []bool{false, true} {
			var written atomic.Bool
			delay := func(r *http.Request) time.Duration {
				if r.Method == http.MethodPut || r.Method == http.MethodDelete {
					written.Store(true)
				} else if !blind || !written.Load() {
					return 0
				}
				return 24 * time.Hour
			}
			newSet := func(client *http.Client) (*blobtool.Set, error) {
				return blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: client, Timeout: bound,
					Write: &blobtool.WriteOptions{Allow: []string{"docs"}, Confirm: yes}})
			}
			w.inBubble(t, newSet, delay, nil, func(t *testing.T, session *mcp.ClientSession) {
				began := time.Now()
				out := w.write(t, session, c.tool, c.a)
				took := time.Since(began)
				if out.Outcome != "unknown" || blind != (out.Exists == nil) || blind && !strings.Contains(out.Message, "could not be read") {
					t.Errorf("%s, blind %t: got %s (%s), exists %v; want unknown", name, blind, out.Outcome, out.Message, out.Exists)
				}
				if took < bound/2 && !blind || took > bound {
					t.Errorf("%s, blind %t: it took %v; want some tries, and at most %v", name, blind, took, bound)
				}
			})
		}
	}
}
