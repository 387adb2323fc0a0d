// Package grants is what a user has allowed a client, as it travels in our authorization codes
// and refresh tokens: sealed, so that the proxy keeps nothing.
package grants

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
)

// An ID names a code, a family of refresh tokens, or one of its tokens.
type ID [16]byte

// A Grant is what both have.
type Grant struct {
	Holder   clients.Hold
	Resource string // that authorize named; "" if none
	CP1      bool   // the client handles claims challenges
	Refresh  bool   // the client gets refresh tokens
}

// A Code is an authorization code of ours.
type Code struct {
	Grant
	ID        ID
	Expires   time.Time          // at most 60 s after it was made
	Redirect  [sha256.Size]byte  // hash of the redirect URI
	Named     bool               // the client sent redirect_uri at authorize
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
	Generation uint64
	Expires    time.Time
	EntraToken []byte // Entra's refresh token
}

func (g *Grant) write(w *record.Writer) {
	w.Blob(g.Holder.Client[:])
	w.Number(uint64(g.Holder.Auth))
	w.Text(g.Resource)
	w.Flag(g.CP1)
	w.Flag(g.Refresh)
}

func (g *Grant) read(r *record.Reader) {
	copy(g.Holder.Client[:], r.Blob())
	g.Holder.Auth = clients.Auth(r.Number()) //nolint:gosec // ours, sealed
	g.Resource, g.CP1, g.Refresh = r.Text(), r.Flag(), r.Flag()
}

// Marshal returns the code as bytes to seal.
func (c *Code) Marshal() []byte {
	var w record.Writer
	c.write(&w)
	w.Blob(c.ID[:])
	w.Number(uint64(c.Expires.UnixMilli())) //nolint:gosec // after 1970
	w.Blob(c.Redirect[:])
	w.Flag(c.Named)
	w.Blob(c.Challenge[:])
	w.Blob(c.Verifier[:])
	w.Blob(c.EntraCode)
	return w.Bytes()
}

// UnmarshalCode reads what Marshal wrote.
func UnmarshalCode(b []byte) (*Code, error) {
	r, c := record.NewReader(b), &Code{}
	c.read(r)
	copy(c.ID[:], r.Blob())
	c.Expires = time.UnixMilli(int64(r.Number())) //nolint:gosec // ours, sealed
	copy(c.Redirect[:], r.Blob())
	c.Named = r.Flag()
	copy(c.Challenge[:], r.Blob())
	copy(c.Verifier[:], r.Blob())
	c.EntraCode = r.Blob()
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("authorization code: %w", err)
	}
	return c, nil
}

// Marshal returns the refresh token as bytes to seal.
func (t *Refresh) Marshal() []byte {
	var w record.Writer
	t.write(&w)
	w.Blob(t.Family[:])
	w.Blob(t.ID[:])
	w.Number(t.Generation)
	w.Number(uint64(t.Expires.UnixMilli())) //nolint:gosec // after 1970
	w.Blob(t.EntraToken)
	return w.Bytes()
}

// UnmarshalRefresh reads what Marshal wrote.
func UnmarshalRefresh(b []byte) (*Refresh, error) {
	r, t := record.NewReader(b), &Refresh{}
	t.read(r)
	copy(t.Family[:], r.Blob())
	copy(t.ID[:], r.Blob())
	t.Generation = r.Number()
	t.Expires = time.UnixMilli(int64(r.Number())) //nolint:gosec // ours, sealed
	t.EntraToken = r.Blob()
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("refresh token: %w", err)
	}
	return t, nil
}
