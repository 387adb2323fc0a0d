package entratest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Only Graph can verify its tokens, which work at /v1.0/me.
func TestGraph(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", "openid profile User.Read"))))
	token := a.text("access_token")
	header, claims := decode(t, token)
	if header["nonce"] == nil || claims["aud"] != "https://graph.microsoft.com" || claims["ver"] != "1.0" || !strings.Contains(a.text("scope"), "User.Read") {
		t.Errorf("%v %v %s", header, claims, a.text("scope"))
	}
	if err := verify(c.Tenant, token); err == nil {
		t.Error("the token can be verified like any other")
	}
	me := func(token string) answer {
		return get(t, c.HTTPClient(), c.AuthorityHost()+"/v1.0/me", "Authorization", "Bearer "+token)
	}
	if a := me(token); a.text("id") != c.alice.ObjectID || a.text("userPrincipalName") != c.alice.UserPrincipalName {
		t.Errorf("%d %s", a.status, a.body)
	}
	openid := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", "openid profile"))))
	for name, test := range map[string]struct {
		token  string
		status int
	}{
		"of another API":   {c.Token(c.alice, c.client, c.Storage()), http.StatusUnauthorized},
		"without scope":    {c.Token(c.alice, c.client, c.Graph(), "openid"), http.StatusForbidden},
		"after sign-in":    {openid.text("access_token"), http.StatusOK}, // User.Read was consented to before
		"garbage":          {"x.y.z", http.StatusUnauthorized},
		"changed":          {token[:len(token)-6] + "AAAAAA", http.StatusUnauthorized},
		"of another place": {c.Mint(c.Graph(), 1, func(_, claims map[string]any) { claims["tid"] = c.alice.ObjectID }), http.StatusUnauthorized},
	} {
		if a := me(test.token); a.status != test.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	_, id := decode(t, openid.text("id_token"))
	info := get(t, c.HTTPClient(), c.AuthorityHost()+"/oidc/userinfo", "Authorization", "Bearer "+openid.text("access_token"))
	if info.text("sub") == "" || info.text("sub") != id["sub"] || info.text("name") != "Alice" {
		t.Errorf("userinfo: %d %s, ID token: %v", info.status, info.body, id)
	}
	if a := get(t, c.HTTPClient(), c.AuthorityHost()+"/v1.0/me"); a.status != http.StatusUnauthorized {
		t.Errorf("no token: %d", a.status)
	}
}

// A token for Graph has the OpenID scopes of its request, for every grant. A token for anything
// else has none of them.
func TestOpenIDScopesOfGraphTokens(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	asked := "openid profile email offline_access User.Read"
	first := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", asked))))
	refresh := func(scope string) answer {
		return c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()),
			"grant_type", "refresh_token", "refresh_token", first.text("refresh_token"), "code", "", "scope", scope))
	}
	c.Consent(c.api, c.Graph(), "User.Read")
	exchange := func(scope string) answer {
		return c.token(t, c.obo("client_secret", c.api.AddSecret(), "scope", scope))
	}
	const graph = "https://graph.microsoft.com/"
	for name, test := range map[string]struct {
		a        answer
		scp      string
		userInfo int
	}{
		"code":                {first, "User.Read email openid profile", http.StatusOK},
		"refresh":             {refresh(asked), "User.Read email openid profile", http.StatusOK},
		"refresh, full names": {refresh(graph + "openid " + graph + "User.Read"), "User.Read openid", http.StatusOK},
		"refresh, .default":   {refresh("openid email " + graph + ".default"), "User.Read email openid", http.StatusOK},
		"refresh, no openid":  {refresh(graph + "User.Read profile"), "User.Read profile", http.StatusForbidden},
		"refresh, to sign in": {refresh("openid offline_access"), "User.Read openid", http.StatusOK},
		"refresh, an API":     {refresh("openid profile " + c.api.Scope("access_as_user")), "access_as_user", http.StatusUnauthorized},
		"on behalf of":        {exchange("openid email " + graph + "User.Read"), "User.Read email openid", http.StatusOK},
		"on behalf of, plain": {exchange(graph + ".default"), "User.Read", http.StatusForbidden},
	} {
		if test.a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, test.a.status, test.a.body)
			continue
		}
		_, claims := decode(t, test.a.text("access_token"))
		scp, _ := claims["scp"].(string)
		scopes := strings.Fields(scp)
		slices.Sort(scopes)
		if got := strings.Join(scopes, " "); got != test.scp {
			t.Errorf("%s: scp is %q, want %q", name, got, test.scp)
		}
		info := get(t, c.HTTPClient(), c.AuthorityHost()+"/oidc/userinfo", "Authorization", "Bearer "+test.a.text("access_token"))
		if info.status != test.userInfo {
			t.Errorf("%s: userinfo answers %d, want %d: %s", name, info.status, test.userInfo, info.body)
		}
	}
	if a := exchange("openid " + graph + "User.Read.All"); a.code() != 65001 {
		t.Errorf("OpenID scopes stand in for consent: %d %s", a.status, a.body)
	}
}
