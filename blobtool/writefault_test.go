package blobtool_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// onNth calls f before the n-th request for that operation is served.
func onNth(w *world, operation blobtest.Operation, n int, f func()) {
	var mu sync.Mutex
	seen := 0
	w.storage.OnRequest(func(r blobtest.Request) {
		mu.Lock()
		hit := false
		if r.Operation == operation {
			seen++
			hit = seen == n
		}
		mu.Unlock()
		if hit {
			f()
		}
	})
}

// A write whose answer is lost knows its own marker, and never calls another's write its own.
func TestWriteBlobFaults(t *testing.T) {
	t.Parallel()
	put := func(f blobtest.Fault) blobtest.Fault { f.Operation = blobtest.OpPutBlob; return f }
	lost := put(blobtest.Fault{Served: true, Drop: true, Times: 1})
	before := put(blobtest.Fault{Drop: true, Times: 1})
	other := func(w *world) { w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain") }
	for name, c := range map[string]struct {
		faults          []blobtest.Fault
		looked          func(*world) // happens after the first answer is lost, before the look
		create, replace string       // outcome and text afterwards
		reason          string
		puts            int
	}{
		"cut after the commit":      {faults: []blobtest.Fault{lost}, create: "done new", replace: "done new", puts: 1},
		"cut before the commit":     {faults: []blobtest.Fault{before}, create: "done new", replace: "done new", puts: 2},
		"cut in the body":           {faults: []blobtest.Fault{put(blobtest.Fault{CutUpload: 1, Drop: true, Times: 1})}, create: "done new", replace: "done new", puts: 2},
		"500 after the commit":      {faults: []blobtest.Fault{put(blobtest.Fault{Served: true, Status: 500, Code: "InternalError", Times: 1})}, create: "done new", replace: "done new", puts: 1},
		"408 after the commit":      {faults: []blobtest.Fault{put(blobtest.Fault{Served: true, Status: 408, Code: "RequestTimeout", Times: 1})}, create: "done new", replace: "done new", puts: 1},
		"429, twice":                {faults: []blobtest.Fault{put(blobtest.Fault{Status: 429, Code: "TooManyRequests", Times: 2})}, create: "done new", replace: "done new", puts: 3},
		"503 for good":              {faults: []blobtest.Fault{put(blobtest.Fault{Status: 503, Code: "ServerBusy"})}, create: "refused ", replace: "refused old", reason: "throttled", puts: 5},
		"500 for good":              {faults: []blobtest.Fault{put(blobtest.Fault{Status: 500, Code: "InternalError"})}, create: "unknown ", replace: "unknown old", reason: "uncertain", puts: 5},
		"503, wait long":            {faults: []blobtest.Fault{put(blobtest.Fault{Status: 503, Code: "ServerBusy", RetryAfter: time.Minute})}, create: "refused ", replace: "refused old", reason: "throttled", puts: 1},
		"a proxy's 502, committed":  {faults: []blobtest.Fault{put(blobtest.Fault{Served: true, Status: 502, Body: "<html>", Times: 1})}, create: "done new", replace: "done new", puts: 1},
		"cut for good":              {faults: []blobtest.Fault{put(blobtest.Fault{Drop: true})}, create: "unknown ", replace: "unknown old", reason: "uncertain", puts: 5},
		"committed, then another's": {faults: []blobtest.Fault{lost}, looked: other, create: "unknown other's", replace: "unknown other's", reason: "uncertain", puts: 1},
		"not committed, another's":  {faults: []blobtest.Fault{before}, looked: other, create: "unknown other's", replace: "unknown other's", reason: "uncertain", puts: 1},
		"committed, then deleted":   {faults: []blobtest.Fault{lost}, looked: func(w *world) { w.storage.Delete("docs", "a.txt") }, create: "done new", replace: "unknown ", reason: "uncertain", puts: 1},
	} {
		for _, create := range []bool{true, false} {
			if name == "committed, then deleted" && create {
				continue // to make it again is right: nobody knows the first
			}
			name := fmt.Sprintf("%s, create %t", name, create)
			w := newWriteWorld(t, nil, nil)
			session := w.connect(t, "alice")
			want, looks, a := c.create, 1, args{"blob_path": "a.txt", "text": "new"}
			if !create {
				w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
				a["if_match"] = statOf(t, session, "a.txt").ETag
				want, looks = c.replace, 2
			}
			if c.looked != nil {
				onNth(w, blobtest.OpGetBlobProperties, looks, func() { c.looked(w) })
			}
			w.storage.ForgetRequests()
			w.storage.Fail(c.faults...)
			out := w.write(t, session, "write_blob", a)
			puts := w.storage.Count(blobtest.OpPutBlob)
			w.storage.Fail()
			w.storage.OnRequest(nil)
			text := ""
			if out.Exists != nil && *out.Exists {
				text = readText(t, session, "a.txt")
				if etag := statOf(t, session, "a.txt").ETag; etag != out.ETag {
					t.Errorf("%s: the result has the etag %s; the blob has %s", name, out.ETag, etag)
				}
			}
			if got := out.Outcome + " " + text; got != want || puts != c.puts || out.Outcome != "done" && out.Reason != c.reason {
				t.Errorf("%s: got %q, reason %q, after %d puts (%s); want %q, %q, %d", name, got, out.Reason, puts, out.Message, want, c.reason, c.puts)
			}
		}
	}
}

// Another's write between a call's look and its own is never lost.
func TestWriteBlobRace(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	etag := statOf(t, session, "a.txt").ETag
	w.storage.ForgetRequests()
	onNth(w, blobtest.OpPutBlob, 1, func() { w.storage.Put("docs", "a.txt", []byte("other's"), "text/plain") })
	out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new", "if_match": etag})
	w.storage.OnRequest(nil)
	if text, stat := w.content(t, session, "a.txt"); out.Outcome != "refused" || out.Reason != "changed" || text != "other's" || out.ETag != stat.ETag {
		t.Errorf("got %+v with %q, want refused with the other's etag", out, text)
	}
}

// unsigned answers writes in the place of the service, and carries them out or not.
type unsigned struct {
	http.RoundTripper
	status int
	serves bool
}

func (u unsigned) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return u.RoundTripper.RoundTrip(r)
	}
	if u.serves {
		resp, err := u.RoundTripper.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
	}
	return &http.Response{StatusCode: u.status, Header: http.Header{"Etag": {`"0x1"`}}, Body: http.NoBody, Request: r}, nil
}

