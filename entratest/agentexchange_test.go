package entratest_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

const exchangeScope = exchangeURI + "/.default"

// with returns the form with changes; "" removes a parameter.
func with(form url.Values, changes ...string) url.Values {
	form = maps.Clone(form)
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			form.Del(changes[i])
		}
	}
	return form
}

// first returns the request for T1, the token with which the blueprint acts as the agent.
func (a *agents) first(changes ...string) url.Values {
	return with(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.blueprint.ClientID}, "client_secret": {a.secret},
		"scope": {exchangeScope}, "fmi_path": {a.agent.ClientID},
	}, changes...)
}

// t1 returns the token of a request for T1.
func (a *agents) t1(t testing.TB, changes ...string) string {
	t.Helper()
	got := a.token(t, a.first(changes...))
	if got.status != 200 {
		t.Fatalf("T1: %d %s", got.status, got.body)
	}
	return got.text("access_token")
}

// as returns a request of the agent, which proves itself with t1.
func (a *agents) as(t1 string, changes ...string) url.Values {
	return with(url.Values{"client_id": {a.agent.ClientID}, "client_assertion_type": {assertionType}, "client_assertion": {t1}}, changes...)
}

func (a *agents) alone(t1, scope string) url.Values {
	return a.as(t1, "grant_type", "client_credentials", "scope", scope)
}

// forPerson returns the second request of the exchange.
func (a *agents) forPerson(t1 string, changes ...string) url.Values {
	return a.as(t1, append([]string{
		"grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", "requested_token_use", "on_behalf_of",
		"assertion", a.Token(a.alice, a.client, a.blueprint), "scope", "https://storage.azure.com/.default",
	}, changes...)...)
}

func (a *agents) asUser(t1, t2 string, changes ...string) url.Values {
	return a.as(t1, append([]string{
		"grant_type", "user_fic", "requested_token_use", "on_behalf_of", "user_federated_identity_credential", t2,
		"scope", "https://storage.azure.com/.default",
	}, changes...)...)
}

func TestFirstTokenOfAnAgent(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	got := a.token(t, a.first())
	_, claims := decode(t, got.text("access_token"))
	for claim, want := range map[string]any{
		"aud": "fb60f99c-7a34-4190-8149-302f77469936", "iss": a.V2Issuer(), "ver": "2.0", "azp": a.blueprint.ClientID, "azpacr": "1",
		"oid": a.blueprint.ObjectID, "idtyp": "app", "xms_par_app_azp": nil, "roles": nil, "tid": a.ID(),
	} {
		if claims[claim] != want {
			t.Errorf("%s is %v, want %v", claim, claims[claim], want)
		}
	}
	subject, _ := claims["sub"].(string)
	if !strings.HasPrefix(subject, "/eid1/c/pub/t/") || !strings.HasSuffix(subject, "/"+a.agent.ClientID) || strings.Count(subject, "/") != 8 {
		t.Errorf("sub is %q, want /eid1/c/pub/t/{tenant}/a/{blueprint}/{agent}", subject)
	}
	if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 3900 {
		t.Errorf("exp is %v s after iat, want 3900 (65 minutes)", lifetime)
	}
	if got.json["expires_in"] != 3600.0 {
		t.Errorf("expires_in is %v, want 3600", got.json["expires_in"])
	}
}

// TestSubjectOfAnAgent compares the encoding of GUIDs with a token that was shown in public.
func TestSubjectOfAnAgent(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, &entratest.Options{TenantID: "323626f5-1bfe-48cd-8902-ddfdfd44e1ce"})
	blueprint := tenant.AddBlueprint("Blueprint")
	a := &agents{contoso: &contoso{Tenant: tenant}, blueprint: blueprint, agent: tenant.AddAgent(blueprint, "Agent"), secret: blueprint.AddSecret()}
	_, claims := decode(t, a.t1(t))
	if subject, _ := claims["sub"].(string); !strings.HasPrefix(subject, "/eid1/c/pub/t/9SY2Mv4bzUiJAt39_UThzg/a/") {
		t.Errorf("sub is %q, want it to begin with /eid1/c/pub/t/9SY2Mv4bzUiJAt39_UThzg/a/", subject)
	}
}

