package clients

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/display"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/strictjson"
)

// maxRedirects bounds the redirects of one registration.
const maxRedirects = 10

// A Registration is the response to a registration (RFC 7591, section 3.2.1). It has only those
// members of the request that were kept.
type Registration struct {
	ClientID      string   `json:"client_id"`
	IssuedAt      int64    `json:"client_id_issued_at"`
	Secret        string   `json:"client_secret,omitempty"`
	SecretExpires *int64   `json:"client_secret_expires_at,omitempty"` // 0 means never
	Name          string   `json:"client_name,omitempty"`
	Redirects     []string `json:"redirect_uris"`
	Auth          string   `json:"token_endpoint_auth_method"`
	Grants        []string `json:"grant_types"`
	Responses     []string `json:"response_types"`
}

// Register registers the client that the JSON describes (RFC 7591, section 3.1). Nothing is
// stored. Its error is an [*oauth.Error].
func (d *Directory) Register(metadata []byte) (*Registration, error) {
	r, err := d.readMetadata(metadata)
	if err != nil {
		return nil, err
	}
	r.issued = d.now().Truncate(time.Second)
	answer := &Registration{
		IssuedAt: r.issued.Unix(), Name: r.name, Redirects: r.redirects, Auth: r.auth.String(),
		Grants: []string{"authorization_code"}, Responses: []string{"code"},
	}
	if r.refresh {
		answer.Grants = append(answer.Grants, "refresh_token")
	}
	answer.ClientID, answer.Secret = d.registry.seal(r)
	if n := len(answer.ClientID); n > maxID {
		return nil, invalidMetadata("the registration makes a client_id of %d characters, and the limit is %d; register fewer or shorter redirect_uris", n, maxID)
	}
	if answer.Secret != "" {
		answer.SecretExpires = new(int64)
	}
	return answer, nil
}

func invalidMetadata(format string, args ...any) error {
	return oauth.Errorf(oauth.InvalidClientMetadata, format, args...)
}

// readMetadata checks a client's metadata. Unknown members are ignored.
func (d *Directory) readMetadata(metadata []byte) (*registration, error) {
	object, err := strictjson.Parse(metadata)
	if err != nil {
		return nil, invalidMetadata("the body must be a JSON object: %v", err)
	}
	r := &registration{}
	name, nameErr := object.Text("client_name")
	redirects, redirectsErr := object.Texts("redirect_uris")
	method, methodErr := object.Text("token_endpoint_auth_method")
	grants, grantsErr := object.Texts("grant_types")
	responses, responsesErr := object.Texts("response_types")
	if redirectsErr != nil {
		return nil, oauth.Errorf(oauth.InvalidRedirectURI, "%v", redirectsErr)
	}
	if err := errors.Join(nameErr, methodErr, grantsErr, responsesErr); err != nil {
		return nil, invalidMetadata("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if object.Has("jwks") {
		return nil, invalidMetadata("jwks is not supported; publish a client ID metadata document with a jwks_uri instead")
	}
	if responses != nil && !slices.Contains(responses, "code") {
		return nil, invalidMetadata("response_types must include code")
	}
	r.name = display.Name(name)
	if r.auth, err = registrableAuth(method); err != nil {
		return nil, err
	}
	if r.refresh, err = hasRefresh(grants); err != nil {
		return nil, invalidMetadata("%v", err)
	}
	r.redirects, err = d.registrable(redirects)
	return r, err
}

// registrableAuth reads token_endpoint_auth_method, whose default is RFC 7591's.
func registrableAuth(method string) (Auth, error) {
	switch method {
	case "", "client_secret_basic":
		return SecretBasic, nil
	case "client_secret_post":
		return SecretPost, nil
	case "none":
		return None, nil
	case "private_key_jwt":
		return 0, invalidMetadata("private_key_jwt needs a client ID metadata document with a jwks_uri; register with none, client_secret_basic or client_secret_post")
	}
	return 0, invalidMetadata("token_endpoint_auth_method must be none, client_secret_basic or client_secret_post")
}

// hasRefresh reads grant_types, whose default is authorization_code alone.
func hasRefresh(grants []string) (bool, error) {
	if grants != nil && !slices.Contains(grants, "authorization_code") {
		return false, errors.New("grant_types must include authorization_code")
	}
	return slices.Contains(grants, "refresh_token"), nil
}

// registrable returns the redirects without duplicates, or an error for the first that a client
// may not register.
func (d *Directory) registrable(redirects []string) ([]string, error) {
	switch n := len(redirects); {
	case n == 0:
		return nil, oauth.Errorf(oauth.InvalidRedirectURI, "redirect_uris must have at least one URI")
	case n > maxRedirects:
		return nil, oauth.Errorf(oauth.InvalidRedirectURI, "redirect_uris has %d URIs; register at most %d", n, maxRedirects)
	}
	var list []string
	for i, uri := range redirects {
		if err := d.checkRedirect(uri); err != nil {
			return nil, oauth.Errorf(oauth.InvalidRedirectURI, "redirect_uris[%d]: %v", i, err)
		}
		if !slices.Contains(list, uri) {
			list = append(list, uri)
		}
	}
	return list, nil
}

// checkRedirect returns why a client that is not configured can't have the redirect, or nil.
func (d *Directory) checkRedirect(uri string) error {
	if err := redirecturi.Check(uri, d.private); err != nil {
		return err
	}
	if len(d.only) > 0 && !redirecturi.Listed(d.only, uri) {
		return errors.New("this server allows only listed redirects, and it is not one of them; ask the server's operator to add it")
	}
	return nil
}