// An answer without a request ID is not Azure's, whatever it says.
func TestWriteUnsignedAnswers(t *testing.T) {
	t.Parallel()
	for _, serves := range []bool{true, false} {
		for _, status := range []int{200, 201, 202, 204, 302, 307, 401, 403, 404, 407, 409, 412, 429, 502, 503} {
			w := newWorld(t, func(o *blobtool.Options) {
				o.DownloadDir = ""
				o.HTTPClient = &http.Client{Transport: unsigned{o.HTTPClient.Transport, status, serves}}
				o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, Confirm: yes}
			})
			w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
			w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
			session := w.connect(t, "alice")
			etag := statOf(t, session, "a.txt").ETag
			for tool, a := range map[string]args{
				"write_blob":  {"blob_path": "b.txt", "text": "new"},
				"delete_blob": {"blob_path": "a.txt", "if_match": etag},
			} {
				want := "unknown"
				if serves && tool == "write_blob" {
					want = "done" // by its marker
				}
				if out := w.write(t, session, tool, a); out.Outcome != want {
					t.Errorf("%s, %d, carried out %t: got %+v, want %s", tool, status, serves, out, want)
				}
			}
		}
	}
}

// Looking may fail too.
func TestWriteBlobBlind(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Served: true, Drop: true},
		blobtest.Fault{Operation: blobtest.OpGetBlobProperties, Status: http.StatusServiceUnavailable, Code: "ServerBusy"})
	out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "new"})
	if out.Outcome != "unknown" || out.Exists != nil || !strings.Contains(out.Message, "stat_blob") {
		t.Errorf("got %+v, want unknown without what is there", out)
	}
}

