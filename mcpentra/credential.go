package mcpentra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// credentialError is an error whose text the caller may read.
type credentialError string

func (e credentialError) Error() string    { return string(e) }
func (e credentialError) UserText() string { return string(e) }

var (
	// ErrNoCaller means that the context belongs to no request of a verified caller.
	ErrNoCaller error = credentialError("no verified caller: this can be used only in a tool call")
	// ErrNoExchanger means that the server was made without [WithExchanger].
	ErrNoExchanger error = credentialError("this server can't act on behalf of its callers: no On-Behalf-Of exchange is configured")
)

// Credential returns the credential of the caller of this tool call: it gets
// tokens on the caller's behalf, for any client of the Azure SDK. Make a client
// for each call, with a shared transport to keep that cheap: an Azure client
// keeps the token of the first user that it sees. Credential never falls back to the
// server's own identity.
//
// The error is [ErrNoCaller] or [ErrNoExchanger].
func Credential(ctx context.Context) (azcore.TokenCredential, error) {
	m := messageOf(ctx)
	if m == nil {
		return nil, ErrNoCaller
	}
	return m.server.credential(m)
}

// lending returns the credentials of messages' callers.
type lending struct {
	exchanger *obo.Exchanger // nil without WithExchanger
	log       *slog.Logger
	once      sync.Once // for the log line: only the operator can fix this
}

func (l *lending) credential(m *rpcMessage) (azcore.TokenCredential, error) {
	switch {
	case m.caller == nil:
		return nil, ErrNoCaller
	case l.exchanger == nil:
		l.once.Do(func() {
			l.log.ErrorContext(m, "a tool asked for its caller's credential (mcpentra.Credential), and this server has no exchanger: add WithExchanger",
				"request_id", requestID(m))
		})
		return nil, ErrNoExchanger
	}
	return l.exchanger.Credential(obo.Assertion(m.caller.Assertion())), nil
}

// An appSettings is what the verifier and all that acts for its callers must agree on:
// [entraauth.Registration] and [obo.Registration] are.
type appSettings interface {
	// App returns the client id, and the authority host as a URL.
	App() (clientID, authorityHost string)
	// TenantIDs returns the tenants that are listed, the home tenant first.
	TenantIDs() []string
}

// disagreements returns a fault for each setting in which the other, such as "exchanger",
// differs from the verifier. Its users come from tenants that the option otherTenants
// lists.
func disagreements(verifier, other appSettings, name, otherTenants string) (faults []error) {
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	app, authority := verifier.App()
	otherApp, otherAuthority := other.App()
	if app != otherApp {
		add("the %s is of the app %s, the verifier of %s; make both with the client id of the API's registration: a user's token can be exchanged only by the app it was issued for",
			name, otherApp, app)
	}
	if cloud(authority) != cloud(otherAuthority) {
		add("the %s asks %s, the verifier trusts %s; set AuthorityHost of both to the same cloud", name, otherAuthority, authority)
	}
	tenants := other.TenantIDs()
	for i, tenant := range verifier.TenantIDs() {
		switch {
		case slices.Contains(tenants, tenant):
		case i == 0:
			add("the %s is of the tenant %s, the verifier of %s; make both with the same tenant id", name, tenants[0], tenant)
		default:
			add("the verifier accepts users of the tenant %s, for whom the %s does not act; add it to %s, or remove it from entraauth.Options.OtherTenants", tenant, name, otherTenants)
		}
	}
	return faults
}

// checkPairing returns why the exchanger can't act for the callers that the verifier
// accepts: Entra would refuse the first of them. Either may be nil.
func checkPairing(verifier *entraauth.Verifier, exchanger *obo.Exchanger) error {
	if verifier == nil || exchanger == nil {
		return nil
	}
	v, x := verifier.Registration(), exchanger.Registration()
	faults := disagreements(v, x, "exchanger", "obo.Options.OtherTenants")
	add := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if v.AnyTenant && len(x.Tenants) == 1 {
		add("the verifier accepts users of any organization (AcceptAnyOrganization), but the exchanger acts only for those of %s; list the tenants that it may act for in obo.Options.OtherTenants",
			x.Tenants[0])
	}
	own := []string{v.ClientID, "api://" + v.ClientID}
	for _, uri := range v.AppIDURIs {
		own = append(own, canonicalAPI(uri))
	}
	for i, resource := range x.Resources {
		if slices.Contains(own, canonicalAPI(resource)) {
			add("obo.Options.Resources[%d] is this API itself, %s; list the APIs that it calls for its users", i, resource)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("WithExchanger: the exchanger does not fit the verifier: %w", err)
	}
	return nil
}

// canonicalAPI returns the form in which App ID URIs are compared.
func canonicalAPI(uri string) string { return strings.ToLower(strings.TrimRight(uri, "/")) }

// cloud names the cloud of an authority host. A cloud can have several hosts, and an
// external tenant has two.
func cloud(authority string) string {
	u, err := url.Parse(authority)
	if err != nil {
		return authority
	}
	host := strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	switch {
	case host == "login.windows.net", host == "login.microsoft.com", host == "sts.windows.net":
		return "login.microsoftonline.com"
	case host == "login.chinacloudapi.cn":
		return "login.partner.microsoftonline.cn"
	case strings.HasSuffix(host, ".ciamlogin.com"):
		return "ciamlogin.com"
	}
	return host
}
