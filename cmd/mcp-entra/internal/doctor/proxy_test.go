package doctor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// proxyCA is the CA of a proxy that reads along, and at once its certificate for this machine.
var proxyCA = newCA(time.Now().Add(time.Hour))

func newCA(until time.Time) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Contoso Proxy CA"},
		NotBefore: until.Add(-2 * time.Hour), NotAfter: until, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost", "mcp.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// intercept answers at an address instead of who is there, with a certificate of the proxy's CA.
func (w *world) intercept(t *testing.T, address string, certificate tls.Certificate, handler http.Handler) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	s.StartTLS()
	t.Cleanup(s.Close)
	w.hosts[hostport(address)] = s.Listener.Addr().String()
}

// inFrontOfEntra makes a proxy answer for Entra.
func (w *world) inFrontOfEntra(t *testing.T, handler http.Handler) {
	t.Helper()
	w.intercept(t, w.tenant.AuthorityHost(), proxyCA, handler)
}

// inFrontOfEntraUntil makes something answer for Entra with a trusted certificate that ends then.
func (w *world) inFrontOfEntraUntil(t *testing.T, end time.Time) {
	t.Helper()
	certificate := newCA(end)
	w.trusted = append(w.trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	w.intercept(t, w.tenant.AuthorityHost(), certificate, html(http.StatusOK))
}

// cut is an address where connections are closed at once.
func cut(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

// rewriteEntra makes a proxy change what Entra answers at a path.
func (w *world) rewriteEntra(t *testing.T, path string, change func(body string) string) {
	t.Helper()
	u, err := url.Parse(w.tenant.AuthorityHost())
	if err != nil {
		t.Fatal(err)
	}
	w.inFrontOfEntra(t, &httputil.ReverseProxy{
		Transport: w.tenant.HTTPClient().Transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.Path, path) {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			_ = r.Body.Close()
			changed := change(string(body))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader([]byte(changed))), int64(len(changed))
			r.Header.Del("Content-Length")
			return nil
		},
	})
}

// throughProxy sends requests to Entra through a proxy, as HTTPS_PROXY does.
func (w *world) throughProxy(t *testing.T, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	w.proxyURL = u
}

// imds puts the tenant's managed identity endpoint where Azure's virtual machines have it.
func (w *world) imds(t *testing.T) {
	t.Helper()
	endpoint, _ := w.tenant.ManagedIdentityEndpoint()
	u, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w.hosts["169.254.169.254:80"] = u.Host
}
