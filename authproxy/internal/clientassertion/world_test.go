package clientassertion_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer   = "https://mcp.example/auth"
	endpoint = issuer + "/token"
	client   = "https://client.example/app.json"
	keysURL  = "https://example.com/keys.json" // a name of httptest's certificate
)

type members = map[string]any

var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecKey  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ecKey2 = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// keySet has the client's keys: "rsa" and "ec".
func keySet() string {
	r, point := rsaKey().PublicKey, must(ecKey().PublicKey.Bytes())
	return string(must(json.Marshal(members{"keys": []members{
		{"kty": "RSA", "kid": "rsa", "n": encode(r.N.Bytes()), "e": encode(big.NewInt(int64(r.E)).Bytes())},
		{"kty": "EC", "kid": "ec", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])},
	}})))
}

// A world is a verifier, a host with the client's keys, and a store.
type world struct {
	*clientassertion.Verifier
	now      time.Time
	requests atomic.Int64
	status   atomic.Int64 // of the host's answers

	mu     sync.Mutex
	used   map[string]time.Duration
	values map[string][]byte
	down   bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), used: map[string]time.Duration{}, values: map[string][]byte{}}
	w.status.Store(http.StatusOK)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.requests.Add(1)
		rw.Header().Set("Content-Type", "application/jwk-set+json")
		rw.WriteHeader(int(w.status.Load()))
		_, _ = io.WriteString(rw, keySet())
	}))
	t.Cleanup(server.Close)
	c := server.Client()
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	now := func() time.Time { return w.now }
	w.Verifier = &clientassertion.Verifier{
		Issuer: issuer, TokenEndpoint: endpoint, Store: w, Now: now, Keys: clientdoc.New(&clientdoc.Options{UnsafeClient: c, Now: now}),
	}
	return w
}

// Swap implements Store.
func (w *world) Swap(_ context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return false, errors.New("the store is down")
	}
	if was, ok := w.values[name]; ok || old != nil || len(value) == 0 {
		return ok && bytes.Equal(was, value), nil // as Redis, whose requests may arrive twice
	}
	w.used[name], w.values[name] = ttl, value
	return true, nil
}

func (w *world) ttls() (list []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ttl := range w.used {
		list = append(list, ttl)
	}
	return list
}

// An assertion is a good one with other members on top; nil removes one.
type assertion struct {
	method         jwt.SigningMethod // ES256 if nil
	key            crypto.PrivateKey // the client's for the method if nil
	header, claims members
	edit           func(token string) string
}

func (a assertion) sign(now time.Time) string {
	if a.method == nil {
		a.method = jwt.SigningMethodES256
	}
	kid := "rsa"
	if a.method == jwt.SigningMethodES256 {
		kid = "ec"
	}
	if a.key == nil {
		a.key = map[string]crypto.PrivateKey{"rsa": rsaKey(), "ec": ecKey()}[kid]
	}
	header := merge(members{"alg": a.method.Alg(), "kid": kid, "typ": "JWT"}, a.header)
	claims := merge(members{
		"iss": client, "sub": client, "aud": issuer, "jti": "unique-jti", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}, a.claims)
	text := encode(must(json.Marshal(header))) + "." + encode(must(json.Marshal(claims)))
	token := text + "." + encode(must(a.method.Sign(text, a.key)))
	if a.edit != nil {
		token = a.edit(token)
	}
	return token
}

func merge(m, others members) members {
	maps.Copy(m, others)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// fault returns how an error differs from the *oauth.Error that is wanted, or "". Code "" is
// no error.
func fault(err error, status int, code, text string) string {
	if code == "" {
		if err != nil {
			return fmt.Sprintf("got the error %v, want none", err)
		}
		return ""
	}
	e, ok := errors.AsType[*oauth.Error](err)
	switch {
	case !ok || e.Status != status || e.Code != code || !strings.Contains(e.Description, text):
		return fmt.Sprintf("got the error %v, want %d %s with %q", err, status, code, text)
	case strings.ContainsFunc(e.Description, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }):
		return fmt.Sprintf("the description has a character that error_description may not have: %q", e.Description)
	}
	return ""
}

func refused(err error, text string) string {
	return fault(err, http.StatusUnauthorized, oauth.InvalidClient, text)
}
