package entratest_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOnBehalfOf(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	a := c.token(t, c.obo())
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "no-store, no-cache" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want := []string{"access_token", "expires_in", "ext_expires_in", "scope", "token_type"}
	if members := slices.Sorted(maps.Keys(a.json)); !slices.Equal(members, want) {
		t.Errorf("members are %v, want %v", members, want)
	}
	seconds, _ := a.json["expires_in"].(float64)
	_, claims := decode(t, a.text("access_token"))
	exp, _ := claims["exp"].(float64)
	if seconds < 3600 || seconds > 5400 || exp-float64(c.clock.Now().Unix()) != seconds {
		t.Errorf("expires_in %v, exp %v", seconds, exp)
	}
	if a.text("token_type") != "Bearer" || a.text("scope") != "https://storage.azure.com/user_impersonation https://storage.azure.com/.default" {
		t.Errorf("%s %s", a.text("token_type"), a.text("scope"))
	}
	for claim, want := range map[string]any{
		"aud": "https://storage.azure.com", "iss": "https://sts.windows.net/" + c.ID() + "/", "ver": "1.0", "scp": "user_impersonation",
		"appid": c.api.ClientID, "appidacr": "1", "oid": c.alice.ObjectID, "upn": "alice@contoso.com", "name": "Alice", "tid": c.ID(),
	} {
		if claims[claim] != want {
			t.Errorf("%s = %v, want %v", claim, claims[claim], want)
		}
	}
	if err := verify(c.Tenant, a.text("access_token")); err != nil {
		t.Error(err)
	}
}

func TestOnBehalfOfForms(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	v2 := c.AddApp("Downstream v2", "read", "write")
	v2.AccessTokenVersion = 2
	v2.AppIDURIs = []string{"https://downstream.example.com/mcp"}
	c.Consent(c.api, v2, "read")
	for scope, want := range map[string]struct{ audience, scp, granted string }{
		"https://storage.azure.com//.default":                  {"https://storage.azure.com/", "user_impersonation", "https://storage.azure.com//user_impersonation https://storage.azure.com//.default"},
		"https://storage.azure.com/user_impersonation":         {"https://storage.azure.com", "user_impersonation", "https://storage.azure.com/user_impersonation"},
		c.Storage().ClientID + "/.default":                     {c.Storage().ClientID, "user_impersonation", c.Storage().ClientID + "/user_impersonation " + c.Storage().ClientID + "/.default"},
		"https://downstream.example.com/mcp/read":              {v2.ClientID, "read", "https://downstream.example.com/mcp/read"},
		"https://downstream.example.com/mcp/.default openid":   {v2.ClientID, "read", "https://downstream.example.com/mcp/read https://downstream.example.com/mcp/.default"},
		"profile https://downstream.example.com/mcp//.default": {v2.ClientID, "read", "https://downstream.example.com/mcp//read https://downstream.example.com/mcp//.default"},
	} {
		a := c.token(t, c.obo("scope", scope))
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %s", scope, a.status, a.body)
			continue
		}
		_, claims := decode(t, a.text("access_token"))
		if claims["aud"] != want.audience || claims["scp"] != want.scp || a.text("scope") != want.granted {
			t.Errorf("%s: aud %v, scp %v, scope %s", scope, claims["aud"], claims["scp"], a.text("scope"))
		}
	}
}

