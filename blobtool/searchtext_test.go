package blobtool_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// putLibrary stores blobs of all kinds, and returns what a search for "needle" finds.
func putLibrary(s *blobtest.Server) string {
	s.Put("docs", "a.txt", []byte("hay\nneedle 1\nhay\nneedle 2"), "text/plain")
	s.Put("docs", "b/empty", nil, "")
	s.Put("docs", "b/utf16.txt", []byte("\xff\xfen\x00e\x00e\x00d\x00l\x00e\x00\n\x00"), "text/plain")
	s.Put("docs", "c.bin", []byte("needle\x00"), "text/plain")
	s.Put("docs", "d.png", []byte("needle"), "image/png")
	s.Put("docs", "e.svg", []byte("<svg>needle</svg>"), "image/svg+xml")
	s.Put("docs", "f.cold", []byte("needle"), "text/plain")
	s.Update("docs", "f.cold", func(p *blobtest.Properties) { p.Tier = "Archive" })
	s.PutSized("docs", "g.big", 1<<17) // 2,048 lines
	s.Put("docs", "h.crlf", []byte("x needle\r\n"), "text/plain")
	return "a.txt:2:needle 1\na.txt:4:needle 2\nb/utf16.txt:1:needle\ne.svg:1:<svg>needle</svg>\nh.crlf:1:x needle"
}

func TestSearchTextInBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	want := putLibrary(w.storage)
	session := w.connect(t, "alice")
	out := callFor[found](t, session, "search_blobs", args{"text": "needle"})
	if out.results() != want || out.Truncated || out.Examined != 9 || out.Searched != 6 || out.Binary != 2 {
		t.Errorf("got %+v, want %q of 9 examined, 6 searched, 2 binary, and no more", out, want)
	}
	if len(out.Notes) != 1 || out.Notes[0].Blob != "f.cold" || !strings.Contains(out.Notes[0].Note, "Archive tier") {
		t.Errorf("notes: got %+v, want 1 note, Notes[0].Blob f.cold and \"Archive tier\"", out.Notes)
	}
	if out.Bytes < 1<<17 || out.Bytes > 1<<17+1000 {
		t.Errorf("%d bytes, want at least 1<<17, at most 1<<17+1000", out.Bytes)
	}
	for _, r := range w.storage.Requests() {
		if r.Path == "/docs/d.png" || r.Path == "/docs/f.cold" {
			t.Errorf("%s was read", r.Path)
		}
	}
	m := callFor[found](t, session, "search_blobs", args{"text": "^0000002000 "}).Matches
	if len(m) != 1 || m[0].Blob != "g.big" || m[0].Line != 2001 || m[0].Offset != 2000*64 {
		t.Errorf("got %+v, want 1, m[0].Blob g.big, m[0].Line 2001, m[0].Offset 2000*64", m)
	}
	if got := callFor[found](t, session, "search_blobs", args{"text": "NEEDLE [12]", "ignore_case": true, "name": "*.txt"}).results(); got != "a.txt:2:needle 1\na.txt:4:needle 2" {
		t.Errorf("got %s, want %q", got, "a.txt:2:needle 1\na.txt:4:needle 2")
	}
}

// However a search is cut short, going on finds the same.
func TestSearchTextGoesOnAcrossBlobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	putLibrary(w.storage)
	w.storage.PutSized("docs", "i.big", 100_000)
	session := w.connect(t, "alice")
	const text = "needle|^000000000[05] the|^0000001500"
	want, reasons := searchOn(t, session, args{"text": text})
	if len(reasons) > 0 || strings.Count(want, "\n") < 9 {
		t.Fatalf("%v: got %s, want no reasons, 10 lines", reasons, want)
	}
	for name, c := range map[string]struct {
		a      args
		reason string
	}{
		"one result":  {args{"max_results": 1}, "results"},
		"few results": {args{"max_results": 4}, "results"},
		"one blob":    {args{"max_blobs": 1}, "blobs"},
		"some blobs":  {args{"max_blobs": 3}, "blobs"},
		"few bytes":   {args{"max_bytes": 64 << 10}, "bytes"},
		"some bytes":  {args{"max_bytes": 140_000}, "bytes"},
	} {
		c.a["text"] = text
		got, reasons := searchOn(t, session, c.a)
		if got != want || !slices.Contains(reasons, c.reason) || len(slices.Compact(slices.Sorted(slices.Values(reasons)))) != 1 {
			t.Errorf("%s: stopped for %v, got\n%s\nwant\n%s", name, reasons, got, want)
		}
	}
	out := callFor[found](t, session, "search_blobs", args{"text": "nothing at all", "max_bytes": 140_000})
	if out.Bytes > 140_000+64<<10 || out.Reason != "bytes" {
		t.Errorf("%d bytes, %s; want at most 140000+64<<10, bytes", out.Bytes, out.Reason)
	}
}

