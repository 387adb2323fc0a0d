package entratest_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// verify checks a token's signature with the tenant's published keys.
func verify(tenant *entratest.Tenant, token string) error {
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithoutClaimsValidation())
	_, err := parser.Parse(token, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		if key, ok := tenant.PublicKey(kid); ok {
			return key, nil
		}
		return (*rsa.PublicKey)(nil), jwt.ErrTokenUnverifiable
	})
	return err
}

func TestClaimsOfTokens(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	v2 := c.AddApp("API v2", "read", "write")
	v2.AccessTokenVersion = 2
	for name, test := range map[string]struct {
		token  string
		header []string
		claims []string
		want   map[string]any
	}{
		"v1": {
			c.Token(c.alice, c.client, c.api),
			[]string{"alg", "kid", "typ", "x5t"},
			[]string{
				"acr", "aio", "amr", "appid", "appidacr", "aud", "exp", "iat", "ipaddr", "iss", "name", "nbf", "oid", "rh", "scp", "sid",
				"sub", "tid", "unique_name", "upn", "uti", "ver", "xms_ftd",
			},
			map[string]any{
				"aud": "api://" + c.api.ClientID, "iss": c.V1Issuer(), "ver": "1.0", "appid": c.client.ClientID, "appidacr": "0",
				"scp": "access_as_user", "upn": "alice@contoso.com", "name": "Alice", "oid": c.alice.ObjectID, "tid": c.ID(),
			},
		},
		"v2": {
			c.Token(c.alice, c.client, v2, "read"),
			[]string{"alg", "kid", "typ"},
			[]string{
				"aio", "aud", "azp", "azpacr", "exp", "iat", "iss", "name", "nbf", "oid", "preferred_username", "rh", "scp", "sid",
				"sub", "tid", "uti", "ver", "xms_ftd",
			},
			map[string]any{
				"aud": v2.ClientID, "iss": c.V2Issuer(), "ver": "2.0", "azp": c.client.ClientID, "azpacr": "0",
				"scp": "read", "preferred_username": "alice@contoso.com", "oid": c.alice.ObjectID, "tid": c.ID(),
			},
		},
		"ID": {
			c.IDToken(c.alice, c.client),
			[]string{"alg", "kid", "typ"},
			[]string{"aio", "aud", "exp", "iat", "iss", "name", "nbf", "oid", "preferred_username", "rh", "sid", "sub", "tid", "uti", "ver"},
			map[string]any{"aud": c.client.ClientID, "iss": c.V2Issuer(), "ver": "2.0"},
		},
		"confidential client": {
			c.Token(c.alice, c.api, c.Storage()),
			[]string{"alg", "kid", "typ", "x5t"},
			nil,
			map[string]any{"aud": "https://storage.azure.com", "iss": c.V1Issuer(), "appidacr": "1", "scp": "user_impersonation"},
		},
	} {
		header, claims := decode(t, test.token)
		if names := slices.Sorted(maps.Keys(header)); !slices.Equal(names, test.header) {
			t.Errorf("%s: header has %v, want %v", name, names, test.header)
		}
		if names := slices.Sorted(maps.Keys(claims)); test.claims != nil && !slices.Equal(names, test.claims) {
			t.Errorf("%s: claims are %v, want %v", name, names, test.claims)
		}
		for claim, want := range test.want {
			if claims[claim] != want {
				t.Errorf("%s: %s = %v, want %v", name, claim, claims[claim], want)
			}
		}
		if err := verify(c.Tenant, test.token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimesOfTokens(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	now := c.clock.Now().Unix()
	for range 20 {
		_, claims := decode(t, c.Token(c.alice, c.client, c.api))
		exp, _ := claims["exp"].(float64)
		iat, _ := claims["iat"].(float64)
		if life := int64(exp) - now; life < 3600 || life > 5400 {
			t.Errorf("the token lasts %d s, want 60 to 90 minutes", life)
		}
		if now-int64(iat) != 300 || claims["nbf"] != claims["iat"] {
			t.Errorf("iat %v, nbf %v, now %d", claims["iat"], claims["nbf"], now)
		}
	}
	short := entratest.New(t, &entratest.Options{TokenLifetime: time.Minute})
	_, claims := decode(t, short.Token(short.AddUser("a@b.c", "A"), short.AddClient("C"), short.Storage()))
	if exp, iat := claims["exp"].(float64), claims["iat"].(float64); exp-iat != 360 {
		t.Errorf("with a life of a minute, exp-iat is %v", exp-iat)
	}
}

func TestSubjectsArePairwise(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	sub := func(user *entratest.User, client *entratest.App) any {
		_, claims := decode(t, c.Token(user, client, c.api))
		return claims["sub"]
	}
	bob := c.AddUser("bob@contoso.com", "Bob")
	if sub(c.alice, c.client) != sub(c.alice, c.client) {
		t.Error("a user's sub changes between tokens")
	}
	if sub(c.alice, c.client) == sub(bob, c.client) || sub(c.alice, c.client) == sub(c.alice, c.AddClient("Other")) {
		t.Error("users or clients share a sub")
	}
}

func TestMint(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	token := c.Mint(c.api, 2, func(header, claims map[string]any) {
		header["typ"] = "at+jwt"
		delete(header, "kid")
		claims["exp"] = int64(12)
		claims["roles"] = []string{"Reader"}
		delete(claims, "oid")
	})
	header, claims := decode(t, token)
	if _, ok := header["kid"]; ok || header["typ"] != "at+jwt" {
		t.Errorf("header: %v", header)
	}
	if _, ok := claims["oid"]; ok || claims["exp"] != 12.0 || claims["ver"] != "2.0" || claims["aud"] != c.api.ClientID || claims["scp"] != "access_as_user" {
		t.Errorf("claims: %v", claims)
	}
	if c.api.AccessTokenVersion != 1 {
		t.Error("Mint changed the resource")
	}
	if _, claims := decode(t, c.Mint(c.api, 0, nil)); claims["ver"] != "1.0" {
		t.Errorf("version 0 gave %v", claims["ver"])
	}
	if a := c.token(t, c.obo("assertion", c.Mint(c.api, 0, nil))); a.status != 200 {
		t.Errorf("a minted token cannot be exchanged: %s", a.body)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	public, _ := c.PublicKey(c.KeyID())
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for alg, key := range map[string]any{
		"RS256": public, "RS384": public, "RS512": public, "PS256": public,
		"HS256": text, "none": jwt.UnsafeAllowNoneSignatureType, "ES256": nil,
	} {
		token := c.Sign(map[string]any{"alg": alg, "x": "y"}, map[string]any{"a": int64(1)})
		header, claims := decode(t, token)
		if len(header) != 2 || len(claims) != 1 {
			t.Errorf("%s: %v %v", alg, header, claims)
		}
		if key == nil { // unknown algorithms are signed as RS256
			i := strings.LastIndexByte(token, '.')
			signature, err := jwt.NewParser().DecodeSegment(token[i+1:])
			if err != nil {
				t.Fatal(err)
			}
			if err := jwt.SigningMethodRS256.Verify(token[:i], signature, public); err != nil {
				t.Errorf("%s: %v", alg, err)
			}
			continue
		}
		if _, err := jwt.NewParser(jwt.WithValidMethods([]string{alg})).Parse(token, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if err := verify(c.Tenant, c.Sign(nil, map[string]any{})); err != nil {
		t.Errorf("the usual header: %v", err)
	}
}

func TestKeysBelongToTheTenant(t *testing.T) {
	t.Parallel()
	one, other := newContoso(t), newContoso(t)
	token := one.Token(one.alice, one.client, one.api)
	if verify(other.Tenant, token) == nil {
		t.Error("another tenant's keys verify the token")
	}
	if _, ok := other.PublicKey(one.KeyID()); ok {
		t.Error("tenants share a key id")
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	published := func() int {
		a := get(t, c.HTTPClient(), c.AuthorityHost()+"/"+c.ID()+"/discovery/v2.0/keys")
		var set struct{ Keys []json.RawMessage }
		if err := json.Unmarshal([]byte(a.body), &set); err != nil {
			t.Fatal(err)
		}
		return len(set.Keys)
	}
	first, token := c.KeyID(), c.Token(c.alice, c.client, c.api)

	announced := c.AnnounceKey()
	if again := c.AnnounceKey(); again != announced || announced == first {
		t.Errorf("announced %s, then %s, in use %s", announced, again, first)
	}
	if n := published(); n != 2 || c.KeyID() != first || verify(c.Tenant, token) != nil {
		t.Errorf("after the announcement: %d keys, in use %s", n, c.KeyID())
	}
	c.RotateKeys()
	if n := published(); n != 1 || c.KeyID() != announced || verify(c.Tenant, token) == nil {
		t.Errorf("after the rotation: %d keys, in use %s", n, c.KeyID())
	}
	c.RotateKeys()
	if n := published(); n != 1 || c.KeyID() == announced {
		t.Errorf("after a rotation without announcement: %d keys", n)
	}
	if a := c.token(t, c.obo("assertion", token)); a.code() != 50013 {
		t.Errorf("an assertion of a key that is gone: %d %s", a.status, a.body)
	}
	if a := c.token(t, c.obo()); a.status != 200 {
		t.Errorf("an assertion of the new key: %d %s", a.status, a.body)
	}
}

// Token takes scopes as in a request. The token has short names, and never offline_access, which
// only requests a refresh token.
func TestScopesOfMintedTokens(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	for name, test := range map[string]struct {
		token, scp string
		userInfo   int
	}{
		"Graph, short":            {c.Token(c.alice, c.client, c.Graph(), "openid", "offline_access", "User.Read"), "openid User.Read", http.StatusOK},
		"Graph, in full":          {c.Token(c.alice, c.client, c.Graph(), "https://graph.microsoft.com/openid", "https://graph.microsoft.com/offline_access", "https://graph.microsoft.com/User.Read"), "openid User.Read", http.StatusOK},
		"Graph, refresh token":    {c.Token(c.alice, c.client, c.Graph(), "offline_access"), "", http.StatusForbidden},
		"an API, in full":         {c.Token(c.alice, c.client, c.api, c.api.Scope("access_as_user"), c.api.ClientID+"/access_as_user", "offline_access"), "access_as_user access_as_user", http.StatusUnauthorized},
		"an API, of another's":    {c.Token(c.alice, c.client, c.api, "https://storage.azure.com/user_impersonation"), "https://storage.azure.com/user_impersonation", http.StatusUnauthorized},
		"an API, Graph's openid":  {c.Token(c.alice, c.client, c.api, "https://graph.microsoft.com/openid", "access_as_user"), "openid access_as_user", http.StatusUnauthorized},
		"an API, all that it has": {c.Token(c.alice, c.client, c.api), strings.Join(c.api.Scopes, " "), http.StatusUnauthorized},
	} {
		if _, claims := decode(t, test.token); claims["scp"] != test.scp {
			t.Errorf("%s: scp %q, want %q", name, claims["scp"], test.scp)
		}
		if a := get(t, c.HTTPClient(), c.AuthorityHost()+"/oidc/userinfo", "Authorization", "Bearer "+test.token); a.status != test.userInfo {
			t.Errorf("%s: userinfo %d %s, want %d", name, a.status, a.body, test.userInfo)
		}
	}
}