// Two agents that edit one blob lose nothing.
func TestWriteEditsOfTwo(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	const each = 50
	w.storage.Put("docs", "a.txt", []byte("start\nend\n"), "text/plain")
	faults := make([]blobtest.Fault, 0, 20)
	for i := range 10 {
		faults = append(faults, blobtest.Fault{Operation: blobtest.OpPutBlob, Skip: 5 * i, Times: 1, Served: true, Drop: true},
			blobtest.Fault{Operation: blobtest.OpPutBlob, Skip: 5*i + 2, Times: 1, Drop: true})
	}
	w.storage.Fail(faults...)
	var wait sync.WaitGroup
	outcomes := make([][]string, 2)
	for i := range 2 {
		session := w.connect(t, "alice")
		wait.Go(func() {
			for n := range each {
				line := fmt.Sprintf("agent %d, line %d\n", i, n)
				out := w.write(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "end\n", "new_text": line + "end\n"})
				outcomes[i] = append(outcomes[i], out.Outcome)
			}
		})
	}
	wait.Wait()
	w.storage.Fail()
	text := readText(t, w.connect(t, "alice"), "a.txt")
	if n := strings.Count(text, "agent"); n < each/2 {
		t.Errorf("%d of %d edits were made, want more", n, 2*each)
	}
	for i, list := range outcomes {
		for n, outcome := range list {
			count := strings.Count(text, fmt.Sprintf("agent %d, line %d\n", i, n))
			if outcome == "done" && count != 1 || outcome == "refused" && count != 0 || count > 1 {
				t.Errorf("agent %d, line %d: the result is %s, and the line is there %d times", i, n, outcome, count)
			}
		}
	}
}

// Bounds of users and replica, by the clock. One who has had less than the share of a user is not
// refused for what others have written.
func TestWriteRates(t *testing.T) {
	t.Parallel()
	type call struct {
		who, reason string
		later       time.Duration
	}
	for name, c := range map[string]struct {
		user, total int
		calls       []call
	}{
		"both":    {2, 3, []call{{"alice", "", 0}, {"alice", "", 0}, {"alice", "throttled", 0}, {"bob", "", 0}, {"bob", "throttled", 0}, {"nobody", "no_user", 0}, {"alice", "", time.Minute}}},
		"share":   {4, 4, []call{{"alice", "", 0}, {"alice", "", 0}, {"alice", "", 0}, {"alice", "", 0}, {"alice", "throttled", 0}, {"bob", "", 0}, {"bob", "", 0}, {"bob", "throttled", 0}, {"bob", "", time.Minute}}},
		"no user": {-1, 2, []call{{"alice", "", 0}, {"alice", "", 0}, {"alice", "throttled", 0}, {"bob", "", 0}, {"bob", "throttled", 0}}},
		"none":    {-1, -1, []call{{"alice", "", 0}, {"alice", "", 0}, {"alice", "", 0}, {"bob", "", 0}}},
	} {
		now := time.Now()
		var mu sync.Mutex
		clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		w := newWorld(t, func(o *blobtool.Options) {
			o.DownloadDir, o.Now = "", clock
			o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, UserPerMinute: c.user, TotalPerMinute: c.total}
		})
		w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
		w.storage.GrantContributor(w.bob.ObjectID, "docs", "")
		sessions := map[string]*mcp.ClientSession{}
		for _, who := range []string{"alice", "bob", "nobody"} {
			sessions[who] = w.connect(t, who)
		}
		for n, c := range c.calls {
			mu.Lock()
			now = now.Add(c.later)
			mu.Unlock()
			if out := w.write(t, sessions[c.who], "write_blob", args{"blob_path": fmt.Sprintf("%d.txt", n), "text": "x"}); out.Reason != c.reason {
				t.Errorf("%s: call %d, by %s: got %s, %q (%s); want the reason %q", name, n, c.who, out.Outcome, out.Reason, out.Message, c.reason)
			}
		}
	}
}

// A large copy counts as several writes.
func TestCopiesHaveWeight(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.UserPerMinute = 3 })
	session := w.connect(t, "alice")
	w.storage.Put("docs", "large.bin", make([]byte, 64<<20), "application/octet-stream")
	w.wrote(t, session, "copy_blob", args{"source_path": "large.bin", "blob_path": "copy.bin"})
	w.wrote(t, session, "write_blob", args{"blob_path": "a.txt", "text": "x"})
	if out := w.write(t, session, "write_blob", args{"blob_path": "b.txt", "text": "x"}); out.Reason != "throttled" {
		t.Errorf("after a copy of 64 MiB and a write, of 3: got %+v, want throttled", out)
	}
}
