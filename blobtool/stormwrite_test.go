package blobtool_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Two agents edit one blob until a thousand edits are done, while every fifth write meets a fault.
// No edit is lost or made twice, and every result is true.
func TestStormOfEdits(t *testing.T) {
	t.Parallel()
	const each = 500
	w := newWriteWorld(t, nil, nil)
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	w.storage.Put("docs", "a.txt", []byte("end\n"), "text/plain")
	kinds := []blobtest.Fault{
		{Served: true, Drop: true},
		{Drop: true},
		{Status: http.StatusServiceUnavailable, Code: "ServerBusy"},
		{CutUpload: 3, Drop: true},
		{Served: true, Status: http.StatusInternalServerError, Code: "InternalError"},
		{Status: http.StatusTooManyRequests, Code: "TooManyRequests"},
		{Status: http.StatusInternalServerError, Code: "InternalError"},
	}
	faults := make([]blobtest.Fault, 2*each/4)
	for i := range faults {
		faults[i] = kinds[i%len(kinds)]
		faults[i].Operation, faults[i].Skip, faults[i].Times = blobtest.OpPutBlob, 4*i, 1
	}
	w.storage.Fail(faults...)

	agents := [2]map[string]writeOutput{} // what became of each agent's lines
	var wait sync.WaitGroup
	for i, user := range []string{"alice", "bob"} {
		session := w.connect(t, user)
		agents[i] = map[string]writeOutput{}
		wait.Go(func() {
			for n, done := 0, 0; done < each && n < 10*each; n++ {
				line := fmt.Sprintf("%s %04d\n", user, n)
				out := w.write(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "end\n", "new_text": line + "end\n"})
				if agents[i][line] = out; out.Outcome == "done" {
					done++
				}
			}
		})
	}
	wait.Wait()
	w.storage.Fail()
	text := callFor[struct {
		Text string `json:"text"`
	}](t, w.connect(t, "alice"), "read_blob", args{"blob_path": "a.txt", "max_chars": 1_000_000}).Text
	checkStorm(t, text, agents[:])
}

// checkStorm compares a blob's lines with what became of each.
func checkStorm(t *testing.T, text string, agents []map[string]writeOutput) {
	t.Helper()
	lines, last := map[string]int{}, map[string]string{}
	for line := range strings.Lines(strings.TrimSuffix(text, "end\n")) {
		lines[line]++
		user, _, _ := strings.Cut(line, " ")
		if line <= last[user] {
			t.Errorf("%q comes after %q, want each agent's lines in the order of its calls", line, last[user])
		}
		last[user] = line
	}
	ends, etags := map[string]int{}, map[string]string{}
	for _, agent := range agents {
		for line, out := range agent {
			n := lines[line]
			delete(lines, line)
			end := strings.TrimSpace(out.Outcome + " " + out.Reason)
			ends[fmt.Sprintf("%s, there %d times", end, n)]++
			switch {
			case end == "done" && n == 1 && etags[out.ETag] == "" && strings.Contains(out.Diff, "+"+line):
				etags[out.ETag] = line
			case (end == "refused changed" || end == "refused throttled") && n == 0:
			case end == "unknown uncertain" && n <= 1:
			default:
				t.Errorf("%q is there %d times, and %q has the same etag; the result is %+v", line, n, etags[out.ETag], out)
			}
		}
	}
	for line, n := range lines {
		t.Errorf("%q is there %d times, and no call was for it", line, n)
	}
	if len(etags) < 1000 {
		t.Errorf("%d edits are done, want 1000", len(etags))
	}
	t.Log(ends)
}

// manyWrites makes a thousand small writes with 20 ms of latency, so many at a time.
func manyWrites(set *blobtool.Set, folder string, atOnce int) error {
	ctx, names := context.Background(), make(chan string)
	errs := make([]error, atOnce)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			for name := range names {
				if _, err := set.WriteBlob(ctx, writingCall, name, "small\n", ""); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for n := range 1000 {
		names <- fmt.Sprintf("%s/%d.txt", folder, n)
	}
	close(names)
	wait.Wait()
	return errors.Join(errs...)
}

// writingCall is a call by a user.
var writingCall = &mcp.CallToolRequest{Extra: &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: "alice"}}}

