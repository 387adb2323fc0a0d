package entratest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	exchangeURI   = "api://AzureADTokenExchange"
	cluster       = "https://oidc.example.com/cluster/"
	account       = "system:serviceaccount:apps:mcp"
)

func TestClientSecrets(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	expiring := c.api.AddExpiringSecret(c.clock.Now().Add(time.Hour))
	for name, test := range map[string]struct {
		changes []string
		header  []string
		code    int
	}{
		"right":              {nil, nil, 0},
		"expiring":           {[]string{"client_secret", expiring}, nil, 0},
		"wrong":              {[]string{"client_secret", "wrong"}, nil, 7000215},
		"none":               {[]string{"client_secret", ""}, nil, 7000218},
		"in Basic":           {[]string{"client_id", "", "client_secret", ""}, basic(c.api.ClientID, c.secret), 0},
		"wrong in Basic":     {[]string{"client_id", "", "client_secret", ""}, basic(c.api.ClientID, "wrong"), 7000215},
		"public client":      {[]string{"client_id", c.client.ClientID}, nil, 7000215},
		"assertion untyped":  {[]string{"client_secret", "", "client_assertion", "x"}, nil, 900144},
		"assertion, garbage": {[]string{"client_assertion", "x", "client_assertion_type", assertionType}, nil, 50027},
	} {
		if a := c.token(t, c.obo(test.changes...), test.header...); a.code() != test.code || (a.status == http.StatusOK) != (test.code == 0) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	c.clock.Advance(59 * time.Minute)
	form := c.obo("client_secret", expiring)
	if a := c.token(t, form); a.status != http.StatusOK {
		t.Errorf("just before its end: %s", a.body)
	}
	c.clock.Advance(time.Minute)
	if a := c.token(t, form); a.status != http.StatusUnauthorized || a.code() != 7000222 || a.text("error") != "invalid_client" {
		t.Errorf("at its end: %d %s", a.status, a.body)
	}
	c.api.RemoveSecrets()
	if a := c.token(t, c.obo()); a.code() != 7000215 {
		t.Errorf("removed: %s", a.body)
	}
}

func basic(user, password string) []string {
	pair := url.QueryEscape(user) + ":" + url.QueryEscape(password)
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))}
}

