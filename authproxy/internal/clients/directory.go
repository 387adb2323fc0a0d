package clients

import (
	"context"
	"net/http"
	"net/url"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// A Directory finds clients. It is safe for concurrent use.
type Directory struct {
	configured map[string]*Client
}

// NewDirectory returns a directory of the configured clients.
func NewDirectory(configured ...*Client) *Directory {
	d := &Directory{configured: map[string]*Client{}}
	for _, c := range configured {
		d.configured[c.ID] = c
	}
	return d
}

// Find returns the client with the ID. Its error is an [*oauth.Error]: invalid_client if
// nobody has the ID, which includes a registration sealed with a key that is gone;
// temporarily_unavailable if its document can't be fetched now.
func (d *Directory) Find(_ context.Context, id string) (*Client, error) {
	if c := d.configured[id]; c != nil {
		return c, nil
	}
	return nil, oauth.Errorf(oauth.InvalidClient, "nobody has this client ID; register again")
}

// Authenticate returns the client that sent the form to the token or the revocation
// endpoint. Its error is an [*oauth.Error], 401 invalid_client if the client did not prove
// who it is.
func (d *Directory) Authenticate(r *http.Request, form url.Values) (*Client, error) {
	return d.Find(r.Context(), form.Get("client_id"))
}

// Hold is what the holder of a sealed code or refresh token must match: the hash of its
// client ID and the method by which it authenticates. It lets the token endpoint serve
// public clients without fetching their document.
type Hold struct {
	Client Hash
	Auth   Auth
}