func TestExchangesOfAnAgent(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	a.blueprint.AccessTokenVersion = 2
	down := a.AddApp("Downstream", "read", "write", "admin")
	down.OptionalClaims = agentClaims
	a.Consent(a.blueprint, down, "read", "admin")
	a.blueprint.AllowInheritance(down, "read", "write")
	a.Consent(a.agent, down, "write")
	a.GrantRoles(a.agent, down, "Files.Read")
	t1 := a.t1(t)
	t2 := a.token(t, a.alone(t1, exchangeScope)).text("access_token")
	for name, test := range map[string]struct {
		request url.Values
		want    map[string]any
	}{
		"for a person": {
			a.forPerson(t1, "scope", down.AppIDURI()+"/.default"),
			map[string]any{
				"oid": a.alice.ObjectID, "appid": a.agent.ClientID, "appidacr": "2", "scp": "read write", "idtyp": "user",
				"xms_act_fct": "3 9 11", "xms_sub_fct": "3 6", "xms_par_app_azp": a.blueprint.ClientID,
			},
		},
		"alone": {
			a.alone(t1, down.AppIDURI()+"/.default"),
			map[string]any{
				"oid": a.agent.ClientID, "sub": a.agent.ClientID, "appid": a.agent.ClientID, "appidacr": "2", "scp": nil, "idtyp": "app",
				"xms_act_fct": "3 9 11", "xms_sub_fct": "9 3 11", "xms_par_app_azp": a.blueprint.ClientID,
			},
		},
		"alone, for the exchange": {
			a.alone(t1, exchangeScope),
			map[string]any{"oid": a.agent.ClientID, "sub": a.agent.ClientID, "azp": a.agent.ClientID, "aud": "fb60f99c-7a34-4190-8149-302f77469936", "xms_par_app_azp": a.blueprint.ClientID},
		},
		"as its agent user, by name": {
			a.asUser(t1, t2, "username", a.user.UserPrincipalName, "scope", down.AppIDURI()+"/.default"),
			map[string]any{
				"oid": a.user.ObjectID, "appid": a.agent.ClientID, "appidacr": "2", "scp": "read write", "idtyp": "user", "amr": nil, "acr": "0",
				"xms_act_fct": "3 9 11", "xms_sub_fct": "3 13", "xms_par_app_azp": a.blueprint.ClientID,
			},
		},
		"as its agent user, by id": {
			a.asUser(t1, t2, "user_id", a.user.ObjectID, "scope", down.Scope("read")),
			map[string]any{"oid": a.user.ObjectID, "xms_sub_fct": "3 13"},
		},
	} {
		got := a.token(t, test.request)
		if got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
			continue
		}
		_, claims := decode(t, got.text("access_token"))
		for claim, want := range test.want {
			if claims[claim] != want {
				t.Errorf("%s: %s is %v, want %v", name, claim, claims[claim], want)
			}
		}
	}
}

// TestAgentUserThroughAMiddleTier: 13 as subject goes on, but not 11.
func TestAgentUserThroughAMiddleTier(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	down := a.AddApp("Downstream", "read")
	down.OptionalClaims = agentClaims
	a.Consent(a.api, down)
	got := a.token(t, a.obo("assertion", a.Token(a.user, a.agent, a.api), "scope", down.Scope("read")))
	_, claims := decode(t, got.text("access_token"))
	for claim, want := range map[string]any{
		"oid": a.user.ObjectID, "appid": a.api.ClientID, "xms_sub_fct": "3 13", "xms_act_fct": "9 3", "xms_par_app_azp": nil,
	} {
		if claims[claim] != want {
			t.Errorf("%s is %v, want %v", claim, claims[claim], want)
		}
	}
}

