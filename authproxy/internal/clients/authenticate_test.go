package clients_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// assertions accepts goodAssertion of the client.
type assertions struct{}

func (assertions) Verify(_ context.Context, assertion, clientID, jwksURI string) error {
	if jwksURI == "" || assertion != goodAssertion(clientID) {
		return &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Description: "the assertion is wrong"}
	}
	return nil
}

func goodAssertion(id string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"sub":"`+id+`"}`)) + ".AA"
}

func basic(id, secret string) string { return rawBasic(url.QueryEscape(id), url.QueryEscape(secret)) }

// rawBasic is Basic as clients send it that don't encode.
func rawBasic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func request(header, query string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://mcp.example.com/token?"+query, nil)
	if header != "" {
		r.Header.Set("Authorization", header)
	}
	return r
}

// Points 11, 23, 26: who authenticates, and how.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	const secret = "a+secret:of%the=operator&with 48 characters......"
	docs := newDocuments()
	d := newDirectory(t, clients.Config{
		Documents: docs, Assertions: assertions{},
		Entries: []clients.Entry{
			{ID: "desk", Redirects: []string{"http://localhost/cb"}},
			{ID: "web:1", Redirects: []string{"https://a.example/cb"}, Secret: secret},
		},
	})
	public := register(t, d, `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}`)
	byBasic := register(t, d, first)
	byPost := register(t, d, `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"client_secret_post"}`)
	const jwt = clientassertion.Type
	for _, c := range []struct {
		what   string
		header string
		query  string
		form   string // name=value&…, escaped
		want   string // the error, or ""
		reason string
		auth   clients.Auth
	}{
		{"a public client", "", "", "client_id=" + public.ClientID, "", "", clients.None},
		{"a public client with an empty secret", "", "", "client_id=" + public.ClientID + "&client_secret=", "", "", clients.None},
		{"a public client with an empty secret by Basic", basic(public.ClientID, ""), "", "", "", "", clients.None},
		{"the same, its ID in the form too", basic(public.ClientID, ""), "", "client_id=" + public.ClientID, "", "", clients.None},
		{"a public client with a secret", "", "", "client_id=" + public.ClientID + "&client_secret=x", oauth.InvalidClient, "has no secret", 0},
		{"a public client with a secret by Basic", basic(public.ClientID, "x"), "", "", oauth.InvalidClient, "has no secret", 0},
		{"a public client with an assertion", "", "", "client_id=" + public.ClientID + "&client_assertion=x&client_assertion_type=" + jwt, oauth.InvalidClient, "has no secret", 0},
		{"a public client of the operator", "", "", "client_id=desk", "", "", clients.None},

		{"Basic", basic(byBasic.ClientID, byBasic.Secret), "", "", "", "", clients.SecretBasic},
		{"Basic, its ID in the form too", basic(byBasic.ClientID, byBasic.Secret), "", "client_id=" + byBasic.ClientID, "", "", clients.SecretBasic},
		{"Basic in lower case", strings.Replace(basic(byBasic.ClientID, byBasic.Secret), "Basic", "basic", 1), "", "", "", "", clients.SecretBasic},
		{"Basic with another's secret", basic(byBasic.ClientID, byPost.Secret), "", "", oauth.InvalidClient, "secret is wrong", 0},
		{"Basic without a secret", basic(byBasic.ClientID, ""), "", "", oauth.InvalidClient, "client_secret_basic", 0},
		{"no credential", "", "", "client_id=" + byBasic.ClientID, oauth.InvalidClient, "must authenticate by client_secret_basic", 0},
		{"an empty secret", "", "", "client_id=" + byPost.ClientID + "&client_secret=", oauth.InvalidClient, "client_secret_post", 0},
		{"post where Basic was registered", "", "", "client_id=" + byBasic.ClientID + "&client_secret=" + byBasic.Secret, oauth.InvalidClient, "by client_secret_basic, not by client_secret_post", 0},
		{"post", "", "", "client_id=" + byPost.ClientID + "&client_secret=" + byPost.Secret, "", "", clients.SecretPost},
		{"post with a wrong secret", "", "", "client_id=" + byPost.ClientID + "&client_secret=" + byPost.Secret + "x", oauth.InvalidClient, "secret is wrong", 0},
		{"Basic where post was registered", basic(byPost.ClientID, byPost.Secret), "", "", oauth.InvalidClient, "by client_secret_post, not by client_secret_basic", 0},
		{"an operator's secret by Basic", basic("web:1", secret), "", "", "", "", clients.SecretBasic},
		{"an operator's secret by Basic, not encoded", rawBasic("web%3A1", secret), "", "", "", "", clients.SecretBasic},
		{"an operator's secret by Basic, encoded twice", rawBasic("web%3A1", url.QueryEscape(url.QueryEscape(secret))), "", "", oauth.InvalidClient, "secret is wrong", 0},
		{"an operator's secret by post, encoded twice", "", "", "client_id=web:1&client_secret=" + url.QueryEscape(url.QueryEscape(secret)), oauth.InvalidClient, "secret is wrong", 0},
		{"an operator's secret by post", "", "", "client_id=web:1&client_secret=" + url.QueryEscape(secret), "", "", clients.SecretBasic},
		{"an operator's secret, wrong", "", "", "client_id=web:1&client_secret=x", oauth.InvalidClient, "secret is wrong", 0},
		{"no secret where the operator gave one", "", "", "client_id=web:1", oauth.InvalidClient, "must authenticate", 0},

		{"two methods", basic(byBasic.ClientID, byBasic.Secret), "", "client_secret=" + byBasic.Secret, oauth.InvalidRequest, "in one way", 0},
		{"an empty Basic and a secret", basic(byPost.ClientID, ""), "", "client_secret=" + byPost.Secret, oauth.InvalidRequest, "in one way", 0},
		{"a secret and an assertion", "", "", "client_id=x&client_secret=y&client_assertion=z&client_assertion_type=" + jwt, oauth.InvalidRequest, "in one way", 0},
		{"Basic and an assertion", basic("x", "y"), "", "client_assertion=z&client_assertion_type=" + jwt, oauth.InvalidRequest, "in one way", 0},
		{"two IDs", basic(byBasic.ClientID, byBasic.Secret), "", "client_id=" + public.ClientID, oauth.InvalidRequest, "different clients", 0},
		{"no ID", "", "", "", oauth.InvalidRequest, "client_id is missing", 0},
		{"an ID in the URL", "", "client_id=desk", "", oauth.InvalidRequest, "client_id is missing", 0},
		{"a secret in the URL", "", "client_secret=x", "client_id=desk", oauth.InvalidRequest, "must not be in the URL", 0},
		{"an assertion in the URL", "", "client_assertion=x", "client_id=desk", oauth.InvalidRequest, "must not be in the URL", 0},
		{"a secret in a malformed URL", "", "client_secret=a;x", "client_id=desk", oauth.InvalidRequest, "must not be in the URL", 0},
		{"a secret with a bad escape in the URL", "", "a=b&client%5Fsecret=%zz", "client_id=desk", oauth.InvalidRequest, "must not be in the URL", 0},
		{"other parameters in the URL", "", "client_id=other&x=%zz", "client_id=desk", "", "", clients.None},
		{"another scheme", "Bearer x", "", "client_id=desk", oauth.InvalidRequest, "Basic", 0},
		{"a malformed Basic", "Basic !", "", "client_id=desk", oauth.InvalidClient, "base64", 0},
		{"a Basic without a colon", "Basic " + base64.StdEncoding.EncodeToString([]byte("desk")), "", "", oauth.InvalidClient, "base64", 0},
		{"a Basic with a bad escape", rawBasic("desk%zz", ""), "", "", oauth.InvalidClient, "base64", 0},
		{"a Basic with a bad escape in a public client's secret", rawBasic("desk", "%zz"), "", "", oauth.InvalidClient, "has no secret", 0},
		{"a Basic without an ID", basic("", "x"), "", "client_id=desk", oauth.InvalidClient, "base64", 0},
		{"an unknown ID", "", "", "client_id=x", oauth.InvalidClient, "register again", 0},
		{"an unknown ID by Basic", basic("x", "y"), "", "", oauth.InvalidClient, "register again", 0},

		{"a document without credential", "", "", "client_id=" + docURL, "", "", clients.None},
		{"a document by Basic without secret", basic(docURL, ""), "", "", "", "", clients.None},
		{"a document with a secret", basic(docURL, "x"), "", "", oauth.InvalidClient, "has no secret", 0},
		{"a document that lists no keys, with an assertion", "", "", "client_id=" + docURL + "&client_assertion=x&client_assertion_type=" + jwt, oauth.InvalidClient, "has no secret", 0},
		{"a document with its assertion", "", "", "client_id=" + keyedURL + "&client_assertion=" + goodAssertion(keyedURL) + "&client_assertion_type=" + jwt, "", "", clients.PrivateKeyJWT},
		{"the same without client_id", "", "", "client_assertion=" + goodAssertion(keyedURL) + "&client_assertion_type=" + jwt, "", "", clients.PrivateKeyJWT},
		{"a document that lists both, with its assertion", "", "", "client_id=" + bothURL + "&client_assertion=" + goodAssertion(bothURL) + "&client_assertion_type=" + jwt, "", "", clients.PrivateKeyJWT},
		{"another's assertion", "", "", "client_id=" + bothURL + "&client_assertion=" + goodAssertion(keyedURL) + "&client_assertion_type=" + jwt, oauth.InvalidClient, "assertion is wrong", 0},
		{"an assertion without a type", "", "", "client_id=" + bothURL + "&client_assertion=x", oauth.InvalidRequest, "client_assertion_type", 0},
		{"an assertion of another type", "", "", "client_id=" + bothURL + "&client_assertion=x&client_assertion_type=saml", oauth.InvalidRequest, "client_assertion_type", 0},
		{"a type without an assertion", "", "", "client_id=" + bothURL + "&client_assertion_type=" + jwt, oauth.InvalidRequest, "client_assertion_type", 0},
		{"an assertion without an ID", "", "", "client_assertion=a.b.c&client_assertion_type=" + jwt, oauth.InvalidRequest, "client_id is missing", 0},
		{"an assertion whose document is away", "", "", "client_id=https://gone.example/c&client_assertion=x&client_assertion_type=" + jwt, oauth.TemporarilyUnavailable, "later", 0},
	} {
		form, err := url.ParseQuery(c.form)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Authenticate(request(c.header, c.query), form)
		if code := codeOf(t, err); code != c.want || code == "" && got.Auth != c.auth || err != nil && !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: Authenticate = %+v, %v; want %q (%s), method %v", c.what, got, err, c.want, c.reason, c.auth)
		}
		if e, ok := err.(*oauth.Error); ok && e.Code == oauth.InvalidClient && //nolint:errorlint // Authenticate's are
			(e.Status != http.StatusUnauthorized || e.Basic != (c.header != "")) {
			t.Errorf("%s: status %d, challenge %v; want 401, and a challenge only for Basic", c.what, e.Status, e.Basic)
		}
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), byBasic.Secret)) {
			t.Errorf("%s: the error %q has a secret", c.what, err)
		}
	}
	two := request(basic("desk", ""), "")
	two.Header.Add("Authorization", basic("desk", ""))
	if got, err := d.Authenticate(two, url.Values{}); codeOf(t, err) != oauth.InvalidRequest {
		t.Errorf("two headers: Authenticate = %+v, %v; want %s", got, err, oauth.InvalidRequest)
	}
}

// Point 26: /token fetches nothing for public clients, and Hold says whether that is enough.
func TestHold(t *testing.T) {
	t.Parallel()
	docs := newDocuments()
	d := newDirectory(t, clients.Config{Documents: docs, Assertions: assertions{}})
	hold := func(id string) clients.Hold {
		c, err := d.Find(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return c.Hold()
	}
	public := register(t, d, `{"redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}`)
	holds := map[string]clients.Hold{docURL: hold(docURL), keyedURL: hold(keyedURL), bothURL: hold(bothURL), public.ClientID: hold(public.ClientID)}
	docs.fetches = 0
	for _, c := range []struct {
		what, holder, id string
		assertion        bool
		want             string
		fetches          int
	}{
		{"a public document", docURL, docURL, false, "", 0},
		{"one with keys, without its assertion", keyedURL, keyedURL, false, oauth.InvalidClient, 0},
		{"one with keys, with its assertion", keyedURL, keyedURL, true, "", 1},
		{"one with both, without its assertion", bothURL, bothURL, false, "", 0},
		{"one with both, with its assertion", bothURL, bothURL, true, "", 1},
		{"another document's code", docURL, bothURL, false, oauth.InvalidGrant, 0},
		{"a registered client's code", public.ClientID, docURL, false, oauth.InvalidGrant, 0},
		{"a document's code", docURL, public.ClientID, false, oauth.InvalidGrant, 0},
		{"a document that nobody has", docURL, "https://gone.example/c", false, oauth.InvalidGrant, 0},
	} {
		form := url.Values{"client_id": {c.id}}
		if c.assertion {
			form.Set("client_assertion", goodAssertion(c.id))
			form.Set("client_assertion_type", clientassertion.Type)
		}
		docs.fetches = 0
		got, err := d.Authenticate(request("", ""), form)
		if err == nil {
			err = holds[c.holder].Check(got)
		}
		if codeOf(t, err) != c.want || docs.fetches != c.fetches {
			t.Errorf("%s: %v, %d fetches; want %q, %d", c.what, err, docs.fetches, c.want, c.fetches)
		}
	}
	// Who has authenticated once must do so again.
	proved, err := d.Authenticate(request("", ""), url.Values{"client_assertion": {goodAssertion(bothURL)}, "client_assertion_type": {clientassertion.Type}})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := d.Authenticate(request("", ""), url.Values{"client_id": {bothURL}})
	if err != nil {
		t.Fatal(err)
	}
	if err := proved.Hold().Check(bare); codeOf(t, err) != oauth.InvalidClient {
		t.Errorf("after private_key_jwt, Check without a credential = %v, want %s", err, oauth.InvalidClient)
	}
}

