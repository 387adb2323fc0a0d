// Package clients finds, registers and authenticates the MCP clients that sign in through the
// proxy: those that the operator configured, those that registered themselves (RFC 7591), and
// those that describe themselves in a document at their client ID (CIMD).
package clients

import (
	"crypto/sha256"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// Kind is how the proxy came to know a client.
type Kind uint8

// The kinds of clients.
const (
	Configured Kind = iota + 1 // the operator configured it
	Registered                 // it registered itself; its client ID is the sealed registration
	Document                   // its client ID is the URL of its metadata document
)

// Auth is how a client authenticates at the token endpoint.
type Auth uint8

// The methods, as in token_endpoint_auth_method.
const (
	None Auth = iota + 1 // a public client
	SecretBasic
	SecretPost
	PrivateKeyJWT
)

// methods are the names of RFC 7591, section 2.
var methods = [...]string{None: "none", SecretBasic: "client_secret_basic", SecretPost: "client_secret_post", PrivateKeyJWT: "private_key_jwt"}

// String returns the value of token_endpoint_auth_method.
func (a Auth) String() string {
	if a < None || int(a) >= len(methods) {
		return "unknown"
	}
	return methods[a]
}

// A Client is an MCP client. It is immutable.
type Client struct {
	ID   string // as the client sends it
	Kind Kind
	// Name is what the client calls itself, at most 100 characters without control and
	// formatting ones; or "".
	Name string
	// Host is where a Document was fetched from, in ASCII; "" for other kinds.
	Host string
	// Preset is the name under which the client is known, if each of its redirects is in one
	// preset; then it is shown without a warning.
	Preset string
	// Redirects are those that a request may name. Registered ones that the configuration no
	// longer allows, and invalid ones of a Document, are left out.
	Redirects []string
	// Several reports whether more than one is registered: then a request must name one.
	Several bool
	// Auth is how the client authenticates; None for a Document that lists none beside another
	// method. A Configured client may send its secret either way.
	Auth Auth
	// Refresh reports whether grant_types has refresh_token.
	Refresh bool
	// DocumentHash is the hash of the whole document; zero for other kinds.
	DocumentHash [sha256.Size]byte

	secret  [sha256.Size]byte // hash of the secret, if Auth is SecretBasic or SecretPost
	jwksURI string            // of a Document that may authenticate by PrivateKeyJWT; else ""
}

// A Hash stands for a client in sealed values.
type Hash [16]byte

// HashID returns the hash of a client ID.
func HashID(id string) Hash {
	sum := sha256.Sum256([]byte(id))
	return Hash(sum[:16])
}

// Hash stands for the client in codes and refresh tokens. It depends only on the client ID.
func (c *Client) Hash() Hash { return HashID(c.ID) }

// ConsentHash stands for the client in remembered consents: a Document that has changed is
// another client.
func (c *Client) ConsentHash() Hash {
	if c.Kind == Document {
		return Hash(c.DocumentHash[:16])
	}
	return c.Hash()
}

// IsKnown reports whether the operator or a preset vouches for the client. Such a client gets
// errors at its redirect even before the user has approved it.
func (c *Client) IsKnown() bool { return c.Kind == Configured || c.Preset != "" }

// A Hold is what a client must match to use a sealed code or refresh token: the hash of its client
// ID and the method by which it authenticates. It lets the token endpoint serve public clients
// without fetching their documents.
type Hold struct {
	Client Hash
	Auth   Auth
}

// Hold returns what to seal into the client's codes and refresh tokens.
func (c *Client) Hold() Hold { return Hold{c.Hash(), c.Auth} }

// Check returns nil if the authenticated client may use what was sealed for the holder. A client
// that had a credential then must have proved one now. The error is an [*oauth.Error].
func (h Hold) Check(c *Client) error {
	switch {
	case h.Client != c.Hash():
		return oauth.Errorf(oauth.InvalidGrant, "the code or refresh token was issued to another client; send its client_id, or sign in again")
	case h.Auth != None && c.Auth == None:
		return &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Description: "this client must authenticate by " + h.Auth.String()}
	}
	return nil
}
