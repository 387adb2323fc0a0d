// Package clientdoc fetches and reads client ID metadata documents: a client's description at
// the https URL that is its client ID (draft-ietf-oauth-client-id-metadata-document). Strangers
// choose the URLs, so it connects to public addresses alone, and bounds everything.
package clientdoc

import (
	"context"
	"crypto/sha256"
	"errors"
)

// A Document is what a client says about itself. Its redirects are as written: the caller
// judges each.
type Document struct {
	URL       string // equal to its client_id
	Host      string // ASCII
	Name      string // client_name as written, or ""
	Redirects []string
	Method    string   // token_endpoint_auth_method, "none" if absent
	Methods   []string // token_endpoint_auth_methods_supported
	Grants    []string // grant_types; nil if absent
	JWKSURI   string
	Hash      [sha256.Size]byte // of the document's bytes
}

// Errors that tell what to answer.
var (
	ErrURL         = errors.New("client ID metadata document: the URL can't be one")
	ErrInvalid     = errors.New("client ID metadata document: invalid")
	ErrUnavailable = errors.New("client ID metadata document: can't be fetched now")
	ErrBusy        = errors.New("client ID metadata document: too many fetches")
)

// A Fetcher fetches documents and key sets, and keeps them for a while. It is safe for
// concurrent use.
type Fetcher struct{}

// Document returns the document at the URL. The error wraps one of those of this package and
// says why, without what the document says.
func (f *Fetcher) Document(ctx context.Context, url string) (*Document, error) {
	return nil, ErrUnavailable
}

// IsURL reports whether a client ID has the form of a document's URL (https://…); Document
// judges it exactly.
func IsURL(id string) bool { return len(id) > 8 && id[:8] == "https://" }
