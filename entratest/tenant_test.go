package entratest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestNewTenantPanics(t *testing.T) {
	for name, opts := range map[string]entratest.Options{
		"every address":     {Addr: ":0"},
		"all of IPv4":       {Addr: "0.0.0.0:0"},
		"all of IPv6":       {Addr: "[::]:0"},
		"a name":            {Addr: "example.com:0"},
		"no port":           {Addr: "127.0.0.1"},
		"no GUID":           {TenantID: "contoso.com"},
		"negative lifetime": {TokenLifetime: -1},
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
	const id = "AAAAAAAA-0000-1111-2222-333333333333"
	tenant := entratest.NewTenant(&entratest.Options{TenantID: id, Addr: "localhost:0"})
	defer tenant.Close()
	if tenant.ID() != strings.ToLower(id) {
		t.Errorf("the tenant is %s", tenant.ID())
	}
	if u, err := url.Parse(tenant.AuthorityHost()); err != nil || u.Scheme != "https" || u.Hostname() != "localhost" || u.Port() == "" || u.Path != "" {
		t.Errorf("the authority host is %s", tenant.AuthorityHost())
	}
}

func TestCertificate(t *testing.T) {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
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
	other := entratest.NewTenant(nil)
	defer other.Close()
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
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "user_impersonating") {
			t.Errorf("Consent panicked with %s", text)
		}
	}()
	tenant.Consent(tenant.AddApp("API"), tenant.Storage(), "user_impersonating")
}
