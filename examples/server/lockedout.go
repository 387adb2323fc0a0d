package main

import (
	"log/slog"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// notAppIDURI is Entra's code for a resource that is no App ID URI.
const notAppIDURI = "AADSTS9010010"

// warnOfClients logs a warning for each cause for which known clients will be refused, and names
// them: their users would see no more than Entra's code.
func warnOfClients(log *slog.Logger, c serverconfig.Config, resourceURL string, verifier *entraauth.Verifier) {
	servers := verifier.AuthorizationServers()
	if c.AuthProxy != nil {
		servers = []string{strings.TrimSuffix(resourceURL, serverconfig.Path)}
	}
	refused := knownclients.LockedOut(knownclients.Server{
		Resource: resourceURL, Scopes: verifier.ScopesFor(resourceURL),
		AuthorizationServers: servers, AuthProxy: c.AuthProxy != nil, ClientID: c.APIAppID, AppIDURIs: c.AppIDURIs,
	})
	configured := strings.Join(c.AppIDURIs, ",")
	for _, c := range knownclients.Causes(refused) {
		attrs := []any{slog.String("clients", strings.Join(c.Clients, ", "))}
		for _, a := range []struct{ name, value string }{
			{"code", c.Code}, {"because", c.Because}, {"sent", c.Sent}, {"expected", c.Expected}, {"fix", c.Fix},
		} {
			if a.value != "" {
				attrs = append(attrs, slog.String(a.name, a.value))
			}
		}
		if c.Code == notAppIDURI { // the registration may be right, and the variable old
			attrs = append(attrs, slog.String("APP_ID_URIS", configured))
		}
		log.Warn("these clients will be refused", attrs...)
	}
}
