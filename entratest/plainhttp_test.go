package entratest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A browser keeps its session without TLS too, and all addresses in the metadata are http.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, &entratest.Options{PlainHTTP: true})
	alice := tenant.AddUser("alice@contoso.example", "Alice")
	api := tenant.AddApp("API", "access_as_user")
	client := tenant.AddClient("Client")
	client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost/callback")
	if !strings.HasPrefix(tenant.AuthorityHost(), "http://localhost:") {
		t.Errorf("AuthorityHost() = %q, want http://localhost:PORT", tenant.AuthorityHost())
	}
	query := url.Values{
		"client_id": {client.ClientID}, "response_type": {"code"}, "scope": {api.Scope("access_as_user")},
		"redirect_uri": {"http://localhost:1234/callback"},
	}
	address := tenant.AuthorityHost() + "/" + tenant.ID() + "/oauth2/v2.0/authorize?"
	browser := tenant.Browser(alice)
	back, err := browser.Open(t.Context(), address+query.Encode())
	if err != nil || back.Query().Get("code") == "" {
		t.Fatalf("Open = %v, %v; want a code", back, err)
	}
	query.Set("prompt", "none")
	if back, err = browser.Open(t.Context(), address+query.Encode()); err != nil || back.Query().Get("code") == "" {
		t.Errorf("Open with prompt=none = %v, %v; want a code by single sign-on", back, err)
	}
}

func TestPlainHTTPHost(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, &entratest.Options{PlainHTTP: true})
	for host, want := range map[string]int{
		"": http.StatusOK, "127.0.0.1": http.StatusOK, "[::1]:80": http.StatusOK,
		"rebound.example.com": http.StatusMisdirectedRequest, "localhost.example.com:80": http.StatusMisdirectedRequest,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tenant.V2Issuer()+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := tenant.HTTPClient().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", host, response.StatusCode, want)
		}
	}
}

func TestCA(t *testing.T) {
	t.Parallel()
	certificate, key := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "ca.key")
	first, err := entratest.OpenCA(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := entratest.OpenCA(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v; want mode 0600", info, err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	for _, ca := range []*entratest.CA{first, again} {
		tenant := entratest.New(t, &entratest.Options{CA: ca})
		if string(tenant.CertificatePEM()) != string(data) {
			t.Error("CertificatePEM is not the CA's")
		}
		for name, client := range map[string]*http.Client{"own": tenant.HTTPClient(), "the file": {Transport: transport}} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tenant.V2Issuer()+"/.well-known/openid-configuration", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Errorf("trusting %s: %v", name, err)
				continue
			}
			_ = response.Body.Close()
		}
	}
}

func TestOpenCARefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"one", "two"} {
		if _, err := entratest.OpenCA(path(name+".pem"), path(name+".key")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path("text"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ certificate, key, want string }{
		"no key":          {path("one.pem"), path("none"), "remove the certificate to make a new CA"},
		"another's key":   {path("one.pem"), path("two.key"), "the key is not the certificate's"},
		"not PEM":         {path("text"), path("text"), "they are not a CA of this package"},
		"a missing place": {path("none/ca.pem"), path("none/ca.key"), "no such file"},
	} {
		if _, err := entratest.OpenCA(c.certificate, c.key); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: OpenCA = %v, want an error with %q", name, err, c.want)
		}
	}
}

// A process that was killed before it wrote the certificate leaves the key, which the next one uses;
// processes that start at once agree on one CA.
func TestOpenCAAgain(t *testing.T) {
	t.Parallel()
	certificate, key := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "ca.key")
	if _, err := entratest.OpenCA(certificate, key); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(certificate); err != nil {
		t.Fatal(err)
	}
	const processes = 8
	issued := make(chan string, processes)
	for range processes {
		go func() {
			ca, err := entratest.OpenCA(certificate, key)
			if err != nil {
				issued <- err.Error()
				return
			}
			tenant := entratest.NewTenant(&entratest.Options{CA: ca})
			defer tenant.Close()
			issued <- string(tenant.CertificatePEM())
		}()
	}
	want := <-issued
	for range processes - 1 {
		if got := <-issued; got != want || !strings.HasPrefix(got, "-----BEGIN CERTIFICATE") {
			t.Errorf("two processes have the CAs %q and %q", got, want)
		}
	}
}

// The record says which error a request got, at the token endpoint, in a redirect, and on a page.
func TestRecordedRefusals(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	client := tenant.AddClient("Client")
	client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost/callback")
	base := tenant.AuthorityHost() + "/" + tenant.ID() + "/oauth2/v2.0/"
	for address, want := range map[string]int{
		base + "token": 900561,
		base + "authorize?response_type=code&redirect_uri=http://localhost/callback&client_id=" + client.ClientID: 900144,
		base + "authorize?client_id=" + client.ClientID + "&redirect_uri=https://other.example.com":               50011,
		tenant.AuthorityHost() + "/v1.0/me":                     0,
		tenant.V2Issuer() + "/.well-known/openid-configuration": 0,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := tenant.HTTPClient().Transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		all := tenant.Requests()
		if got := all[len(all)-1]; got.AADSTS != want || (got.Refusal == "") != (got.Status == http.StatusOK) {
			t.Errorf("GET %s: recorded %d %q, want %d", address, got.AADSTS, got.Refusal, want)
		}
	}
}
