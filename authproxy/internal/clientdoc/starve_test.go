package clientdoc_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// A stranger who uses up a host's fetches doesn't keep out a document that was good before.
func TestGoodDocumentsDontCountForTheirHost(t *testing.T) {
	t.Parallel()
	down := false
	n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/nothing") || down {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		serveOwn(w, r)
	})
	if _, err := n.Document(t.Context(), clientURL); err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(time.Hour)
	tooMany := want{clientdoc.ErrBusy, http.StatusTooManyRequests, oauth.TemporarilyUnavailable, "too often"}
	for i := range 11 {
		_, err := n.Document(t.Context(), fmt.Sprintf("https://client.example/nothing/%d", i))
		if i < 10 && invalid("404").fault(err) != "" || i == 10 && tooMany.fault(err) != "" {
			t.Fatalf("the stranger's fetch %d: %v", i, err)
		}
	}
	if _, err := n.Document(t.Context(), clientURL); err != nil {
		t.Errorf("a document that was good an hour ago: got %v, want it fetched", err)
	}
	n.clock.Advance(time.Hour)
	down = true
	for range 10 {
		if _, err := n.Document(t.Context(), clientURL); invalid("404").fault(err) != "" {
			t.Errorf("once it is gone: %s", invalid("404").fault(err))
		}
	}
	if _, err := n.Document(t.Context(), clientURL); tooMany.fault(err) != "" {
		t.Errorf("gone, more than 10 times in a minute: %s", tooMany.fault(err))
	}
}

// Whoever holds all places with slow hosts gives one up for another site, and for a document
// that was good before.
func TestSlowHostsMakeRoom(t *testing.T) {
	t.Parallel()
	for name, hosts := range map[string]string{"of one site": "slow-%d.evil.example", "of many sites": "slow-%d.example"} {
		begun, release := make(chan struct{}, 100), make(chan struct{})
		n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.Host, "slow") {
				begun <- struct{}{}
				select {
				case <-release:
				case <-r.Context().Done():
				}
			}
			serveOwn(w, r)
		})
		if _, err := n.Document(t.Context(), clientURL); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(time.Hour)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var refused []error
		for i := range 16 {
			wg.Go(func() {
				if _, err := n.Document(t.Context(), fmt.Sprintf("https://"+hosts+"/a", i)); err != nil {
					mu.Lock()
					refused = append(refused, err)
					mu.Unlock()
				}
			})
			<-begun
		}
		busy := want{clientdoc.ErrBusy, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "at once"}
		if _, err := n.Document(t.Context(), fmt.Sprintf("https://"+hosts+"/a", 16)); busy.fault(err) != "" {
			t.Errorf("%s, one more: %s", name, busy.fault(err))
		}
		url := clientURL // of a document that was good before
		if name == "of one site" {
			url = "https://new.other.test/a"
		}
		if _, err := n.Document(t.Context(), url); err != nil {
			t.Errorf("slow hosts %s: %s: got %v, want it fetched", name, url, err)
		}
		close(release)
		wg.Wait()
		if len(refused) != 1 || busy.fault(refused[0]) != "" {
			t.Errorf("slow hosts %s: %d of them failed, %v; want 1, as one too many", name, len(refused), refused)
		}
	}
}
