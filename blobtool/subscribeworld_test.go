package blobtool_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A subscribing is a plain server of the SDK with subscriptions to blobs, over HTTP in memory and in
// a synctest bubble. Its callers' bearer tokens are name/lifetime.
type subscribing struct {
	*world
	era       string // the protocol's version, which says how to subscribe
	server    *mcp.Server
	transport *http.Transport

	mu      sync.Mutex
	tokens  map[string]string // for Azure Storage, by user
	noToken map[string]error  // by user
	cutOff  map[string]bool   // users whose requests to Azure Storage fail
	slow    string            // the blob for which each takes 15 seconds
	sent    map[string]int    // requests to Azure Storage, by user
}

// eras are the two ways to subscribe.
var eras = []string{"2026-07-28", "2025-11-25"}

// inEachEra runs f in a bubble for each way to subscribe. Alice and Bob may read docs.
func inEachEra(t *testing.T, o blobtool.SubscriptionOptions, f func(*testing.T, *subscribing)) {
	t.Helper()
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			w, options := newStorage(t, nil, func(all *blobtool.Options) { all.DownloadDir, all.Subscriptions = "", &o })
			w.storage.Put("docs", "a.txt", []byte("1"), "text/plain")
			w.storage.Grant(w.bob.ObjectID, "docs", "")
			x := &subscribing{world: w, era: era, tokens: map[string]string{}, noToken: map[string]error{}, cutOff: map[string]bool{}, sent: map[string]int{}}
			for name, user := range map[string]*entratest.User{"alice": w.alice, "bob": w.bob} { // by the clock outside
				x.tokens[w.userID(name)] = tenant.Token(user, w.client, tenant.Storage(), "user_impersonation")
			}
			messengers := newMessengers(t, 32, w.storage.HTTPClient().Transport)
			synctest.Test(t, func(t *testing.T) {
				options.HTTPClient = &http.Client{Transport: cutting{x, messengers}}
				x.serve(t, options)
				f(t, x)
			})
		})
	}
}

type callerKey struct{}

// serve starts the server.
func (x *subscribing) serve(t *testing.T, o *blobtool.Options) {
	t.Helper()
	set, err := blobtool.New(x.storage.URL(), "docs", func(ctx context.Context) (azcore.TokenCredential, error) {
		user, _ := ctx.Value(callerKey{}).(string)
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.tokens[user], x.noToken[user]
		}), nil
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	set.SetRetryDelay(time.Millisecond)
	var options mcp.ServerOptions
	set.Configure(&options)
	x.server = mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, &options)
	set.Register(x.server)
	x.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if extra := req.GetExtra(); extra != nil && extra.TokenInfo != nil {
				ctx = context.WithValue(ctx, callerKey{}, extra.TokenInfo.UserID)
			}
			return next(ctx, method, req)
		}
	})
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		name, until, _ := strings.Cut(token, "/")
		end, err := time.Parse(time.RFC3339, until)
		return &auth.TokenInfo{UserID: x.userID(name), Expiration: end}, err
	}
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return x.server }, &mcp.StreamableHTTPOptions{
		Stateless: x.era == eras[0], PropagateRequestCancellation: true, DisableLocalhostProtection: true,
	})
	listener := newPipes()
	front := &http.Server{Handler: auth.RequireBearerToken(verify, nil)(handler), ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = front.Serve(listener)
	}()
	x.transport = &http.Transport{DialContext: listener.dial}
	t.Cleanup(func() {
		x.transport.CloseIdleConnections()
		for session := range x.server.Sessions() {
			_ = session.Close()
		}
		_ = front.Close()
		<-served
	})
}

// bearer is a token of the user, good for that long.
func bearer(name string, life time.Duration) string {
	return name + "/" + time.Now().Add(life).UTC().Format(time.RFC3339)
}

// A caller is a client: a session, or a sender of single requests.
type caller struct {
	*subscribing
	token, session string
}

