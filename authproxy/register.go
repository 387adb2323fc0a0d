package authproxy

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

// A Client is an MCP client that the operator configures.
type Client struct {
	// ID is what the client sends as client_id: 1 to 1,024 printable ASCII characters, not a URL.
	ID string
	// Name is shown to users. Defaults to ID.
	Name string
	// Redirects are the client's redirect URIs: https, or http on localhost, 127.0.0.1 or [::1],
	// where the port of a request may differ. Those with other schemes must also be in
	// Options.PrivateSchemes.
	Redirects []string
	// Secret is the client's, at least 32 random ASCII characters; "" for a public client. The
	// client may send it by client_secret_basic or client_secret_post.
	Secret string
	// NoRefresh says that the client gets no refresh tokens.
	NoRefresh bool
}

// openDirectory makes the directory of clients from the options.
func (p *Proxy) openDirectory(faults *faults) {
	o := &p.opts
	if o.Presets == nil {
		o.Presets = KnownClients()
	}
	if o.OnlyRedirects != nil && len(o.OnlyRedirects) == 0 {
		faults.add("Options.OnlyRedirects", errors.New("has no lists; leave it out if redirects are not restricted"))
	}
	for i, uri := range o.PrivateSchemes {
		if err := redirecturi.CheckPrivate(uri); err != nil {
			faults.add(fmt.Sprintf("Options.PrivateSchemes[%d]", i), err)
		}
	}
	registry, err := clients.NewRegistry(p.keys, p.sealName())
	if err != nil {
		faults.add("keys", err)
		return
	}
	config := clients.Config{
		Registry: registry, Private: o.PrivateSchemes, Now: p.now,
		Only: presets("OnlyRedirects", o.OnlyRedirects, faults), Presets: presets("Presets", o.Presets, faults),
	}
	if !o.NoDocuments {
		fetcher := clientdoc.New(&clientdoc.Options{UnsafeClient: o.UnsafeDocumentClient, UnsafeLoopback: o.UnsafeLoopbackDocuments, Now: p.now})
		config.Documents = fetcher
		config.Assertions = &clientassertion.Verifier{Issuer: p.issuer, TokenEndpoint: p.issuer + pathToken, Keys: fetcher, Store: p.store, Now: p.now}
	}
	for _, c := range o.Clients {
		config.Entries = append(config.Entries, clients.Entry(c))
	}
	p.clients, err = clients.NewDirectory(config)
	faults.add("Options.Clients", err)
}

func presets(field string, list []Preset, faults *faults) []redirecturi.Preset {
	var all []redirecturi.Preset
	for i, one := range list {
		preset := redirecturi.Preset(one)
		faults.add(fmt.Sprintf("Options.%s[%d]", field, i), preset.Check())
		all = append(all, preset)
	}
	return all
}

// maxRegistration bounds the body of a registration, in bytes.
const maxRegistration = 16 << 10

// serveRegister registers a client (RFC 7591). Nothing is stored: the client ID is the sealed
// registration.
func (p *Proxy) serveRegister(w http.ResponseWriter, r *http.Request) {
	metadata, err := readRegistration(w, r)
	if err != nil {
		p.refuseJSON(w, r, err)
		return
	}
	answer, err := p.clients.Register(metadata)
	if err != nil {
		p.refuseJSON(w, r, err)
		return
	}
	oauth.WriteJSON(w, http.StatusCreated, answer)
}

func readRegistration(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, oauth.Errorf(oauth.InvalidClientMetadata, "the Content-Type must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &oauth.Error{Code: oauth.InvalidClientMetadata, Status: http.StatusRequestEntityTooLarge,
			Description: fmt.Sprintf("the body is larger than %d bytes", maxRegistration)}
	}
	if err != nil {
		return nil, oauth.Errorf(oauth.InvalidClientMetadata, "the body could not be read to its end")
	}
	return body, nil
}
