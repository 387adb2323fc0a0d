package entrawire_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a token endpoint that keeps what has left.
type recorder struct{ bodies []string }

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.bodies = append(r.bodies, string(body))
	const answer = `{"token_type":"Bearer","expires_in":3600,"access_token":"token"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: req}, nil
}

const (
	tokenURL = "https://login.example.com/tenant/oauth2/v2.0/token"
	form     = "application/x-www-form-urlencoded"

	onBehalf = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&requested_token_use=on_behalf_of&assertion=a.b.c"
	code     = "grant_type=authorization_code&code=c"
	refresh  = "grant_type=refresh_token&refresh_token=r"
	ownToken = "grant_type=client_credentials&client_secret=s"
)

// TestOnlyNamedGrantsLeave: whatever a library would send, no other request leaves.
func TestOnlyNamedGrantsLeave(t *testing.T) {
	t.Parallel()
	exchanger := []entrawire.Grant{entrawire.OnBehalfOf}
	proxy := []entrawire.Grant{entrawire.AuthorizationCode, entrawire.RefreshToken}
	for _, c := range []struct {
		grants []entrawire.Grant
		body   string
		want   bool
	}{
		{exchanger, onBehalf, true},
		{exchanger, code, false},
		{exchanger, refresh, false},
		{exchanger, ownToken, false},
		{proxy, code, true},
		{proxy, refresh, true},
		{proxy, onBehalf, false},
		{proxy, ownToken, false},
		{proxy, "grant_type=password&username=u&password=p", false},
		{proxy, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&device_code=d", false},
		{proxy, code + "&grant_type=client_credentials", false},
		{proxy, "grant_type=client_credentials&" + code, false},
		{proxy, code + "&code=d", false},
		{proxy, "grant_type=refresh_token&code=c", false},
		{nil, onBehalf, false},
		{nil, ownToken, false},
		{exchanger, onBehalf + "&grant_type=client_credentials", false},
		{exchanger, "grant_type=client_credentials&" + onBehalf, false},
		{exchanger, strings.Replace(onBehalf, "on_behalf_of", "other", 1), false},
		{exchanger, strings.Replace(onBehalf, "&assertion=a.b.c", "", 1), false},
		{exchanger, strings.Replace(onBehalf, "a.b.c", "", 1), false},
		{exchanger, strings.ReplaceAll(onBehalf, "&", ";"), false},
		{exchanger, onBehalf + "&GRANT_TYPE=client_credentials", false},
		{exchanger, onBehalf + "&grant%5Ftype=client_credentials", false},
		{exchanger, onBehalf + "&grant_type%5B%5D=client_credentials", false},
		{exchanger, onBehalf + "&+grant_type=client_credentials", false},
		{exchanger, onBehalf + "&grant_type%00=client_credentials", false},
		{exchanger, onBehalf + "&grant_type=", false},
		{exchanger, onBehalf + "&scope=a&scope=b", false},
		{exchanger, strings.Replace(onBehalf, "requested_token_use", "Requested_Token_Use", 1), false},
		{exchanger, onBehalf + "&scope=a&client_id=b&client-request-id=c", true},
		{exchanger, "", false},
		{exchanger, "%zz", false},
		{exchanger, onBehalf + "&x=" + strings.Repeat("x", 1<<20), false},
	} {
		sent := &recorder{}
		client := entrawire.New(&http.Client{Transport: sent}, time.Now, c.grants...)
		req := newRequest(t, c.body)
		_, err := client.Send(req)
		checkSent(t, c.body, sent, err, c.want)
	}
}

// TestNothingButAFormLeaves: a good body doesn't cover for the rest of its request.
func TestNothingButAFormLeaves(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*http.Request){
		"nothing":         nil,
		"a query":         func(r *http.Request) { r.URL.RawQuery = ownToken },
		"another verb":    func(r *http.Request) { r.Method = http.MethodPut },
		"another type":    func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"two types":       func(r *http.Request) { r.Header.Add("Content-Type", "multipart/form-data; boundary=x") },
		"another charset": func(r *http.Request) { r.Header.Set("Content-Type", form+"; charset=utf-16") },
		"no type":         func(r *http.Request) { r.Header.Del("Content-Type") },
		"compression":     func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
		"no body":         func(r *http.Request) { r.Body = nil },
		"a second body":   func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(ownToken)) }, // GetBody is still good
	} {
		sent := &recorder{}
		client := entrawire.New(&http.Client{Transport: sent}, time.Now, entrawire.OnBehalfOf)
		req := newRequest(t, onBehalf)
		if change != nil {
			change(req)
		}
		_, err := client.Send(req)
		checkSent(t, name, sent, err, change == nil)
	}
	sent := &recorder{}
	req := newRequest(t, onBehalf)
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(ownToken)), nil }
	_, err := entrawire.New(&http.Client{Transport: sent}, time.Now, entrawire.OnBehalfOf).Send(req)
	checkSent(t, "another GetBody", sent, err, true)
	if len(sent.bodies) != 1 || sent.bodies[0] != onBehalf {
		t.Errorf("sent %q, want what was looked at", sent.bodies)
	}
}

func newRequest(t *testing.T, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tokenURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", form+"; charset=utf-8")
	return req
}

func checkSent(t *testing.T, what string, sent *recorder, err error, want bool) {
	t.Helper()
	what = what[:min(len(what), 200)]
	if got := len(sent.bodies) > 0; got != want {
		t.Errorf("%s: sent is %v, want %v (error %v)", what, got, want, err)
	}
	if _, ok := errors.AsType[*entrawire.NotSentError](err); ok == want {
		t.Errorf("%s: error %v, want a *NotSentError: %v", what, err, !want)
	}
}

// TestNoRedirect: the app's secret and the user's code go to one host.
func TestNoRedirect(t *testing.T) {
	t.Parallel()
	asked := 0
	client := entrawire.New(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		asked++
		header := http.Header{"Location": {"https://attacker.example/token"}, "Set-Cookie": {"a=b"}}
		return &http.Response{StatusCode: http.StatusTemporaryRedirect, Header: header, Body: http.NoBody, Request: req}, nil
	})}, time.Now, entrawire.AuthorizationCode)
	_, err := client.Post(t.Context(), tokenURL, url.Values{"grant_type": {"authorization_code"}, "code": {"c"}})
	if r, ok := errors.AsType[*entrawire.RefusalError](err); !ok || r.Status != http.StatusTemporaryRedirect || asked != 1 {
		t.Errorf("Post = %v after %d requests, want a refusal with status 307 after 1", err, asked)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// TestEntra redeems a code with each form of proof, and is refused as Entra refuses.
func TestEntra(t *testing.T) {
	t.Parallel()
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	defer tenant.HTTPClient().CloseIdleConnections()
	const callback = "https://app.example.com/callback"
	app := tenant.AddApp("Proxy")
	app.AddRedirectURI(entratest.PlatformWeb, callback)
	alice := tenant.AddUser("alice@contoso.example", "Alice")
	base := tenant.AuthorityHost() + "/" + tenant.ID() + "/oauth2/v2.0/"
	client := entrawire.New(tenant.HTTPClient(), time.Now, entrawire.AuthorizationCode, entrawire.RefreshToken)

	redeem := func(proof clientcred.Proof) (*entrawire.Success, error) {
		t.Helper()
		back, err := tenant.Browser(alice).Open(t.Context(), base+"authorize?"+url.Values{
			"client_id": {app.ClientID}, "response_type": {"code"}, "scope": {"openid User.Read"}, "redirect_uri": {callback},
		}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		request := url.Values{
			"client_id": {app.ClientID}, "grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback},
		}
		if err := proof.AddTo(request, base+"token"); err != nil {
			t.Fatal(err)
		}
		return client.Post(t.Context(), base+"token", request)
	}
	got, err := redeem(clientcred.Secret(secret.New(app.AddSecret())))
	if err != nil || strings.Count(got.AccessToken, ".") != 2 || got.Lifetime < time.Minute {
		t.Errorf("redeeming a code = %+v, %v; want a token", got, err)
	}
	_, err = redeem(clientcred.Secret(secret.New("wrong")))
	checkRefusal(t, err, 7000215, "invalid_client")
	_, err = redeem(clientcred.Assertion(secret.New("a.b.c")))
	checkRefusal(t, err, 50027, "invalid_request")
	_, err = client.Post(t.Context(), base+"token", url.Values{
		"client_id": {app.ClientID}, "client_secret": {app.AddSecret()}, "grant_type": {"refresh_token"}, "refresh_token": {"r"},
	})
	checkRefusal(t, err, 9002313, "invalid_grant")
}

func checkRefusal(t *testing.T, err error, code int, oauthError string) {
	t.Helper()
	r, ok := errors.AsType[*entrawire.RefusalError](err)
	if !ok {
		t.Errorf("error %v, want a refusal", err)
		return
	}
	if got := r.Code(func(int) bool { return false }); got != code || r.OAuthError != oauthError || r.CorrelationID == "" {
		t.Errorf("AADSTS%d %s (correlation id %q), want AADSTS%d %s", got, r.OAuthError, r.CorrelationID, code, oauthError)
	}
	if text := err.Error(); strings.Contains(text, "AADSTS") {
		t.Errorf("the error holds some of the answer: %s", text)
	}
}

// TestRefreshTokens: only a client for sign-ins returns them, nobody an ID token, and none without
// bound.
func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grants []entrawire.Grant
		body   string
		size   int
		want   string
		fails  bool
	}{
		"code":             {[]entrawire.Grant{entrawire.AuthorizationCode, entrawire.RefreshToken}, code, 2, "rr", false},
		"refresh":          {[]entrawire.Grant{entrawire.AuthorizationCode, entrawire.RefreshToken}, refresh, 2, "rr", false},
		"on behalf":        {[]entrawire.Grant{entrawire.OnBehalfOf}, onBehalf, 2, "", false},
		"both":             {[]entrawire.Grant{entrawire.RefreshToken, entrawire.OnBehalfOf}, refresh, 2, "", false},
		"none":             {[]entrawire.Grant{entrawire.RefreshToken}, refresh, 0, "", false},
		"long":             {[]entrawire.Grant{entrawire.RefreshToken}, refresh, entrawire.MaxRefreshToken, strings.Repeat("r", entrawire.MaxRefreshToken), false},
		"too long":         {[]entrawire.Grant{entrawire.RefreshToken}, refresh, entrawire.MaxRefreshToken + 1, "", true},
		"too long, unused": {[]entrawire.Grant{entrawire.OnBehalfOf}, onBehalf, entrawire.MaxRefreshToken + 1, "", false},
	} {
		client := entrawire.New(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			answer := `{"token_type":"Bearer","expires_in":3600,"access_token":"a","id_token":"i.d.t","refresh_token":"` + strings.Repeat("r", c.size) + `"}`
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: req}, nil
		})}, time.Now, c.grants...)
		got, err := client.Send(newRequest(t, c.body))
		if c.fails {
			if _, ok := errors.AsType[*entrawire.AnswerError](err); !ok {
				t.Errorf("%s: error %v, want an *AnswerError", name, err)
			}
			continue
		}
		if err != nil || got.RefreshToken != c.want {
			t.Errorf("%s: Send = %d bytes of refresh token, %v; want %d", name, len(got.RefreshToken), err, len(c.want))
			continue
		}
		if text := fmt.Sprintf("%+v", *got); strings.Contains(text, "i.d.t") {
			t.Errorf("%s: %s has the ID token", name, text)
		}
	}
}

// TestAnswersAreBounded: what is too long or breaks off is an error of its own.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		body      io.Reader
		transient bool
	}{
		"too long":   {io.LimitReader(endless{}, 1<<30), false},
		"broken off": {io.MultiReader(strings.NewReader(`{"access_`), broken{}), true},
		"no JSON":    {strings.NewReader(`<html>`), false},
	} {
		client := entrawire.New(&http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(c.body), Request: req}, nil
		})}, time.Now, entrawire.RefreshToken)
		_, err := client.Post(t.Context(), tokenURL, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"r"}})
		if e, ok := errors.AsType[*entrawire.AnswerError](err); !ok || e.Transient != c.transient {
			t.Errorf("%s: error %v, want an *AnswerError, transient %v", what, err, c.transient)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
