package explain

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// A world is a tenant with an API, a client, and Alice.
type world struct {
	tenant      *entratest.Tenant
	api, client *entratest.App
	alice       *entratest.User
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tenant := entratest.New(t, nil)
	w := &world{
		tenant: tenant, api: tenant.AddApp("API", "access_as_user"), client: tenant.AddClient("client"),
		alice: tenant.AddUser("alice@contoso.example", "Alice"),
	}
	tenant.Consent(w.client, w.api, "access_as_user")
	return w
}

// judge judges the input and writes the report, or the error, to out.
func judge(t *testing.T, out *bytes.Buffer, input string, want bool, c serverconfig.Config, client *http.Client) {
	t.Helper()
	result, err := Run(t.Context(), c, client, strings.NewReader(input), out)
	if err != nil {
		out.WriteString(err.Error())
	} else {
		result.Print(out)
	}
	if accepted := err == nil && result.Valid; accepted != want {
		t.Errorf("accepted: %v, want %v", accepted, want)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := serverconfig.Config{TenantID: w.tenant.ID(), APIAppID: w.api.ClientID, AuthorityHost: w.tenant.AuthorityHost()}
	good := w.tenant.Token(w.alice, w.client, w.api)
	change := func(name string, value any) string {
		return w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims[name] = value })
	}
	for name, row := range map[string]struct {
		input    string
		accepted bool
		texts    []string
	}{
		"good":           {good + "\n", true, []string{"The token is accepted.", "signature            passed"}},
		"with Bearer":    {"Bearer " + good, true, []string{"The token is accepted."}},
		"the header":     {"Authorization: Bearer " + good, true, []string{"The token is accepted."}},
		"header of JSON": {`"authorization": "Bearer ` + good + `"`, true, []string{"The token is accepted."}},
		"quoted":         {`"` + good + "\"\n", true, []string{"The token is accepted."}},
		"quotes":         {`""`, false, []string{"no token on standard input"}},
		"expired":        {change("exp", time.Now().Unix()-3600), false, []string{"expired: Token expired", "#expired", "expiry               FAILED"}},
		"wrong audience": {change("aud", "https://graph.microsoft.com"), false, []string{"audience_mismatch: Audience validation failed", "https://graph.microsoft.com", "api://" + w.api.ClientID}},
		"garbage":        {"garbage", false, []string{"malformed: ", "signature            not reached"}},
		"terminal codes": {change("aud", "\x1b[31mred"), false, []string{`"\x1b[31mred"`}},
		"nothing":        {" \n", false, []string{"no token on standard input"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			judge(t, &out, row.input, row.accepted, c, w.tenant.HTTPClient())
			for _, text := range row.texts {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not in:\n%s", text, out.String())
				}
			}
			signature := strings.TrimRight(row.input[strings.LastIndexByte(row.input, '.')+1:], "\"\n")
			if len(signature) > 40 && strings.Contains(out.String(), signature[:40]) {
				t.Error("the signature is printed")
			}
			if name == "good" || name == "expired" {
				t.Logf("\n%s", out.String())
			}
		})
	}
}

// The remedy names the scope as the server publishes it: with the URL before it where that is an
// App ID URI, for Entra refuses another beside the resource that clients send.
func TestExplainNamesPublishedScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := "api://" + w.api.ClientID
	bad := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["aud"] = "https://graph.microsoft.com" })
	for name, row := range map[string]struct {
		uris []string
		want string
	}{
		"the URL is one":  {[]string{api, "https://mcp.example.com/mcp"}, "https://mcp.example.com/mcp/access_as_user. "},
		"the URL is none": {[]string{api}, api + "/access_as_user. "},
	} {
		var out bytes.Buffer
		judge(t, &out, bad, false, serverconfig.Config{
			TenantID: w.tenant.ID(), APIAppID: w.api.ClientID, AuthorityHost: w.tenant.AuthorityHost(),
			PublicURL: "https://mcp.example.com", AppIDURIs: row.uris,
		}, w.tenant.HTTPClient())
		if !strings.Contains(out.String(), "Ask for the scope "+row.want) {
			t.Errorf("%s: want the scope %s in:\n%s", name, row.want, out.String())
		}
	}
}

