package obo_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	agentA = "aaaaaaaa-1111-1111-1111-111111111111"
	agentB = "bbbbbbbb-2222-2222-2222-222222222222"
)

// agentEntra is a token endpoint in memory that makes both steps of agents' exchanges. Its tokens
// say what for.
type agentEntra struct {
	mu       sync.Mutex
	forms    []url.Values
	number   int // of the latest request
	lifetime int // of the first step's, in seconds; 0 means 3900
	// answer replaces an answer, unless it returns the zero one.
	answer func(form url.Values) answer
	shown  bytes.Buffer // logs
}

func (e *agentEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.ParseForm(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	form := req.PostForm
	e.forms = append(e.forms, form)
	e.number++
	a, number, lifetime, f := answer{}, e.number, e.lifetime, e.answer
	e.mu.Unlock()
	if f != nil {
		a = f(form)
	}
	switch {
	case a != answer{}:
	case form.Get("grant_type") == "client_credentials":
		if lifetime == 0 {
			lifetime = 3900
		}
		a = tokenAnswer(fmt.Sprintf("vouched.%d.%s", number, form.Get("fmi_path")), lifetime)
	case form.Get("client_assertion") != "" && !strings.HasSuffix(form.Get("client_assertion"), form.Get("client_id")):
		a = refusalOf(700213, "invalid_client")
	default:
		a = tokenAnswer(fmt.Sprintf("token.%s.%d", form.Get("client_id"), number), 3600)
	}
	return (&scriptedEntra{answers: []answer{a}}).RoundTrip(req)
}

func tokenAnswer(token string, lifetime int) answer {
	return answer{status: http.StatusOK, body: fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"access_token":"%s"}`, lifetime, token)}
}

func refusalOf(code int, oauthError string) answer {
	return answer{status: http.StatusBadRequest, body: fmt.Sprintf(`{"error":"%s","error_codes":[%d]}`, oauthError, code)}
}

// refuse makes the endpoint refuse one step, as often as times says.
func (e *agentEntra) refuse(first bool, times int, a answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = func(form url.Values) answer {
		e.mu.Lock()
		defer e.mu.Unlock()
		if isFirst(form) != first || times == 0 {
			return answer{}
		}
		times--
		return a
	}
}

func isFirst(form url.Values) bool { return form.Get("grant_type") == "client_credentials" }

// steps is how many requests of each step have come since the last call.
func (e *agentEntra) steps() (first, second int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, form := range e.forms {
		if isFirst(form) {
			first++
		} else {
			second++
		}
	}
	e.forms = nil
	return first, second
}

func (e *agentEntra) wantSteps(t *testing.T, what string, first, second int) {
	t.Helper()
	if f, s := e.steps(); f != first || s != second {
		t.Errorf("%s: %d first and %d second steps, want %d and %d", what, f, s, first, second)
	}
}

// Write takes the log.
func (e *agentEntra) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown.Write(p)
}

func (e *agentEntra) text() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.shown.String()
}

func (e *agentEntra) options() *obo.Options {
	return &obo.Options{
		HTTPClient: &http.Client{Transport: e}, Agents: []string{agentA, agentB}, MaxRetries: -1,
		Logger: slog.New(slog.NewJSONHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (e *agentEntra) exchanger(t testing.TB, change func(*obo.Options)) *obo.Exchanger {
	t.Helper()
	return e.exchangerWith(t, clientauth.Secret("the-secret-value"), change)
}

// exchangerWith returns one whose log is searched for tokens at the end.
func (e *agentEntra) exchangerWith(t testing.TB, m clientauth.Method, change func(*obo.Options)) *obo.Exchanger {
	t.Helper()
	o := e.options()
	if change != nil {
		change(o)
	}
	x, err := obo.NewExchanger(someGUID, someAppID, m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if shown := e.text(); strings.Contains(shown, "vouched.") || strings.Contains(shown, "token.") || strings.Contains(shown, "secret-value") {
			t.Errorf("the log has a token or a secret:\n%s", shown)
		}
	})
	return x
}

// blueprintToken is a user's token for the blueprint.
func blueprintToken(user int) obo.Assertion { return tokenFor(user, strings.ToLower(someAppID)) }

func tokenFor(user int, audience string) obo.Assertion {
	payload := fmt.Sprintf(`{"aud":%q,"tid":"%s","oid":"%08d-1234-1234-1234-123456789abc","scp":"access_as_user","exp":%d}`,
		audience, someGUID, user, time.Now().Add(24*time.Hour).Unix())
	return obo.NewAssertion("e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln")
}

func askAs(t *testing.T, x *obo.Exchanger, user int, agent string) (string, error) {
	t.Helper()
	return askWith(t, x.AgentCredential(blueprintToken(user), agent), storageOptions)
}

func askWith(t *testing.T, c *obo.Credential, o policy.TokenRequestOptions) (string, error) {
	t.Helper()
	token, err := c.GetToken(t.Context(), o)
	if err != nil {
		if text := err.Error(); strings.Contains(text, "vouched") || strings.Contains(text, "secret-value") {
			t.Errorf("the error %q has a token or a secret", text)
		}
		if token.Token != "" {
			t.Error("a token beside an error, want none")
		}
	}
	if strings.HasPrefix(token.Token, "vouched") {
		t.Error("a caller got the agent's assertion")
	}
	return token.Token, err
}

func mustAsk(t *testing.T, x *obo.Exchanger, user int, agent string) string {
	t.Helper()
	token, err := askAs(t, x, user, agent)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(token, "token."+agent+".") {
		t.Errorf("got the token %q, want one of %s", token, agent)
	}
	return token
}

// TestAgentExchange: what leaves in both steps, member by member.
func TestAgentExchange(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	mustAsk(t, x, 1, agentA)
	want := []url.Values{{
		"grant_type": {"client_credentials"}, "client_id": {strings.ToLower(someAppID)}, "client_secret": {"the-secret-value"},
		"scope": {"api://AzureADTokenExchange/.default openid offline_access profile"}, "fmi_path": {agentA},
	}, {
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "client_id": {agentA},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {"vouched.1." + agentA},
		"scope": {storageScope + " openid offline_access profile"}, "client_info": {"1"},
	}}
	if len(entra.forms) != 2 {
		t.Fatalf("%d requests, want 2", len(entra.forms))
	}
	if entra.forms[1].Get("assertion") == "" {
		t.Error("no assertion in the second step, want the user's token")
	}
	entra.forms[1].Del("assertion")
	for i, w := range want {
		if got := entra.forms[i]; got.Encode() != w.Encode() {
			t.Errorf("step %d: got %v, want %v", i+1, got, w)
		}
	}
	entra.steps()
	mustAsk(t, x, 2, agentA)
	entra.wantSteps(t, "another user", 0, 1)
	mustAsk(t, x, 1, agentA)
	entra.wantSteps(t, "the same user", 0, 0)
	if token, err := askAs(t, x, 1, strings.ToUpper(agentA)); err != nil || !strings.Contains(token, agentA) {
		t.Errorf("the agent in other case: got %q, %v; want its token", token, err)
	}
	entra.wantSteps(t, "the agent in other case", 0, 0)
}

// TestAgentCloud: each cloud has its own scope of the first step.
func TestAgentCloud(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	mustAsk(t, entra.exchanger(t, func(o *obo.Options) { o.AuthorityHost = "https://login.microsoftonline.us" }), 1, agentA)
	if got := entra.forms[0].Get("scope"); !strings.HasPrefix(got, "api://AzureADTokenExchangeUSGov/.default ") {
		t.Errorf("the first step's scope is %q, want the cloud's", got)
	}
}

func TestAgentsAreNamed(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	agents := entra.exchanger(t, nil)
	plain := entra.exchanger(t, func(o *obo.Options) { o.Agents = nil })
	for name, c := range map[string]*obo.Credential{
		"no agent named":                  agents.Credential(blueprintToken(1)),
		"an agent that is not listed":     agents.AgentCredential(blueprintToken(1), someGUID),
		"the blueprint":                   agents.AgentCredential(blueprintToken(1), someAppID),
		"no id":                           agents.AgentCredential(blueprintToken(1), ""),
		"two ids":                         agents.AgentCredential(blueprintToken(1), agentA+" "+agentB),
		"a space":                         agents.AgentCredential(blueprintToken(1), " "+agentA),
		"much":                            agents.AgentCredential(blueprintToken(1), strings.Repeat(agentA, 1<<15)),
		"an exchanger without agents":     plain.AgentCredential(blueprintToken(1), agentA),
		"no id, and an exchanger without": plain.AgentCredential(blueprintToken(1), ""),
	} {
		_, err := askWith(t, c, storageOptions)
		if e := wantKind(t, err, obo.ErrAgentNotAllowed); strings.Contains(e.UserText(), agentA) || e.Remedy == "" {
			t.Errorf("%s: the text is %q, want a remedy, and no id", name, e.UserText())
		}
	}
	entra.wantSteps(t, "agents that are not allowed", 0, 0)
	if _, err := askWith(t, agents.AgentCredential(obo.Assertion{}, agentA), storageOptions); !errors.Is(err, obo.ErrNoAssertion) {
		t.Errorf("no user: got %v, want ErrNoAssertion", err)
	}
	if got, want := plain.Registration().Agents, []string{}; len(got) != 0 {
		t.Errorf("agents of an exchanger without: got %v, want %v", got, want)
	}
	listed := entra.exchanger(t, func(o *obo.Options) { o.Agents = []string{strings.ToUpper(agentB), agentA} })
	if got, want := listed.Registration().Agents, []string{agentA, agentB}; !slices.Equal(got, want) {
		t.Errorf("Registration().Agents = %v, want %v", got, want)
	}
}

func TestAgentFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    obo.Options
		want string
	}{
		"no GUID":                   {obo.Options{Agents: []string{agentA, "my-agent"}}, "Options.Agents[1]"},
		"an empty list":             {obo.Options{Agents: []string{}}, "Options.Agents: the list is empty"},
		"empty":                     {obo.Options{Agents: []string{""}}, "Options.Agents[0]"},
		"the blueprint":             {obo.Options{Agents: []string{strings.ToLower(someAppID)}}, "client ID"},
		"the tenant":                {obo.Options{Agents: []string{strings.ToLower(someGUID)}}, "tenant ID"},
		"twice":                     {obo.Options{Agents: []string{agentA, agentB, strings.ToUpper(agentA)}}, "Options.Agents[2]"},
		"users of another tenant":   {obo.Options{Agents: []string{agentA}, OtherTenants: []string{otherTenant}}, "Options.OtherTenants"},
		"a secret in an id's place": {obo.Options{Agents: []string{"xyz~secret"}}, "Options.Agents[0]"},
	} {
		_, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: NewExchanger = %v, want a fault that says %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "xyz~secret") {
			t.Errorf("%s: the fault %v repeats what may be a secret", name, err)
		}
	}
}

// TestAgentAudience: the blueprint is who we are by configuration. A token that is certainly for
// another app is refused here; a v1 token may have any App ID URI of the blueprint as audience, and
// only Entra knows those.
func TestAgentAudience(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	app := strings.ToLower(someAppID)
	number := 0
	for audience, want := range map[string]bool{
		app: true, "api://" + app: true, "API://" + strings.ToUpper(app): true, strings.ToUpper(app): true,
		"api://contoso/mcp": true, "https://mcp.contoso.com": true, "api://" + app + "/": true, "api://" + someGUID + "/mcp": true,
		"": true, "api://": true, app[:35]: true, "https://" + agentA: true,
		agentA: false, "api://" + agentA: false, "API://" + strings.ToUpper(agentA): false, strings.ToUpper(agentB): false,
		"00000003-0000-0000-c000-000000000000": false, "api://" + someGUID: false,
	} {
		entra.steps()
		number++
		a := tokenFor(number, audience)
		_, err := askWith(t, x.AgentCredential(a, agentA), storageOptions)
		if (err == nil) != want {
			t.Errorf("audience %q: GetToken = %v, want sent: %t", audience, err, want)
		}
		if !want {
			if e := wantKind(t, err, obo.ErrMisconfigured); !strings.Contains(e.UserText(), app) {
				t.Errorf("audience %q: the text is %q, want the blueprint's ID", audience, e.UserText())
			}
			entra.wantSteps(t, "audience "+audience, 0, 0)
			continue
		}
		// Entra decides.
		entra.refuse(false, 1, refusalOf(50013, "invalid_grant"))
		_, err = askWith(t, x.AgentCredential(a, agentB), storageOptions)
		if e := wantKind(t, err, obo.ErrMisconfigured); e.AADSTS != 50013 || !strings.Contains(e.UserText(), "App ID URI") {
			t.Errorf("audience %q, refused by Entra: AADSTS%d %q, want 50013 and what the audience must be", audience, e.AADSTS, e.UserText())
		}
	}
}

// TestLastGateOfAgents: package entrawire has the other ways to try.
func TestLastGateOfAgents(t *testing.T) {
	t.Parallel()
	entra := &agentEntra{}
	x := entra.exchanger(t, nil)
	const jwt = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=p.q.r"
	const exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&requested_token_use=on_behalf_of&assertion=a.b.c"
	first := "grant_type=client_credentials&client_id=" + strings.ToLower(someAppID) + "&client_secret=s&scope=api%3A%2F%2FAzureADTokenExchange%2F.default"
	for body, want := range map[string]bool{
		first + "&fmi_path=" + agentA:   true,
		first + "&fmi_path=" + someGUID: false,
		first:                           false,
		exchange + "&client_id=" + agentA + "&" + jwt:                              true,
		exchange + "&client_id=" + strings.ToLower(someAppID) + "&" + jwt:          false,
		exchange + "&client_id=" + agentA + "&client_secret=s":                     false,
		exchange + "&client_id=" + strings.ToLower(someAppID) + "&client_secret=s": false,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example.com/token", io.NopCloser(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		_ = obo.Send(x, req)
		if f, s := entra.steps(); (f+s == 1) != want {
			t.Errorf("%q: %d requests left, want any: %t", body, f+s, want)
		}
	}
}