func TestInheritance(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for name, test := range map[string]struct {
		prepare func(a *agents, down *entratest.App)
		want    string // scopes; empty: AADSTS65001
	}{
		"nothing":                    {func(*agents, *entratest.App) {}, ""},
		"granted, not inheritable":   {func(a *agents, down *entratest.App) { a.Consent(a.blueprint, down) }, ""},
		"inheritable, not granted":   {func(a *agents, down *entratest.App) { a.blueprint.AllowInheritance(down) }, ""},
		"granted to the agent":       {func(a *agents, down *entratest.App) { a.Consent(a.agent, down, "read") }, "read"},
		"granted by the user":        {func(a *agents, down *entratest.App) { a.ConsentUser(a.alice, a.agent, down, "read") }, "read"},
		"granted to another's child": {func(a *agents, down *entratest.App) { a.Consent(a.AddAgent(a.blueprint, "Other"), down) }, ""},
		"inheritable of another's API": {func(a *agents, down *entratest.App) {
			a.Consent(a.blueprint, down)
			a.blueprint.AllowInheritance(a.Storage())
		}, ""},
		"all inheritable": {func(a *agents, down *entratest.App) {
			a.Consent(a.blueprint, down, "read", "write")
			a.blueprint.AllowInheritance(down)
		}, "read write"},
		"some inheritable": {func(a *agents, down *entratest.App) {
			a.Consent(a.blueprint, down)
			a.blueprint.AllowInheritance(down, "write")
		}, "write"},
		"replaced": {func(a *agents, down *entratest.App) {
			a.Consent(a.blueprint, down)
			a.blueprint.AllowInheritance(down)
			a.blueprint.AllowInheritance(down, "read")
		}, "read"},
		"granted for another user": {func(a *agents, down *entratest.App) {
			a.ConsentUser(a.AddUser("bob@contoso.com", "Bob"), a.blueprint, down)
			a.blueprint.AllowInheritance(down)
		}, ""},
		"granted for the user": {func(a *agents, down *entratest.App) {
			a.ConsentUser(a.alice, a.blueprint, down, "read")
			a.blueprint.AllowInheritance(down)
		}, "read"},
	} {
		a := c.newAgents()
		down := a.AddApp("Downstream", "read", "write")
		test.prepare(a, down)
		got := a.token(t, a.forPerson(a.t1(t), "scope", down.AppIDURI()+"/.default"))
		if test.want == "" {
			claims := got.text("claims")
			if got.code() != 65001 || got.text("suberror") != "consent_required" || !strings.Contains(claims, `{"access_token":{"capolids":`) {
				t.Errorf("%s: %d %s, want AADSTS65001 with claims", name, got.status, got.body)
			}
			continue
		}
		if got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
			continue
		}
		if _, claims := decode(t, got.text("access_token")); claims["scp"] != test.want {
			t.Errorf("%s: scp is %v, want %s", name, claims["scp"], test.want)
		}
	}
}

// TestGraphTokenOfAnAgent: Entra adds the scopes of OpenID Connect to what was granted.
func TestGraphTokenOfAnAgent(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	a.Consent(a.agent, a.Graph(), "User.Read")
	got := a.token(t, a.forPerson(a.t1(t), "scope", "https://graph.microsoft.com/.default"))
	_, claims := decode(t, got.text("access_token"))
	scopes, _ := claims["scp"].(string)
	if want := []string{"User.Read", "email", "openid", "profile"}; !slices.Equal(slices.Sorted(strings.FieldsSeq(scopes)), want) {
		t.Errorf("scp is %q, want %v", scopes, want)
	}
}

