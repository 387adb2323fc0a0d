package entratest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	const claims = `{"access_token":{}}`
	for name, test := range map[string]struct {
		fault  entratest.Fault
		status int
		code   int
		check  func(a answer) bool
	}{
		"status":            {entratest.Fault{Status: 503}, 503, 0, func(a answer) bool { return a.body == "" }},
		"body":              {entratest.Fault{Body: "<html>", ContentType: "text/html"}, 200, 0, func(a answer) bool { return a.body == "<html>" && a.header.Get("Content-Type") == "text/html" }},
		"throttled":         {entratest.Fault{RetryAfter: 1500 * time.Millisecond}, 429, 0, func(a answer) bool { return a.header.Get("Retry-After") == "2" }},
		"throttled, code":   {entratest.Fault{AADSTS: 90055, RetryAfter: time.Second}, 429, 90055, func(a answer) bool { return a.header.Get("Retry-After") == "1" }},
		"transient":         {entratest.Fault{AADSTS: 50033}, 503, 50033, func(a answer) bool { return a.text("error") == "temporarily_unavailable" }},
		"MFA":               {entratest.Fault{AADSTS: 50076, Claims: claims}, 400, 50076, func(a answer) bool { return a.text("claims") == claims && a.text("suberror") == "basic_action" }},
		"any code":          {entratest.Fault{AADSTS: 123456, Suberror: "x", Status: 418}, 418, 123456, func(a answer) bool { return a.text("error") == "invalid_grant" && a.text("suberror") == "x" }},
		"another client's":  {entratest.Fault{Status: 503, ClientID: c.client.ClientID}, 200, 0, nil},
		"this client's":     {entratest.Fault{Status: 503, ClientID: c.api.ClientID}, 503, 0, nil},
		"late but right":    {entratest.Fault{Delay: time.Millisecond}, 200, 0, func(a answer) bool { return a.text("access_token") != "" }},
		"late and wrong":    {entratest.Fault{Delay: time.Millisecond, Status: 500}, 500, 0, nil},
		"none, that is: ok": {entratest.Fault{}, 200, 0, nil},
	} {
		c.Fail(entratest.EndpointToken, test.fault)
		a := c.token(t, c.obo())
		if a.status != test.status || a.code() != test.code || test.check != nil && !test.check(a) {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
}

func TestFaultTimes(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	identity := c.AddManagedIdentity("umi")
	endpoint, header := c.ManagedIdentityEndpoint()
	base := c.AuthorityHost() + "/" + c.ID()
	urls := map[entratest.Endpoint]string{
		entratest.EndpointDiscovery:       base + "/v2.0/.well-known/openid-configuration",
		entratest.EndpointKeys:            base + "/discovery/v2.0/keys",
		entratest.EndpointManagedIdentity: endpoint + "?api-version=2019-08-01&resource=" + exchangeURI + "&client_id=" + identity.ClientID,
	}
	for endpoint, url := range urls {
		c.Fail(endpoint, entratest.Fault{Times: 2, Status: 500})
		for i, want := range []int{500, 500, 200} {
			if a := get(t, c.HTTPClient(), url, "X-IDENTITY-HEADER", header); a.status != want {
				t.Errorf("%v, request %d: %d", endpoint, i+1, a.status)
			}
		}
		c.Fail(endpoint, entratest.Fault{Status: 500})
		for range 3 {
			if a := get(t, c.HTTPClient(), url, "X-IDENTITY-HEADER", header); a.status != 500 {
				t.Errorf("%v fails until cleared: %d", endpoint, a.status)
			}
		}
		c.Fail(endpoint, entratest.Fault{})
		if a := get(t, c.HTTPClient(), url, "X-IDENTITY-HEADER", header); a.status != 200 {
			t.Errorf("%v, cleared: %d", endpoint, a.status)
		}
		if n := c.Count(endpoint); n != 7 {
			t.Errorf("%v: %d requests counted, want 7", endpoint, n)
		}
	}
}

func TestFaultDrop(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.Fail(entratest.EndpointKeys, entratest.Fault{Drop: true, Times: 5})
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.AuthorityHost()+"/"+c.ID()+"/discovery/v2.0/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.HTTPClient().Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("a dropped request was answered with %d", response.StatusCode)
	}
}

