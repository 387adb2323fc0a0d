package clientauth_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestWorkloadFiles(t *testing.T) {
	t.Parallel()
	for _, m := range []clientauth.Method{
		clientauth.WorkloadIdentity(""), clientauth.WorkloadManagedIdentity("", identityID(1)), clientauth.WorkloadManagedIdentity("/x", "no-guid"),
		clientauth.Chain(), clientauth.Chain(clientauth.Secret("s"), clientauth.WorkloadIdentity("")), clientauth.Chain(clientauth.Method{}),
	} {
		if _, err := clientcred.Method(m).Open(environment(t, "")); err == nil {
			t.Errorf("%v: got no error, want one", m)
		}
	}
	path := filepath.Join(t.TempDir(), "token")
	source, err := open(clientauth.WorkloadIdentity(path), environment(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		content string
		good    bool
	}{
		{"", false}, {"not a token", false}, {strings.Repeat("a", 1<<20), false}, {"a.b.c\n", true}, {"..", true},
	} {
		write(t, path, []byte(test.content))
		_, err := source.Credential(t.Context())
		var fault *clientcred.Error
		if (err == nil) != test.good || err != nil && !errors.As(err, &fault) {
			t.Errorf("%.20q: got %v, want a *clientcred.Error: %v", test.content, err, !test.good)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Credential(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

// TestWorkloadManagedIdentity: the projected token is exchanged once for the
// identity's, read again after a refusal, and nothing else is asked for.
func TestWorkloadManagedIdentity(t *testing.T) {
	t.Parallel()
	const tenant = "11111111-1111-1111-1111-111111111111"
	path := write(t, filepath.Join(t.TempDir(), "token"), []byte("a.projected1.c"))
	var requests atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			base := "https://" + r.Host + "/" + tenant
			_ = json.NewEncoder(w).Encode(map[string]string{
				"issuer": base + "/v2.0", "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/oauth2/v2.0/token"})
			return
		}
		requests.Add(1)
		projected, _ := os.ReadFile(path)
		for name, want := range map[string]string{
			"grant_type": "client_credentials", "client_id": identityID(7), "client_assertion": string(projected), "client_secret": "",
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		} {
			if got := r.FormValue(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if got := r.FormValue("scope"); !strings.HasPrefix(got, "api://AzureADTokenExchange/.default") {
			t.Errorf("scope %q, want that of a token exchange", got)
		}
		if string(projected) == "a.refused.c" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"AADSTS700213: private words"}`))
			return
		}
		_, _ = w.Write([]byte(`{"token_type":"Bearer","expires_in":86400,"access_token":"x.identity.z"}`))
	}))
	defer server.Close()
	env := environment(t, server.URL)
	env.TenantID = tenant
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}}
	defer transport.CloseIdleConnections()
	env.HTTPClient = &http.Client{Transport: transport}
	source, err := open(clientauth.WorkloadManagedIdentity(path, identityID(7)), env)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := source.Credential(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := requests.Load(); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
	write(t, path, []byte("a.projected2.c"))
	if !source.Refused() {
		t.Error("a new token can be had, but isn't")
	}
	if _, err := source.Credential(t.Context()); err != nil || requests.Load() != 2 {
		t.Errorf("%d requests, %v; want 2, nil", requests.Load(), err)
	}
	for content, says := range map[string]string{"a.refused.c": "401", "": "empty"} {
		write(t, path, []byte(content))
		source.Refused()
		_, err := source.Credential(t.Context())
		var fault *clientcred.Error
		if !errors.As(err, &fault) || !strings.Contains(fault.Error(), says) || strings.Contains(fault.Error(), "private") {
			t.Errorf("%q: got %v, want an error with %q", content, err, says)
		}
	}
}