// Without configuration, the report uses the token's own tenant and audience, and says so. Keys
// come from the configured authority, whatever the token says.
func TestExplainWithoutConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mint := func(version int, name string, value any) string {
		return w.tenant.Mint(w.api, version, func(_, claims map[string]any) { claims[name] = value })
	}
	const notice = "checked against its own tenant ("
	for name, row := range map[string]struct {
		config   serverconfig.Config
		input    string
		accepted bool
		texts    []string
	}{
		"v1":                   {serverconfig.Config{}, mint(1, "x", 1), true, []string{notice + w.tenant.ID(), "audience (api://" + w.api.ClientID, "valid for its own tenant", "keys of " + w.tenant.AuthorityHost()}},
		"v2":                   {serverconfig.Config{}, mint(2, "x", 1), true, []string{notice + w.tenant.ID(), "audience (" + w.api.ClientID}},
		"an App ID URI":        {serverconfig.Config{}, mint(1, "aud", "https://mcp.example.com/mcp/"), true, []string{"audience (https://mcp.example.com/mcp/)"}},
		"expired":              {serverconfig.Config{}, mint(1, "exp", 1), false, []string{notice, "expired: Token expired"}},
		"the tenant is set":    {serverconfig.Config{TenantID: w.tenant.ID()}, mint(1, "x", 1), true, []string{"checked against its own audience (api://"}},
		"the app is set":       {serverconfig.Config{APIAppID: w.api.ClientID}, mint(1, "aud", "api://other"), false, []string{notice + w.tenant.ID() + "),", "audience_mismatch"}},
		"a stranger's host":    {serverconfig.Config{}, mint(2, "iss", "https://evil.example/"+w.tenant.ID()+"/v2.0"), false, []string{"issuer_mismatch", "keys of " + w.tenant.AuthorityHost()}},
		"a tenant that is not": {serverconfig.Config{}, mint(2, "tid", "12345678-1234-1234-1234-123456789abc"), false, []string{"tenant_not_found", "AADSTS90002"}},
		"tid is a path":        {serverconfig.Config{}, mint(2, "tid", "../x"), false, []string{"the token's claim tid is not a tenant ID", "Set TENANT_ID"}},
		"no audience":          {serverconfig.Config{}, mint(2, "aud", nil), false, []string{"the token has no audience"}},
		"a scope":              {serverconfig.Config{}, mint(1, "aud", "api://"+w.api.ClientID+"/access_as_user"), false, []string{"No API can have the audience api://" + w.api.ClientID + "/access_as_user", "is a scope of the API", "audience_mismatch", "api://" + w.api.ClientID + " or", "signature            passed"}},
		"the tenant":           {serverconfig.Config{}, mint(1, "aud", w.tenant.ID()), false, []string{"No API can have the audience " + w.tenant.ID(), "audience_mismatch", "signature            passed"}},
		"all audiences":        {serverconfig.Config{}, mint(1, "aud", "api://*"), false, []string{"No API can have the audience api://*", "audience_mismatch"}},
		"a configured URI":     {serverconfig.Config{TenantID: w.tenant.ID(), APIAppID: w.api.ClientID, AppIDURIs: []string{"https://mcp.example.com/mcp"}}, mint(1, "aud", "https://mcp.example.com/mcp"), true, []string{"The token is accepted."}},
		"another URI":          {serverconfig.Config{TenantID: w.tenant.ID(), APIAppID: w.api.ClientID, AppIDURIs: []string{"https://mcp.example.com/mcp", "api://x"}}, mint(1, "aud", "https://graph.microsoft.com"), false, []string{"Ask for the scope https://mcp.example.com/mcp/access_as_user"}},
		"a list":               {serverconfig.Config{}, mint(1, "aud", []string{w.api.ClientID}), false, []string{"audience ([" + w.api.ClientID + "])", "FAILED"}},
		"a number":             {serverconfig.Config{}, mint(1, "aud", 7), false, []string{"audience (7)", "FAILED"}},
		"empty":                {serverconfig.Config{}, mint(1, "aud", ""), false, []string{"the token has no audience"}},
		"terminal codes":       {serverconfig.Config{}, mint(2, "aud", "\x1b[31mred"), false, []string{`"\x1b[31mred"`}},
		"garbage":              {serverconfig.Config{}, "garbage", false, []string{"the token can't be read", "Set both"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := *w.tenant.HTTPClient()
			client.Transport = only{w.tenant.AuthorityHost(), client.Transport, t}
			row.config.AuthorityHost = w.tenant.AuthorityHost()
			var out bytes.Buffer
			judge(t, &out, row.input, row.accepted, row.config, &client)
			for _, text := range row.texts {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not in:\n%s", text, out.String())
				}
			}
			if row.config.AppIDURIs == nil && strings.Contains(out.String(), "is accepted") || strings.Contains(out.String(), row.input[len(row.input)-7:]) && len(row.input) > 40 {
				t.Errorf("it says too much:\n%s", out.String())
			}
		})
	}
}

