package mcpentra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// consentWorld is a world in which nobody has consented to what the API does.
func consentWorld(t testing.TB, opts ...mcpentra.Option) *world {
	t.Helper()
	w := newWorld(t, append([]mcpentra.Option{mcpentra.WithStateKeys(stateKey('a'), stateKey('b'))}, opts...)...)
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	landing := "https://mcp.example.com/consent/done"
	w.api.AddRedirectURI(entratest.PlatformWeb, landing)
	w.api.RequirePermissions(w.tenant.Storage(), "user_impersonation")
	w.useExchanger(t, &obo.Options{RedirectURL: landing})
	addWhoami(w)
	return w
}

func stateKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// useExchanger makes the server anew, with an exchanger of these options.
func (w *world) useExchanger(t testing.TB, o *obo.Options) {
	t.Helper()
	o.HTTPClient, o.AuthorityHost, o.Logger = w.tenant.HTTPClient(), w.tenant.AuthorityHost(), w.logger()
	var err error
	w.exchanger, err = obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.api.AddSecret()), o)
	must(t, err)
	w.rebuild(t)
}

// person is a client's elicitation handler: a user who does this with the page.
type person func(ctx context.Context, page string) (action string)

func (w *world) connectPerson(t testing.TB, token, protocol string, p person, told func(id string)) *mcp.ClientSession {
	t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if req.Params.Mode != "url" || strings.Contains(req.Params.URL, "alice") {
				t.Errorf("asked for %+v, want Params.Mode url and no alice", req.Params)
			}
			return &mcp.ElicitResult{Action: p(ctx, req.Params.URL)}, nil
		},
		ElicitationCompleteHandler: func(_ context.Context, req *mcp.ElicitationCompleteNotificationRequest) {
			told(req.Params.ElicitationID)
		},
	})
	transport := &http.Transport{}
	s, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint: w.url, HTTPClient: &http.Client{Transport: withToken{token, transport}}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	must(t, err)
	t.Cleanup(func() {
		_ = s.Close()
		transport.CloseIdleConnections()
	})
	return s
}

// consents is a person who accepts on Entra's pages, and whose browser then opens
// the landing page, wherever it is served.
func (w *world) consents(t testing.TB, user *entratest.User) person {
	return func(ctx context.Context, page string) string {
		back, err := w.tenant.Browser(user).Open(ctx, page)
		if err != nil {
			t.Errorf("consent page: got %v, want nil", err)
			return "cancel"
		}
		w.land(t, back) //nolint:contextcheck // a browser has no context
		return "accept"
	}
}

// land opens the landing page with what Entra has put into its query, as a browser
// does, and returns its text.
func (w *world) land(t testing.TB, back *url.URL) string {
	t.Helper()
	origin := strings.TrimSuffix(w.url, "/mcp")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, origin+back.RequestURI(), nil)
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	_ = resp.Body.Close()
	location, err := resp.Location() // resolved, as browsers do
	must(t, err)
	to := location.RequestURI()
	if resp.StatusCode != http.StatusSeeOther || strings.Contains(to, "code") || strings.Contains(to, "state") {
		t.Errorf("landing: got %d, goes on to %s; want 303 and no code and no state", resp.StatusCode, to)
	}
	status, header, body := do(t, http.MethodGet, origin+to, "", nil)
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") || header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("landing page: got %d %v, want 200, text/html at the start, no-referrer", status, header)
	}
	return body
}

// A client that opens pages, in the modern era: one call, the user consents on the
// way, and the call succeeds.
func TestConsentIsAskedOnTheWay(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	s := w.connectPerson(t, w.token(w.alice), "2026-07-28", w.consents(t, w.alice), nil)
	result, text := call(t, s, "whoami", nil)
	if result.IsError || !strings.Contains(text, w.alice.ObjectID) {
		t.Errorf("error %v, %s; want false, Alice's id", result.IsError, text)
	}
	if !strings.Contains(w.log.String(), "outcome=input") {
		t.Error("the log does not say that the user was asked")
	}
}

