package authproxy

import (
	"net/http"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

func (p *Proxy) serveToken(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) serveRevoke(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) serveRegister(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func notYet(w http.ResponseWriter) {
	oauth.Write(w, &oauth.Error{Code: oauth.TemporarilyUnavailable, Status: http.StatusServiceUnavailable})
}

func (p *Proxy) serveAuthorize(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) serveConsent(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) serveCallback(w http.ResponseWriter, _ *http.Request) { notYet(w) }

func (p *Proxy) adminConsentURL() string { return "" }