func TestRefusalsOfAgents(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	a.Consent(a.agent, a.Storage())
	other := a.AddBlueprint("Other", "access_as_user")
	stranger := a.AddAgent(other, "Stranger")
	sibling := a.AddAgent(a.blueprint, "Sibling")
	siblings := a.AddAgentUser(sibling, "sibling@contoso.com", "Sibling")
	disabled := a.AddAgentUser(a.agent, "off@contoso.com", "Off")
	disabled.Disabled = true
	local := a.AddAgentClient("Local")
	elsewhere := a.AddTenant(nil)
	away := elsewhere.AddAgent(elsewhere.AddServicePrincipal(a.blueprint), "Away")
	t1 := a.t1(t)
	t2 := a.token(t, a.alone(t1, exchangeScope)).text("access_token")
	changed := func(name string, value any) string {
		_, claims := decode(t, t1)
		claims[name] = value
		return a.Sign(nil, claims)
	}
	awaysT1 := do(t, a.HTTPClient(), "POST", a.AuthorityHost()+"/"+elsewhere.ID()+"/oauth2/v2.0/token", a.first("fmi_path", away.ClientID)).text("access_token")
	if awaysT1 == "" {
		t.Fatal("the blueprint gets no T1 in the other tenant")
	}
	emptyPath := a.first()
	emptyPath.Set("fmi_path", "")
	// noAgent is a request of an app with its secret.
	noAgent := func(app *entratest.App, secret, grant string, changes ...string) url.Values {
		return with(url.Values{
			"grant_type": {grant}, "client_id": {app.ClientID}, "client_secret": {secret}, "scope": {"https://storage.azure.com/.default"},
		}, changes...)
	}
	for name, test := range map[string]struct {
		request url.Values
		code    int
	}{
		"T1 with a wrong secret":                   {a.first("client_secret", "wrong"), 7000215},
		"T1 with an empty fmi_path":                {emptyPath, 82008},
		"T1 with a path that is no GUID":           {a.first("fmi_path", "agents/1"), 9002313},
		"T1 of an API that is no blueprint":        {a.first("client_id", a.api.ClientID, "client_secret", a.contoso.secret), 9002313},
		"T1 for another resource":                  {a.first("scope", "https://graph.microsoft.com/.default"), 9002313},
		"blueprint alone, for storage":             {noAgent(a.blueprint, a.secret, "client_credentials"), 82001},
		"blueprint's own exchange":                 {a.forPerson("", "client_id", a.blueprint.ClientID, "client_secret", a.secret, "client_assertion", ""), 82002},
		"agent without proof":                      {noAgent(a.agent, "", "client_credentials"), 7000218},
		"agent with the blueprint's secret":        {noAgent(a.agent, a.secret, "client_credentials"), 7000215},
		"agent that is a public client":            {a.as(t1, "grant_type", "client_credentials", "client_id", local.ClientID, "scope", "https://storage.azure.com/.default"), 70025},
		"T1 of another agent":                      {a.forPerson(a.t1(t, "fmi_path", sibling.ClientID)), 700213},
		"T1 of another blueprint's agent":          {a.forPerson(a.t1(t, "fmi_path", stranger.ClientID), "client_id", stranger.ClientID), 700213},
		"T1 in upper case":                         {a.forPerson(a.t1(t, "fmi_path", strings.ToUpper(a.agent.ClientID))), 7002138},
		"T1 of the tenant that is not the agent's": {a.forPerson(awaysT1), 700211},
		"T1 with another issuer":                   {a.forPerson(changed("iss", "https://login.microsoftonline.com/"+a.ID()+"/v2.0")), 700211},
		"T1 with another audience":                 {a.forPerson(changed("aud", a.blueprint.ClientID)), 700212},
		"T1 that has expired":                      {a.forPerson(changed("exp", a.clock.Now().Add(-time.Hour).Unix())), 700024},
		"T1 with a bad signature":                  {a.forPerson(t1[:len(t1)-8] + "AAAAAAAA"), 700027},
		"T2 instead of T1":                         {a.forPerson(t2), 700213},
		"a person's token instead of T1":           {a.forPerson(a.Token(a.alice, a.client, a.blueprint)), 700211},
		"assertion for another API":                {a.forPerson(t1, "assertion", a.Token(a.alice, a.client, a.api)), 50013},
		"assertion of an application":              {a.forPerson(t1, "assertion", a.AppToken(a.api, a.blueprint)), 7000114},
		"assertion of an agent on its own":         {a.forPerson(t1, "assertion", a.AppToken(a.agent, a.blueprint)), 7000114},
		"assertion that has a bad signature":       {a.forPerson(t1, "assertion", a.Token(a.alice, a.client, a.blueprint)+"A"), 50013},
		"no consent":                               {a.forPerson(t1, "scope", "https://graph.microsoft.com/.default"), 65001},
		"agent user without user":                  {a.asUser(t1, t2), 900144},
		"agent user without credential":            {a.asUser(t1, "", "username", a.user.UserPrincipalName), 900144},
		"agent user named twice":                   {a.asUser(t1, t2, "username", a.user.UserPrincipalName, "user_id", a.user.ObjectID), 9002313},
		"agent user that doesn't exist":            {a.asUser(t1, t2, "user_id", "11111111-2222-3333-4444-555555555555"), 50034},
		"agent user that is disabled":              {a.asUser(t1, t2, "username", disabled.UserPrincipalName), 50057},
		"agent user of another agent":              {a.asUser(t1, t2, "username", siblings.UserPrincipalName), 700213},
		"a person as agent user":                   {a.asUser(t1, t2, "username", a.alice.UserPrincipalName), 700211},
		"T1 as the agent user's credential":        {a.asUser(t1, t1, "username", a.user.UserPrincipalName), 700213},
		"agent user without consent":               {a.asUser(t1, t2, "username", a.user.UserPrincipalName, "scope", "https://graph.microsoft.com/.default"), 65001},
		"agent user for no agent":                  {noAgent(a.api, a.contoso.secret, "user_fic", "user_federated_identity_credential", t2, "username", a.user.UserPrincipalName), 70003},
	} {
		if got := a.token(t, test.request); got.code() != test.code {
			t.Errorf("%s: %d %s, want AADSTS%d", name, got.status, got.body, test.code)
		}
	}
}