// "accept" says that the page was opened, not that the user is done.
func TestAcceptIsNotDone(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	var asked atomic.Int32
	s := w.connectPerson(t, w.token(w.alice), "2026-07-28", func(context.Context, string) string {
		asked.Add(1)
		return "accept"
	}, nil)
	result, text := call(t, s, "whoami", nil)
	if !result.IsError || !strings.Contains(text, "AADSTS65001") || !strings.Contains(text, "/authorize?") {
		t.Errorf("error %v, %s; want true, AADSTS65001 and where to consent", result.IsError, text)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the user was asked %d times, want 3", n)
	}
}

func TestConsentDeclined(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	s := w.connectPerson(t, w.token(w.alice), "2026-07-28", func(context.Context, string) string { return "decline" }, nil)
	if result, text := call(t, s, "whoami", nil); !result.IsError || !strings.Contains(text, "did not open the consent page") {
		t.Errorf("error %v, %s; want true, that the page was not opened", result.IsError, text)
	}
	// On Entra's page itself.
	browser := w.tenant.Browser(w.alice)
	browser.Decline = true
	s = w.connectPerson(t, w.token(w.alice), "2026-07-28", func(ctx context.Context, page string) string {
		back, err := browser.Open(ctx, page)
		must(t, err)
		if text := w.land(t, back); !strings.Contains(text, "Nothing was changed") { //nolint:contextcheck // a browser has no context
			t.Errorf("landing page: got %s, want \"Nothing was changed\"", text)
		}
		return "accept"
	}, nil)
	if result, text := call(t, s, "whoami", nil); !result.IsError || !strings.Contains(text, "AADSTS65001") {
		t.Errorf("error %v, %s; want true, AADSTS65001", result.IsError, text)
	}
}

// Without elicitation, or without keys for the state: words, with the URL.
func TestConsentInWords(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	for _, protocol := range protocols {
		result, text := call(t, w.connect(t, w.token(w.alice), protocol), "whoami", nil)
		if !result.IsError || !strings.Contains(text, "AADSTS65001") || !strings.Contains(text, "/oauth2/v2.0/authorize?") {
			t.Errorf("%s: error %v, %s; want true, AADSTS65001 and where to consent", protocol, result.IsError, text)
		}
	}
	without := newWorld(t)
	without.tenant.RevokeConsent(without.api, without.tenant.Storage())
	addWhoami(without)
	s := without.connectPerson(t, without.token(without.alice), "2026-07-28", func(context.Context, string) string {
		t.Error("the user was asked without a key for the state, want an error")
		return "cancel"
	}, nil)
	if result, text := call(t, s, "whoami", nil); !result.IsError || !strings.Contains(text, "/oauth2/v2.0/authorize?") {
		t.Errorf("error %v, %s; want true, where to consent", result.IsError, text)
	}
}

// The era with sessions has an error for it, and a notification when the user is back.
func TestConsentWithSessions(t *testing.T) {
	t.Parallel()
	w := consentWorld(t, mcpentra.WithSessions())
	told := make(chan string, 1)
	s := w.connectPerson(t, w.token(w.alice), "2025-11-25", nil, func(id string) { told <- id })
	_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami"})
	page, id := elicitationIn(t, err)
	w.consents(t, w.alice)(t.Context(), page)
	select {
	case got := <-told:
		if got != id {
			t.Errorf("told of %q, asked as %q; want %v", got, id, id)
		}
	case <-time.After(time.Minute):
		t.Fatal("the client was not told that its user is back")
	}
	if result, text := call(t, s, "whoami", nil); result.IsError {
		t.Errorf("afterwards: got the error %s, want none", text)
	}
}