func TestOnBehalfOfTakesEachFormOfAudience(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.api.AppIDURIs = []string{"https://mcp.example.com/mcp"}
	audience := func(version int, aud string) string {
		return c.Mint(c.api, version, func(_, claims map[string]any) { claims["aud"] = aud })
	}
	for name, assertion := range map[string]string{
		"v1, client ID":            audience(1, c.api.ClientID),
		"v1, App ID URI":           audience(1, "https://mcp.example.com/mcp"),
		"v1, App ID URI and slash": audience(1, "https://mcp.example.com/mcp/"),
		"v2":                       audience(2, c.api.ClientID),
		"a user nobody knows":      c.Mint(c.api, 0, func(_, claims map[string]any) { claims["oid"] = "cccccccc-1111-2222-3333-444444444444" }),
	} {
		if a := c.token(t, c.obo("assertion", assertion)); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestOnBehalfOfExtras(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	a := c.token(t, c.obo("scope", "https://storage.azure.com/.default openid offline_access profile", "client_info", "1"))
	if len(a.text("refresh_token")) < 500 || a.text("client_info") == "" {
		t.Errorf("%s", a.body)
	}
	if _, claims := decode(t, a.text("id_token")); claims["aud"] != c.api.ClientID || claims["oid"] != c.alice.ObjectID {
		t.Errorf("ID token: %v", claims)
	}
	assertion := c.Mint(c.api, 1, func(_, claims map[string]any) { claims["amr"] = []string{"pwd", "mfa"} })
	a = c.token(t, c.obo("assertion", assertion))
	if _, claims := decode(t, a.text("access_token")); len(claims["amr"].([]any)) != 2 {
		t.Errorf("amr is %v", claims["amr"])
	}
}

func TestOnBehalfOfRefusals(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	other := newContoso(t)
	second := c.AddApp("Second", "read")
	change := func(name string, value any) string {
		return c.Mint(c.api, 0, func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		})
	}
	now := c.clock.Now().Unix()
	valid := c.Token(c.alice, c.client, c.api)
	for name, test := range map[string]struct {
		changes []string
		status  int
		kind    string
		code    int
	}{
		"no grant type":             {[]string{"grant_type", ""}, 400, "invalid_request", 900144},
		"unknown grant type":        {[]string{"grant_type", "password"}, 400, "unsupported_grant_type", 70003},
		"no client":                 {[]string{"client_id", ""}, 400, "invalid_request", 900144},
		"no scope":                  {[]string{"scope", ""}, 400, "invalid_request", 900144},
		"no assertion":              {[]string{"assertion", ""}, 400, "invalid_request", 900144},
		"no use":                    {[]string{"requested_token_use", ""}, 400, "invalid_request", 900144},
		"other use":                 {[]string{"requested_token_use", "x"}, 400, "invalid_request", 9002313},
		"garbage":                   {[]string{"assertion", "garbage"}, 400, "invalid_request", 50027},
		"cut signature":             {[]string{"assertion", valid[:len(valid)-4]}, 400, "invalid_grant", 50013},
		"other tenant's key":        {[]string{"assertion", other.Token(other.alice, other.client, other.api)}, 400, "invalid_grant", 50013},
		"unsigned":                  {[]string{"assertion", c.Sign(map[string]any{"alg": "none", "kid": c.KeyID()}, map[string]any{})}, 400, "invalid_grant", 50013},
		"signed with public key":    {[]string{"assertion", c.Sign(map[string]any{"alg": "HS256", "kid": c.KeyID()}, map[string]any{})}, 400, "invalid_grant", 50013},
		"no kid":                    {[]string{"assertion", c.Mint(c.api, 0, func(h, _ map[string]any) { delete(h, "kid") })}, 400, "invalid_grant", 50013},
		"other issuer":              {[]string{"assertion", change("iss", other.V2Issuer())}, 400, "invalid_grant", 50013},
		"other tid":                 {[]string{"assertion", change("tid", other.ID())}, 400, "invalid_grant", 50013},
		"expired":                   {[]string{"assertion", change("exp", now)}, 400, "invalid_grant", 500133},
		"no expiry":                 {[]string{"assertion", change("exp", nil)}, 400, "invalid_grant", 500133},
		"odd expiry":                {[]string{"assertion", change("exp", "tomorrow")}, 400, "invalid_grant", 500133},
		"not yet valid":             {[]string{"assertion", change("nbf", now+3600)}, 400, "invalid_grant", 500133},
		"other audience":            {[]string{"assertion", c.Token(c.alice, c.client, c.Storage())}, 400, "invalid_grant", 500131},
		"list of audiences":         {[]string{"assertion", change("aud", []string{c.api.ClientID})}, 400, "invalid_grant", 500131},
		"ID token":                  {[]string{"assertion", c.IDToken(c.alice, c.api)}, 400, "invalid_request", 240002},
		"app-only":                  {[]string{"assertion", change("scp", nil)}, 400, "unauthorized_client", 7000114},
		"app-only by idtyp":         {[]string{"assertion", change("idtyp", "app")}, 400, "unauthorized_client", 7000114},
		"bare scope":                {[]string{"scope", "user_impersonation"}, 400, "invalid_client", 650053},
		"OpenID scopes alone":       {[]string{"scope", "openid profile"}, 400, "invalid_scope", 70011},
		"scope without name":        {[]string{"scope", "https://storage.azure.com/"}, 400, "invalid_scope", 70011},
		".default and more":         {[]string{"scope", "https://storage.azure.com/.default https://storage.azure.com/user_impersonation"}, 400, "invalid_scope", 70011},
		"two resources":             {[]string{"scope", "https://storage.azure.com/.default " + second.Scope("read")}, 400, "invalid_request", 28000},
		"unknown resource":          {[]string{"scope", "https://vault.azure.net/.default"}, 400, "invalid_resource", 500011},
		"three slashes":             {[]string{"scope", "https://storage.azure.com///.default"}, 400, "invalid_resource", 500011},
		"unknown scope":             {[]string{"scope", "https://storage.azure.com/read"}, 400, "invalid_client", 650053},
		"no consent":                {[]string{"scope", second.Scope(".default")}, 400, "invalid_grant", 65001},
		"no consent to that scope":  {[]string{"scope", second.Scope("read")}, 400, "invalid_grant", 65001},
		"secret of another app":     {[]string{"client_secret", second.AddSecret()}, 401, "invalid_client", 7000215},
		"no credential":             {[]string{"client_secret", ""}, 401, "invalid_client", 7000218},
		"unknown app":               {[]string{"client_id", other.api.ClientID}, 400, "unauthorized_client", 700016},
		"first party app":           {[]string{"client_id", c.Storage().ClientID}, 400, "unauthorized_client", 700016},
		"scope as long as a letter": {[]string{"scope", strings.Repeat("x", 10_000) + "/.default"}, 400, "invalid_resource", 500011},
	} {
		a := c.token(t, c.obo(test.changes...), "client-request-id", "0a0b0c0d-1111-2222-3333-444444444444", "return-client-request-id", "true")
		if a.status != test.status || a.text("error") != test.kind || a.code() != test.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
			continue
		}
		checkErrorShape(t, c, name, a)
	}
}

