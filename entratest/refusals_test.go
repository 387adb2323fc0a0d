package entratest_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A refusal provokes one of Entra's errors.
type refusal struct {
	code    int
	provoke func(t *testing.T, c *contoso) string // what came: a body, an address, a page
}

var refusals = []refusal{
	{9010010, atAuthorize("resource", "https://mcp.example.com/mcp")},
	{901002, atAuthorize("resource", "https://mcp.example.com/mcp", "scope", "openid")},
	{900144, atAuthorize("scope", "")},
	{90009, func(t *testing.T, c *contoso) string {
		a := c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL())))
		return c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()),
			"grant_type", "refresh_token", "refresh_token", a.text("refresh_token"), "code", "", "scope", "")).body
	}},
	{650053, atAuthorize("scope", "mcp.read")},
	{70011, func(t *testing.T, c *contoso) string {
		return atAuthorize("scope", c.api.AppIDURI()+"/.default "+c.api.Scope("access_as_user"))(t, c)
	}},
	{50011, atAuthorize("redirect_uri", "https://elsewhere.example.com")},
	{500113, func(t *testing.T, c *contoso) string {
		return atAuthorize("client_id", c.AddApp("None").ClientID)(t, c)
	}},
	{90015, atAuthorize("state", strings.Repeat("s", 1800))},
	{28000, func(t *testing.T, c *contoso) string {
		return c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL()),
			"scope", c.api.AppIDURI()+"/access_as_user https://storage.azure.com/user_impersonation")).body
	}},
	{28003, func(t *testing.T, c *contoso) string {
		return c.token(t, c.redeem(open(t, c.Browser(c.alice), c.authorizeURL("scope", c.api.AppIDURI()+"/access_as_user User.Read")))).body
	}},
	{65001, atExchange(func(c *contoso) []string {
		c.RevokeConsent(c.api, c.Storage())
		return nil
	})},
	{90095, func(t *testing.T, c *contoso) string {
		c.Consent(c.client, c.api)
		c.SetConsentPolicy(entratest.ConsentPolicyAdminsOnRequest)
		return c.pageAfterPicker(t, c.authorizeURL("prompt", "consent"))
	}},
	{50013, atExchange(func(c *contoso) []string {
		valid := c.Token(c.alice, c.client, c.api)
		return []string{"assertion", valid[:len(valid)-8] + "AAAAAAAA"}
	})},
	{500131, atExchange(func(c *contoso) []string { return []string{"assertion", c.Token(c.alice, c.client, c.Storage())} })},
	{500133, atExchange(func(c *contoso) []string {
		old := c.Token(c.alice, c.client, c.api)
		c.clock.Advance(2 * time.Hour)
		return []string{"assertion", old}
	})},
	{50076, atExchange(func(c *contoso) []string {
		c.RequireMFA(c.Storage())
		return nil
	})},
	{53003, atExchange(func(c *contoso) []string {
		c.BlockAccess(c.Storage())
		return nil
	})},
	{7000215, atExchange(func(*contoso) []string { return []string{"client_secret", "wrong"} })},
	{7000222, atExchange(func(c *contoso) []string {
		return []string{"client_secret", c.api.AddExpiringSecret(c.clock.Now())}
	})},
	{700016, atExchange(func(c *contoso) []string { return []string{"client_id", c.ID()} })},
	{700038, atExchange(func(*contoso) []string { return []string{"client_id", "00000000-0000-0000-0000-000000000000"} })},
	{700024, func(t *testing.T, c *contoso) string {
		certificate, key := newCredential(t, c.clock.Now())
		c.api.AddCertificate(certificate)
		token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
			"iss": c.api.ClientID, "sub": c.api.ClientID, "aud": c.V2Issuer(), "exp": c.clock.Now().Add(-time.Hour).Unix(),
		})
		token.Header["x5t#S256"] = thumbprint(certificate)
		signed, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return atExchange(func(*contoso) []string {
			return []string{"client_assertion", signed, "client_assertion_type", assertionType}
		})(t, c)
	}},
	{7000114, atExchange(func(c *contoso) []string {
		return []string{"assertion", c.Mint(c.api, 0, func(_, claims map[string]any) { delete(claims, "scp") })}
	})},
	{82001, func(t *testing.T, c *contoso) string {
		a := c.newAgents()
		return c.token(t, a.first("fmi_path", "", "scope", "https://storage.azure.com/.default")).body
	}},
	{82002, func(t *testing.T, c *contoso) string {
		a := c.newAgents()
		return c.token(t, a.forPerson("", "client_assertion", "", "client_id", a.blueprint.ClientID, "client_secret", a.secret)).body
	}},
	{82008, func(t *testing.T, c *contoso) string { return c.token(t, c.newAgents().first("fmi_path", "")).body }},
	{82014, func(t *testing.T, c *contoso) string {
		return atAuthorize("client_id", c.newAgents().agent.ClientID)(t, c)
	}},
	{82018, func(t *testing.T, c *contoso) string {
		return atAuthorize("client_id", c.newAgents().blueprint.ClientID)(t, c)
	}},
}

// atAuthorize provokes an error with a changed authorization request.
func atAuthorize(changes ...string) func(*testing.T, *contoso) string {
	return func(t *testing.T, c *contoso) string {
		back, err := c.Browser(c.alice).Open(t.Context(), c.authorizeURL(changes...))
		if err != nil {
			return err.Error()
		}
		return back.Query().Get("error_description")
	}
}

// atExchange provokes an error with a changed On-Behalf-Of exchange.
func atExchange(change func(c *contoso) []string) func(*testing.T, *contoso) string {
	return func(t *testing.T, c *contoso) string {
		changes := append([]string{"client_secret", c.api.AddSecret()}, change(c)...)
		return c.token(t, c.obo(changes...)).body
	}
}

// TestNamedRefusals provokes each error in the table of docs/entratest.md.
func TestNamedRefusals(t *testing.T) {
	t.Parallel()
	var provoked []string
	for _, r := range refusals {
		c := newSignIns(t)
		name := strconv.Itoa(r.code)
		if got := r.provoke(t, c); !strings.Contains(got, "AADSTS"+name) {
			t.Errorf("%d: %s", r.code, got)
		} else if strings.HasPrefix(got, "{") && !strings.Contains(got, `"error_codes":[`+name+`]`) {
			t.Errorf("%d: error_codes are others: %s", r.code, got)
		}
		provoked = append(provoked, name)
	}
	page, err := os.ReadFile("../docs/entratest.md")
	if err != nil {
		t.Fatal(err)
	}
	var promised []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(page), -1) {
		promised = append(promised, row[1])
	}
	if !slices.Equal(provoked, promised) {
		t.Errorf("provoked %v, but docs/entratest.md has %v", provoked, promised)
	}
}
