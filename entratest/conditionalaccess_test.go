package entratest_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// The whole sequence: the exchange fails with a claims challenge, the user's client repeats it at
// the authorize endpoint, and the next exchange succeeds.
func TestStepUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		demand func(c *contoso)
		claim  string
	}{
		"multifactor authentication": {func(c *contoso) { c.RequireMFA(c.Storage()) }, "capolids"},
		"authentication context":     {func(c *contoso) { c.RequireAuthenticationContext(c.Storage(), "c1") }, "acrs"},
	} {
		for _, version := range []int{1, 2} {
			t.Run(name+" v"+strconv.Itoa(version), func(t *testing.T) {
				c := newSignIns(t)
				c.api.AccessTokenVersion = version
				secret := c.api.AddSecret()
				b := c.Browser(c.alice)
				signIn := func(claims string) string {
					return c.token(t, c.redeem(open(t, b, c.authorizeURL("claims", claims)))).text("access_token")
				}
				exchange := func(assertion string) answer {
					return c.token(t, c.obo("assertion", assertion, "client_secret", secret))
				}
				test.demand(c)
				refused := exchange(signIn(""))
				challenge := refused.text("claims")
				if refused.code() != 50076 || refused.text("error") != "interaction_required" || !strings.Contains(challenge, test.claim) {
					t.Fatalf("%s", refused.body)
				}
				if a := exchange(signIn(challenge)); a.status != http.StatusOK {
					t.Errorf("after the step up: %s", a.body)
				}
				c.BlockAccess(c.Storage())
				if a := exchange(signIn(challenge)); a.code() != 53003 || a.text("suberror") != "message_only" {
					t.Errorf("blocked: %s", a.body)
				}
				c.ClearConditionalAccess(c.Storage())
				if a := exchange(c.Token(c.alice, c.client, c.api)); a.status != http.StatusOK {
					t.Errorf("cleared: %s", a.body)
				}
			})
		}
	}
}

func TestPoliciesAtSignIn(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.RequireMFA(c.api)
	b := c.Browser(c.alice)
	a := c.token(t, c.redeem(open(t, b, c.authorizeURL())))
	if _, claims := decode(t, a.text("access_token")); !slices.Contains(claims["amr"].([]any), any("mfa")) {
		t.Errorf("%v", claims["amr"])
	}
	c.RequireAuthenticationContext(c.api, "c7")
	if back := open(t, b, c.authorizeURL("prompt", "none")); back.Query().Get("error") != "interaction_required" {
		t.Errorf("silent: %s", back)
	}
	a = c.token(t, c.redeem(open(t, b, c.authorizeURL())))
	_, claims := decode(t, a.text("access_token"))
	if acrs, _ := claims["acrs"].([]any); len(acrs) != 1 || acrs[0] != "c7" {
		t.Errorf("acrs: %v", claims["acrs"])
	}
	text := c.pageAfterPicker(t, c.authorizeURL())
	if !strings.Contains(text, "Approve sign-in request") {
		t.Errorf("%s", text)
	}
	c.BlockAccess(c.api)
	if _, err := b.Open(t.Context(), c.authorizeURL()); err == nil || !strings.Contains(err.Error(), "AADSTS53003") {
		t.Errorf("blocked: %v", err)
	}
	c.alice.Disabled = true
	if _, err := b.Open(t.Context(), c.authorizeURL("scope", "openid")); err == nil || !strings.Contains(err.Error(), "AADSTS50057") {
		t.Errorf("disabled: %v", err)
	}
}

// Claims that a token has only because the resource's registration lists them.
func TestOptionalClaims(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	c.alice.Email = "alice@contoso.example"
	c.api.AccessTokenVersion = 2
	c.GrantRoles(c.alice, c.api, "Reader", "Approver")
	group := c.AddGroup("Everyone", c.alice)
	b := c.Browser(c.alice)
	capable := `{"access_token":{"xms_cc":{"values":["cp1"]}}}`
	claims := func() map[string]any {
		_, claims := decode(t, c.token(t, c.redeem(open(t, b, c.authorizeURL()), "claims", capable)).text("access_token"))
		return claims
	}
	plain := claims()
	for _, name := range []string{"idtyp", "email", "upn", "xms_cc", "groups", "acrs"} {
		if plain[name] != nil {
			t.Errorf("unasked: %s = %v", name, plain[name])
		}
	}
	if roles, _ := plain["roles"].([]any); len(roles) != 2 || roles[0] != "Approver" {
		t.Errorf("roles: %v", plain["roles"])
	}
	c.api.OptionalClaims = []string{"idtyp", "email", "upn", "xms_cc"}
	c.api.GroupClaims = true
	full := claims()
	groups, _ := full["groups"].([]any)
	capabilities, _ := full["xms_cc"].([]any)
	if full["idtyp"] != "user" || full["email"] != c.alice.Email || full["upn"] != c.alice.UserPrincipalName ||
		len(capabilities) != 1 || capabilities[0] != "cp1" || len(groups) != 1 || groups[0] != group.ObjectID {
		t.Errorf("%v", full)
	}
	for range 200 {
		c.AddGroup("Another", c.alice)
	}
	if over := claims(); over["groups"] != nil || over["_claim_names"] == nil || over["_claim_sources"] == nil {
		t.Errorf("201 groups: %v", over)
	}
}

func BenchmarkNewTenant(b *testing.B) {
	entratest.NewTenant(nil).Close()
	b.ReportAllocs()
	for b.Loop() { // with its first token
		tenant := entratest.NewTenant(nil)
		tenant.Token(tenant.AddUser("a@contoso.com", "A"), tenant.AddClient("c"), tenant.AddApp("api", "read"))
		tenant.Close()
	}
}
