// Package clients knows the MCP clients that sign in through the proxy: those that the
// operator has configured, those that registered themselves (RFC 7591), and those that
// describe themselves in a document at their client ID (CIMD).
package clients

import "crypto/sha256"

// Kind is how the proxy came to know a client.
type Kind uint8

// The kinds of clients.
const (
	Configured Kind = iota + 1 // by the operator
	Registered                 // registered itself; its client ID is its sealed registration
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

// A Client is an MCP client. It is immutable.
type Client struct {
	ID   string // as the client sends it
	Kind Kind
	// Name is what the client calls itself, at most 100 characters without control and
	// bidirectional ones; or "".
	Name string
	// Host is where a Document was fetched from, in ASCII; "" for other kinds.
	Host string
	// Preset is the name under which the client is known, if each of its redirects is in one
	// preset; then it is shown without a warning.
	Preset    string
	Redirects []string // as registered
	Auth      Auth
	// Refresh reports whether grant_types has refresh_token.
	Refresh bool
	// DocumentHash is of the whole document; zero for other kinds.
	DocumentHash [sha256.Size]byte

	jwksURI string // of a PrivateKeyJWT client
}

// A Hash stands for a client in sealed values.
type Hash [16]byte

// HashID returns the hash of a client ID.
func HashID(id string) Hash {
	sum := sha256.Sum256([]byte(id))
	return Hash(sum[:16])
}

// Hash stands for the client in codes and refresh tokens: it is the same as long as the
// client ID is.
func (c *Client) Hash() Hash { return HashID(c.ID) }

// ConsentHash stands for the client in remembered consents: a Document that has changed is
// another client.
func (c *Client) ConsentHash() Hash {
	if c.Kind == Document {
		return Hash(c.DocumentHash[:16])
	}
	return c.Hash()
}

// IsPublic reports whether the client has no credential.
func (c *Client) IsPublic() bool { return c.Auth == None }

// IsKnown reports whether the operator or a preset vouches for the client: it then gets
// errors at its redirect before the user has consented to it.
func (c *Client) IsKnown() bool { return c.Kind == Configured || c.Preset != "" }