// TestAgentsDoNotSignIn: agent identities and blueprints sign nobody in, and agent users can't sign
// in themselves.
func TestAgentsDoNotSignIn(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	const back = "https://app.example.com/callback"
	a.blueprint.AddRedirectURI(entratest.PlatformWeb, back)
	local := a.AddAgentClient("Local agent")
	local.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	a.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	for _, api := range []*entratest.App{a.api, a.blueprint} {
		a.Consent(a.client, api)
		a.Consent(local, api)
	}
	authorize := func(client *entratest.App, redirect string) string {
		return a.AuthorityHost() + "/" + a.ID() + "/oauth2/v2.0/authorize?" + url.Values{
			"client_id": {client.ClientID}, "response_type": {"code"}, "redirect_uri": {redirect}, "scope": {a.api.Scope("access_as_user")},
		}.Encode()
	}
	for name, test := range map[string]struct {
		user   *entratest.User
		client *entratest.App
		want   string // error; empty: a code
	}{
		"with an agent identity":    {a.alice, a.agent, "AADSTS82014"},
		"with a blueprint":          {a.alice, a.blueprint, "AADSTS82018"},
		"with a public agent":       {a.alice, local, ""},
		"an agent user":             {a.user, a.client, "AADSTS50126"},
		"an agent user, with agent": {a.user, local, "AADSTS50126"},
	} {
		redirect := "http://localhost"
		if test.client == a.blueprint {
			redirect = back
		}
		got, err := a.Browser(test.user).Open(t.Context(), authorize(test.client, redirect))
		switch {
		case test.want == "" && (err != nil || got.Query().Get("code") == ""):
			t.Errorf("%s: %v, %v, want a code", name, got, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, %v, want %s", name, got, err, test.want)
		}
	}
	device := do(t, a.HTTPClient(), "POST", a.AuthorityHost()+"/"+a.ID()+"/oauth2/v2.0/devicecode",
		url.Values{"client_id": {a.agent.ClientID}, "scope": {a.api.Scope("access_as_user")}})
	if device.code() != 82014 {
		t.Errorf("a device code for an agent: %d %s, want AADSTS82014", device.status, device.body)
	}
}

// TestRefreshTokenOfAnAgent: the agent proves itself with T1 again.
func TestRefreshTokenOfAnAgent(t *testing.T) {
	t.Parallel()
	a := newAgents(t)
	a.Consent(a.agent, a.Storage())
	t1 := a.t1(t)
	got := a.token(t, a.forPerson(t1, "scope", "https://storage.azure.com/.default offline_access"))
	refresh := a.as(t1, "grant_type", "refresh_token", "refresh_token", got.text("refresh_token"), "scope", "https://storage.azure.com/.default")
	if got := a.token(t, refresh); got.status != 200 {
		t.Errorf("refresh: %d %s", got.status, got.body)
	}
	if got := a.token(t, with(refresh, "client_assertion", a.t1(t, "fmi_path", a.AddAgent(a.blueprint, "Sibling").ClientID))); got.code() != 700213 {
		t.Errorf("refresh with another agent's T1: %d %s, want AADSTS700213", got.status, got.body)
	}
}