func checkErrorShape(t *testing.T, c *contoso, name string, a answer) {
	t.Helper()
	const correlation = "0a0b0c0d-1111-2222-3333-444444444444"
	if a.text("correlation_id") != correlation || a.header.Get("client-request-id") != correlation || a.text("trace_id") != a.header.Get("x-ms-request-id") {
		t.Errorf("%s: ids are not what was sent: %s", name, a.body)
	}
	page := c.AuthorityHost() + "/error?code=" + strconv.Itoa(a.code())
	if a.code() == 70003 { // as recorded
		page = ""
	}
	if a.text("timestamp") != "2026-11-24 09:00:00Z" || a.text("error_uri") != page {
		t.Errorf("%s: %s, want error_uri %q", name, a.body, page)
	}
	want := " Trace ID: " + a.text("trace_id") + " Correlation ID: " + correlation + " Timestamp: " + a.text("timestamp")
	if description := a.text("error_description"); !strings.HasPrefix(description, "AADSTS") || !strings.HasSuffix(description, want) {
		t.Errorf("%s: %s", name, description)
	}
	if consent := a.code() == 65001; consent != (a.text("suberror") == "consent_required") {
		t.Errorf("%s: suberror is %q", name, a.text("suberror"))
	}
	if len(a.body) > 2000 {
		t.Errorf("%s: the answer has %d bytes", name, len(a.body))
	}
}

