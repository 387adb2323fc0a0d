package mcpentra_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A thousand quick requests of one user are cut off; another is served meanwhile.
func TestRequestsPerSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.001, Burst: 50}))
	alice, bob := w.token(w.alice), w.token(w.bob)
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	var mu sync.Mutex
	count, begin := map[int]int{}, time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 125 {
				status, header, body := send(t, transport, w.url, listTools, alice)
				mu.Lock()
				count[status]++
				mu.Unlock()
				if status != http.StatusTooManyRequests {
					continue
				}
				if s, err := strconv.Atoi(header.Get("Retry-After")); err != nil || s < 1 || s > 1000 {
					t.Errorf("Retry-After: got %q, want 1 to 1000 seconds", header.Get("Retry-After"))
				}
				if rpc := decode(t, body); rpc["id"] != 7.0 || rpc["error"] == nil {
					t.Errorf("got %s, want a JSON-RPC error for the request", body)
				}
			}
		})
	}
	for range 50 {
		if status, _, body := send(t, transport, w.url, listTools, bob); status != http.StatusOK {
			t.Errorf("another user meanwhile: got %d %s, want 200", status, body)
		}
	}
	wg.Wait()
	if count[http.StatusOK] != 50 || count[http.StatusTooManyRequests] != 950 {
		t.Errorf("answers by status: got %v, want 50 of 200 and 950 of 429", count)
	}
	if n := strings.Count(w.log.String(), "reason=too_many_requests"); n == 0 || n > int(time.Since(begin).Seconds())+1 {
		t.Errorf("%d lines about it, want one a second", n)
	}
}

// The SDK's client goes on after 429.
func TestClientSurvivesTooManyRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithLimits(mcpentra.Limits{Concurrent: 1}))
	release := addWaiting(w)
	s := w.connect(t, w.token(w.alice), "2026-07-28")
	var wg sync.WaitGroup
	wg.Go(func() {
		for { // the request before may have been answered and not yet be over
			result, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "wait"})
			if err == nil || !strings.Contains(err.Error(), "Too Many Requests") {
				if err != nil || result.IsError {
					t.Errorf("the call: got %+v %v, want its result, nil", result, err)
				}
				return
			}
		}
	})
	<-release.begun
	if _, err := s.ListTools(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "Too Many Requests") {
		t.Errorf("a second request at a time: got %v, want an error and \"Too Many Requests\"", err)
	}
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.alice)}); status != http.StatusTooManyRequests ||
		!strings.Contains(body, "1 at a time") {
		t.Errorf("got %d %s, want 429 and \"1 at a time\"", status, body)
	}
	if status, _, body := w.post(t, listTools, map[string]string{"Authorization": "Bearer " + w.token(w.bob)}); status != http.StatusOK {
		t.Errorf("another user: got %d %s, want 200", status, body)
	}
	close(release.end)
	wg.Wait()
	for {
		_, err := s.ListTools(t.Context(), nil)
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "Too Many Requests") {
			t.Fatalf("afterwards: got %v, want \"Too Many Requests\"", err)
		}
	}
}

