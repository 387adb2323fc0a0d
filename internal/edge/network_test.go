package edge_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A network is an in-memory listener. Its connections' deadlines use the clock of a synctest
// bubble.
type network struct {
	dialed chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func newNetwork() *network {
	return &network{dialed: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialed:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (*network) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

// dial returns a connection to the server, or an error if there is no listener.
func (n *network) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n.dialed <- there:
		return here, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// A served is a handler in an edge.Server.
type served struct {
	*network
	log   lines
	drain *edge.Drainer
	stop  context.CancelFunc
	ended chan error
}

// start serves the handler until the test ends. Call it in a bubble.
func start(t *testing.T, h http.Handler) *served {
	t.Helper()
	return serve(t, h, nil)
}

func serve(t *testing.T, h http.Handler, getCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *served {
	t.Helper()
	s := &served{network: newNetwork(), drain: edge.NewDrainer(), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	server := &edge.Server{
		Handler: h, Log: slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Drain: s.drain, DrainTimeout: drainTimeout, GetCertificate: getCertificate,
	}
	go func() {
		defer close(s.ended)
		s.ended <- server.Serve(ctx, s.network)
	}()
	t.Cleanup(func() {
		stop()
		for range s.ended {
		}
	})
	return s
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

const drainTimeout = 25 * time.Second

// A client is a connection to the server.
type client struct {
	t *testing.T
	net.Conn
	answers *bufio.Reader
}

func (s *served) connect(t *testing.T) *client {
	t.Helper()
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &client{t, c, bufio.NewReader(c)}
}

// send writes without waiting until the server has read everything.
func (c *client) send(text string) {
	go func() { _, _ = io.WriteString(c, text) }()
}

// answer reads an answer's status and body.
func (c *client) answer() (status int, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		c.t.Fatalf("reading an answer: got %v, want nil", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("reading the body of %s: got %v, want nil", resp.Status, err)
	}
	return resp.StatusCode, string(data)
}

// isClosed reads until the server closes the connection.
func (c *client) isClosed() bool {
	_, err := io.Copy(io.Discard, c.answers)
	return err == nil || errors.Is(err, io.ErrClosedPipe)
}

// lingering is how long net/http leaves a client to see the end before it closes a
// connection whose request it has not read; since Go 1.27 also after a deadline.
const lingering = 500 * time.Millisecond

const get = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

// lines is a log that a test can read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
