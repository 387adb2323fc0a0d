package clients

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// credentials are the client credentials in a request, of one method.
type credentials struct {
	id        string
	auth      Auth // None if there is no credential
	basic     bool // it has an Authorization header
	secret    string
	raw       string // of Basic: the secret if it was sent without the form's encoding
	assertion string
}

// hasCredential reports whether a query has a client's credential, even if it is malformed.
func hasCredential(query string) bool {
	for part := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if name == "client_secret" || name == "client_assertion" {
			return true
		}
	}
	return false
}

// presented reads the credentials of a request (RFC 6749, section 2.3). An empty secret counts as
// none.
func presented(r *http.Request, form url.Values) (credentials, error) {
	c := credentials{id: form.Get("client_id"), auth: None, secret: form.Get("client_secret"), assertion: form.Get("client_assertion")}
	if hasCredential(r.URL.RawQuery) {
		return c, oauth.Errorf(oauth.InvalidRequest, "credentials must not be in the URL, which is logged; replace this one, and send it in the body")
	}
	count := 0
	if c.secret != "" {
		c.auth, count = SecretPost, count+1
	}
	if kind := form.Get("client_assertion_type"); c.assertion != "" || kind != "" {
		if c.assertion == "" || kind != clientassertion.Type {
			return c, oauth.Errorf(oauth.InvalidRequest, "send client_assertion together with client_assertion_type %s", clientassertion.Type)
		}
		c.auth, count = PrivateKeyJWT, count+1
		if c.id == "" {
			c.id = clientassertion.Subject(c.assertion)
		}
	}
	if len(r.Header.Values("Authorization")) > 0 {
		count++
		if err := c.readBasic(r); err != nil {
			return c, err
		}
	}
	switch {
	case count > 1:
		return c, oauth.Errorf(oauth.InvalidRequest, "authenticate in one way: the Authorization header, client_secret, or client_assertion")
	case c.id == "":
		return c, oauth.Errorf(oauth.InvalidRequest, "client_id is missing")
	}
	return c, nil
}

// readBasic reads the Authorization header, whose two parts are form-encoded (RFC 6749, section
// 2.3.1). Clients such as the TypeScript SDK's don't encode the secret, so it may also be meant as
// it stands.
func (c *credentials) readBasic(r *http.Request) error {
	values := r.Header.Values("Authorization")
	if scheme, _, _ := strings.Cut(values[0], " "); len(values) > 1 || !strings.EqualFold(scheme, "Basic") {
		return oauth.Errorf(oauth.InvalidRequest, "the Authorization header must be Basic; send it once, or not at all")
	}
	c.basic = true
	user, password, ok := r.BasicAuth()
	id, err := url.QueryUnescape(user)
	secret, err2 := url.QueryUnescape(password)
	if err2 != nil {
		secret = password
	}
	switch {
	case !ok || err != nil || id == "":
		return c.refuse("the Authorization header must be Basic with the client_id and the secret, form-encoded, a colon between them, in base64")
	case c.id != "" && c.id != id:
		return oauth.Errorf(oauth.InvalidRequest, "the Authorization header and client_id name different clients")
	}
	c.id = id
	if secret != "" {
		c.auth, c.secret, c.raw = SecretBasic, secret, password
	}
	return nil
}

// refuse returns a 401 that challenges for Basic if the request used it.
func (c *credentials) refuse(why string) *oauth.Error {
	return &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Description: why, Basic: c.basic}
}

const noSecret = "this client has no secret or key; send only its client_id"

// Authenticate returns the client that sent the form to the token or the revocation endpoint. Its
// error is an [*oauth.Error]: 401 invalid_client if authentication failed.
//
// A Document that presents no credential is not fetched: the client has only ID, Kind and Auth
// None, and [Hold.Check] decides whether that is enough.
func (d *Directory) Authenticate(r *http.Request, form url.Values) (*Client, error) {
	cred, err := presented(r, form)
	if err != nil {
		return nil, err
	}
	if d.documents != nil && clientdoc.IsURL(cred.id) && cred.auth != PrivateKeyJWT {
		if cred.auth != None {
			return nil, cred.refuse(noSecret)
		}
		return &Client{ID: cred.id, Kind: Document, Auth: None}, nil
	}
	c, err := d.Find(r.Context(), cred.id)
	if err != nil {
		return nil, cred.challenge(err)
	}
	if cred.auth == PrivateKeyJWT && c.jwksURI != "" {
		return d.verify(r.Context(), &cred, c)
	}
	sent := cred.auth
	if c.Kind == Configured && sent == SecretPost {
		sent = SecretBasic // either is right
	}
	switch {
	case sent != c.Auth && c.Auth == None:
		return nil, cred.refuse(noSecret)
	case sent != c.Auth && sent == None:
		return nil, cred.refuse("this client must authenticate by " + c.Auth.String())
	case sent != c.Auth:
		return nil, cred.refuse("this client must authenticate by " + c.Auth.String() + ", not by " + cred.auth.String())
	case c.Auth != None && !c.hasSecret(cred.secret) && !c.hasSecret(cred.raw):
		return nil, cred.refuse("the client_secret is wrong")
	}
	return c, nil
}

// challenge returns the error, with a challenge for Basic if the request used it.
func (c *credentials) challenge(err error) error {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		return err
	}
	answer := *e
	answer.Basic = c.basic
	return &answer
}

// hasSecret compares in time that does not depend on the secret.
func (c *Client) hasSecret(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return (c.Auth == SecretBasic || c.Auth == SecretPost) && subtle.ConstantTimeCompare(sum[:], c.secret[:]) == 1
}

// verify returns the client with Auth PrivateKeyJWT if the assertion is valid.
func (d *Directory) verify(ctx context.Context, cred *credentials, c *Client) (*Client, error) {
	if err := d.assertions.Verify(ctx, cred.assertion, c.ID, c.jwksURI); err != nil {
		return nil, cred.challenge(err)
	}
	proved := *c
	proved.Auth = PrivateKeyJWT
	return &proved, nil
}