// One slow blob holds up neither the others nor the caller for longer than asked.
func TestSearchTextTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 40 {
		put(w.storage, "docs", fmt.Sprintf("%02d", i))
	}
	stalls := true
	delay := func(r *http.Request) time.Duration {
		if stalls && strings.HasSuffix(r.URL.Path, "/20") {
			return time.Hour
		}
		return time.Millisecond
	}
	w.inBubble(t, w.docsSet, delay, nil, func(t *testing.T, session *mcp.ClientSession) {
		begun := time.Now()
		a := args{"text": "content", "max_seconds": 5, "max_results": 200}
		out := callFor[found](t, session, "search_blobs", a)
		if took := time.Since(begun); out.Reason != "time" || len(out.Matches) != 20 || out.Searched != 20 || took != 5*time.Second {
			t.Fatalf("search_blobs(%v) = %+v after %s, want 20 matches and the reason time after 5s", a, out, took)
		}
		stalls = false
		a["cursor"] = out.NextCursor
		out = callFor[found](t, session, "search_blobs", a)
		if len(out.Matches) != 20 || out.Matches[0].Blob != "20" || out.Truncated {
			t.Errorf("search_blobs(%v) = %+v, want 20 matches from 20 on, and no more", a, out)
		}
	})
}

// What is wrong with one blob is a note. What is wrong with the service ends the
// search, and what was found is kept.
func TestSearchTextFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("content"))
	_ = z.Close()
	put(w.storage, "docs", "a", "b", "c", "d", "f", "g", `x\..\y`)
	w.storage.Put("docs", "e", packed.Bytes(), "text/plain")
	w.storage.Update("docs", "e", func(p *blobtest.Properties) { p.ContentEncoding = "br" })
	w.storage.Fail(
		blobtest.Fault{Blob: "b", Status: 403, Code: "AuthorizationPermissionMismatch"},
		blobtest.Fault{Blob: "c", Status: 404, Code: "BlobNotFound"},
		blobtest.Fault{Blob: "d", CutAfter: 3, Times: 2},
		blobtest.Fault{Blob: "g", CutAfter: 1},
	)
	session := w.connect(t, "alice")
	out := callFor[found](t, session, "search_blobs", args{"text": "content"})
	if out.results() != "a:1:content of a\nd:1:content of d\nf:1:content of f" || out.Truncated || out.Searched != 3 {
		t.Errorf("got %+v, want matches in a, d and f, 3 searched, and no more", out)
	}
	for i, want := range [][2]string{{"b", "Storage Blob Data Reader"}, {"c", "not found"}, {"e", "br"}, {"g", "closed the connection"}, {`x\..\y`, "backslash"}} {
		if i >= len(out.Notes) || out.Notes[i].Blob != want[0] || !strings.Contains(out.Notes[i].Note, want[1]) {
			t.Fatalf("note %d: %+v, want %q", i, out.Notes, want)
		}
	}
	busy := blobtest.Fault{Blob: "c", Status: 429, Code: "TooManyRequests"}
	w.storage.Fail(busy)
	out = callFor[found](t, session, "search_blobs", args{"text": "content"})
	if out.Reason != "failure" || len(out.Matches) != 2 || out.Notes[0].Blob != "c" || !strings.Contains(out.Notes[0].Note, "busy") {
		t.Errorf("got %+v, want Reason failure, 2 matches, Notes[0].Blob c and busy", out)
	}
	w.refusal(t, session, "search_blobs", args{"text": "content", "cursor": out.NextCursor}, blobtool.ErrThrottled)
	w.storage.Fail()
	if out = callFor[found](t, session, "search_blobs", args{"text": "content", "cursor": out.NextCursor}); len(out.Matches) != 4 || out.Matches[0].Blob != "c" {
		t.Errorf("got %+v, want 4 matches, Matches[0].Blob c", out)
	}
}