// Point 23: a secret is good as long as its client ID, and never longer.
func TestSecretsOfKeys(t *testing.T) {
	t.Parallel()
	old := register(t, newDirectory(t, clients.Config{}), first)
	for _, c := range []struct {
		what string
		keys [][]byte
		want string
	}{
		{"rotated", [][]byte{testKey(2), testKey(1)}, ""},
		{"removed", [][]byte{testKey(2)}, oauth.InvalidClient},
	} {
		d := newDirectory(t, clients.Config{Registry: newRegistry(t, name, c.keys...)})
		if got, err := d.Authenticate(request(basic(old.ClientID, old.Secret), ""), url.Values{}); codeOf(t, err) != c.want {
			t.Errorf("%s: Authenticate = %+v, %v; want %q", c.what, got, err, c.want)
		}
	}
}

// FuzzBasic: nobody authenticates by Basic but with the ID and the secret, as net/http and
// net/url decode them.
func FuzzBasic(f *testing.F) {
	const secret = "a+secret:of%the=operator&with 48 characters......"
	d := newDirectory(f, clients.Config{Entries: []clients.Entry{
		{ID: "web:1", Redirects: []string{"https://a.example/cb"}, Secret: secret},
		{ID: "desk", Redirects: []string{"https://a.example/cb"}},
	}})
	for _, header := range []string{
		basic("web:1", secret), basic("desk", ""), basic("desk", "x"), basic("web:1", ""), "Basic", "Basic ", "Basic !", "Bearer x", "",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("web%3a1:"+url.PathEscape(secret))),
	} {
		f.Add(header, "", "")
		f.Add(header, "desk", "")
		f.Add(header, "web:1", secret)
	}
	f.Fuzz(func(t *testing.T, header, id, inForm string) {
		r := request("", "")
		if header != "" {
			r.Header["Authorization"] = []string{header}
		}
		form := url.Values{}
		if id != "" {
			form.Set("client_id", id)
		}
		if inForm != "" {
			form.Set("client_secret", inForm)
		}
		c, err := d.Authenticate(r, form)
		if err != nil {
			if code := codeOf(t, err); code != oauth.InvalidClient && code != oauth.InvalidRequest {
				t.Errorf("Authenticate(%q, %q) = %v", header, form, err)
			}
			return
		}
		gotID, gotSecret := id, inForm
		if header != "" {
			user, password, _ := r.BasicAuth()
			gotID, _ = url.QueryUnescape(user)
			gotSecret, _ = url.QueryUnescape(password)
		}
		if c.ID != gotID || c.ID == "web:1" && gotSecret != secret || c.ID == "desk" && gotSecret != "" || id != "" && id != gotID {
			t.Errorf("Authenticate(%q, %q) = %+v", header, form, c)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	d := newDirectory(b, clients.Config{})
	client := register(b, d, first)
	r := request(basic(client.ClientID, client.Secret), "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Authenticate(r, url.Values{}); err != nil {
			b.Fatal(err)
		}
	}
}
