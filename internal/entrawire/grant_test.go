package entrawire_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
)

const (
	blueprint     = "aaaaaaaa-0000-0000-0000-000000000001"
	anAgent       = "bbbbbbbb-0000-0000-0000-000000000002"
	otherAgent    = "cccccccc-0000-0000-0000-000000000003"
	exchangeScope = "api://AzureADTokenExchange/.default"
	jwtBearer     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

var agentGrants = []entrawire.Grant{
	entrawire.AgentOnBehalfOf([]string{anAgent, otherAgent}),
	entrawire.AgentAssertion(blueprint, exchangeScope, []string{anAgent, otherAgent}),
}

// firstStep and secondStep are what MSAL sends.
func firstStep() url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {blueprint}, "client_secret": {"s"},
		"scope": {exchangeScope + " openid offline_access profile"}, "fmi_path": {anAgent},
	}
}

func secondStep() url.Values {
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"},
		"client_id": {anAgent}, "client_assertion_type": {jwtBearer}, "client_assertion": {"t.1.x"},
		"assertion": {"a.b.c"}, "scope": {"https://storage.azure.com/.default openid offline_access profile"}, "client_info": {"1"},
	}
}

// agentForms are requests of agents, each with one change: what Entra could read as another request
// doesn't leave.
var agentForms = []struct {
	name    string
	form    func() url.Values
	changed string // the parameter that changes
	value   []string
	want    bool
}{
	{"first", firstStep, "", nil, true},
	{"first with an assertion as proof", firstByAssertion, "", nil, true},
	{"first for the other agent", firstStep, "fmi_path", []string{otherAgent}, true},
	{"first with client_info", firstStep, "client_info", []string{"1"}, true},
	{"first with the scope alone", firstStep, "scope", []string{exchangeScope}, true},
	{"first with the scopes in another order", firstStep, "scope", []string{"openid " + exchangeScope}, true},
	{"first with a user's token", firstStep, "assertion", []string{"a.b.c"}, false},
	{"first with an empty user's token", firstStep, "assertion", []string{""}, false},
	{"first with claims", firstStep, "claims", []string{"{}"}, false},
	{"first on behalf of", firstStep, "requested_token_use", []string{"on_behalf_of"}, false},
	{"first with a user's id", firstStep, "user_id", []string{blueprint}, false},
	{"first with a username", firstStep, "username", []string{"alice@contoso.com"}, false},
	{"first with a user's credential", firstStep, "user_federated_identity_credential", []string{"a.b.c"}, false},
	{"first with a resource", firstStep, "resource", []string{"https://graph.microsoft.com"}, false},
	{"first with a code", firstStep, "code", []string{"c"}, false},
	{"first with a refresh token", firstStep, "refresh_token", []string{"r"}, false},
	{"first with attributes", firstStep, "attributes", []string{"x"}, false},
	{"first with an empty name", firstStep, "", []string{"x"}, false},
	{"first without fmi_path", firstStep, "fmi_path", nil, false},
	{"first with an empty fmi_path", firstStep, "fmi_path", []string{""}, false},
	{"first with two fmi_path", firstStep, "fmi_path", []string{anAgent, anAgent}, false},
	{"first with two agents in one", firstStep, "fmi_path", []string{anAgent + " " + otherAgent}, false},
	{"first for an agent that is not listed", firstStep, "fmi_path", []string{"dddddddd-0000-0000-0000-000000000004"}, false},
	{"first for the blueprint", firstStep, "fmi_path", []string{blueprint}, false},
	{"first for an agent in other case", firstStep, "fmi_path", []string{strings.ToUpper(anAgent)}, false},
	{"first with a path below the agent", firstStep, "fmi_path", []string{anAgent + "/x"}, false},
	{"first with a second fmi_path in other spelling", firstStep, "FMI_PATH", []string{otherAgent}, false},
	{"first with a second fmi_path in brackets", firstStep, "fmi_path[]", []string{otherAgent}, false},
	{"first of another client", firstStep, "client_id", []string{anAgent}, false},
	{"first of the blueprint in other case", firstStep, "client_id", []string{strings.ToUpper(blueprint)}, false},
	{"first of no client", firstStep, "client_id", nil, false},
	{"first with another scope", firstStep, "scope", []string{"https://graph.microsoft.com/.default"}, false},
	{"first with one more scope", firstStep, "scope", []string{exchangeScope + " https://graph.microsoft.com/.default"}, false},
	{"first with one more scope after a tab", firstStep, "scope", []string{exchangeScope + "\thttps://graph.microsoft.com/.default"}, false},
	{"first with the scope twice", firstStep, "scope", []string{exchangeScope + " " + exchangeScope}, false},
	{"first with the scope in other case", firstStep, "scope", []string{strings.ToLower(exchangeScope)}, false},
	{"first with another cloud's scope", firstStep, "scope", []string{"api://AzureADTokenExchangeUSGov/.default"}, false},
	{"first with MSAL's scopes alone", firstStep, "scope", []string{"openid offline_access profile"}, false},
	{"first with email", firstStep, "scope", []string{exchangeScope + " openid email"}, false},
	{"first with an empty scope", firstStep, "scope", []string{""}, false},
	{"first without scope", firstStep, "scope", nil, false},
	{"first without proof", firstStep, "client_secret", nil, false},
	{"first with an empty secret", firstStep, "client_secret", []string{""}, false},
	{"first with two proofs", firstByAssertion, "client_secret", []string{"s"}, false},
	{"first with another type of assertion", firstByAssertion, "client_assertion_type", []string{"urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, false},
	{"first without the type of its assertion", firstByAssertion, "client_assertion_type", nil, false},
	{"first by another grant", firstStep, "grant_type", []string{"user_fic"}, false},
	{"first by the user's password", firstStep, "grant_type", []string{"password"}, false},

	{"second", secondStep, "", nil, true},
	{"second with claims", secondStep, "claims", []string{`{"access_token":{"xms_cc":{"values":["cp1"]}}}`}, true},
	{"second of the other agent", secondStep, "client_id", []string{otherAgent}, true},
	{"second of the blueprint", secondStep, "client_id", []string{blueprint}, false},
	{"second of an agent that is not listed", secondStep, "client_id", []string{"dddddddd-0000-0000-0000-000000000004"}, false},
	{"second of an agent in other case", secondStep, "client_id", []string{strings.ToUpper(anAgent)}, false},
	{"second of no client", secondStep, "client_id", nil, false},
	{"second with a secret besides", secondStep, "client_secret", []string{"s"}, false},
	{"second with an empty secret besides", secondStep, "client_secret", []string{""}, false},
	{"second without proof", secondStep, "client_assertion", nil, false},
	{"second with an empty proof", secondStep, "client_assertion", []string{""}, false},
	{"second with another type of proof", secondStep, "client_assertion_type", []string{"x"}, false},
	{"second without a user's token", secondStep, "assertion", nil, false},
	{"second with an empty user's token", secondStep, "assertion", []string{""}, false},
	{"second without its use", secondStep, "requested_token_use", nil, false},
	{"second with another use", secondStep, "requested_token_use", []string{"on_behalf_of_x"}, false},
	{"second with fmi_path", secondStep, "fmi_path", []string{otherAgent}, false},
	{"second with a user's id", secondStep, "user_id", []string{blueprint}, false},
	{"second by the first's grant", secondStep, "grant_type", []string{"client_credentials"}, false},
	{"second by user_fic", secondStep, "grant_type", []string{"user_fic"}, false},
	{"second by a refresh token", secondStep, "grant_type", []string{"refresh_token"}, false},
}

func firstByAssertion() url.Values {
	f := firstStep()
	f.Del("client_secret")
	f["client_assertion"], f["client_assertion_type"] = []string{"p.q.r"}, []string{jwtBearer}
	return f
}

func TestOnlyTheTwoStepsOfAgentsLeave(t *testing.T) {
	t.Parallel()
	for _, c := range agentForms {
		form := c.form()
		if c.value != nil || c.changed != "" {
			form[c.changed] = c.value
		}
		sent := &recorder{}
		_, err := entrawire.New(&http.Client{Transport: sent}, time.Now, agentGrants...).Send(newRequest(t, form.Encode()))
		checkSent(t, c.name, sent, err, c.want)
		if err != nil && strings.Contains(err.Error(), "a.b.c") {
			t.Errorf("%s: the error %v has the user's token", c.name, err)
		}
		// An exchanger without agents has neither step, and one with agents no exchange of its own.
		sent = &recorder{}
		_, err = entrawire.New(&http.Client{Transport: sent}, time.Now, entrawire.OnBehalfOf).Send(newRequest(t, form.Encode()))
		if form.Get("grant_type") == "client_credentials" {
			checkSent(t, c.name+", without agents", sent, err, false)
		}
	}
	sent := &recorder{}
	_, err := entrawire.New(&http.Client{Transport: sent}, time.Now, agentGrants...).Send(newRequest(t, onBehalf))
	checkSent(t, "the app's own exchange", sent, err, false)
	sent = &recorder{}
	_, err = entrawire.New(&http.Client{Transport: sent}, time.Now, entrawire.AgentAssertion(blueprint, exchangeScope, nil)).Send(newRequest(t, firstStep().Encode()))
	checkSent(t, "no agents", sent, err, false)
}

// FuzzAgentGrants: whatever leaves is one of the two steps, read strictly.
func FuzzAgentGrants(f *testing.F) {
	for _, c := range agentForms {
		form := c.form()
		if c.value != nil || c.changed != "" {
			form[c.changed] = c.value
		}
		f.Add(form.Encode())
	}
	f.Add(firstStep().Encode() + "&" + secondStep().Encode())
	f.Fuzz(func(t *testing.T, body string) {
		sent := &recorder{}
		req := newRequest(t, body)
		_, err := entrawire.New(&http.Client{Transport: sent}, time.Now, agentGrants...).Send(req)
		if len(sent.bodies) == 0 {
			if err == nil {
				t.Errorf("%q: not sent, without an error", body)
			}
			return
		}
		form, err := url.ParseQuery(sent.bodies[0])
		if err != nil || sent.bodies[0] != body {
			t.Fatalf("sent %q for %q (%v)", sent.bodies[0], body, err)
		}
		for name, values := range form {
			if len(values) != 1 {
				t.Errorf("%q: %s stands %d times", body, name, len(values))
			}
		}
		agents := []string{anAgent, otherAgent}
		first := form.Get("grant_type") == "client_credentials" && form.Get("client_id") == blueprint && slices.Contains(agents, form.Get("fmi_path")) &&
			!form.Has("assertion") && !form.Has("claims") && !form.Has("requested_token_use")
		for s := range strings.FieldsSeq(form.Get("scope")) {
			first = first && slices.Contains([]string{exchangeScope, "openid", "offline_access", "profile"}, s)
		}
		second := form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer" && slices.Contains(agents, form.Get("client_id")) &&
			form.Get("requested_token_use") == "on_behalf_of" && form.Get("assertion") != "" && form.Get("client_assertion") != "" &&
			!form.Has("client_secret") && !form.Has("fmi_path")
		if !first && !second {
			t.Errorf("sent %q, which is neither step", body)
		}
	})
}
