package entratest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestNewTenantPanics(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]entratest.Options{
		"every address":     {Addr: ":0"},
		"all of IPv4":       {Addr: "0.0.0.0:0"},
		"all of IPv6":       {Addr: "[::]:0"},
		"a name":            {Addr: "example.com:0"},
		"no port":           {Addr: "127.0.0.1"},
		"no GUID":           {TenantID: "contoso.com"},
		"negative lifetime": {TokenLifetime: -1},
		"short key":         {SigningKey: &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(3)}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "entratest: Options.") {
					t.Errorf("NewTenant panicked with %s", text)
				}
			}()
			entratest.NewTenant(&opts).Close()
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const id = "AAAAAAAA-0000-1111-2222-333333333333"
	tenant := entratest.New(t, &entratest.Options{TenantID: id, Addr: "localhost:0"})
	if tenant.ID() != strings.ToLower(id) {
		t.Errorf("the tenant is %s", tenant.ID())
	}
	if u, err := url.Parse(tenant.AuthorityHost()); err != nil || u.Scheme != "https" || u.Hostname() != "localhost" || u.Port() == "" || u.Path != "" {
		t.Errorf("the authority host is %s", tenant.AuthorityHost())
	}
}

// The same key always gives the same key set. Otherwise, no two open tenants share a key.
func TestSigningKey(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 2 {
		tenant := entratest.NewTenant(&entratest.Options{SigningKey: key})
		ids = append(ids, tenant.KeyID())
		public, ok := tenant.PublicKey(tenant.KeyID())
		if !ok || !public.Equal(&key.PublicKey) {
			t.Error("the key is another")
		}
		tenant.Close()
	}
	if ids[0] != ids[1] {
		t.Errorf("key ids %v", ids)
	}
	seen := map[string]bool{}
	for range 3 {
		tenant := entratest.New(t, nil)
		if seen[tenant.KeyID()] {
			t.Error("two open tenants have one key")
		}
		seen[tenant.KeyID()] = true
		tenant.RotateKeys()
		if seen[tenant.KeyID()] {
			t.Error("a rotated key came back")
		}
		seen[tenant.KeyID()] = true
	}
}

func TestAddTenantPanics(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	for name, opts := range map[string]entratest.Options{
		"an address":     {Addr: "127.0.0.1:0"},
		"the same again": {TenantID: tenant.ID()},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "AddTenant: Options.") {
					t.Errorf("AddTenant panicked with %s", text)
				}
			}()
			tenant.AddTenant(&opts)
		})
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(tenant.CertificatePEM()) {
		t.Fatal("CertificatePEM is no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	u, err := url.Parse(tenant.AuthorityHost())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		u.Host = host + ":" + u.Port()
		if a := get(t, &http.Client{Transport: transport}, u.String()); a.status != http.StatusOK {
			t.Errorf("%s: %d", u, a.status)
		}
	}
	other := entratest.New(t, nil)
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, other.AuthorityHost(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := tenant.HTTPClient().Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("a tenant's client trusts another tenant")
	}
}

func TestConsentToUnknownScopePanics(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "user_impersonating") {
			t.Errorf("Consent panicked with %s", text)
		}
	}()
	tenant.Consent(tenant.AddApp("API"), tenant.Storage(), "user_impersonating")
}

// A recordingTB is a test that records failures and cleanups.
type recordingTB struct {
	failure  string
	cleanups []func()
}

func (*recordingTB) Helper()             {}
func (tb *recordingTB) Cleanup(f func()) { tb.cleanups = append(tb.cleanups, f) }
func (tb *recordingTB) Fatalf(format string, args ...any) {
	tb.failure = fmt.Sprintf(format, args...)
}

func TestNew(t *testing.T) {
	t.Parallel()
	tb := new(recordingTB)
	if tenant := entratest.New(tb, nil); tenant == nil || len(tb.cleanups) != 1 {
		t.Errorf("New = %v with %d clean-ups, want a tenant and 1", tenant, len(tb.cleanups))
	}
	for _, cleanup := range tb.cleanups {
		cleanup() // goleak finds leftovers
	}
	entratest.New(tb, &entratest.Options{Addr: "192.0.2.1:443"})
	if want := "not a loopback address"; !strings.Contains(tb.failure, want) {
		t.Errorf("New fails with %q, want %q", tb.failure, want)
	}
}
