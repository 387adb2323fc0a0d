package clientdoc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	clientURL = "https://client.example/app.json"
	publicIP  = "93.184.216.34"
)

// authority issues a certificate for whatever name a client asks for, or for one name.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool

	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

var theAuthority = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool(), leaves: map[string]*tls.Certificate{}}
	der, err := x509.CreateCertificate(rand.Reader, template("authority"), template("authority"), &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	return a
})

func template(name string) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: name == "authority", BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if ip := net.ParseIP(name); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{name}
	}
	return t
}

func (a *authority) leaf(name string) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if leaf := a.leaves[name]; leaf != nil {
		return leaf, nil
	}
	der, err := x509.CreateCertificate(rand.Reader, template(name), a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	a.leaves[name] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
	return a.leaves[name], nil
}

// config is of a server that has every name, and is 127.0.0.1 for clients that ask for none.
func (a *authority) config() *tls.Config {
	leaf, err := a.leaf("127.0.0.1")
	if err != nil {
		panic(err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*leaf},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return a.leaf(h.ServerName) },
	}
}

// An internet has one server, at every address that is dialed, and a DNS. The fetcher
// connects to it by its own rules.
type internet struct {
	*clientdoc.Fetcher
	server   *httptest.Server
	clock    *clock
	requests atomic.Int64
	resolved atomic.Int64

	mu     sync.Mutex
	dns    map[string][]string // addresses by host; publicIP if it is not there
	dialed []string
}

func newInternet(t *testing.T, handler http.HandlerFunc) *internet {
	t.Helper()
	n := &internet{clock: newClock(), dns: map[string][]string{}}
	n.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		handler(w, r)
	}))
	n.server.TLS = theAuthority().config()
	n.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	n.server.StartTLS()
	t.Cleanup(n.server.Close)
	n.Fetcher = clientdoc.New(&clientdoc.Options{Now: n.clock.Now, RootCAs: theAuthority().pool, Resolve: n.resolve, Dial: n.dial})
	return n
}

func (n *internet) resolve(_ context.Context, host string) (addrs []netip.Addr, err error) {
	n.resolved.Add(1)
	n.mu.Lock()
	defer n.mu.Unlock()
	list, ok := n.dns[host]
	if !ok {
		list = []string{publicIP}
	}
	for _, s := range list {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func (n *internet) dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	n.mu.Unlock()
	return new(net.Dialer).DialContext(ctx, network, n.server.Listener.Addr().String())
}

func (n *internet) set(host string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dns[host] = addrs
}

func (n *internet) dials() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.dialed)
}

// A clock stands until it is advanced.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

// document returns a document for the URL with other members on top; nil removes one.
func document(url string, others map[string]any) string {
	m := map[string]any{"client_id": url, "client_name": "An App", "redirect_uris": []string{"http://127.0.0.1/callback"}}
	for name, value := range others {
		m[name] = value
		if value == nil {
			delete(m, name)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// serveOwn serves for each URL the document whose client_id it is.
func serveOwn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, document("https://"+r.Host+r.RequestURI, nil))
}

// want is an error as it should be: a kind, and what the client is told.
type want struct {
	kind   error // nil: no error
	status int
	code   string
	text   string // part of the description
}

var (
	unavailable = want{clientdoc.ErrUnavailable, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "can't be fetched"}
	badURL      = want{clientdoc.ErrURL, http.StatusUnauthorized, oauth.InvalidClient, "can't be used"}
)

func invalid(text string) want {
	return want{clientdoc.ErrInvalid, http.StatusUnauthorized, oauth.InvalidClient, text}
}

// fault returns how an error differs from the one that is wanted, or "".
func (w want) fault(err error) string {
	if w.kind == nil {
		if err != nil {
			return fmt.Sprintf("got the error %v (%v), want none", err, errors.Unwrap(err))
		}
		return ""
	}
	e, ok := errors.AsType[*oauth.Error](err)
	switch {
	case !ok || !errors.Is(err, w.kind):
		return fmt.Sprintf("got the error %v, want an *oauth.Error that is %q", err, w.kind)
	case e.Status != w.status || e.Code != w.code || !strings.Contains(e.Description, w.text):
		return fmt.Sprintf("got %d %v, want %d %s with %q", e.Status, e, w.status, w.code, w.text)
	case (e.Code == oauth.TemporarilyUnavailable) != (e.RetryAfter > 0):
		return fmt.Sprintf("%v: got Retry-After %v, want one if and only if trying again may help", e, e.RetryAfter)
	case strings.ContainsFunc(e.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }):
		return fmt.Sprintf("the description has a character that error_description may not have: %q", e.Description)
	}
	return ""
}