// A user whose calls have taken all places can end them, and answer what they ask.
func TestEndingTakesNoPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions(), mcpentra.WithLimits(mcpentra.Limits{Concurrent: 2}))
	x := addWaiting(w)
	defer close(x.end)
	header := w.begin(t, "sessions", w.token(w.alice), "2025-03-26")
	var wg sync.WaitGroup
	defer wg.Wait()
	begin := func(id int) {
		wg.Go(func() { w.post(t, strings.Replace(callBody("wait"), `"id":7`, fmt.Sprint(`"id":`, id), 1), header) })
		<-x.begun
	}
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}` //nolint:misspell // the protocol's spelling
	begin(1)
	begin(2)
	for _, row := range []struct {
		name, method, body string
		status             int
		ends               int // calls, with the context canceled
	}{
		{"another call", http.MethodPost, listTools, http.StatusTooManyRequests, 0},
		{"a stream", http.MethodGet, "", http.StatusTooManyRequests, 0},
		{"a call in a batch", http.MethodPost, "[" + fmt.Sprintf(cancel, 9) + "," + listTools + "]", http.StatusTooManyRequests, 0},
		{"another notification", http.MethodPost, `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, http.StatusAccepted, 0},
		{"an answer", http.MethodPost, `{"jsonrpc":"2.0","id":99,"result":{}}`, http.StatusAccepted, 0},
		{"cancel one", http.MethodPost, fmt.Sprintf(cancel, 1), http.StatusAccepted, 1},
		{"in a batch", http.MethodPost, "[" + fmt.Sprintf(cancel, 3) + "," + fmt.Sprintf(cancel, 4) + "]", http.StatusAccepted, 1},
		{"end the session", http.MethodDelete, "", http.StatusNoContent, 2},
	} {
		switch row.name {
		case "in a batch":
			begin(3)
		case "end the session":
			begin(4)
		}
		status, _, body := do(t, row.method, w.url, row.body, header)
		if status != row.status || status == http.StatusTooManyRequests && row.method == http.MethodPost && !strings.Contains(body, "too_many_requests") {
			t.Errorf("%s: %d %s, want %d", row.name, status, body, row.status)
		}
		for range row.ends {
			select {
			case err := <-x.ended:
				if err == nil {
					t.Errorf("%s: a call ended by itself, want its context to end it", row.name)
				}
			case <-time.After(time.Minute):
				t.Fatalf("%s: no call ended", row.name)
			}
		}
	}
}

// What takes no place is bounded too, and ends with its request.
func TestShortRequestsAreBounded(t *testing.T) {
	t.Parallel()
	users := mcpentra.NewUsers(mcpentra.Limits{Concurrent: 3}, time.Now)
	var ends []func()
	for range 3 {
		end, wait := users.AdmitShort("a")
		if wait > 0 {
			t.Fatalf("must wait %s, want 0", wait)
		}
		ends = append(ends, end)
	}
	if _, wait := users.AdmitShort("a"); wait == 0 {
		t.Error("a fourth call of three is admitted, want it to wait")
	}
	if end, wait := users.Admit("a"); wait > 0 {
		t.Errorf("a call beside them must wait %s, want 0", wait)
	} else {
		end()
	}
	if _, wait := users.AdmitShort("b"); wait > 0 {
		t.Errorf("another user must wait %s, want 0", wait)
	}
	for _, end := range ends {
		end()
	}
	if _, wait := users.AdmitShort("a"); wait > 0 {
		t.Errorf("afterwards must wait %s, want 0", wait)
	}
}

// waiting is a tool that says when it has begun and how it ended.
type waiting struct {
	begun chan struct{}
	end   chan struct{} // closed by the test
	ended chan error
}

func addWaiting(w *world) waiting {
	x := waiting{make(chan struct{}, 64), make(chan struct{}), make(chan error, 64)}
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "wait", Description: "Waits."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			x.begun <- struct{}{}
			select {
			case <-x.end:
			case <-ctx.Done():
			}
			x.ended <- ctx.Err()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "waited"}}}, nil, ctx.Err()
		})
	return x
}

// Who has been away is forgotten; who is being served is not.
func TestUsersAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	users := mcpentra.NewUsers(mcpentra.Limits{RequestsPerSecond: 1, Burst: 10, Concurrent: 1}, func() time.Time { return now })
	release, _ := users.Admit("busy")
	for i := range 3 * mcpentra.MaxIdleUsers {
		end, wait := users.Admit(strconv.Itoa(i))
		if wait > 0 {
			t.Fatalf("user %d must wait %s, want 0", i, wait)
		}
		end()
	}
	if n := users.Known(); n > mcpentra.MaxIdleUsers+2 {
		t.Errorf("%d users are remembered, want at most %v", n, mcpentra.MaxIdleUsers+2)
	}
	if _, wait := users.Admit("busy"); wait == 0 {
		t.Error("a user who is being served was forgotten")
	}
	now = now.Add(10 * time.Second) // all buckets are full again
	for range 2 * mcpentra.MaxIdleUsers {
		if end, wait := users.Admit("one"); wait == 0 {
			end()
		}
	}
	if n := users.Known(); n != 2 {
		t.Errorf("%d users are remembered, want the one and the busy", n)
	}
	release()
	if end, wait := users.Admit("busy"); wait > 0 {
		t.Errorf("must wait %s, want 0", wait)
	} else {
		end()
	}
}

