package clientauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func environment(t *testing.T, host string) clientcred.Environment {
	t.Helper()
	h, err := authority.Parse(host)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return clientcred.Environment{HTTPClient: client, Now: time.Now, Logger: slog.New(slog.DiscardHandler), Authority: h}
}

// open returns the one source of a method.
func open(m clientauth.Method, env clientcred.Environment) (clientcred.Source, error) {
	sources, err := clientcred.Method(m).Open(env)
	if err != nil || len(sources) != 1 {
		return nil, fmt.Errorf("%d sources, %w", len(sources), err)
	}
	return sources[0], nil
}

func TestMethodsShowTheirKindOnly(t *testing.T) {
	t.Parallel()
	const hidden = "S3cr3t~value"
	for want, m := range map[string]clientauth.Method{
		"none":              {},
		"client secret":     clientauth.Secret(hidden),
		"managed identity":  clientauth.ManagedIdentity("12345678-1234-1234-1234-123456789abc"),
		"certificate":       clientauth.CertificateFile("/nowhere", hidden),
		"workload identity": clientauth.WorkloadIdentity("/nowhere"),
		"chain":             clientauth.Chain(clientauth.Secret(hidden)),
		"client assertion":  clientauth.Func(func(context.Context) (string, error) { return hidden, nil }),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, m); got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
		if got := fmt.Sprintf("%+v", struct{ inner any }{m}); strings.Contains(got, hidden) {
			t.Errorf("got %q, want it without %q", got, hidden)
		}
	}
}

// appService is a managed identity endpoint in App Service's shape.
type appService struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string // the resources
	status int
	token  string
}

func newAppService(t *testing.T) *appService {
	t.Helper()
	s := &appService{status: http.StatusOK, token: "head.payload.signature"}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.URL.Query().Get("resource"))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(s.status)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"access_token": s.token, "token_type": "Bearer", "message": "private words",
			"expires_on": fmt.Sprint(time.Now().Add(24 * time.Hour).Unix()),
		})
	}))
	t.Cleanup(s.Close)
	t.Setenv("IDENTITY_ENDPOINT", s.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	return s
}

func (s *appService) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.asked...)
}

// identityID is a client ID of the test's own.
func identityID(n int) string { return fmt.Sprintf("%08d-1234-1234-1234-123456789abc", n) }

func TestManagedIdentityAsksForItsCloud(t *testing.T) {
	for i, test := range []struct{ host, resource string }{
		{"https://login.microsoftonline.com", "api://AzureADTokenExchange"},
		{"https://login.microsoftonline.us/", "api://AzureADTokenExchangeUSGov"},
		{"https://login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"},
	} {
		s := newAppService(t)
		source, err := open(clientauth.ManagedIdentity(identityID(i)), environment(t, test.host))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := source.Credential(t.Context()); err != nil {
					t.Errorf("Credential = %v, want nil", err)
				}
			})
		}
		wg.Wait()
		if got := s.requests(); len(got) != 1 || got[0] != test.resource {
			t.Errorf("%s: asked for %q, want once %q", test.host, got, test.resource)
		}
	}
}

// TestRefusedIdentity: what Entra didn't accept isn't sent again, neither from
// our cache nor from MSAL's, which all of a process share.
func TestRefusedIdentity(t *testing.T) {
	s := newAppService(t)
	for range 2 {
		source, err := open(clientauth.ManagedIdentity(identityID(50)), environment(t, ""))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := source.Credential(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		source.Refused()
		if _, err := source.Credential(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(s.requests()); got != 4 {
		t.Errorf("%d requests for 2 sources, each refused once; want 4", got)
	}
}

func TestManagedIdentityFailures(t *testing.T) {
	for i, test := range []struct {
		name      string
		status    int
		token     string
		permanent bool
	}{
		{"not assigned", http.StatusBadRequest, "", true},
		{"wrong header", http.StatusUnauthorized, "", true},
		{"forbidden", http.StatusForbidden, "", true},
		{"not found", http.StatusNotFound, "", false},
		{"no token", http.StatusOK, "garbage", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newAppService(t)
			s.status, s.token = test.status, test.token
			source, err := open(clientauth.ManagedIdentity(identityID(100+i)), environment(t, ""))
			if err != nil {
				t.Fatal(err)
			}
			_, err = source.Credential(t.Context())
			var e *clientcred.Error
			if !errors.As(err, &e) || e.Permanent != test.permanent || e.Problem == "" || e.Remedy == "" {
				t.Errorf("got %#v, want a *clientcred.Error with Permanent %v, a problem and a remedy", err, test.permanent)
			} else if strings.Contains(e.Error(), "private words") || strings.Contains(e.Error(), "garbage") {
				t.Errorf("the answer's body is in the error: %v", e)
			}
		})
	}
}

// TestWaiterForTheIdentity: azidentity tries for many seconds; a caller with a
// deadline does not wait for it.
func TestWaiterForTheIdentity(t *testing.T) {
	newAppService(t) // for its environment; nobody gets there
	synctest.Test(t, func(t *testing.T) {
		env := environment(t, "")
		env.HTTPClient = &http.Client{Transport: unreachable{}}
		source, err := open(clientauth.ManagedIdentity(identityID(200)), env)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := source.Credential(hasty); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("Credential = %v after %s, want %v after 1s", err, time.Since(begun), context.DeadlineExceeded)
		}
		_, err = source.Credential(t.Context())
		var e *clientcred.Error
		if !errors.As(err, &e) || e.Permanent || !strings.Contains(e.Remedy, "client secret") || time.Since(begun) < 2*time.Second {
			t.Errorf("Credential = %v after %s, want a temporary error that recommends a client secret, after several tries", err, time.Since(begun))
		}
	})
}

// unreachable is a network on which nobody answers.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, net.ErrClosed }
