package authproxy

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// maxRegistration bounds the body of a registration, in bytes.
const maxRegistration = 16 << 10

// serveRegister serves the registration endpoint (RFC 7591). Nothing is stored: the client ID is
// the sealed registration.
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
		return nil, oauth.Errorf(oauth.InvalidClientMetadata, "the body could not be read; send it again")
	}
	return body, nil
}