// Retry-After is when the next request would be served.
func TestWaitIsExact(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	users := mcpentra.NewUsers(mcpentra.Limits{RequestsPerSecond: 0.1, Burst: 2, Concurrent: 9}, func() time.Time { return now })
	for range 2 {
		if _, wait := users.Admit("a"); wait > 0 {
			t.Fatalf("must wait %s, want 0", wait)
		}
	}
	now = now.Add(time.Second)
	_, wait := users.Admit("a")
	if wait < 8*time.Second || wait > 9*time.Second+time.Millisecond {
		t.Fatalf("must wait %s, want 9s", wait)
	}
	now = now.Add(wait + time.Millisecond)
	if _, wait := users.Admit("a"); wait > 0 {
		t.Errorf("and then %s again, want 0", wait)
	}
}

// A value that is no limit, or that would overflow, is a fault that names its field.
func TestLimitsAreLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, row := range []struct {
		name   string
		limits mcpentra.Limits
		faults []string
	}{
		{"negative", mcpentra.Limits{RequestsPerSecond: -1, Burst: -1, Concurrent: -1, Sessions: -1, AllSessions: -1, BodyBytes: -1, BodyTimeout: -1, WriteTimeout: -1, DrainTimeout: -1}, allLimits},
		{"the largest numbers", mcpentra.Limits{RequestsPerSecond: math.MaxFloat64, Burst: math.MaxInt, Concurrent: math.MaxInt, Sessions: math.MaxInt, AllSessions: math.MaxInt,
			BodyBytes: math.MaxInt64, BodyTimeout: math.MaxInt64, WriteTimeout: math.MaxInt64, DrainTimeout: math.MaxInt64}, allLimits},
		{"the smallest numbers", mcpentra.Limits{RequestsPerSecond: -math.MaxFloat64, Burst: math.MinInt, Concurrent: math.MinInt, Sessions: math.MinInt, AllSessions: math.MinInt,
			BodyBytes: math.MinInt64, BodyTimeout: math.MinInt64, WriteTimeout: math.MinInt64, DrainTimeout: math.MinInt64}, allLimits},
		{"infinity", mcpentra.Limits{RequestsPerSecond: math.Inf(1)}, []string{"RequestsPerSecond"}},
		{"less than nothing", mcpentra.Limits{RequestsPerSecond: math.Inf(-1)}, []string{"RequestsPerSecond"}},
		{"no number", mcpentra.Limits{RequestsPerSecond: math.NaN()}, []string{"RequestsPerSecond"}},
		{"one too many", mcpentra.Limits{Concurrent: 1<<30 + 1, BodyTimeout: 24*time.Hour + time.Second}, []string{"Concurrent", "BodyTimeout"}},
		{"none", mcpentra.Limits{}, nil},
		{"small", mcpentra.Limits{RequestsPerSecond: math.SmallestNonzeroFloat64, Burst: 1, Concurrent: 1, Sessions: 1, AllSessions: 1, BodyBytes: 1, BodyTimeout: 1, WriteTimeout: 1, DrainTimeout: 1}, nil},
		{"large", mcpentra.Limits{RequestsPerSecond: 1e9, Burst: 1 << 30, Concurrent: 1 << 30, Sessions: 1 << 30, AllSessions: 1 << 30, BodyBytes: 1 << 30,
			BodyTimeout: 24 * time.Hour, WriteTimeout: 24 * time.Hour, DrainTimeout: 24 * time.Hour}, nil},
	} {
		_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithLimits(row.limits))
		if (err == nil) != (row.faults == nil) {
			t.Errorf("%s: %v, want faults of %v", row.name, err, row.faults)
		}
		for _, field := range allLimits {
			if named := err != nil && strings.Contains(err.Error(), "WithLimits: "+field+" "); named != slices.Contains(row.faults, field) {
				t.Errorf("%s: %s is named: %v, want the opposite, in: %v", row.name, field, named, err)
			}
		}
	}
}

var allLimits = []string{"RequestsPerSecond", "Burst", "Concurrent", "Sessions", "AllSessions", "BodyBytes", "BodyTimeout", "WriteTimeout", "DrainTimeout"}

const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`

// send posts a body over a shared transport.
func send(t testing.TB, transport http.RoundTripper, url, body, token string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, strings.NewReader(body))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return 0, http.Header{}, ""
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, resp.Header, string(data)
}