func TestCloseCutsOffDelays(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	tenant := entratest.NewTenant(&entratest.Options{Now: func() time.Time { // called for each request
		select {
		case arrived <- struct{}{}:
		default:
		}
		return time.Now()
	}})
	tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Delay: time.Hour})
	failed := make(chan error)
	go func() {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, tenant.AuthorityHost()+"/"+tenant.ID()+"/.well-known/openid-configuration", nil)
		if err == nil {
			var response *http.Response
			if response, err = tenant.HTTPClient().Do(request); err == nil {
				err = response.Body.Close()
			}
		}
		failed <- err
	}()
	<-arrived
	tenant.Close()
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	clock := &clock{now: time.Unix(1_800_000_000, 0)}
	tenant := entratest.New(t, &entratest.Options{KeepRequests: 3, Now: clock.Now, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	base := tenant.AuthorityHost() + "/" + tenant.ID()
	form := map[string][]string{"client_secret": {"s"}, "client_id": {"x"}}
	do(t, tenant.HTTPClient(), http.MethodPost, base+"/oauth2/v2.0/token?q=1", form, "X-Test", "yes")
	requests := tenant.Requests()
	if len(requests) != 1 {
		t.Fatalf("%d requests", len(requests))
	}
	for _, want := range []string{"rejected client=x error=invalid_request aadsts=900144", "endpoint=Token method=POST", "status=400"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	r := requests[0]
	if r.Endpoint != entratest.EndpointToken || r.Method != http.MethodPost || r.Path != "/"+tenant.ID()+"/oauth2/v2.0/token" ||
		r.Form.Get("client_secret") != "s" || r.Form.Get("q") != "1" || r.Header.Get("X-Test") != "yes" || !r.Time.Equal(clock.Now()) {
		t.Errorf("%+v", r)
	}
	for range 10 {
		get(t, tenant.HTTPClient(), base+"/discovery/keys")
	}
	get(t, tenant.HTTPClient(), base+"/nothing")
	var kinds []string
	for _, r := range tenant.Requests() {
		kinds = append(kinds, r.Endpoint.String())
	}
	if len(kinds) != 3 || kinds[0] != "Keys" || kinds[2] != "none" || tenant.Count(entratest.EndpointKeys) != 10 || tenant.Count(entratest.EndpointToken) != 1 {
		t.Errorf("kept %v, counted %d and %d", kinds, tenant.Count(entratest.EndpointKeys), tenant.Count(entratest.EndpointToken))
	}
}

func TestCutAnswer(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.Fail(entratest.EndpointToken, entratest.Fault{CutAfter: 100, Times: 1})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/token", strings.NewReader(c.obo().Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := c.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err == nil || len(body) != 100 || response.StatusCode != http.StatusOK {
		t.Errorf("%d, %d bytes, %v", response.StatusCode, len(body), err)
	}
	if a := c.token(t, c.obo()); a.status != http.StatusOK {
		t.Errorf("%s", a.body)
	}
}

// Only one user is throttled: other users, and the app itself, are served.
func TestFaultOfOneUser(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	bob := c.AddUser("bob@contoso.com", "Bob")
	secret := c.api.AddSecret()
	signIn := func(u *entratest.User) answer {
		return c.token(t, c.redeem(open(t, c.Browser(u), c.authorizeURL("scope", "openid offline_access User.Read"))))
	}
	for _, u := range []*entratest.User{c.alice, bob} {
		c.ConsentUser(u, c.client, c.Graph(), "User.Read")
	}
	requests := map[string]func(u *entratest.User) answer{
		"exchange": func(u *entratest.User) answer {
			return c.token(t, c.obo("client_secret", secret, "assertion", c.Token(u, c.client, c.api)))
		},
		"code": signIn,
		"refresh": func(u *entratest.User) answer {
			c.Fail(entratest.EndpointToken)
			token := signIn(u).text("refresh_token")
			c.Fail(entratest.EndpointToken, entratest.Fault{UserID: strings.ToUpper(c.alice.ObjectID), RetryAfter: time.Minute})
			return c.token(t, c.redeem(open(t, c.Browser(u), c.authorizeURL()), "grant_type", "refresh_token", "refresh_token", token, "code", "", "scope", "User.Read"))
		},
	}
	for name, request := range requests {
		c.Fail(entratest.EndpointToken, entratest.Fault{UserID: strings.ToUpper(c.alice.ObjectID), RetryAfter: time.Minute})
		if a := request(c.alice); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "60" {
			t.Errorf("%s for alice: %d %s, want 429", name, a.status, a.body)
		}
		if a := request(bob); a.status != http.StatusOK {
			t.Errorf("%s for bob: %d %s, want 200", name, a.status, a.body)
		}
	}
	if a := c.token(t, c.obo("client_secret", secret, "grant_type", "client_credentials", "assertion", "")); a.status != http.StatusOK {
		t.Errorf("the app itself: %d %s", a.status, a.body)
	}
	c.Fail(entratest.EndpointGraph, entratest.Fault{UserID: c.alice.ObjectID, Status: http.StatusTooManyRequests})
	for u, want := range map[*entratest.User]int{c.alice: http.StatusTooManyRequests, bob: http.StatusOK} {
		if a := get(t, c.HTTPClient(), c.AuthorityHost()+"/v1.0/me", "Authorization", "Bearer "+c.Token(u, c.client, c.Graph())); a.status != want {
			t.Errorf("Graph for %s: %d, want %d", u.DisplayName, a.status, want)
		}
	}
}

// Each request gets the first fault that matches, as many times as that fault says.
func TestSeveralFaults(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	bob := c.AddUser("bob@contoso.com", "Bob")
	c.Fail(entratest.EndpointToken,
		entratest.Fault{UserID: bob.ObjectID, Times: 1, AADSTS: 65001},
		entratest.Fault{},
		entratest.Fault{Times: 2, Status: 400, Body: `{"error":7,"error_codes":"65001","claims":{}}`},
	)
	asBob := []string{"assertion", c.Token(bob, c.client, c.api)}
	for i, test := range []struct {
		changes []string
		status  int
		want    string
	}{
		{nil, 400, `"error":7`}, {asBob, 400, "AADSTS65001"}, {asBob, 400, `"error":7`}, {asBob, 200, "access_token"}, {nil, 200, "access_token"},
	} {
		if a := c.token(t, c.obo(test.changes...)); a.status != test.status || !strings.Contains(a.body, test.want) {
			t.Errorf("request %d: %d %s, want %d and %s", i, a.status, a.body, test.status, test.want)
		}
	}
}

// Skip, StallAfter and Trickle work like those of blobtest.
func TestFaultsOfTheBody(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.Fail(entratest.EndpointToken, entratest.Fault{Skip: 1, Times: 1, Status: 503})
	for i, want := range []int{200, 503, 200} {
		if got := c.token(t, c.obo()).status; got != want {
			t.Errorf("request %d: status %d, want %d", i, got, want)
		}
	}
	body := strings.Repeat("x", 3000)
	c.Fail(entratest.EndpointToken, entratest.Fault{Body: body, Trickle: time.Millisecond})
	if got := c.token(t, c.obo()).body; got != body {
		t.Errorf("a trickled body has %d bytes, want %d", len(got), len(body))
	}
	c.Fail(entratest.EndpointToken, entratest.Fault{Body: body, StallAfter: 100})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.AuthorityHost()+"/"+c.ID()+"/oauth2/v2.0/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadFull(response.Body, make([]byte, 100)); err != nil {
		t.Fatalf("before the stall: %v", err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, response.Body); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("after the stall: %d bytes and %v, want none and %v", n, err, context.Canceled)
	}
	requests := c.Requests()
	if got := requests[len(requests)-1].Status; got != http.StatusOK {
		t.Errorf("Status of the last request = %d, want 200", got)
	}
	c.ForgetRequests()
	if got := c.Count(entratest.EndpointToken) + len(c.Requests()); got != 0 {
		t.Errorf("after ForgetRequests, %d requests are left, want 0", got)
	}
}
