package mcpentra_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A bubble is a world's server under Serve in a synctest bubble, on a listener in memory.
type bubble struct {
	*world
	*listener
	stop   context.CancelFunc
	served chan error // Serve's result; closed after it
	entra  downEntra  // of the server's exchanger
}

// downEntra is a token endpoint that is down.
type downEntra struct{ asked atomic.Int64 }

func (e *downEntra) RoundTrip(r *http.Request) (*http.Response, error) {
	e.asked.Add(1)
	return &http.Response{StatusCode: http.StatusInternalServerError, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// inBubble runs f with a server in a bubble, where time passes once everybody waits. The tenant
// stays outside, because a bubble's clock does not pass while a socket is read. So the verifier
// has fetched its keys before, and its own clock stands still at the time when bubbles begin.
func inBubble(t *testing.T, f func(*testing.T, *bubble), opts ...mcpentra.Option) {
	t.Helper()
	w, now := newWorld(t), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), Now: func() time.Time { return now },
	})
	must(t, err)
	t.Cleanup(func() { _ = v.Close() })
	must(t, v.Ready(t.Context()))
	w.verifier = v
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{world: w, listener: newListener(), served: make(chan error, 1)}
		x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), &obo.Options{
			HTTPClient: &http.Client{Transport: &b.entra}, AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(),
		})
		must(t, err)
		w.server, err = mcpentra.NewServer(resourceURL, w.verifier, append([]mcpentra.Option{
			mcpentra.WithExchanger(x), mcpentra.WithTools(mcpentra.IdentityTools(w.verifier)), mcpentra.WithLogger(w.logger()),
		}, opts...)...)
		must(t, err)
		w.url = "http://localhost/mcp"
		ctx, stop := context.WithCancel(context.Background())
		b.stop = stop
		go func() {
			defer close(b.served)
			b.served <- w.server.Serve(ctx, b.listener)
		}()
		t.Cleanup(func() {
			stop()
			for range b.served { // closed when Serve has ended
			}
		})
		t.Cleanup(w.server.EndSessions)
		f(t, b)
	})
}

// transport returns a client's way to the server, over HTTP/1.
func (b *bubble) transport(t *testing.T) *http.Transport {
	t.Helper()
	transport := &http.Transport{DialContext: b.dial}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// http2 serves the world's server a second time, over TLS and HTTP/2, and returns a client's way
// there.
func (b *bubble) http2(t *testing.T) *http.Transport {
	t.Helper()
	certFile, keyFile, client := certificateFiles(t)
	certificate, err := mcpentra.CertificateFiles(certFile, keyFile, b.logger())
	must(t, err)
	other, served := newListener(), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { served <- b.server.ServeTLS(ctx, other, certificate) }()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Errorf("ServeTLS = %v, want nil", err)
		}
	})
	client.DialContext = other.dial
	b.url = "https://localhost/mcp"
	return client
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// endedIn reports whether a connection ended in its time. net/http may leave a client half a second
// more to see the end: since Go 1.27 also after a deadline.
func endedIn(want, took time.Duration) bool {
	return took == want || took == want+500*time.Millisecond
}

// raw opens a connection on which a test writes requests itself.
func (b *bubble) raw(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := b.dial(t.Context(), "", "")
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

// A listener is in memory, whose connections have no buffer.
type listener struct {
	dialed chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newListener() *listener {
	return &listener{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *listener) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialed:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *listener) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (*listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// dial is for http.Transport.DialContext.
func (n *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.dialed <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
