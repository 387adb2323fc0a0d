package authproxy

import (
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func (p *Proxy) serveToken(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) serveRevoke(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func notYet(w http.ResponseWriter) {
	oauth.Write(w, &oauth.Error{Code: oauth.TemporarilyUnavailable, Status: http.StatusServiceUnavailable})
}