// writingSet makes tools that may write, with that client.
func (w *world) writingSet(client *http.Client) (*blobtool.Set, error) {
	return blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{
		HTTPClient: client, Write: &blobtool.WriteOptions{Allow: []string{"docs"}, UserPerMinute: -1, TotalPerMinute: -1},
	})
}

func twentyMilliseconds(*http.Request) time.Duration { return 20 * time.Millisecond }

// Writes at the same time wait for nothing but the service: by a clock that only latency moves, 16
// at a time are 16 times as fast.
func TestWritesAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	var set *blobtool.Set
	w.inBubble(t, func(client *http.Client) (made *blobtool.Set, err error) {
		set, err = w.writingSet(client)
		return set, err
	}, twentyMilliseconds, nil, func(t *testing.T, _ *mcp.ClientSession) {
		spent := map[int]time.Duration{}
		for _, atOnce := range []int{1, 16} {
			begin := time.Now()
			if err := manyWrites(set, fmt.Sprint(atOnce), atOnce); err != nil {
				t.Fatal(err)
			}
			spent[atOnce] = time.Since(begin)
		}
		if spent[1] > 1000*20*time.Millisecond || spent[16] > spent[1]/15 {
			t.Errorf("a thousand writes take %v one at a time, and %v 16 at a time; want at most 20s, and a fifteenth of it", spent[1], spent[16])
		}
	})
}

// BenchmarkWriteMany does the same by the real clock: x-one is how many times as fast 16 at a time
// are. Each run takes more than 20 seconds.
//
//	go test -run '^$' -bench WriteMany -benchtime 1x ./blobtool
func BenchmarkWriteMany(b *testing.B) {
	w := newWriteWorld(b, nil, nil)
	set, err := w.writingSet(&http.Client{Transport: late{twentyMilliseconds, w.storage.HTTPClient().Transport}})
	if err != nil {
		b.Fatal(err)
	}
	spent := map[int]time.Duration{}
	for n := 0; b.Loop(); n++ {
		for _, atOnce := range []int{1, 16} {
			begin := time.Now()
			if err := manyWrites(set, fmt.Sprintf("%d/%d", n, atOnce), atOnce); err != nil {
				b.Fatal(err)
			}
			spent[atOnce] += time.Since(begin)
		}
	}
	b.ReportMetric(float64(spent[1])/float64(spent[16]), "x-one")
	b.ReportMetric(float64(spent[16])/float64(b.N)/1000/1e6, "ms/write")
}

// A user's slow writes hold up no other user's.
func TestSlowWritesOfAnother(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
	const slow = 64
	for i := range slow {
		w.storage.Put("docs", fmt.Sprintf("alice/%d.txt", i), []byte("old\n"), "text/plain")
	}
	w.storage.Put("docs", "bob.txt", []byte("old\n"), "text/plain")
	arrived, released := make(chan struct{}, slow), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	w.storage.OnRequest(func(r blobtest.Request) {
		if r.Operation == blobtest.OpPutBlob && strings.Contains(r.Path, "/docs/alice/") {
			arrived <- struct{}{}
			<-released
		}
	})
	alice, bob := w.connect(t, "alice"), w.connect(t, "bob")
	var wait sync.WaitGroup
	for i := range slow {
		wait.Go(func() {
			tool, a := "edit_blob", args{"blob_path": fmt.Sprintf("alice/%d.txt", i), "old_text": "old", "new_text": "new"}
			if i%2 == 0 {
				tool, a = "write_blob", args{"blob_path": fmt.Sprintf("alice/new%d.txt", i), "text": "new"}
			}
			if out := w.write(t, alice, tool, a); out.Outcome != "done" {
				t.Errorf("%s %v: got %+v, want it done in the end", tool, a, out)
			}
		})
	}
	for range slow / 2 { // all that are not edits, which memory bounds
		<-arrived
	}
	w.wrote(t, bob, "write_blob", args{"blob_path": "bob2.txt", "text": "new"})
	etag := w.wrote(t, bob, "edit_blob", args{"blob_path": "bob.txt", "old_text": "old", "new_text": "new"}).ETag
	w.wrote(t, bob, "delete_blob", args{"blob_path": "bob.txt", "if_match": etag})
	release()
	wait.Wait()
}
