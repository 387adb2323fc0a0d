package tenantcontrol_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantcontrol"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fixture is the starter's tenant with its page and control endpoint.
type fixture struct {
	world  *tenantfile.World
	tenant *tenantfile.Tenant
	server *httptest.Server
	key    string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	spec, err := tenantfile.Read(tenantfile.Starter)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	world, err := tenantfile.Start(spec, tenantfile.Options{Addr: "127.0.0.1:0", Now: func() time.Time { return began }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	f := &fixture{world: world, tenant: world.Tenants[0], key: tenantcontrol.NewKey()}
	f.server = httptest.NewServer(tenantcontrol.New(world, f.key, tenantcontrol.Describe(world), slog.New(slog.DiscardHandler)))
	t.Cleanup(f.server.Close)
	return f
}

// do sends a request with the key, after change, and returns the status and the body.
func (f *fixture) do(ctx context.Context, t *testing.T, method, path, body string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+f.key)
	if change != nil {
		change(r)
	}
	response, err := f.server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// token redeems the API's secret at the tenant.
func (f *fixture) token(ctx context.Context, t *testing.T, secret string) (int, string) {
	t.Helper()
	api, err := f.tenant.App("api")
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"client_id": {api.ClientID}, "client_secret": {secret}, "grant_type": {"client_credentials"}, "scope": {"https://storage.azure.com/.default"},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.tenant.AuthorityHost()+"/"+f.tenant.ID()+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := f.tenant.HTTPClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

const goodSecret = "entratest-api-for-tests-only"

// Nothing is answered without the key, to another Host, or to another site's page.
func TestWhoMayControl(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"the key":     {nil, http.StatusOK},
		"localhost":   {host("localhost:80"), http.StatusOK},
		"IPv6":        {host("[::1]:80"), http.StatusOK},
		"no key":      {func(r *http.Request) { r.Header.Del("Authorization") }, http.StatusUnauthorized},
		"empty key":   {set("Authorization", "Bearer "), http.StatusUnauthorized},
		"another key": {set("Authorization", "Bearer "+tenantcontrol.NewKey()), http.StatusUnauthorized},
		"basic":       {func(r *http.Request) { r.SetBasicAuth("", f.key) }, http.StatusUnauthorized},
		"the page's cookie": {func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("Cookie", "mcp-entra-tenant="+f.key)
		}, http.StatusUnauthorized},
		"rebound name":       {host("rebound.example.com"), http.StatusMisdirectedRequest},
		"rebound with port":  {host("127.0.0.1.example.com:8444"), http.StatusMisdirectedRequest},
		"other address":      {host("192.0.2.1:8444"), http.StatusMisdirectedRequest},
		"other origin":       {set("Origin", "https://evil.example.com"), http.StatusForbidden},
		"opaque origin":      {set("Origin", "null"), http.StatusForbidden},
		"other port's":       {set("Origin", "http://127.0.0.1:1"), http.StatusForbidden},
		"cross-site":         {set("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		"other local port":   {set("Sec-Fetch-Site", "same-site"), http.StatusForbidden},
		"the page's origin":  {set("Origin", f.server.URL), http.StatusOK},
		"a preflight's post": {set("Sec-Fetch-Site", "none"), http.StatusOK},
	} {
		before := f.world.Clock.Now()
		status, body := f.do(t.Context(), t, http.MethodPost, "/control/clock", `{"advance": "1h"}`, c.change)
		if moved := f.world.Clock.Now() != before; status != c.want || moved != (c.want == http.StatusOK) {
			t.Errorf("%s: status %d, the clock moved: %v; want %d: %s", name, status, moved, c.want, body)
		}
	}
	for _, path := range []string{"tenants", "clock", "requests"} {
		if status, _ := f.do(t.Context(), t, http.MethodGet, "/control/"+path, "", func(r *http.Request) { r.Header.Del("Authorization") }); status != http.StatusUnauthorized {
			t.Errorf("GET %s without the key: status %d, want 401", path, status)
		}
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	post := func(path, body, want string) string {
		t.Helper()
		status, got := f.do(t.Context(), t, http.MethodPost, "/control/"+path, body, nil)
		if status != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("POST %s %s: %d %s, want 200 and %s", path, body, status, got, want)
		}
		return got
	}
	post("clock", `{"advance": "90m"}`, `{"now":"2030-01-01T01:30:00Z"}`)
	post("clock", `{"set": "2031-05-05T12:00:00+02:00"}`, `{"now":"2031-05-05T10:00:00Z"}`)

	post("faults", `{"endpoint": "token", "faults": [{"aadsts": 50196, "client": "api", "times": 1, "retryAfter": "3s"}, {"status": 502}]}`, `{"count":2}`)
	for i, want := range []string{"AADSTS50196", ""} {
		if status, body := f.token(t.Context(), t, goodSecret); status == http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("request %d with faults: %d %s, want %s", i, status, body, want)
		}
	}
	post("faults", `{"clear": true}`, `{"count":0}`)
	if status, body := f.token(t.Context(), t, goodSecret); status != http.StatusOK {
		t.Errorf("after the faults: %d %s", status, body)
	}

	before := f.tenant.KeyID()
	next := strings.Trim(strings.TrimPrefix(post("keys", `{"announce": true}`, "announced"), `{"announced":`), "\"}\n")
	if post("keys", `{"rotate": true}`, next); f.tenant.KeyID() != next || next == before {
		t.Errorf("the key is %s, want the announced %s, not %s", f.tenant.KeyID(), next, before)
	}
	post("sessions", `{"revoke": "alice"}`, `{"revoked":"alice@contoso.example"}`)
	post("token", `{"user": "bob", "client": "client", "api": "api"}`, `{"token":"ey`)
	if _, body := f.do(t.Context(), t, http.MethodGet, "/control/tenants", "", nil); !strings.Contains(body, `"upn":"bob@contoso.example"`) {
		t.Errorf("tenants: %s, want Bob among them", body)
	}
}

func TestControlRefusals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, c := range map[string]struct{ path, body, want string }{
		"no JSON":           {"clock", "{", "this is not YAML"},
		"unknown member":    {"clock", `{"advnace": "1h"}`, "the key advnace is not known; the nearest is advance"},
		"neither":           {"clock", `{}`, "one of them"},
		"both":              {"clock", `{"advance": "1h", "set": "2030-01-01T00:00:00Z"}`, "one of them"},
		"no duration":       {"clock", `{"advance": 60}`, "expected a duration"},
		"no time of tokens": {"clock", `{"set": "9999-12-31T23:59:59Z"}`, "must be from 1970 to 2199"},
		"too far":           {"clock", `{"advance": "2562047h"}`, "must be from 1970 to 2199"},
		"no faults":         {"faults", `{"endpoint": "token"}`, `{"clear": true} for all endpoints`},
		"clear and faults":  {"faults", `{"endpoint": "token", "clear": true, "faults": [{"drop": true}]}`, "for all endpoints"},
		"unknown endpoint":  {"faults", `{"endpoint": "toekn", "faults": [{"drop": true}]}`, "endpoint: expected one of: authorize, device"},
		"a fault's status":  {"faults", `{"endpoint": "token", "faults": [{"drop": true}, {"status": 1}]}`, "faults[1].status: expected a status"},
		"a fault's client":  {"faults", `{"endpoint": "token", "faults": [{"drop": true, "client": "apii"}]}`, "faults[0]: there is no such app; the nearest is api"},
		"unknown tenant":    {"faults", `{"tenant": "contosso", "clear": true}`, "there is no such tenant; the nearest is contoso"},
		"keys":              {"keys", `{}`, `{"announce": true} or {"rotate": true}`},
		"sessions":          {"sessions", `{"revoke": "carol"}`, "revoke: there is no such user; there are: alice, bob"},
		"token":             {"token", `{"user": "alice", "client": "client"}`, "api: there is no such app"},
		"too large a body":  {"token", `{"user": "` + strings.Repeat("a", 1<<20) + `"}`, "the body is too large"},
		"requests' limit":   {"requests?limit=0", "", "limit: expected a whole number from 1"},
		"requests' tenant":  {"requests?tenant=x", "", "there is no such tenant"},
		"secret as a user":  {"token", `{"user": "Qw8Q~pasted", "client": "client", "api": "api"}`, "user: there is no such user"},
		"secret as a limit": {"requests?limit=Qw8Q~pasted", "", "limit: expected a whole number"},
	} {
		method := http.MethodPost
		if c.body == "" {
			method = http.MethodGet
		}
		status, body := f.do(t.Context(), t, method, "/control/"+c.path, c.body, nil)
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusBadRequest || !strings.Contains(answer.Error, c.want) || strings.Contains(body, "Qw8Q") {
			t.Errorf("%s: %d %s, want 400 with %q", name, status, body, c.want)
		}
	}
}

// The list says what was refused and why, and no secret.
func TestRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.token(t.Context(), t, goodSecret)
	f.token(t.Context(), t, "Qw8Q~a-wrong-secret")
	_, body := f.do(t.Context(), t, http.MethodGet, "/control/requests?refused=true", "", nil)
	var got struct{ Requests []tenantcontrol.Request }
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Requests) != 1 {
		t.Fatalf("refused requests: %v %s, want one", err, body)
	}
	r := got.Requests[0]
	if r.AADSTS != 7000215 || r.Remedy == "" || r.Link != "https://login.microsoftonline.com/error?code=7000215" || r.Status != http.StatusUnauthorized ||
		r.Parameters["client_secret"] != "(sent)" || r.Parameters["scope"] != "https://storage.azure.com/.default" {
		t.Errorf("the refused request is %+v", r)
	}
	_, all := f.do(t.Context(), t, http.MethodGet, "/control/requests", "", nil)
	for _, text := range []string{body, all} {
		if strings.Contains(text, goodSecret) || strings.Contains(text, "Qw8Q") {
			t.Errorf("the list has a secret: %s", text)
		}
	}
	if n := bytes.Count([]byte(all), []byte(`"endpoint":"Token"`)); n != 2 {
		t.Errorf("the list has %d token requests, want 2: %s", n, all)
	}
}