// as returns a client of that user.
func (x *subscribing) as(t *testing.T, token string) *caller {
	t.Helper()
	c := &caller{subscribing: x, token: token}
	if x.era != eras[0] {
		resp, err := c.send(t.Context(), t, http.MethodPost, "initialize", `"params":{"protocolVersion":"`+x.era+`","capabilities":{},"clientInfo":{"name":"t","version":"1"}}`)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		c.session = resp.Header.Get("Mcp-Session-Id")
		c.post(t, "ping", `"params":{}`)
	}
	return c
}

const subscriptionMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"t","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// send sends a request and returns the answer, whose body the caller closes.
func (c *caller) send(ctx context.Context, t *testing.T, httpMethod, method, params string) (*http.Response, error) {
	t.Helper()
	body := ""
	if method != "" {
		body = `{"jsonrpc":"2.0","id":7,"method":"` + method + `",` + params + `}`
	}
	req, err := http.NewRequestWithContext(ctx, httpMethod, "http://localhost/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": "Bearer " + c.token,
		"Mcp-Session-Id": c.session, "Mcp-Protocol-Version": c.era, "Mcp-Method": method,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	return c.transport.RoundTrip(req)
}

// post sends a request and returns the body of the answer.
func (c *caller) post(t *testing.T, method, params string) string {
	t.Helper()
	resp, err := c.send(t.Context(), t, http.MethodPost, method, params)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A newsStream is what comes to a subscriber.
type newsStream struct {
	mu     sync.Mutex
	text   strings.Builder
	over   bool
	hangUp context.CancelFunc
}

// subscribe subscribes to the URIs and returns what comes, up to what refuses it.
func (c *caller) subscribe(t *testing.T, uris ...string) *newsStream {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	s := &newsStream{hangUp: hangUp}
	var resp *http.Response
	var err error
	if c.era == eras[0] {
		resp, err = c.send(ctx, t, http.MethodPost, "subscriptions/listen", `"params":{"notifications":{"resourceSubscriptions":["`+strings.Join(uris, `","`)+`"]},`+subscriptionMeta+`}`) //nolint:bodyclose // below
	} else {
		for _, uri := range uris {
			if body := c.post(t, "resources/subscribe", `"params":{"uri":"`+uri+`"}`); strings.Contains(body, `"error"`) {
				s.text.WriteString(body)
			}
		}
		resp, err = c.send(ctx, t, http.MethodGet, "", "") //nolint:bodyclose // below
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			s.mu.Lock()
			s.text.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.over = true
	}()
	t.Cleanup(func() {
		hangUp()
		synctest.Wait()
	})
	synctest.Wait()
	return s
}

// take returns what has come since the last time, and whether the stream is over.
func (s *newsStream) take() (text string, over bool) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	text = s.text.String()
	s.text.Reset()
	return text, s.over
}

// updates returns how many updates have come.
func (s *newsStream) updates() int {
	text, _ := s.take()
	return strings.Count(text, "notifications/resources/updated")
}

// cutting is the way to Azure Storage. It counts each user's requests.
type cutting struct {
	of   *subscribing
	next http.RoundTripper
}

func (c cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	for user, own := range c.of.tokens {
		if own != token {
			continue
		}
		c.of.mu.Lock()
		c.of.sent[user]++
		cut, slow := c.of.cutOff[user], c.of.slow != "" && strings.HasSuffix(r.URL.Path, c.of.slow)
		c.of.mu.Unlock()
		if slow {
			select {
			case <-time.After(15 * time.Second):
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		if cut {
			return nil, errors.New("the line is cut")
		}
	}
	return c.next.RoundTrip(r)
}

// polls returns how many requests a user's token has sent since the last time.
func (x *subscribing) polls(name string) int {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.sent[x.userID(name)]
	x.sent[x.userID(name)] = 0
	return n
}

// cut cuts a user off from Azure Storage, or no longer.
func (x *subscribing) cut(name string, off bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.cutOff[x.userID(name)] = off
}

// pass lets time pass in a bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// pipes is a listener in memory.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{dialed: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.dialed <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refuseTokens makes requests for the user's tokens fail.
func (x *subscribing) refuseTokens(name string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.noToken[x.userID(name)] = err
}
