package clients

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// maxID bounds a client ID, in characters: some systems can't open longer URLs in a browser.
const maxID = 1024

// A registration is the metadata of a client that registered itself, sealed into its client ID.
type registration struct {
	name      string
	redirects []string
	auth      Auth
	refresh   bool
	issued    time.Time // in seconds
}

// format is the first number of a record. Records of another format are rejected.
const format = 1

func (r *registration) marshal() []byte {
	var w record.Writer
	w.Number(format)
	w.Number(uint64(r.issued.Unix())) //nolint:gosec // after 1970
	w.Number(uint64(r.auth))
	w.Flag(r.refresh)
	w.Text(r.name)
	w.Texts(r.redirects)
	return w.Bytes()
}

func unmarshalRegistration(b []byte) (*registration, error) {
	in, r := record.NewReader(b), &registration{}
	if in.Number() != format {
		return nil, errors.New("registration: unknown format")
	}
	r.issued = time.Unix(int64(in.Number()), 0) //nolint:gosec // ours, sealed
	r.auth = Auth(in.Number())                  //nolint:gosec // ours, sealed
	r.refresh, r.name, r.redirects = in.Flag(), in.Text(), in.Texts()
	if err := in.Done(); err != nil {
		return nil, fmt.Errorf("registration: %w", err)
	}
	return r, nil
}

// A Registry seals registrations into client IDs and opens them. It stores nothing. It is safe
// for concurrent use.
type Registry struct {
	keys []registryKey
	name string
}

// A registryKey is what is derived from one key. A client's secret is valid as long as its ID.
type registryKey struct {
	sealer *seal.Sealer
	secret []byte // HMAC key
}

// NewRegistry returns a registry with keys of 32 random bytes each; the first one seals, all of
// them open. Registrations open only under the name, the proxy's.
func NewRegistry(keys [][]byte, name string) (*Registry, error) {
	if len(keys) == 0 {
		return nil, errors.New("there are no keys")
	}
	g := &Registry{name: name}
	for _, key := range keys {
		sealer, err := seal.New("authproxy registration", [][]byte{key})
		if err != nil {
			return nil, err
		}
		secret, err := hkdf.Key(sha256.New, key, nil, "mcp-entra-go authproxy client secret v1", sha256.Size)
		if err != nil {
			return nil, err
		}
		g.keys = append(g.keys, registryKey{sealer, secret})
	}
	return g, nil
}

// seal returns the client ID, and the client's secret unless it is public.
func (g *Registry) seal(r *registration) (id, secret string) {
	id = g.keys[0].sealer.SealText(r.marshal(), g.name)
	if r.auth != None {
		secret = g.keys[0].secretOf(id)
	}
	return id, secret
}

// open returns the registration in a client ID, and the secret unless the client is public.
func (g *Registry) open(id string) (*registration, string, error) {
	if len(id) > maxID {
		return nil, "", seal.ErrMalformed
	}
	err := seal.ErrKey
	for _, key := range g.keys {
		plain, openErr := key.sealer.OpenText(id, g.name)
		if openErr != nil {
			err = openErr
			continue // two keys may have the same key ID
		}
		r, err := unmarshalRegistration(plain)
		if err != nil {
			return nil, "", err
		}
		if r.auth == None {
			return r, "", nil
		}
		return r, key.secretOf(id), nil
	}
	return nil, "", err
}

func (k registryKey) secretOf(id string) string {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
