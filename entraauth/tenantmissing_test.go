package entraauth_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A tenant that does not exist is the operator's mistake: one ERROR, a code that says
// so in every answer, and retries that go on slowly.
func TestTenantThatDoesNotExist(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	v, err := entraauth.NewVerifier(thirdTenant, f.api.ClientID, &entraauth.Options{
		HTTPClient: f.tenant.HTTPClient(), AuthorityHost: f.tenant.AuthorityHost(), Now: f.clock.Now, Logger: f.logger(),
	})
	if err != nil {
		t.Fatal(err) // nothing is asked of the network for that
	}
	t.Cleanup(func() { _ = v.Close() })
	f.verifier = v
	token := f.tokenOf(thirdTenant)

	for what, err := range map[string]error{"Verify": f.verify(t, token), "Ready": v.Ready(t.Context())} {
		e := errorOf(t, err)
		if !errors.Is(err, entraauth.ErrKeysUnavailable) || e.Reason != "tenant_not_found" || e.Status() != http.StatusServiceUnavailable ||
			e.RetryAfter < 2*time.Minute || !strings.Contains(e.Error(), "AADSTS90002") || !strings.Contains(e.Error(), thirdTenant) ||
			strings.Contains(e.Error(), "ry again") {
			t.Errorf("%s: got %+v, text %q; want tenant_not_found with 503, Retry-After 2m or more, AADSTS90002 and the tenant, and nothing of trying again", what, e, e)
		}
	}
	a := get(t, f.serve(t, nil).URL, authorization("Bearer "+token))
	if a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, "tenant_not_found") || !strings.Contains(a.body, "AADSTS90002") || len(a.header.Get("Retry-After")) < 3 {
		t.Errorf("got %d %s, Retry-After %q; want 503 and tenant_not_found and AADSTS90002, at least 3", a.status, a.body, a.header.Get("Retry-After"))
	}
	before := f.tenant.Count(entratest.EndpointDiscovery)
	for range 60 { // an hour
		f.clock.Add(time.Minute)
		for range 5 {
			_ = f.verify(t, token)
		}
	}
	if n := f.tenant.Count(entratest.EndpointDiscovery) - before; n < 6 || n > 20 {
		t.Errorf("%d fetches in an hour, want at least 6, at most 20", n)
	}
	if n := strings.Count(f.log.String(), "level=ERROR"); n != 1 || !strings.Contains(f.log.String(), "AADSTS90002") {
		t.Errorf("%d errors in the log, want 1:\n%s", n, f.log)
	}
	// The operator creates the tenant after all.
	other := f.tenant.AddTenant(&entratest.Options{TenantID: thirdTenant})
	t.Cleanup(other.Close)
	f.clock.Add(10 * time.Minute)
	if err := f.verify(t, other.Mint(f.api, 2, nil)); err != nil {
		t.Errorf("once it is there: got %v, want nil", err)
	}
}

// What Entra may say besides, at the first fetch and at a later one.
func TestAnswersThatSayTheTenantIsGone(t *testing.T) {
	t.Parallel()
	entra := func(code string) string {
		return `{"error":"invalid_tenant","error_description":"` + code + `: Tenant 'x' not found. Trace ID: 1","error_codes":[` + strings.TrimPrefix(code, "AADSTS") + `]}`
	}
	for name, row := range map[string]struct {
		status int
		body   string
		reason string
	}{
		"not found":                {400, entra("AADSTS90002"), "tenant_not_found"},
		"not found, as 404":        {404, entra("AADSTS90002"), "tenant_not_found"},
		"not found, oddly typed":   {400, `{"error_codes":"90002","error":7,"error_description":"AADSTS90002: x"}`, "tenant_not_found"},
		"not a name":               {400, entra("AADSTS900023"), "tenant_not_found"},
		"blocked for inactivity":   {400, entra("AADSTS5000225"), "tenant_not_found"},
		"another refusal":          {400, entra("AADSTS50001"), "keys_unavailable"},
		"a code that begins so":    {400, entra("AADSTS900021"), "keys_unavailable"},
		"a fault of the service's": {500, entra("AADSTS90002"), "keys_unavailable"},
		"throttled":                {429, "", "keys_unavailable"},
		"a proxy's page":           {404, "<html>90002</html>", "keys_unavailable"},
		"endless":                  {400, strings.Repeat(" ", 1<<20) + entra("AADSTS90002"), "keys_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTenant(t)
			f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: row.status, Body: row.body})
			f.start(t, nil)
			token := f.token()
			if e := errorOf(t, f.verify(t, token)); e.Reason != row.reason || !errors.Is(e, entraauth.ErrKeysUnavailable) {
				t.Errorf("at first: %s %v, want %s", e.Reason, e, row.reason)
			}
			f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{})
			f.clock.Add(5 * time.Minute)
			if err := f.verify(t, token); err != nil {
				t.Fatalf("once it is over: got %v, want nil", err)
			}
			f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: row.status, Body: row.body})
			f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: row.status, Body: row.body})
			f.refresh(t)
			if err := f.verify(t, f.token()); err != nil {
				t.Errorf("the last good keys: got %v, want nil", err)
			}
		})
	}
}