// A state is of use to its user, for its call, in time, and unchanged; and any
// replica with the key takes it.
func TestRequestStates(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}`
	send := func(token, tool, more string) (int, string) {
		status, _, body := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+tool+`","arguments":{},`+meta+more+`}}`,
			map[string]string{"Authorization": "Bearer " + token, "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool})
		return status, body
	}
	alice, bob := w.token(w.alice), w.token(w.bob)
	status, body := send(alice, "whoami", "")
	state := between(body, `"requestState":"`, `"`)
	if status != http.StatusOK || state == "" || !strings.Contains(body, `"resultType":"input_required"`) || strings.Contains(body, w.alice.ObjectID) {
		t.Fatalf("got %d %s, want 200 and %q and no %q, a state", status, body, `"resultType":"input_required"`, w.alice.ObjectID)
	}
	answer := func(state string) string {
		return `,"requestState":"` + state + `","inputResponses":{"consent":{"action":"accept"}}`
	}
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	for name, c := range map[string]struct{ token, tool, more, want string }{
		"another user's":    {bob, "whoami", answer(state), "it belongs to another user"},
		"another call's":    {alice, "secure_ping", answer(state), "it belongs to another call"},
		"changed":           {alice, "whoami", answer(state[:len(state)-6] + "AAAAAA"), "not from this server"},
		"of no key":         {alice, "whoami", answer("mcpentra1.AAAA"), "not from this server"},
		"endless":           {alice, "whoami", answer("mcpentra1." + strings.Repeat("A", 5000)), "not from this server"},
		"no answer with it": {alice, "whoami", `,"requestState":"` + state + `"`, "did not open the consent page"},
		"as it should be":   {alice, "whoami", answer(state), w.alice.ObjectID},
	} {
		if _, body := send(c.token, c.tool, c.more); !strings.Contains(body, c.want) {
			t.Errorf("%s: got %s, want a text with %q", name, body, c.want)
		}
	}
	// Another replica, after the keys were changed.
	w.options = []mcpentra.Option{mcpentra.WithStateKeys(stateKey('c'), stateKey('a'))}
	w.rebuild(t)
	addWhoami(w)
	if _, body := send(alice, "whoami", answer(state)); !strings.Contains(body, w.alice.ObjectID) {
		t.Errorf("another replica: got %s, want %q", body, w.alice.ObjectID)
	}
}

// The landing page is public: it says no more than that one can go back.
func TestLandingPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for query, want := range map[string]string{
		"code=0.AAAA&session_state=x":          "Done",
		"admin_consent=True&tenant=x&state=y":  "Done",
		"error=access_denied&state=%3Cscript>": "Nothing was changed",
	} {
		body := w.land(t, &url.URL{Path: "/consent/done", RawQuery: query})
		if !strings.Contains(body, want) || strings.Contains(body, "script") || strings.Contains(body, "AAAA") {
			t.Errorf("%s: got %s, want %q and no script and no AAAA", query, body, want)
		}
	}
}

// Entra wants more of the user, or nothing more of the token: the call itself is
// answered 401, and the client comes back with another token.
func TestChallengeByEntra(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			w := newWorld(t, mode.opts...)
			addWhoami(w)
			w.tenant.RequireMFA(w.tenant.Storage())
			capable := map[string]any{"xms_cc": []string{"cp1"}}
			header := w.bearer(capable)
			if mode.name == "sessions" {
				header["Mcp-Protocol-Version"] = "2025-11-25"
				_, h, _ := w.post(t, initialize, header)
				header["Mcp-Session-Id"] = h.Get("Mcp-Session-Id")
				t.Cleanup(func() { do(t, http.MethodDelete, w.url, "", header) })
			}
			for range 3 { // the exchanger may remember the refusal
				status, h, body := w.post(t, callBody("whoami"), header)
				challenge := h.Get("WWW-Authenticate")
				if status != http.StatusUnauthorized || !strings.Contains(challenge, `error="insufficient_claims"`) || !strings.Contains(challenge, `claims="`) ||
					!strings.Contains(body, `"id":7`) || !strings.Contains(body, "stronger_sign_in") || h.Get("Content-Type") != "application/json" {
					t.Errorf("got %d %s %s, want 401 and %q and %q and %q and stronger_sign_in, application/json", status, challenge, body, `error="insufficient_claims"`, `claims="`, `"id":7`)
				}
			}
			if status, _, body := w.post(t, callBody("secure_ping"), header); status != http.StatusOK {
				t.Errorf("a tool that does not use storage: got %d %s, want 200", status, body)
			}
			// With a second factor.
			strong := w.bearer(map[string]any{"xms_cc": []string{"cp1"}, "amr": []string{"pwd", "mfa"}})
			header["Authorization"] = strong["Authorization"]
			if status, _, body := w.post(t, callBody("whoami"), header); status != http.StatusOK || strings.Contains(body, "isError\":true") {
				t.Errorf("with a second factor: got %d %s, want 200 and no %q", status, body, "isError\":true")
			}
			// A client that does not know claims is told in words, each time.
			header["Authorization"] = w.bearer(nil)["Authorization"]
			for range 2 {
				if status, _, body := w.post(t, callBody("whoami"), header); status != http.StatusOK || !strings.Contains(body, "AADSTS50076") {
					t.Errorf("client without cp1: got %d %s, want 200 and AADSTS50076", status, body)
				}
			}
		})
	}
}