// A blob that was replaced between two calls is searched from its beginning; one that
// is gone is left out.
func TestSearchTextChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	putLibrary(w.storage)
	session := w.connect(t, "alice")
	first := callFor[found](t, session, "search_blobs", args{"text": "needle", "max_results": 1})
	w.storage.Put("docs", "a.txt", []byte("new needle"), "text/plain")
	out := callFor[found](t, session, "search_blobs", args{"text": "needle", "cursor": first.NextCursor})
	if m := out.Matches; len(m) != 4 || m[0].Text != "new needle" || out.Notes[0].Blob != "a.txt" || !strings.Contains(out.Notes[0].Note, "changed") {
		t.Errorf("got %+v, want Notes[0].Blob a.txt and changed, 4, m[0].Text \"new needle\"", out)
	}
	w.storage.Delete("docs", "a.txt")
	out = callFor[found](t, session, "search_blobs", args{"text": "needle", "cursor": first.NextCursor})
	if m := out.Matches; len(m) != 3 || m[0].Blob != "b/utf16.txt" {
		t.Errorf("got %+v, want 3, m[0].Blob b/utf16.txt", out)
	}
}

// Progress comes if it is asked for, and grows.
func TestSearchProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 100 {
		put(w.storage, "docs", fmt.Sprintf("%02d", i))
	}
	delay := func(r *http.Request) time.Duration {
		if r.URL.Query().Has("comp") {
			return 0
		}
		return 200 * time.Millisecond
	}
	var mu sync.Mutex
	var seen []float64
	options := &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, req *mcp.ProgressNotificationClientRequest) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, req.Params.Progress)
		if req.Params.ProgressToken != "p1" || !strings.Contains(req.Params.Message, "blobs searched") {
			t.Errorf("progress = %+v, want it for p1, with blobs searched", req.Params)
		}
	}}
	w.inBubble(t, w.docsSet, delay, options, func(t *testing.T, session *mcp.ClientSession) {
		params := &mcp.CallToolParams{Name: "search_blobs", Arguments: args{"text": "x"}}
		for _, token := range []string{"", "p1"} {
			if token != "" {
				params.SetProgressToken(token)
			}
			if _, err := session.CallTool(t.Context(), params); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // notifications have arrived
			mu.Lock()
			got := slices.Clone(seen)
			mu.Unlock()
			if grows := slices.IsSorted(got) && len(slices.Compact(slices.Clone(got))) == len(got); len(got) > 0 != (token != "") || !grows {
				t.Errorf("with the progress token %q: progress = %v, want growing numbers: %t", token, got, token != "")
			}
		}
	})
}

// Many blobs are read at the same time, but no more than are allowed.
func TestSearchTextOverlaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 100 {
		put(w.storage, "docs", fmt.Sprintf("%02d", i))
	}
	gauge := &gauge{next: w.storage.HTTPClient().Transport}
	client := *w.storage.HTTPClient()
	client.Transport = gauge
	w.storage.Fail(blobtest.Fault{Operation: blobtest.OpGetBlob, Delay: 20 * time.Millisecond})
	w.serve(t, w.storage.URL(), &blobtool.Options{HTTPClient: &client})
	out := callFor[found](t, w.connect(t, "alice"), "search_blobs", args{"text": "x"})
	if out.Searched != 100 || gauge.most < 16 || gauge.most > 32 {
		t.Errorf("%d blobs searched, %d at the same time; want 100, at least 16, at most 32", out.Searched, gauge.most)
	}
}

// A caller who goes away stops the search.
func TestSearchTextCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for i := range 100 {
		put(w.storage, "docs", fmt.Sprintf("%02d", i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := *w.storage.HTTPClient()
	client.Transport = &hook{next: client.Transport, after: func(n int, _ *http.Response) {
		if n == 10 {
			cancel()
		}
	}}
	set, err := blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: &client})
	if err != nil {
		t.Fatal(err)
	}
	set.Overlap(1)
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	set.Register(server)
	here, there := mcp.NewInMemoryTransports()
	serving, err := server.Connect(t.Context(), there, nil)
	if err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "search_blobs", Arguments: args{"text": "x"}}); err == nil {
		t.Error("a canceled call succeeds, want an error")
	}
	_ = session.Close()
	_ = serving.Wait()
	if n := len(w.storage.Requests()); n > 60 {
		t.Errorf("%d requests, want at most 60", n)
	}
}