// only is a transport that allows requests to one origin.
type only struct {
	origin string
	next   http.RoundTripper
	t      *testing.T
}

func (o only) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != o.origin {
		o.t.Errorf("a request went to %s", r.URL.Host)
	}
	return o.next.RoundTrip(r)
}

// The report says who calls, also for a token of another registration, and what lets an agent in.
func TestExplainAgents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.tenant.AddApp("Another API", "access_as_user")
	other.OptionalClaims = []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"}
	blueprint := w.tenant.AddBlueprint("Blueprint")
	agent := w.tenant.AddAgent(blueprint, "Agent")
	agentUser := w.tenant.AddAgentUser(agent, "agent@contoso.example", "Agent")
	id := "agent " + agent.ClientID
	for name, row := range map[string]struct {
		token    string
		accepted bool
		texts    []string
	}{
		"a person":               {w.tenant.Token(w.alice, w.client, other), true, []string{"no agent"}},
		"without the claims":     {w.tenant.Token(w.alice, agent, w.api), true, []string{"unknown: the token lacks xms_sub_fct"}},
		"a person through one":   {w.tenant.Token(w.alice, agent, other), true, []string{"a person through " + id + ", blueprint " + blueprint.ClientID}},
		"an agent user":          {w.tenant.Token(agentUser, agent, other), false, []string{"agent user " + agentUser.ObjectID + " of " + id, "agent_user_not_accepted: Agent user not accepted. ", "object ID", "#agent_user_not_accepted"}},
		"one on its own":         {w.tenant.AppToken(agent, other), false, []string{id + " on its own", "agent_not_accepted: Agent not accepted. ", "not its blueprint's", "signature            passed"}},
		"a person or agent user": {w.tenant.Mint(w.api, 2, func(_, c map[string]any) { c["xms_par_app_azp"] = blueprint.ClientID }), false, []string{"agent_unclear: ", "xms_sub_fct, xms_act_fct, xms_par_app_azp and idtyp (include_user_token)"}},
		"a contradiction":        {w.tenant.Mint(w.api, 2, func(_, c map[string]any) { c["idtyp"] = "app" }), false, []string{"claims_contradict: ", `idtyp "app", scp "access_as_user"`}},
	} {
		var out bytes.Buffer
		judge(t, &out, row.token, row.accepted, serverconfig.Config{AuthorityHost: w.tenant.AuthorityHost()}, w.tenant.HTTPClient())
		for _, text := range row.texts {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: %q is not in:\n%s", name, text, out.String())
			}
		}
	}
}
