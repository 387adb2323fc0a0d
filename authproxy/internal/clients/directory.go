package clients

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/display"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// An Entry is a client that the operator configures; see authproxy.Client.
type Entry struct {
	ID        string
	Name      string
	Redirects []string
	Secret    string
	NoRefresh bool
}

// Documents gets client ID metadata documents, as [*clientdoc.Fetcher] does. Its errors are
// [*oauth.Error].
type Documents interface {
	Document(ctx context.Context, url string) (*clientdoc.Document, error)
}

// Assertions verifies client assertions (private_key_jwt), as [*clientassertion.Verifier] does. Its
// errors are [*oauth.Error].
type Assertions interface {
	Verify(ctx context.Context, assertion, clientID, jwksURI string) error
}

// Config configures a [Directory].
type Config struct {
	Registry   *Registry
	Entries    []Entry
	Documents  Documents // nil turns documents off
	Assertions Assertions
	Private    []string // redirects with private schemes that are allowed
	// Only, unless empty, restricts the redirects of clients that are not configured.
	Only    []redirecturi.Preset
	Presets []redirecturi.Preset
	Now     func() time.Time
}

// A Directory finds clients and registers them. It is safe for concurrent use.
type Directory struct {
	configured map[string]*Client
	registry   *Registry
	documents  Documents
	assertions Assertions
	private    []string
	only       []redirecturi.Preset
	presets    []redirecturi.Preset
	now        func() time.Time
}

// NewDirectory returns a directory. Its error lists all faults of the entries.
func NewDirectory(c Config) (*Directory, error) {
	d := &Directory{
		configured: map[string]*Client{}, registry: c.Registry, documents: c.Documents, assertions: c.Assertions,
		private: c.Private, only: c.Only, presets: c.Presets, now: c.Now,
	}
	if d.now == nil {
		d.now = time.Now
	}
	var faults []error
	for i, e := range c.Entries {
		if err := e.check(c.Private); err != nil {
			faults = append(faults, fmt.Errorf("client %d: %w", i, err))
		}
		if d.configured[e.ID] != nil {
			faults = append(faults, fmt.Errorf("client %d: another client has the same ID", i))
		}
		d.configured[e.ID] = e.client()
	}
	return d, errors.Join(faults...)
}

// minSecret is the least length of a configured secret, in characters.
const minSecret = 32

// check returns the faults of the entry. It quotes no value: a secret may be in the wrong field.
func (e Entry) check(private []string) error {
	var faults []error
	switch {
	case e.ID == "" || len(e.ID) > maxID || strings.ContainsFunc(e.ID, func(r rune) bool { return r <= ' ' || r > '~' }):
		faults = append(faults, fmt.Errorf("the ID must have 1 to %d printable ASCII characters without spaces", maxID))
	case clientdoc.IsURL(e.ID):
		faults = append(faults, errors.New("the ID is the URL of a client ID metadata document; such clients need no configuration"))
	}
	if e.Secret != "" && (len(e.Secret) < minSecret || strings.ContainsFunc(e.Secret, func(r rune) bool { return r < ' ' || r > '~' })) {
		faults = append(faults, fmt.Errorf("the Secret must have at least %d random ASCII characters; leave it empty for a public client", minSecret))
	}
	if len(e.Redirects) == 0 {
		faults = append(faults, errors.New("it has no Redirects"))
	}
	for i, uri := range e.Redirects {
		if err := redirecturi.Check(uri, private); err != nil {
			faults = append(faults, fmt.Errorf("redirect %d: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

func (e Entry) client() *Client {
	c := &Client{
		ID: e.ID, Kind: Configured, Name: display.Name(cmp.Or(e.Name, e.ID)), Redirects: slices.Clone(e.Redirects),
		Auth: None, Refresh: !e.NoRefresh,
	}
	if e.Secret != "" {
		c.Auth, c.secret = SecretBasic, sha256.Sum256([]byte(e.Secret))
	}
	return c
}

// Find returns the client with the ID. Its error is an [*oauth.Error]: invalid_client if there is
// no such client, or its registration was sealed with a key that is gone; temporarily_unavailable
// if its document can't be fetched now.
func (d *Directory) Find(ctx context.Context, id string) (*Client, error) {
	if c := d.configured[id]; c != nil {
		return c, nil
	}
	if clientdoc.IsURL(id) {
		return d.findDocument(ctx, id)
	}
	r, secret, err := d.registry.open(id)
	if err != nil {
		return nil, &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Cause: err,
			Description: "this server has no client with this client_id, or no longer has the key of its registration; register again"}
	}
	c := &Client{
		ID: id, Kind: Registered, Name: r.name, Auth: r.auth, Refresh: r.refresh,
		Preset: redirecturi.Known(d.presets, r.redirects), Redirects: d.allowed(r.redirects), Several: len(r.redirects) > 1,
	}
	if secret != "" {
		c.secret = sha256.Sum256([]byte(secret))
	}
	return c, nil
}

// allowed returns the redirects that the configuration allows now.
func (d *Directory) allowed(redirects []string) []string {
	return slices.DeleteFunc(slices.Clone(redirects), func(uri string) bool { return d.checkRedirect(uri) != nil })
}

func (d *Directory) findDocument(ctx context.Context, id string) (*Client, error) {
	if d.documents == nil {
		return nil, errNoDocuments
	}
	doc, err := d.documents.Document(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &Client{
		ID: id, Kind: Document, Name: display.Name(doc.Name), Host: doc.Host, DocumentHash: doc.Hash,
		Preset: redirecturi.Known(d.presets, doc.Redirects), Redirects: d.allowed(doc.Redirects), Several: len(doc.Redirects) > 1,
		Auth: PrivateKeyJWT, jwksURI: doc.JWKSURI,
	}
	if doc.Public {
		c.Auth = None
	}
	if c.Refresh, err = hasRefresh(doc.Grants); err != nil {
		return nil, &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Cause: err,
			Description: "the client ID metadata document can't be used: its " + err.Error()}
	}
	return c, nil
}

var errNoDocuments = &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized,
	Description: "this server does not accept client ID metadata documents; register, or ask the server's operator for a client_id"}
