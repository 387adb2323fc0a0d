package documented

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/examples/internal/listening"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// Run serves as configured until the context ends, and then drains.
func Run(ctx context.Context, c serverconfig.Config, s Surroundings) error {
	listener, err := listening.Open(ctx, c.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	origin := listening.Origin(listener)
	resourceURL := c.ResourceURL(origin)
	server, verifier, err := NewServer(c, resourceURL, s)
	if err != nil {
		return err
	}
	defer func() { _ = verifier.Close() }()
	announce(s.Log, c, origin)
	WarnOfClients(s.Log, c, resourceURL, verifier)
	if s.TokenTool {
		s.Log.Warn(TokenToolWarning)
	}
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	s.Log.Info("stopped")
	return nil
}

// announce logs what the tools use and what the operator should know. [mcpentra.Server.Serve] logs
// the address.
func announce(log *slog.Logger, c serverconfig.Config, origin string) {
	flow := "off"
	if c.OBO {
		flow = c.Method.String()
	}
	if c.AgentID != "" {
		flow += ", as the agent " + c.AgentID
	}
	log.Info("tools", "obo", flow, "storage", c.StorageURL, "container", c.Container)
	if p := c.AuthProxy; p != nil {
		log.Info("clients sign in through this server", "app", p.ClientID, "as", p.Method.String(), "redirect_uri", c.CallbackURL(origin), "platform", "Web")
	}
	for _, warning := range slices.Concat(c.Misspelled, c.Warnings) {
		log.Warn(warning)
	}
}

// notAppIDURI is Entra's code for a resource that is no App ID URI.
const notAppIDURI = "AADSTS9010010"

// WarnOfClients logs a warning for each cause for which known clients will be refused, and names
// them: their users would see no more than Entra's code.
func WarnOfClients(log *slog.Logger, c serverconfig.Config, resourceURL string, verifier *entraauth.Verifier) {
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
