package blobtool_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// inBubble runs f in a synctest bubble with Alice's session for the tools of a set, which newSet
// makes with a client for the storage account. A request there takes as long as delay
// says, by the bubble's clock.
func (w *world) inBubble(t *testing.T, newSet func(*http.Client) (*blobtool.Set, error), delay func(*http.Request) time.Duration,
	options *mcp.ClientOptions, f func(*testing.T, *mcp.ClientSession),
) {
	t.Helper()
	alice, err := w.findCredential(t.Context())
	if err == nil {
		_, err = alice.GetToken(t.Context(), policy.TokenRequestOptions{}) // by the clock outside
	}
	if err != nil {
		t.Fatal(err)
	}
	messengers := newMessengers(t, 32, w.storage.HTTPClient().Transport)
	synctest.Test(t, func(t *testing.T) {
		set, err := newSet(&http.Client{Transport: late{delay, messengers}})
		if err != nil {
			t.Fatal(err)
		}
		set.SetShares(work.NewShares(4, 64<<20, work.LineSlots)) // those of the process are not the bubble's
		server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
		set.Register(server)
		server.AddReceivingMiddleware(asAlice)
		here, there := mcp.NewInMemoryTransports()
		served, err := server.Connect(context.Background(), there, nil)
		if err != nil {
			t.Fatal(err)
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options).Connect(context.Background(), here, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = session.Close()
			_ = served.Wait()
		})
		f(t, session)
	})
}

// asAlice gives calls the user that a front end would have verified.
func asAlice(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if call, ok := req.(*mcp.CallToolRequest); ok {
			call.Extra = &mcp.RequestExtra{TokenInfo: &auth.TokenInfo{UserID: "alice"}}
		}
		return next(ctx, method, req)
	}
}

// docsSet makes the tools for the container docs.
func (w *world) docsSet(client *http.Client) (*blobtool.Set, error) {
	return blobtool.New(w.storage.URL(), "docs", w.findCredential, &blobtool.Options{HTTPClient: client})
}

// late sends requests after a delay.
type late struct {
	delay func(*http.Request) time.Duration
	next  http.RoundTripper
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	if d := l.delay(r); d > 0 { // a timer of 0 can crash Go 1.26 in a bubble with -race
		select {
		case <-time.After(d):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	return l.next.RoundTrip(r)
}

// messengers send a bubble's requests from outside of it: its clock stops until they
// are back with the whole answer, and then passes as if that had taken no time.
type messengers chan *messenger

type messenger struct {
	request chan *http.Request
	answer  chan delivery
}

type delivery struct {
	resp *http.Response
	err  error
}

// newMessengers starts them. It must be called outside the bubble, whose channels nobody else
// may use.
func newMessengers(t *testing.T, n int, next http.RoundTripper) messengers {
	t.Helper()
	idle := make(messengers, n)
	for range n {
		m := &messenger{make(chan *http.Request), make(chan delivery)}
		go func() {
			for r := range m.request {
				resp, err := next.RoundTrip(r)
				if err == nil {
					var body []byte
					body, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					resp.Body = io.NopCloser(bytes.NewReader(body))
				}
				m.answer <- delivery{resp, err}
			}
		}()
		t.Cleanup(func() { close(m.request) })
		idle <- m
	}
	return idle
}

func (idle messengers) RoundTrip(r *http.Request) (*http.Response, error) {
	m := <-idle
	m.request <- r.Clone(context.Background()) // the request's context is the bubble's
	a := <-m.answer
	idle <- m
	if a.resp != nil {
		a.resp.Request = r
	}
	return a.resp, a.err
}
