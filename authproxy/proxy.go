// Package authproxy lets any MCP client sign in through Microsoft Entra ID.
package authproxy

import (
	"errors"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A Proxy is an authorization server for MCP clients in front of Entra. It is an http.Handler
// for the paths that [Proxy.Serves].
type Proxy struct {
	issuer string
}

// New returns a proxy.
func New(issuerURL, tenantID, clientID string, method clientauth.Method, keys [][]byte, opts *Options) (*Proxy, error) {
	return nil, errors.New("authproxy: not yet")
}

// Issuer returns the issuer URL, as it stands in metadata and responses.
func (p *Proxy) Issuer() string { return p.issuer }

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }
