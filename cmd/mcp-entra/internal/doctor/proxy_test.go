package doctor_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
var proxyCA = func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Contoso Proxy CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
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
}()

// intercept answers at an address instead of who is there, with a certificate of the proxy's CA.
func (w *world) intercept(t *testing.T, address string, handler http.Handler) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{proxyCA}}
	s.StartTLS()
	t.Cleanup(s.Close)
	w.hosts[hostport(address)] = s.Listener.Addr().String()
}

// inFrontOfEntra makes a proxy answer for Entra.
func (w *world) inFrontOfEntra(t *testing.T, handler http.Handler) {
	t.Helper()
	w.intercept(t, w.tenant.AuthorityHost(), handler)
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
