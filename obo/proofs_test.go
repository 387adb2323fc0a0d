package obo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// certificateEntra is a token endpoint in memory that accepts assertions signed
// by the registered certificate only, as Entra checks them.
type certificateEntra struct {
	mu         sync.Mutex
	registered *x509.Certificate
	refused    int
}

func (e *certificateEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	body, status := `{"token_type":"Bearer","expires_in":3600,"access_token":"token"}`, http.StatusOK
	if err := e.check(req); err != nil {
		e.refused++
		body, status = `{"error":"invalid_client","error_codes":[700027]}`, http.StatusUnauthorized
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (e *certificateEntra) check(req *http.Request) error {
	token, err := jwt.Parse(req.Form.Get("client_assertion"), func(*jwt.Token) (any, error) { return e.registered.PublicKey, nil },
		jwt.WithValidMethods([]string{"PS256"}), jwt.WithAudience(req.URL.String()), jwt.WithExpirationRequired())
	if err != nil {
		return err
	}
	thumbprint := sha256.Sum256(e.registered.Raw)
	chain, _ := token.Header["x5c"].([]any)
	if token.Header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(thumbprint[:]) ||
		len(chain) != 2 || chain[0] != base64.StdEncoding.EncodeToString(e.registered.Raw) {
		return errors.New("thumbprint or chain")
	}
	return nil
}

// certificateFile returns a certificate, and a PEM file of it with its issuer.
func certificateFile(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Issuer"}, NotAfter: time.Now().Add(time.Hour)}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mcp.example.com"}, NotAfter: time.Now().Add(time.Hour)}
	var content []byte
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, template := range []*x509.Certificate{issuer, leaf} { // in an order that must not matter
		var public any = &key.PublicKey
		if template == issuer {
			public = &other.PublicKey
		}
		der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		if template == leaf {
			if leaf, err = x509.ParseCertificate(der); err != nil {
				t.Fatal(err)
			}
		}
	}
	content = append(content, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestCertificate signs with a certificate, then renews it: in the file first,
// as it happens, and in the app registration a moment later.
func TestCertificate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "app.pem")
	entra := &certificateEntra{registered: certificateFile(t, path)}
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.CertificateFile(path, ""), &obo.Options{HTTPClient: &http.Client{Transport: entra}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(user int) error {
		_, err := x.Credential(obo.NewAssertion(userToken(user))).GetToken(t.Context(), storageOptions)
		return err
	}
	if err := get(1); err != nil {
		t.Fatal(err)
	}
	renewed := certificateFile(t, path)
	e := wantKind(t, get(2), obo.ErrMisconfigured)
	if e.AADSTS != 700027 || entra.refused != 2 {
		t.Errorf("AADSTS%d after %d refusals; want 700027 after 2: once more with a new assertion", e.AADSTS, entra.refused)
	}
	entra.mu.Lock()
	entra.registered = renewed
	entra.mu.Unlock()
	if err := get(2); err != nil {
		t.Errorf("GetToken = %v, want nil", err)
	}
}

// TestCertificateOfTheTenant renews it the other way round: registered first.
func TestCertificateOfTheTenant(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "app.pem")
	w.api.AddCertificate(certificateFile(t, path))
	x := w.exchangerWith(clientauth.CertificateFile(path, ""), nil)
	w.mustGet(x.Credential(w.assertion(w.alice)))
	_ = certificateFile(t, path) // not registered
	_, err := w.get(t.Context(), x.Credential(w.assertion(w.bob)))
	if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS != 700027 {
		t.Errorf("got AADSTS%d, want 700027", e.AADSTS)
	}
	w.api.AddCertificate(certificateFile(t, path))
	w.mustGet(x.Credential(w.assertion(w.bob)))
	if got := lastTokenRequest(t, w).Form; got.Get("client_assertion") == "" || got.Has("client_secret") {
		t.Error("the certificate is not what proves the app")
	}
}

func TestWorkloadIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cluster := w.tenant.AddIssuer("https://cluster.example.com/")
	const subject, audience = "system:serviceaccount:mcp:server", "api://AzureADTokenExchange"
	w.api.AddFederatedCredential("https://cluster.example.com/", subject, audience)
	path := filepath.Join(t.TempDir(), "token")
	project := func(expires time.Time) {
		token := cluster.Token(subject, audience, func(_, claims map[string]any) { claims["exp"] = expires.Unix() })
		w.hide(token)
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x := w.exchangerWith(clientauth.WorkloadIdentity(path), nil)
	_, err := w.get(t.Context(), x.Credential(w.assertion(w.alice)))
	_ = wantKind(t, err, obo.ErrUnavailable) // not written yet
	project(w.clock.Now().Add(-time.Hour))
	_, err = w.get(t.Context(), x.Credential(w.assertion(w.alice)))
	if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS != 700024 {
		t.Errorf("got AADSTS%d, want 700024", e.AADSTS)
	}
	project(w.clock.Now().Add(time.Hour))
	w.mustGet(x.Credential(w.assertion(w.alice)))
}

// TestChain: what blames the proof makes it fall over, and nothing else does.
func TestChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.Advance(time.Second)
	expired := w.api.AddExpiringSecret(w.clock.Now())
	gone := errors.New("the vault is locked")
	var asked int
	vault := clientauth.Func(func(context.Context) (string, error) { asked++; return "", gone })
	x := w.exchangerWith(clientauth.Chain(vault, clientauth.Secret(expired), clientauth.Chain(clientauth.Secret(w.secret), clientauth.Secret("spare-secret"))), nil)
	user := func() *obo.Credential { return x.Credential(w.assertion(w.alice)) }

	w.mustGet(user())
	if asked != 1 || w.exchanges() != 2 {
		t.Errorf("asked %d times, %d exchanges; want 1 and 2", asked, w.exchanges())
	}
	w.mustGet(user()) // stays with what worked
	if asked != 1 || w.exchanges() != 3 {
		t.Errorf("asked %d times, %d exchanges; want 1 and 3", asked, w.exchanges())
	}
	// Errors that another proof wouldn't help.
	for _, code := range []int{65001, 50013, 500133, 53003, 700016} {
		before := w.exchanges()
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: code, Times: 1})
		_, err := w.get(t.Context(), user())
		if e := asError(t, err); e.AADSTS != code || w.exchanges() != before+1 {
			t.Errorf("got AADSTS%d after %d requests, want %d after 1", e.AADSTS, w.exchanges()-before, code)
		}
	}
	// The first ones get another chance, then the search goes on.
	before := w.exchanges()
	w.clock.Advance(5 * time.Minute)
	w.mustGet(user())
	if asked != 2 || w.exchanges() != before+2 {
		t.Errorf("asked %d times, %d exchanges; want 2 and 2", asked, w.exchanges()-before)
	}
	// The secret in use is replaced while the server runs; the others are no better.
	w.api.RemoveSecrets()
	_, err := w.get(t.Context(), user())
	if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS != 7000215 {
		t.Errorf("got AADSTS%d, want 7000215", e.AADSTS)
	}
	for _, kind := range []string{"client assertion", "client secret"} {
		if !strings.Contains(w.text(), `"failed":"`+kind+`"`) {
			t.Errorf("the log is %s, want the failure of the %s", w.text(), kind)
		}
	}
	if !strings.Contains(w.text(), gone.Error()) {
		t.Error("the log doesn't say why, want the reason")
	}
}

// TestChainWithoutProof: the error says what is wrong with each.
func TestChainWithoutProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := errors.New("first"), errors.New("second")
	fail := func(err error) clientauth.Method {
		return clientauth.Func(func(context.Context) (string, error) { return "", err })
	}
	x := w.exchangerWith(clientauth.Chain(fail(first), fail(second)), nil)
	_, err := w.get(t.Context(), x.Credential(w.assertion(w.alice)))
	_ = wantKind(t, err, obo.ErrUnavailable)
	if !errors.Is(err, first) || !errors.Is(err, second) || w.exchanges() != 0 {
		t.Errorf("got %v after %d requests, want both causes after none", err, w.exchanges())
	}
}
