package graph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

type credential struct{}

func (credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "token-for-graph", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// newClient returns a client of a server, and the waits that it asks for.
func newClient(t *testing.T, handler http.HandlerFunc) (*graph.Client, *[]time.Duration) {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	var waits []time.Duration
	c, err := graph.New(server.URL, "https://graph.microsoft.com", credential{}, &graph.Options{HTTP: server.Client(), Wait: func(ctx context.Context, d time.Duration) error {
		waits = append(waits, d)
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c, &waits
}

func TestRetries(t *testing.T) {
	t.Parallel()
	const seconds = time.Second
	for name, c := range map[string]struct {
		status int // of the first answers
		header string
		body   string
		fails  int
		once   bool
		tries  int
		waits  []time.Duration
		kind   int // status of the error; 0 for none
	}{
		"throttled":               {429, "7", `{"error":{"code":"TooManyRequests"}}`, 2, false, 3, []time.Duration{7 * seconds, 7 * seconds}, 0},
		"throttled, asked once":   {429, "7", `{"error":{"code":"TooManyRequests"}}`, 1, true, 2, []time.Duration{7 * seconds}, 0},
		"no time named":           {429, "", `{"error":{"code":"TooManyRequests"}}`, 2, false, 3, []time.Duration{1 * seconds, 2 * seconds}, 0},
		"for a day":               {429, "86400", `{"error":{"code":"TooManyRequests"}}`, 9, false, 1, nil, 429},
		"not available":           {503, "3", `{"error":{"code":"ServiceUnavailable"}}`, 1, false, 2, []time.Duration{3 * seconds}, 0},
		"not available, one time": {503, "3", `{"error":{"code":"ServiceUnavailable"}}`, 1, true, 1, nil, 503},
		"a gateway's 502":         {502, "", "<html>", 1, false, 2, []time.Duration{1 * seconds}, 0},
		"a gateway's, for ever":   {502, "", "<html>", 99, false, 3, nil, 502},
		"a proxy's page":          {200, "", "<html>", 9, false, 1, nil, 200},
		"a proxy's redirect":      {302, "", "", 9, false, 1, nil, 302},
		"refused":                 {403, "3", `{"error":{"code":"Authorization_RequestDenied"}}`, 9, false, 1, nil, 403},
		"for ever":                {500, "", `{"error":{"code":"x"}}`, 99, false, 8, nil, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			client, waits := newClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "Bearer token-for-graph" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("headers %v", r.Header)
				}
				if tries++; tries <= c.fails {
					if c.header != "" {
						w.Header().Set("Retry-After", c.header)
					}
					w.WriteHeader(c.status)
					fmt.Fprint(w, c.body)
					return
				}
				w.WriteHeader(http.StatusNoContent)
			})
			_, _, err := client.Do(t.Context(), graph.Request{Method: "PATCH", Path: "/applications/x", Body: []byte("{}"), Once: c.once})
			var e *graph.Error
			errors.As(err, &e)
			if (err == nil) != (c.kind == 0) || err != nil && e.Status != c.kind {
				t.Errorf("Do = %v, want status %d", err, c.kind)
			}
			if tries != c.tries {
				t.Errorf("%d tries, want %d", tries, c.tries)
			}
			if c.waits != nil && fmt.Sprint(*waits) != fmt.Sprint(c.waits) {
				t.Errorf("waits %v, want %v", *waits, c.waits)
			}
		})
	}
}

// Pages are followed on Graph's host only: the token goes along.
func TestPages(t *testing.T) {
	t.Parallel()
	var host string
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": "/v1.0/applications?page=2", "2": "/v1.0/applications?page=3"}[r.URL.Query().Get("page")]
		if next != "" {
			next = fmt.Sprintf(`, "@odata.nextLink": "https://%s%s"`, r.Host, next)
		}
		if host != "" {
			next = fmt.Sprintf(`, "@odata.nextLink": "https://%s/v1.0/applications"`, host)
		}
		fmt.Fprintf(w, `{"value": [{"appId": "%s"}]%s}`, r.URL.Query().Get("page"), next)
	})
	apps, err := client.ApplicationsNamed(t.Context(), "x")
	if err != nil || len(apps) != 3 || apps[2].AppID != "3" {
		t.Errorf("ApplicationsNamed = %v, %v; want three pages", apps, err)
	}
	host = "evil.example"
	if _, err := client.ApplicationsNamed(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "must stay on its host") {
		t.Errorf("a next link to another host: %v", err)
	}
}

func TestAnswersThatAreNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"page":       {"<html>", "a proxy or another server answers for it"},
		"cut off":    {`{"value":[{"appId":`, "not in its format"},
		"no list":    {`{"ok":true}`, "the answer has no value"},
		"too large":  {`{"value":["` + strings.Repeat("x", 9<<20) + `"]}`, "larger than"},
		"wrong type": {`{"value":[{"appId":5}]}`, "is not Microsoft Graph's JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := newClient(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.body) })
			if _, err := client.ApplicationsNamed(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// silent is a connection to a server that never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, err := graph.New("https://graph.example", "https://graph.microsoft.com", credential{}, &graph.Options{HTTP: &http.Client{Transport: silent{}}})
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err = client.Organization(t.Context())
		if err == nil || !strings.Contains(err.Error(), "GET /organization: no answer within 1m0s") || time.Since(begin) > 5*time.Minute {
			t.Errorf("Organization = %v after %v, want a bounded wait", err, time.Since(begin))
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	var asked string
	client, _ := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Get("$filter")
		fmt.Fprint(w, `{"value":[]}`)
	})
	for name, c := range map[string]struct {
		ask  func() error
		want string
	}{
		"in a path":  {func() error { _, err := client.Application(t.Context(), graph.ByUniqueName("a'b/c")); return err }, "/v1.0/applications(uniqueName='a''b/c') "},
		"in a query": {func() error { _, err := client.ApplicationsNamed(t.Context(), "a'b&c"); return err }, "/v1.0/applications displayName eq 'a''b&c'"},
	} {
		if err := c.ask(); err != nil || asked != c.want {
			t.Errorf("%s: asked %q, %v; want %q", name, asked, err, c.want)
		}
	}
	for _, host := range []string{"http://graph.microsoft.com", "https://", "https://u:p@graph.microsoft.com", "graph"} {
		if _, err := graph.New(host, "https://graph.microsoft.com", credential{}, nil); err == nil {
			t.Errorf("New(%q) succeeds, want an error", host)
		}
	}
}
