package entratest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Faults of Graph's endpoint have Graph's format.
func TestDirectoryFaults(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, test := range map[string]struct {
		fault  entratest.Fault
		status int
		code   string
	}{
		"throttled":  {entratest.Fault{RetryAfter: 3 * time.Second}, 429, "TooManyRequests"},
		"quota":      {entratest.Fault{GraphCode: "Directory_QuotaExceeded"}, 403, "Directory_QuotaExceeded"},
		"concurrent": {entratest.Fault{Status: 409}, 409, "Directory_ConcurrencyViolation"},
		"down":       {entratest.Fault{Status: 503}, 503, "serviceNotAvailable"},
	} {
		d.Fail(entratest.EndpointGraph, test.fault)
		a := d.call(t, "GET", "me", nil)
		checkFault(t, name, a, test.status, test.code, "")
		if got := a.header.Get("Retry-After"); (got == "3") != (test.fault.RetryAfter > 0) {
			t.Errorf("%s: Retry-After is %q", name, got)
		}
	}
	d.Fail(entratest.EndpointGraph, entratest.Fault{Method: "PATCH", Status: 503})
	d.must(t, http.StatusOK, "GET", "me", nil)
}

// A lost answer is that of a request that took effect.
func TestDirectoryLosesAnswers(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.Fail(entratest.EndpointGraph, entratest.Fault{LoseAnswer: true, Times: 1, Method: "POST"})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.AuthorityHost()+"/v1.0/applications", strings.NewReader(`{"displayName":"Lost"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+d.token)
	request.Header.Set("Content-Type", "application/json")
	if response, err := d.HTTPClient().Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("got status %d, want no answer", response.StatusCode)
	}
	if all := d.must(t, http.StatusOK, "GET", "applications?$filter=displayName%20eq%20'Lost'", nil).values(); len(all) != 1 {
		t.Errorf("got %d applications, want the one of the lost answer", len(all))
	}
}
