package blobtool_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// Many users' calls of all tools at the same time, of which many are canceled or meet
// faults, share next to nothing and all end. What they held of the shares is given back.
func TestStormGivesSharesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	shares := work.NewShares(2, 256<<20, 12)
	w.set.SetShares(shares)
	for i := range 12 {
		line := fmt.Sprintf("line %d with a needle\n", i)
		for format, ext := range map[string]string{"gzip": "gz", "zstd": "zst"} {
			w.storage.Put("docs", fmt.Sprintf("s/%02d.%s", i, ext), []byte(pack(t, format, strings.Repeat(line, 6_000))), "text/plain")
		}
		w.storage.PutSized("docs", fmt.Sprintf("s/%02d.txt", i), 300<<10)
	}
	w.storage.Fail(
		blobtest.Fault{Operation: blobtest.OpGetBlob, Blob: "s/03.gz", CutAfter: 500},
		blobtest.Fault{Operation: blobtest.OpGetBlob, Blob: "s/05.txt", CutAfter: 100_000, Times: 40},
		blobtest.Fault{Operation: blobtest.OpGetBlob, Blob: "s/07.zst", Status: 403, Code: "AuthorizationPermissionMismatch"},
		blobtest.Fault{Operation: blobtest.OpGetBlob, Blob: "s/09.txt", Status: 412, Code: "ConditionNotMet", Skip: 3},
	)
	calls := []mcp.CallToolParams{
		{Name: "search_blobs", Arguments: args{"prefix": "s/", "text": "needle", "max_results": 200, "max_bytes": 1 << 20}},
		{Name: "search_blobs", Arguments: args{"prefix": "s/", "text": "no such thing"}},
		{Name: "search_blobs", Arguments: args{"name": "s/*.zst", "text": "needle$"}},
		{Name: "read_blob", Arguments: args{"blob_path": "s/01.zst", "tail_lines": 3}},
		{Name: "read_blob", Arguments: args{"blob_path": "s/02.gz", "lines": "5000-"}},
		{Name: "read_blob", Arguments: args{"blob_path": "s/05.txt", "max_chars": 1_000_000}},
		{Name: "read_blob_with_token", Arguments: args{"blob_path": "s/04.txt"}},
		{Name: "list_blobs", Arguments: args{"prefix": "s/"}},
		{Name: "stat_blob", Arguments: args{"blob_path": "s/06.gz"}},
	}
	var sessions []*mcp.ClientSession
	for i := range 8 {
		sessions = append(sessions, w.connect(t, fmt.Sprintf("user%d", i)))
	}
	var wg sync.WaitGroup
	for i := range 64 {
		session := sessions[i%len(sessions)]
		wg.Go(func() {
			call := calls[i%len(calls)]
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				time.AfterFunc(time.Duration(i)*time.Millisecond, cancel)
			}
			_, err := session.CallTool(ctx, &call)
			if err != nil && ctx.Err() == nil {
				t.Errorf("%v: got %v, want nil, or the call canceled", call, err)
			}
		})
	}
	wg.Wait()
	for name, c := range map[string]struct {
		share *work.Share
		size  int64
	}{
		"cores": {shares.Cores, 2}, "memory": {shares.Memory, 224 << 20}, "windows": {shares.Windows, 32 << 20}, "line": {shares.Line, 12},
	} {
		free, users := c.share.State()
		for ; users > 0; free, users = c.share.State() { // canceled calls end after their clients have gone
			runtime.Gosched()
		}
		if free != c.size {
			t.Errorf("%s: got %d free, want %d", name, free, c.size)
		}
	}
}
