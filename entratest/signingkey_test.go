package entratest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// keyIDs returns the key IDs in a key set.
func keyIDs(t *testing.T, c *contoso, uri string) []string {
	t.Helper()
	a := get(t, c.HTTPClient(), uri)
	keys, _ := a.json["keys"].([]any)
	var ids []string
	for _, k := range keys {
		key, _ := k.(map[string]any)
		id, _ := key["kid"].(string)
		ids = append(ids, id)
	}
	return ids
}

// Only requests with the app's ID get the app's own key.
func TestOwnSigningKey(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	before := c.Token(c.alice, c.client, c.api)
	kid := c.api.AddSigningKey()
	base := c.AuthorityHost() + "/" + c.ID()
	for name, test := range map[string]struct{ query, suffix, kid string }{
		"no app":          {"", "", c.KeyID()},
		"the app":         {"?appid=" + c.api.ClientID, "?appid=" + c.api.ClientID, kid},
		"in capitals":     {"?appId=" + strings.ToUpper(c.api.ClientID), "?appid=" + strings.ToUpper(c.api.ClientID), kid},
		"another app":     {"?appid=" + c.client.ClientID, "?appid=" + c.client.ClientID, c.KeyID()},
		"nobody's":        {"?appid=" + c.ID(), "?appid=" + c.ID(), c.KeyID()},
		"not an id":       {"?appid=x%22%26y", "", c.KeyID()},
		"another keyword": {"?client_id=" + c.api.ClientID, "", c.KeyID()},
	} {
		for document, keys := range map[string]string{"/v2.0/.well-known/openid-configuration": "/discovery/v2.0/keys", "/.well-known/openid-configuration": "/discovery/keys"} {
			a := get(t, c.HTTPClient(), base+document+test.query)
			if want := base + keys + test.suffix; a.text("jwks_uri") != want {
				t.Errorf("%s: jwks_uri is %s, want %s", name, a.text("jwks_uri"), want)
				continue
			}
			if ids := keyIDs(t, c, a.text("jwks_uri")); len(ids) != 1 || ids[0] != test.kid {
				t.Errorf("%s: keys %q, want only %s", name, ids, test.kid)
			}
		}
	}
	if ids := keyIDs(t, c, c.AuthorityHost()+"/organizations/discovery/v2.0/keys?appid="+c.api.ClientID); len(ids) != 1 || ids[0] != c.KeyID() {
		t.Errorf("for all tenants: keys %q", ids)
	}
	for name, test := range map[string]struct{ token, kid string }{
		"issued before":     {before, c.KeyID()},
		"access token":      {c.Token(c.alice, c.client, c.api), kid},
		"ID token":          {c.IDToken(c.alice, c.api), kid},
		"minted":            {c.Mint(c.api, 2, nil), kid},
		"of another app":    {c.Token(c.alice, c.client, c.Storage()), c.KeyID()},
		"signed as a whole": {c.Sign(nil, map[string]any{}), c.KeyID()},
	} {
		if header, _ := decode(t, test.token); header["kid"] != test.kid {
			t.Errorf("%s: signed with %v, want %s", name, header["kid"], test.kid)
		}
	}
	if err := verify(c.Tenant, c.Token(c.alice, c.client, c.api)); err == nil {
		t.Error("the tenant's own key set verifies the app's token")
	}
	if a := c.token(t, c.obo()); a.status != http.StatusOK {
		t.Errorf("its token can't be exchanged: %s", a.body)
	}
	if next := c.api.AddSigningKey(); next == kid {
		t.Error("a second key is the first")
	} else if ids := keyIDs(t, c, base+"/discovery/v2.0/keys?appid="+c.api.ClientID); len(ids) != 1 || ids[0] != next {
		t.Errorf("after a second key: %q", ids)
	}
}

// A multitenant app can have its own key in one tenant and not in the other.
func TestOwnSigningKeyIsOfOneTenant(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	other := c.AddTenant(nil)
	defer other.Close()
	there := other.AddServicePrincipal(c.api)
	kid := there.AddSigningKey()
	if header, _ := decode(t, c.Mint(c.api, 0, nil)); header["kid"] == kid {
		t.Error("the app's key in another tenant signs in its own")
	}
	if ids := keyIDs(t, c, c.AuthorityHost()+"/"+other.ID()+"/discovery/v2.0/keys?appid="+c.api.ClientID); len(ids) != 1 || ids[0] != kid {
		t.Errorf("there: %q, want %s", ids, kid)
	}
	if ids := keyIDs(t, c, c.AuthorityHost()+"/"+c.ID()+"/discovery/v2.0/keys?appid="+c.api.ClientID); len(ids) != 1 || ids[0] != c.KeyID() {
		t.Errorf("here: %q", ids)
	}
}

// A token bound to a key can be minted with either version.
func TestBoundToken(t *testing.T) {
	t.Parallel()
	tenant := entratest.New(t, nil)
	api := tenant.AddApp("API", "access_as_user")
	for _, version := range []int{1, 2} {
		token := tenant.Mint(api, version, func(_, claims map[string]any) { claims["cnf"] = map[string]any{"kid": "k", "xms_ksl": "sw"} })
		var claims jwt.MapClaims
		if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
			t.Fatal(err)
		}
		if bound, _ := claims["cnf"].(map[string]any); bound["kid"] != "k" {
			t.Errorf("v%d: cnf is %v", version, claims["cnf"])
		}
		if err := verify(tenant, token); err != nil {
			t.Errorf("v%d: %v", version, err)
		}
	}
}
