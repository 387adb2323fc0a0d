package clientdoc

import (
	"crypto/sha256"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/strictjson"
)

const (
	// maxDocument bounds a document, in bytes
	// (draft-ietf-oauth-client-id-metadata-document, section 6.6).
	maxDocument = 5 << 10
	// maxList bounds each list in a document.
	maxList = 100
)

// The methods by which a client with a document may authenticate.
const (
	none          = "none"
	privateKeyJWT = "private_key_jwt"
)

// A Document is what a client says about itself. Its redirects are as written: the caller
// judges each.
type Document struct {
	URL       string // equal to its client_id
	Host      string // in ASCII and lower case; with a port if that is not 443
	Name      string // client_name as written, or ""
	Redirects []string
	Grants    []string // grant_types; nil if absent
	// Public reports whether the client may come without authentication, Keyed whether it may
	// authenticate by private_key_jwt. At least one is true.
	Public, Keyed bool
	JWKSURI       string            // of a Keyed client
	Hash          [sha256.Size]byte // of the document's bytes
}

// parseDocument reads the document that was fetched from the URL, which is written as id.
// Members that it doesn't know are ignored; one that it knows must be of its type.
func parseDocument(id string, u *url.URL, body []byte, loopback bool) (*Document, error) {
	o, err := strictjson.Parse(body)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	for name := range o {
		if strings.HasPrefix(name, "client_secret") {
			return nil, invalidf("it has a client_secret; a public document can't have a secret")
		}
	}
	switch own, err := o.Text("client_id"); {
	case err != nil:
		return nil, invalidf("%v", err)
	case own != id:
		return nil, invalidf("its client_id is not, byte for byte, the URL that the client sent")
	}
	d := &Document{URL: id, Host: displayHost(u), Hash: sha256.Sum256(body)}
	if d.Name, err = o.Text("client_name"); err != nil {
		return nil, invalidf("%v", err)
	}
	if err := d.readLists(o); err != nil {
		return nil, err
	}
	return d, d.readAuth(o, loopback)
}

func (d *Document) readLists(o strictjson.Object) (err error) {
	if d.Redirects, err = list(o, "redirect_uris"); err != nil {
		return err
	}
	if len(d.Redirects) == 0 {
		return invalidf("it has no redirect_uris")
	}
	if d.Grants, err = list(o, "grant_types"); err != nil {
		return err
	}
	responses, err := list(o, "response_types")
	if err == nil && responses != nil && !slices.Contains(responses, "code") {
		err = invalidf("its response_types don't include code")
	}
	return err
}

// readAuth reads how the client authenticates: by token_endpoint_auth_method, whose default
// is none here because nobody has agreed on a secret with it, or by any of
// token_endpoint_auth_methods_supported.
func (d *Document) readAuth(o strictjson.Object, loopback bool) error {
	method, err := o.Text("token_endpoint_auth_method")
	if err != nil {
		return invalidf("%v", err)
	}
	methods, err := list(o, "token_endpoint_auth_methods_supported")
	if err != nil {
		return err
	}
	switch {
	case method != "":
		methods = append(methods, method)
	case methods == nil:
		methods = []string{none}
	}
	if slices.ContainsFunc(methods, func(m string) bool { return strings.HasPrefix(m, "client_secret") }) {
		return invalidf("it names a method with a client_secret; use none or private_key_jwt")
	}
	d.Public = slices.Contains(methods, none)
	if slices.Contains(methods, privateKeyJWT) {
		d.JWKSURI, err = keysURI(o, loopback)
		d.Keyed = err == nil
	} else {
		err = invalidf("it names no method that this server has; use none or private_key_jwt")
	}
	if d.Public {
		return nil
	}
	return err
}

// keysURI reads where the client publishes its keys.
func keysURI(o strictjson.Object, loopback bool) (string, error) {
	uri, err := o.Text("jwks_uri")
	if err != nil {
		return "", invalidf("%v", err)
	}
	if uri == "" {
		return "", invalidf("it names private_key_jwt and has no jwks_uri")
	}
	if _, err := parseURL(uri, loopback); err != nil {
		return "", invalidf("its jwks_uri can't be used: %v", err)
	}
	return uri, nil
}

// list returns a member that is an array of strings, or nil.
func list(o strictjson.Object, name string) ([]string, error) {
	all, err := o.Texts(name)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	if len(all) > maxList {
		return nil, invalidf("the member %s has more than %d entries", name, maxList)
	}
	return all, nil
}
