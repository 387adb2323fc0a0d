package entratest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// contoso is a tenant with the parties of an On-Behalf-Of exchange.
type contoso struct {
	*entratest.Tenant
	alice  *entratest.User
	client *entratest.App // what Alice uses
	api    *entratest.App // what she calls, and what exchanges
	secret string
	clock  *clock
}

func newContoso(t testing.TB) *contoso {
	t.Helper()
	c := &contoso{clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}}
	c.Tenant = entratest.New(t, &entratest.Options{Now: c.clock.Now})
	c.alice = c.AddUser("alice@contoso.com", "Alice")
	c.client = c.AddClient("Client")
	c.api = c.AddApp("API", "access_as_user")
	c.secret = c.api.AddSecret()
	c.Consent(c.api, c.Storage())
	return c
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// obo returns the form of a valid exchange, with changes.
func (c *contoso) obo(changes ...string) url.Values {
	form := url.Values{
		"grant_type":          {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"client_id":           {c.api.ClientID},
		"client_secret":       {c.secret},
		"assertion":           {c.Token(c.alice, c.client, c.api)},
		"scope":               {"https://storage.azure.com/.default"},
		"requested_token_use": {"on_behalf_of"},
	}
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			form.Del(changes[i])
			continue
		}
		form.Set(changes[i], changes[i+1])
	}
	return form
}

// answer is a response of any of the tenant's endpoints.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any // nil if the body is not a JSON object
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// code returns the only error code, or 0.
func (a answer) code() int {
	codes, _ := a.json["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	code, _ := codes[0].(float64)
	return int(code)
}

func (c *contoso) token(t testing.TB, form url.Values, header ...string) answer {
	t.Helper()
	return do(t, c.HTTPClient(), http.MethodPost, c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/token", form, header...)
}

func get(t testing.TB, client *http.Client, target string, header ...string) answer {
	t.Helper()
	return do(t, client, http.MethodGet, target, nil, header...)
}

func do(t testing.TB, client *http.Client, method, target string, form url.Values, header ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	if json.Unmarshal(body, &a.json) != nil {
		a.json = nil
	}
	return a
}

// decode returns a token's header and claims without verifying it.
func decode(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}
