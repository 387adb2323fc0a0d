package upload_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/upload"
)

func TestCopyBlocks(t *testing.T) {
	t.Parallel()
	owner := upload.Owner{User: "alice", Container: "docs", Blob: "a.txt"}
	seen := map[string]bool{}
	for range 2 {
		for _, id := range owner.CopyBlocks(1000) {
			if seen[id] || len(id) != len(owner.CopyBlocks(1)[0]) {
				t.Fatalf("the ID %q: seen before: %t; all must differ and have one length", id, seen[id])
			}
			seen[id] = true
			if owner.Foreign([]upload.Block{{ID: id}}) {
				t.Fatalf("the ID %q is not the owner's", id)
			}
			for _, other := range []upload.Owner{{User: "bob", Container: "docs", Blob: "a.txt"}, {User: "alice", Container: "docs", Blob: "b.txt"}} {
				if !other.Foreign([]upload.Block{{ID: id}}) {
					t.Fatalf("the ID %q is also %+v's", id, other)
				}
			}
		}
	}
}
