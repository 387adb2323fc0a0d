package mcpentra_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A user whose calls fail for lack of consent does not wait after giving it, whether
// the client opens the page or shows its URL, and whoever tells whom.
func TestConsentEndsTheRefusalAtOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		w := consentWorld(t, mode.opts...)
		s := w.connect(t, w.token(w.alice), "2025-11-25")
		var text string
		for range 10 {
			_, text = call(t, s, "whoami", nil)
		}
		if n := w.tenant.Count(entratest.EndpointToken); n > 3 {
			t.Errorf("%s: 10 calls cost %d token requests, want at most 3", mode.name, n)
		}
		page := "https://" + between(text, "open https://", " ")
		w.consents(t, w.alice)(t.Context(), page)
		if result, text := call(t, s, "whoami", nil); result.IsError {
			t.Errorf("%s: afterwards: got the error %s, want none", mode.name, text)
		}
	}
	// In the modern era the call comes back by itself, to any replica.
	w := consentWorld(t)
	token := w.token(w.bob)
	other := w.connect(t, token, "2026-07-28")
	for range 10 {
		_, _ = call(t, other, "whoami", nil)
	}
	s := w.connectPerson(t, token, "2026-07-28", func(ctx context.Context, page string) string {
		_, err := w.tenant.Browser(w.bob).Open(ctx, page) // it lands on another replica
		must(t, err)
		return "accept"
	}, nil)
	if result, text := call(t, s, "whoami", nil); result.IsError {
		t.Errorf("modern: got the error %s, want none", text)
	}
}

// One missing consent is one line: that of the request.
func TestOneLineForOneRefusal(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	s := w.connect(t, w.token(w.alice), "2025-11-25")
	_, _ = call(t, s, "whoami", nil)
	var lines []string
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "request_id=") || !strings.Contains(lines[0], "AADSTS65001") {
		t.Errorf("%d lines: got %s, want 1 line and request_id= and AADSTS65001", len(lines), lines)
	}
}

// A wrong secret is the operator's: one error in the server's log, however many users
// meet it, beside the line of each request. The exchanger has no logger of its own.
func TestWrongSecretIsOneError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var err error
	w.exchanger, err = obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret("not-the-secret"), &obo.Options{
		HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(),
	})
	must(t, err)
	w.rebuild(t)
	addWhoami(w)
	for _, user := range []*entratest.User{w.alice, w.bob} {
		s := w.connect(t, w.token(user), "2025-11-25")
		for range 3 {
			if result, text := call(t, s, "whoami", nil); !result.IsError || !strings.Contains(text, "AADSTS7000215") || strings.Contains(text, "not-the-secret") {
				t.Errorf("error %v, %s; want true, AADSTS7000215, and nothing of the secret", result.IsError, text)
			}
		}
	}
	log := w.log.String()
	if n := strings.Count(log, "level=ERROR"); n != 1 || !strings.Contains(log, "Certificates & secrets") || strings.Contains(log, "not-the-secret") {
		t.Errorf("%d errors: got %s, want 1 and \"Certificates & secrets\" and no not-the-secret", n, log)
	}
}
