package blobtool_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// newAskWorld starts a world in which Alice may write, and nobody but she confirms. With sessions,
// clients use an older protocol.
func newAskWorld(t testing.TB, sessions bool, change func(*blobtool.Options)) *world {
	t.Helper()
	w := newWorld(t, func(o *blobtool.Options) {
		o.DownloadDir = ""
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, UserPerMinute: -1, TotalPerMinute: -1}
		if change != nil {
			change(o)
		}
	})
	for _, u := range []string{w.alice.ObjectID, w.bob.ObjectID} {
		w.storage.GrantContributor(u, "docs", "")
	}
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	if sessions {
		w.frontOf(t, &mcp.StreamableHTTPOptions{})
	}
	return w
}

// frontOf serves the world's set anew, on the bare SDK.
func (w *world) frontOf(t testing.TB, o *mcp.StreamableHTTPOptions) {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	w.set.Register(server)
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, o)
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: w.userID(token), Expiration: time.Now().Add(time.Hour)}, nil
	}
	front := httptest.NewServer(auth.RequireBearerToken(verify, nil)(handler))
	t.Cleanup(front.Close)
	w.url = front.URL
}

// A person answers forms.
type person struct {
	answer func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error)

	mu    sync.Mutex
	asked []*mcp.ElicitParams
}

// says is a person who always gives that answer.
func says(action string, content map[string]any) *person {
	return &person{answer: func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		return &mcp.ElicitResult{Action: action, Content: content}, nil
	}}
}

// agrees is a person who says yes.
func agrees() *person { return says("accept", map[string]any{"confirm": true}) }

// questions returns what the person was asked.
func (p *person) questions() []*mcp.ElicitParams {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*mcp.ElicitParams(nil), p.asked...)
}

// options are those of a client that shows the person forms.
func (p *person) options() *mcp.ClientOptions {
	return &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{Form: &mcp.FormElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			p.mu.Lock()
			p.asked = append(p.asked, req.Params)
			p.mu.Unlock()
			return p.answer(ctx, req.Params)
		},
	}
}

// etag returns the ETag of a blob.
func etag(t testing.TB, session *mcp.ClientSession, blob string) string {
	t.Helper()
	return statOf(t, session, blob).ETag
}
