package clientdoc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func TestLifetimes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cacheControl, age string
		want              time.Duration
	}{
		{"", "", time.Hour},
		{"public", "", time.Hour},
		{"", "600", time.Hour}, // without a max-age
		{"max-age=600", "", 10 * time.Minute},
		{"public, max-age=600, must-revalidate", "", 10 * time.Minute},
		{"Max-Age=600", "", 10 * time.Minute},
		{`max-age="600"`, "", 10 * time.Minute},
		{"max-age=7200", "", 2 * time.Hour},
		{"max-age=7200, max-age=600", "", 10 * time.Minute},
		{"max-age=600, max-age=7200", "", 10 * time.Minute},
		{"max-age=600", "120", 8 * time.Minute},
		{"max-age=600", "600", time.Minute},
		{"max-age=600", "100000000000000000000", time.Minute},
		{"max-age=60", "", time.Minute},
		{"max-age=1", "", time.Minute},
		{"max-age=0", "", time.Minute},
		{"max-age=-1", "", time.Minute},
		{"max-age=", "", time.Minute},
		{"max-age=1h", "", time.Minute},
		{"no-store", "", time.Minute},
		{"no-cache", "", time.Minute},
		{"max-age=600, no-store", "", time.Minute},
		{"max-age=86400", "", 24 * time.Hour},
		{"max-age=31536000, immutable", "", 24 * time.Hour},
		{"max-age=100000000000000000000", "", 24 * time.Hour},
		{"s-maxage=600", "", time.Hour},
		{"x-max-age=600", "", time.Hour},
	} {
		n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
			if tt.cacheControl != "" {
				w.Header().Set("Cache-Control", tt.cacheControl)
			}
			if tt.age != "" {
				w.Header().Set("Age", tt.age)
			}
			serveOwn(w, r)
		})
		for _, step := range []struct {
			advance  time.Duration
			requests int64
		}{{0, 1}, {tt.want - 1, 1}, {1, 2}} {
			n.clock.Advance(step.advance)
			if _, err := n.Document(t.Context(), clientURL); err != nil {
				t.Fatal(err)
			}
			if got := n.requests.Load(); got != step.requests {
				t.Errorf("Cache-Control %q, Age %q, after %v more: %d requests, want %d", tt.cacheControl, tt.age, step.advance, got, step.requests)
			}
		}
	}
}

// What fails or is invalid is fetched again.
func TestErrorsAreNotCached(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]http.HandlerFunc{
		"404": answer(404, "application/json", ""), "500": answer(500, "application/json", ""),
		"invalid": answer(200, "application/json", "{}", "Cache-Control", "max-age=600"), "text": answer(200, "text/plain", "x"),
	} {
		var good atomic.Bool
		n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
			if good.Load() {
				serveOwn(w, r)
				return
			}
			bad(w, r)
		})
		for i := range int64(3) {
			if _, err := n.Document(t.Context(), clientURL); err == nil || n.requests.Load() != i+1 {
				t.Errorf("%s: got %v and %d requests, want an error and %d", name, err, n.requests.Load(), i+1)
			}
		}
		good.Store(true)
		if _, err := n.Document(t.Context(), clientURL); err != nil {
			t.Errorf("%s, and then a good answer: got %v", name, err)
		}
	}
}

// After its time a document is not served any more, even if it can't be fetched.
func TestExpiredDocument(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		serveOwn(w, r)
	})
	if _, err := n.Document(t.Context(), clientURL); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	n.clock.Advance(time.Hour - 1)
	if _, err := n.Document(t.Context(), clientURL); err != nil {
		t.Errorf("in time: %v", err)
	}
	n.clock.Advance(1)
	if _, err := n.Document(t.Context(), clientURL); unavailable.fault(err) != "" {
		t.Errorf("after its time: %s", unavailable.fault(err))
	}
}

// One fetch per URL, whoever gives up.
func TestSingleFetch(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-release
		serveOwn(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := n.Document(ctx, clientURL)
		first <- err
	}()
	<-begun
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if d, err := n.Document(t.Context(), clientURL); err != nil || d.URL != clientURL {
				t.Errorf("a waiting caller: got %v, %v; want the document", d, err)
			}
		})
	}
	cancel()
	if e, ok := errors.AsType[*oauth.Error](<-first); !ok || !errors.Is(e, context.Canceled) || e.Code != oauth.TemporarilyUnavailable {
		t.Errorf("the caller that gave up: got %v, want %v as temporarily_unavailable", e, context.Canceled)
	}
	close(release)
	wg.Wait()
	if got := n.requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

func TestSixteenAtOnce(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-release
		serveOwn(w, r)
	})
	var wg sync.WaitGroup
	url := func(i int) string { return fmt.Sprintf("https://client-%d.example/a", i) }
	for i := range 16 {
		wg.Go(func() {
			if _, err := n.Document(t.Context(), url(i)); err != nil {
				t.Errorf("fetch %d: %v", i, err)
			}
		})
		<-begun
	}
	busy := want{clientdoc.ErrBusy, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "at once"}
	for range 20 { // these don't count for their host
		if _, err := n.Document(t.Context(), url(16)); busy.fault(err) != "" {
			t.Fatalf("one more: %s", busy.fault(err))
		}
	}
	close(release)
	wg.Wait()
	go func() { <-begun }()
	if _, err := n.Document(t.Context(), url(16)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestTenAMinute(t *testing.T) {
	t.Parallel()
	n := newInternet(t, answer(404, "text/plain", ""))
	fetch := func(url string, want want) {
		t.Helper()
		if _, err := n.Document(t.Context(), url); want.fault(err) != "" {
			t.Errorf("Document(%q): %s", url, want.fault(err))
		}
	}
	tooMany := want{clientdoc.ErrBusy, http.StatusTooManyRequests, oauth.TemporarilyUnavailable, "too often"}
	notFound := invalid("404")
	for i := range 10 {
		fetch(fmt.Sprintf("%s?%d", clientURL, i), notFound)
		n.clock.Advance(time.Second)
	}
	fetch(clientURL, tooMany)
	fetch("https://CLIENT.example:8443/a", tooMany) // the host counts, in any spelling and with any port
	fetch("https://other.example/a", notFound)
	_, err := n.Document(t.Context(), clientURL)
	if e, ok := errors.AsType[*oauth.Error](err); !ok || e.RetryAfter != 50*time.Second {
		t.Errorf("got %v, want a Retry-After of 50s", err)
	}
	n.clock.Advance(50*time.Second - 1)
	fetch(clientURL, tooMany)
	n.clock.Advance(1)
	fetch(clientURL, notFound)
	fetch(clientURL, tooMany)
	n.clock.Advance(time.Second)
	fetch(clientURL, notFound)
	if got := n.requests.Load(); got != 13 {
		t.Errorf("%d requests, want 13", got)
	}
}