func TestMalformedTokenRequests(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	twice := c.obo()
	twice.Add("scope", "x/y")
	if a := c.token(t, twice); a.code() != 9000411 {
		t.Errorf("scope twice: %s", a.body)
	}
	if a := c.token(t, c.obo("assertion", strings.Repeat("x", 2<<20))); a.status != 400 || a.code() != 9002313 {
		t.Errorf("2 MiB: %d %s", a.status, a.body)
	}
	target := c.AuthorityHost() + "/" + c.ID() + "/oauth2/v2.0/token"
	if a := get(t, c.HTTPClient(), target); a.code() != 900561 {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	if a := do(t, c.HTTPClient(), http.MethodPost, target+"?"+c.obo().Encode(), nil); a.code() != 900144 {
		t.Errorf("parameters in the URL count: %d %s", a.status, a.body)
	}
}

func TestConsent(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.RevokeConsent(c.api, c.Storage())
	if a := c.token(t, c.obo()); a.code() != 65001 || a.text("suberror") != "consent_required" {
		t.Errorf("%s", a.body)
	}
	c.Consent(c.api, c.Storage(), "user_impersonation")
	if a := c.token(t, c.obo()); a.status != http.StatusOK {
		t.Errorf("%s", a.body)
	}
}

func TestRequireClaims(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	const claims = `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`
	for code, want := range map[int]struct {
		code           int
		kind, suberror string
	}{
		0:     {50076, "interaction_required", "basic_action"},
		50079: {50079, "interaction_required", "basic_action"},
		53003: {53003, "interaction_required", "message_only"},
	} {
		c.RequireClaims(c.api, c.Storage(), claims, code)
		a := c.token(t, c.obo())
		if a.code() != want.code || a.text("error") != want.kind || a.text("suberror") != want.suberror || a.text("claims") != claims {
			t.Errorf("%d: %d %s", code, a.status, a.body)
		}
	}
	c.ClearRequiredClaims(c.api, c.Storage())
	if a := c.token(t, c.obo()); a.status != http.StatusOK {
		t.Errorf("%s", a.body)
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	form := c.obo()
	c.clock.Advance(59 * time.Minute)
	if a := c.token(t, form); a.status != http.StatusOK {
		t.Errorf("within the lifetime: %s", a.body)
	}
	c.clock.Advance(32 * time.Minute)
	if a := c.token(t, form); a.code() != 500133 {
		t.Errorf("after it: %s", a.body)
	}
}

func BenchmarkOnBehalfOf(b *testing.B) {
	c := newContoso(b)
	form := c.obo()
	b.ReportAllocs()
	for b.Loop() {
		if a := c.token(b, form); a.status != http.StatusOK {
			b.Fatal(a.body)
		}
	}
}

// BenchmarkOnBehalfOfParallel measures the rate under load.
func BenchmarkOnBehalfOfParallel(b *testing.B) {
	c := newContoso(b)
	form := c.obo()
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a := c.token(b, form); a.status != http.StatusOK {
				b.Error(a.body)
			}
		}
	})
}

// BenchmarkOnBehalfOfServer measures the server without client and network.
func BenchmarkOnBehalfOfServer(b *testing.B) {
	c := newContoso(b)
	body := c.obo().Encode()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/"+c.ID()+"/oauth2/v2.0/token", strings.NewReader(body))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			response := httptest.NewRecorder()
			if c.Handler().ServeHTTP(response, request); response.Code != http.StatusOK {
				b.Error(response.Body)
			}
		}
	})
}

// BenchmarkMemory reports by how much the heap grows over the requests; the tenant keeps only a
// limited amount of them.
func BenchmarkMemory(b *testing.B) {
	c := newSignIns(b)
	a := c.token(b, c.redeem(open(b, c.Browser(c.alice), c.authorizeURL())))
	body := c.redeem(&url.URL{}, "grant_type", "refresh_token", "refresh_token", a.text("refresh_token"), "scope", "").Encode()
	path := "/" + c.ID() + "/oauth2/v2.0/token"
	send := func() {
		request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		c.Handler().ServeHTTP(httptest.NewRecorder(), request)
	}
	for range 5000 { // until the limits are reached
		send()
	}
	before := liveHeap()
	for b.Loop() {
		send()
	}
	b.ReportMetric(float64(liveHeap())-float64(before), "B-grown")
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkToken(b *testing.B) {
	c := newContoso(b)
	c.KeyID()
	b.ReportAllocs()
	for b.Loop() {
		c.Token(c.alice, c.client, c.api)
	}
}
