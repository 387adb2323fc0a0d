// Package grants has the content of our authorization codes and refresh tokens: what a user has
// granted a client. It is sealed into them, so that the proxy stores nothing.
package grants

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
)

const (
	// CodeLifetime is how long a code lives.
	CodeLifetime = time.Minute
	// RefreshLifetime is how long a refresh token lives, as at Entra.
	RefreshLifetime = 90 * 24 * time.Hour

	// version is the version of the records below. Records of another version are rejected.
	version = 1
)

// An ID names a code, a family of refresh tokens, or one of its tokens. A code's ID is that of
// the family that begins with it.
type ID [16]byte

// NewID returns a random ID.
func NewID() ID {
	var id ID
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// HashUser returns what stands for a user: a refresh must not bring another one's tokens.
func HashUser(userID string) [16]byte {
	sum := sha256.Sum256([]byte(userID))
	return [16]byte(sum[:16])
}

// A Grant is what codes and refresh tokens have in common.
type Grant struct {
	Holder clients.Hold
	// Scopes are the short names of those of our scopes that Entra was asked for, and is asked for
	// again: a refresh never asks for more.
	Scopes   []string
	Resource string // that authorize named, canonical; "" if none
	CP1      bool   // the client handles claims challenges
	Refresh  bool   // the client gets refresh tokens
}

// A Code is an authorization code of ours.
type Code struct {
	Grant
	ID        ID
	Expires   time.Time          // CodeLifetime after it was made
	Redirect  [sha256.Size]byte  // hash of the redirect URI that the code was sent to
	Challenge [sha256.Size]byte  // the client's code_challenge, decoded
	Verifier  [verifierSize]byte // ours towards Entra, before base64url
	EntraCode []byte             // Entra's code
}

// verifierSize makes a PKCE verifier of 43 characters.
const verifierSize = 32

// A Refresh is a refresh token of ours.
type Refresh struct {
	Grant
	Family     ID
	ID         ID
	Generation uint64 // how many came before it, in its line
	Expires    time.Time
	User       [16]byte // see HashUser
	Granted    []string // the short names of those of our scopes that the access token has; Entra adds some
	EntraToken []byte   // Entra's refresh token
}

func (g *Grant) write(w *record.Writer) {
	w.Number(version)
	w.Fixed(g.Holder.Client[:])
	w.Number(uint64(g.Holder.Auth))
	w.Texts(g.Scopes)
	w.Text(g.Resource)
	w.Flag(g.CP1)
	w.Flag(g.Refresh)
}

func (g *Grant) read(r *record.Reader) {
	r.Expect(version)
	r.Fixed(g.Holder.Client[:])
	g.Holder.Auth = clients.Auth(r.Number()) //nolint:gosec // ours, sealed
	g.Scopes, g.Resource, g.CP1, g.Refresh = r.Texts(), r.Text(), r.Flag(), r.Flag()
}

func writeTime(w *record.Writer, t time.Time) { w.Number(uint64(t.UnixMilli())) }

func readTime(r *record.Reader) time.Time { return time.UnixMilli(int64(r.Number())) } //nolint:gosec // ours, sealed

// Marshal returns the code as bytes to seal.
func (c *Code) Marshal() []byte {
	var w record.Writer
	c.write(&w)
	w.Fixed(c.ID[:])
	writeTime(&w, c.Expires)
	w.Fixed(c.Redirect[:])
	w.Fixed(c.Challenge[:])
	w.Fixed(c.Verifier[:])
	w.Blob(pack(c.EntraCode))
	return w.Bytes()
}

// UnmarshalCode reads what Marshal wrote.
func UnmarshalCode(b []byte) (*Code, error) {
	r, c := record.NewReader(b), &Code{}
	c.read(r)
	r.Fixed(c.ID[:])
	c.Expires = readTime(r)
	r.Fixed(c.Redirect[:])
	r.Fixed(c.Challenge[:])
	r.Fixed(c.Verifier[:])
	var err error
	c.EntraCode, err = unpack(r.Blob())
	if err = errors.Join(err, r.Done()); err != nil {
		return nil, fmt.Errorf("authorization code: %w", err)
	}
	return c, nil
}

// Marshal returns the refresh token as bytes to seal.
func (t *Refresh) Marshal() []byte {
	var w record.Writer
	t.write(&w)
	w.Fixed(t.Family[:])
	w.Fixed(t.ID[:])
	w.Number(t.Generation)
	writeTime(&w, t.Expires)
	w.Fixed(t.User[:])
	w.Texts(t.Granted)
	w.Blob(t.EntraToken)
	return w.Bytes()
}

// UnmarshalRefresh reads what Marshal wrote.
func UnmarshalRefresh(b []byte) (*Refresh, error) {
	r, t := record.NewReader(b), &Refresh{}
	t.read(r)
	r.Fixed(t.Family[:])
	r.Fixed(t.ID[:])
	t.Generation = r.Number()
	t.Expires = readTime(r)
	r.Fixed(t.User[:])
	t.Granted = r.Texts()
	t.EntraToken = r.Blob()
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("refresh token: %w", err)
	}
	return t, nil
}
