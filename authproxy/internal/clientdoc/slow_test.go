package clientdoc_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

// pipes is a listener for connections in memory, which take the time of the test's bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.conns <- theirs
	return ours, nil
}

func resolvePublic(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr(publicIP)}, nil
}

// bubble returns a fetcher in a bubble, whose server answers with the handler.
func bubble(t *testing.T, handler http.HandlerFunc) *clientdoc.Fetcher {
	t.Helper()
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(tls.NewListener(p, theAuthority().config())) }()
	t.Cleanup(func() { _ = server.Close() })
	return clientdoc.New(&clientdoc.Options{Resolve: resolvePublic, Dial: p.dial, RootCAs: theAuthority().pool})
}

// A fetch takes five seconds at most, whatever is slow.
func TestSlow(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, fetcher := range map[string]func(*testing.T) *clientdoc.Fetcher{
		"DNS": func(*testing.T) *clientdoc.Fetcher {
			return clientdoc.New(&clientdoc.Options{Resolve: func(ctx context.Context, _ string) ([]netip.Addr, error) { return nil, hang(ctx) }})
		},
		"connecting": func(*testing.T) *clientdoc.Fetcher {
			return clientdoc.New(&clientdoc.Options{Resolve: resolvePublic,
				Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return nil, hang(ctx) }})
		},
		"TLS": func(t *testing.T) *clientdoc.Fetcher {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = theirs.Close() })
			return clientdoc.New(&clientdoc.Options{Resolve: resolvePublic,
				Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
		},
		"the answer": func(t *testing.T) *clientdoc.Fetcher {
			return bubble(t, func(_ http.ResponseWriter, r *http.Request) { _ = hang(r.Context()) })
		},
		"a dripping body": func(t *testing.T) *clientdoc.Fetcher {
			return bubble(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for r.Context().Err() == nil {
					_, _ = io.WriteString(w, " ")
					_ = http.NewResponseController(w).Flush()
					pause(r.Context(), time.Second)
				}
			})
		},
		"dripping early hints": func(t *testing.T) *clientdoc.Fetcher {
			return bubble(t, func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					w.WriteHeader(http.StatusEarlyHints)
					pause(r.Context(), time.Second)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				defer time.Sleep(time.Minute) //nolint:forbidigo // the bubble\'s clock: both ends of a connection say goodbye, for 5 s
				f, start := fetcher(t), time.Now()
				_, err := f.Document(t.Context(), clientURL)
				if fault := unavailable.fault(err); fault != "" {
					t.Error(fault)
				}
				if took := time.Since(start); took != 5*time.Second {
					t.Errorf("it took %v, want 5s", took)
				}
				synctest.Wait()
			})
		})
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// A connection ends with its fetch, even if net/http still negotiates on it.
func TestConnectionEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) //nolint:forbidigo // the bubble\'s clock: both ends of a connection say goodbye, for 5 s
		ours, theirs := net.Pipe()
		f := clientdoc.New(&clientdoc.Options{Resolve: resolvePublic, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			pause(ctx, 4*time.Second)
			return ours, nil
		}})
		start := time.Now()
		go func() { _, _ = f.Document(t.Context(), clientURL) }()
		if _, err := io.Copy(io.Discard, theirs); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("the connection ended after %v, want 5s", took)
		}
	})
}

// A body that comes slowly and in time is as good.
func TestSlowAndInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) //nolint:forbidigo // the bubble\'s clock: both ends of a connection say goodbye, for 5 s
		f := bubble(t, func(w http.ResponseWriter, r *http.Request) {
			pause(r.Context(), 4*time.Second)
			serveOwn(w, r)
		})
		if _, err := f.Document(t.Context(), clientURL); err != nil {
			t.Error(err)
		}
	})
}

// An address that doesn't answer takes its share of the time, and the next is tried.
func TestDeadAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Minute) //nolint:forbidigo // the bubble\'s clock: both ends of a connection say goodbye, for 5 s
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(serveOwn)}
		go func() { _ = server.Serve(tls.NewListener(p, theAuthority().config())) }()
		defer func() { _ = server.Close() }()
		f := clientdoc.New(&clientdoc.Options{
			RootCAs: theAuthority().pool,
			Resolve: func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("2606:4700::1"), netip.MustParseAddr(publicIP)}, nil
			},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if address != publicIP+":443" {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return p.dial(ctx, network, address)
			},
		})
		start := time.Now()
		if _, err := f.Document(t.Context(), clientURL); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 2500*time.Millisecond {
			t.Errorf("it took %v, want 2.5s", took)
		}
	})
}