func TestFederatedCredentials(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	identity := c.AddManagedIdentity("umi")
	other := newContoso(t)
	foreign := other.AddManagedIdentity("umi")
	kubernetes, unknown := c.AddIssuer(cluster), other.AddIssuer("https://elsewhere.example.com/")
	impostor := other.AddIssuer(cluster) // same name, other key
	send := func(assertion string) answer {
		return c.token(t, c.obo("client_secret", "", "client_assertion", assertion, "client_assertion_type", assertionType))
	}
	if a := send(kubernetes.Token(account, exchangeURI, nil)); a.status != http.StatusUnauthorized || a.code() != 70025 {
		t.Errorf("no credential configured: %d %s", a.status, a.body)
	}
	c.api.AddFederatedCredential(c.V2Issuer(), identity.ObjectID, exchangeURI)
	c.api.AddFederatedCredential(cluster, account, exchangeURI)
	at := func(after time.Duration) func(_, claims map[string]any) {
		return func(_, claims map[string]any) { claims["exp"] = c.clock.Now().Add(after).Unix() }
	}
	for name, test := range map[string]struct {
		assertion string
		code      int
	}{
		"managed identity":         {identityToken(t, c, identity.ClientID, exchangeURI), 0},
		"service account":          {kubernetes.Token(account, exchangeURI, nil), 0},
		"other tenant's identity":  {identityToken(t, other, foreign.ClientID, exchangeURI), 700211},
		"other issuer":             {unknown.Token(account, exchangeURI, nil), 700211},
		"other subject":            {kubernetes.Token(account+"x", exchangeURI, nil), 700213},
		"other case":               {kubernetes.Token("system:serviceaccount:apps:MCP", exchangeURI, nil), 7002138},
		"other audience":           {kubernetes.Token(account, "api://other", nil), 700212},
		"identity, other resource": {identityToken(t, c, identity.ClientID, "https://storage.azure.com"), 700211},
		"expired":                  {kubernetes.Token(account, exchangeURI, at(-time.Hour)), 700024},
		"without expiry":           {kubernetes.Token(account, exchangeURI, func(_, claims map[string]any) { delete(claims, "exp") }), 700024},
		"expired a moment ago":     {kubernetes.Token(account, exchangeURI, at(-time.Minute)), 0},
		"other key":                {impostor.Token(account, exchangeURI, nil), 700027},
		"unsigned":                 {c.Sign(map[string]any{"alg": "none"}, map[string]any{"iss": cluster, "sub": account, "aud": exchangeURI}), 700027},
		"signed by itself":         {c.Sign(nil, map[string]any{"iss": c.api.ClientID, "sub": c.api.ClientID}), 700027},
		"forged identity": {
			c.Sign(map[string]any{"alg": "HS256", "kid": c.KeyID()}, map[string]any{"iss": c.V2Issuer(), "sub": identity.ObjectID, "aud": exchangeURI}), 700027,
		},
	} {
		a := send(test.assertion)
		if a.code() != test.code || (a.status == http.StatusOK) != (test.code == 0) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
			continue
		}
		if test.code == 0 {
			if _, claims := decode(t, a.text("access_token")); claims["appidacr"] != "2" || claims["oid"] != c.alice.ObjectID {
				t.Errorf("%s: claims are %v", name, claims)
			}
		} else if a.status != http.StatusUnauthorized || a.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestTrustIssuer(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.api.AddFederatedCredential(cluster, account, exchangeURI)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c.TrustIssuer(cluster, "k1", &key.PublicKey)
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": cluster, "sub": account, "aud": exchangeURI, "exp": c.clock.Now().Add(time.Hour).Unix(),
	})
	token.Header["kid"] = "k1"
	assertion, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	form := c.obo("client_secret", "", "client_assertion", assertion, "client_assertion_type", assertionType)
	if a := c.token(t, form); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	v2 := c.AddApp("API v2")
	v2.AccessTokenVersion = 2
	c.GrantRoles(c.api, v2, "Tasks.Run")
	form := func(scope string) url.Values {
		return url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.api.ClientID}, "client_secret": {c.secret}, "scope": {scope},
		}
	}
	a := c.token(t, form(v2.Scope(".default")))
	_, claims := decode(t, a.text("access_token"))
	roles, _ := claims["roles"].([]any)
	if len(roles) != 1 || roles[0] != "Tasks.Run" || claims["azp"] != c.api.ClientID || claims["oid"] != c.api.ObjectID || claims["sub"] != c.api.ObjectID {
		t.Errorf("%d %v", a.status, claims)
	}
	if _, delegated := claims["scp"]; delegated || a.text("refresh_token") != "" || a.text("scope") != "" {
		t.Errorf("an app's token is a user's: %s", a.body)
	}
	a = c.token(t, form("https://storage.azure.com/.default"))
	if _, claims := decode(t, a.text("access_token")); claims["appid"] != c.api.ClientID || claims["idp"] != c.V1Issuer() || claims["roles"] != nil {
		t.Errorf("%d %v", a.status, claims)
	}
	for scope, code := range map[string]int{
		"https://storage.azure.com/user_impersonation":                            1002012,
		"openid https://storage.azure.com/.default":                               0, // as MSAL asks
		"user_impersonation":                                                      1002012,
		"https://vault.azure.net/.default":                                        500011,
		"https://storage.azure.com/.default https://graph.microsoft.com/.default": 70011,
		"/.default": 70011,
	} {
		if a := c.token(t, form(scope)); a.code() != code {
			t.Errorf("%s: %d %s", scope, a.status, a.body)
		}
	}
	// Such a token has no user, so it can't be exchanged on behalf of one.
	c.api.AccessTokenVersion = 2
	a = c.token(t, form(c.api.Scope(".default")))
	if a = c.token(t, c.obo("assertion", a.text("access_token"))); a.code() != 7000114 {
		t.Errorf("app-only assertion: %d %s", a.status, a.body)
	}
}