// The user's sessions are ended while the token is still good to the verifier.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addWhoami(w)
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 50173, Times: 1})
	status, h, body := w.post(t, callBody("whoami"), header)
	if status != http.StatusUnauthorized || !strings.Contains(h.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(body, `"reason":"revoked"`) {
		t.Errorf("got %d %v %s, want 401 and %q and %q", status, h, body, `"reason":"revoked"`, `error="invalid_token"`)
	}
	header["Authorization"] = "Bearer " + w.token(w.alice)
	if status, _, body := w.post(t, callBody("whoami"), header); status != http.StatusOK || !strings.Contains(body, w.alice.ObjectID) {
		t.Errorf("signed in again: got %d %s, want 200 and %q", status, body, w.alice.ObjectID)
	}
}

// A tool that has sent progress has begun its answer: it gets words, each time, and
// another tool that uses the resource gets the challenge.
func TestChallengeAfterProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	addWhoami(w)
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "slow"}, func(ctx context.Context, req *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		must(t, req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 1}))
		cred, err := mcpentra.Credential(ctx)
		must(t, err)
		_, err = cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		return nil, nil, err
	})
	header := w.bearer(map[string]any{"xms_cc": []string{"cp1"}})
	post := func(tool string) (int, string) {
		body := strings.Replace(callBody(tool), `"arguments"`, `"_meta":{"progressToken":1},"arguments"`, 1)
		status, _, text := w.post(t, body, header)
		return status, text
	}
	if status, body := post("whoami"); status != http.StatusOK || !strings.Contains(body, `"user"`) {
		t.Fatalf("got %d %s, want 200 and %q", status, body, `"user"`)
	}
	w.tenant.RequireMFA(w.tenant.Storage())
	header = w.bearer(map[string]any{"xms_cc": []string{"cp1"}, "uti": "another"})
	if status, body := post("slow"); status != http.StatusOK || !strings.Contains(body, "AADSTS50076") || !strings.Contains(body, "notifications/progress") {
		t.Errorf("got %d %s, want 200 and AADSTS50076 and notifications/progress", status, body)
	}
	if status, body := post("whoami"); status != http.StatusUnauthorized || !strings.Contains(body, "stronger_sign_in") {
		t.Errorf("got %d %s, want 401 and stronger_sign_in", status, body)
	}
	if status, body := post("slow"); status != http.StatusOK || !strings.Contains(body, "AADSTS50076") {
		t.Errorf("again: got %d %s, want 200 and AADSTS50076", status, body)
	}
	if status, body := post("secure_ping"); status != http.StatusOK {
		t.Errorf("a tool that does not use storage: got %d %s, want 200", status, body)
	}
}

// elicitationIn returns the page and the id of a URL elicitation that is an error.
func elicitationIn(t testing.TB, err error) (page, id string) {
	t.Helper()
	var e *jsonrpc.Error
	if !errors.As(err, &e) || e.Code != mcp.CodeURLElicitationRequired {
		t.Fatalf("got %#v %v, want code %d", e, err, mcp.CodeURLElicitationRequired)
	}
	var data struct{ Elicitations []*mcp.ElicitParams }
	must(t, json.Unmarshal(e.Data, &data))
	return data.Elicitations[0].URL, data.Elicitations[0].ElicitationID
}

func between(s, before, after string) string {
	_, s, _ = strings.Cut(s, before)
	s, _, _ = strings.Cut(s, after)
	return s
}
