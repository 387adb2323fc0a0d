// Package login signs a user in at Microsoft Entra ID, for an API: with a browser (authorization
// code and PKCE, on a loopback redirect) or a device code. Tokens are in memory only.
package login

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// timeout is how long a user may take.
const timeout = 10 * time.Minute

// Options say who signs in where, and how. What is empty comes from the server's [Demand].
type Options struct {
	Authority string   // host, as AZURE_AUTHORITY_HOST
	Tenant    string   // id or domain
	ClientID  string   // of a public client; "" means the Azure CLI's
	Scopes    []string // in full
	Device    bool     // by device code, not by browser

	Client  *http.Client           // for requests to Entra; nil means http.DefaultClient
	Prompt  io.Writer              // tells the user what to do
	OpenURL func(url string) error // opens a browser; nil means the system's
}

// A Token is an access token, and what Entra says about it.
type Token struct {
	Access   secret.Text `json:"-"`
	Username string      `json:"user"`
	Tenant   string      `json:"tenant"`
	Scopes   []string    `json:"scopes"`
	Expires  time.Time   `json:"expires"`
}

// A SignIn is a user's session at Entra. It is not safe for concurrent use.
type SignIn struct {
	options Options
	client  *public.Client
	account public.Account
	place   string // authority and tenant of client
	asked   Demand // the last one that the user was asked for
	proxy   *proxied
}

// New checks the options.
func New(o Options) (*SignIn, error) {
	var faults []error
	if o.ClientID != "" {
		if err := authority.CheckGUID(o.ClientID); err != nil {
			faults = append(faults, fmt.Errorf("-client: %w", err))
		}
	}
	if _, err := authority.Parse(o.Authority); err != nil {
		faults = append(faults, fmt.Errorf("-authority (AZURE_AUTHORITY_HOST): %w", err))
	}
	if strings.ContainsAny(o.Tenant, "/~ ") {
		faults = append(faults, errors.New("-tenant is neither an id nor a domain such as contoso.onmicrosoft.com"))
	}
	for _, scope := range o.Scopes {
		if !strings.Contains(scope, "/") {
			faults = append(faults, fmt.Errorf("-scope: %q is not in full, such as api://CLIENT_ID/access_as_user: Entra would take it for one of Microsoft Graph", short(scope)))
		}
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	return &SignIn{options: o}, errors.Join(faults...)
}

// Token returns a token for what is demanded. The first call signs the user in, and so does a
// later one that demands what the session doesn't have.
func (s *SignIn) Token(ctx context.Context, d Demand) (Token, error) {
	if d.Issuer != "" && s.options.Tenant == "" {
		if len(s.options.Scopes) > 0 && s.proxy == nil { // later demands are for more
			d.Scopes = s.options.Scopes
		}
		return s.throughProxy(ctx, d)
	}
	if s.options.ClientID == "" {
		azureCLI, _ := knownclients.ByID("azurecli")
		s.options.ClientID = azureCLI.AppID
	}
	if err := s.agree(&d); err != nil {
		return Token{}, err
	}
	if place := d.Authority.Tenant(d.Tenant); s.client == nil || place != s.place {
		client, err := public.New(s.options.ClientID, public.WithAuthority(place), public.WithHTTPClient(s.options.Client),
			public.WithInstanceDiscovery(false), // agree knows the host
			public.WithClientCapabilities([]string{"cp1"}))
		if err != nil {
			return Token{}, err
		}
		s.client, s.place, s.account = &client, place, public.Account{}
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	result, err := s.acquire(ctx, d)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Token{}, fmt.Errorf("nobody signed in within %s", timeout)
	case err != nil:
		return Token{}, explained(err, s.options.ClientID, d)
	}
	s.account = result.Account
	return Token{
		Access: secret.New(result.AccessToken), Username: result.Account.PreferredUsername, Tenant: result.IDToken.TenantID,
		Scopes: result.GrantedScopes, Expires: result.ExpiresOn,
	}, nil
}

// agree lets the options override what a server demands. It refuses to get a token for another API
// than the server's, and to send a user to sign-in pages that neither Microsoft nor the options name.
func (s *SignIn) agree(d *Demand) error {
	o := &s.options
	if len(o.Scopes) > 0 && s.client == nil { // later demands are for more
		d.Scopes = o.Scopes
	}
	wanted := *d
	wanted.Scopes = slices.DeleteFunc(slices.Clone(d.Scopes), func(scope string) bool { return slices.Contains(o.Scopes, scope) })
	if scope, found := wanted.foreign(); found && d.Server != "" {
		return fmt.Errorf("the server asks for a token with the scope %q, which is not of its own API: with it, the server could act as you elsewhere. "+
			"If the server must have it, add -scope %s", short(scope), short(scope))
	}
	if o.Tenant != "" {
		d.Tenant = o.Tenant
	}
	named := d.Authority
	if o.Authority != "" || named == (authority.Host{}) {
		d.Authority, _ = authority.Parse(o.Authority)
	}
	switch {
	case d.Tenant == "" || len(d.Scopes) == 0:
		return errors.New("the tenant or the scope is not known: name them, or the server's URL")
	case named == (authority.Host{}) || named == d.Authority && o.Authority != "":
		return nil
	case o.Authority != "":
		return fmt.Errorf("the server's users sign in at %s, and -authority (AZURE_AUTHORITY_HOST) is %s", named, d.Authority)
	}
	microsoft, _ := authority.Parse("")
	if u, err := url.Parse(named.String()); err != nil || u.Port() != "" || !microsoft.Trusts(u.Hostname()) {
		return fmt.Errorf("the server sends its users to %s, which is not one of Microsoft's sign-in hosts: add -authority %s if you trust it", named, named)
	}
	return nil
}

// acquire gets a token without asking, if the session allows it, and otherwise asks the user.
func (s *SignIn) acquire(ctx context.Context, d Demand) (public.AuthResult, error) {
	if s.account.HomeAccountID != "" && d.Claims == "" && slices.Equal(resources(d.Scopes), resources(s.asked.Scopes)) {
		if result, err := s.client.AcquireTokenSilent(ctx, d.Scopes, public.WithSilentAccount(s.account)); err == nil {
			return result, nil
		}
	}
	if s.asked = d; d.Server != "" {
		_, _ = fmt.Fprintf(s.options.Prompt, "%s asks you to sign in at %s for %s\n", d.Server, s.place, strings.Join(d.Scopes, " "))
	}
	if s.options.Device {
		code, err := s.client.AcquireTokenByDeviceCode(ctx, d.Scopes, public.WithClaims(d.Claims))
		if err != nil {
			return public.AuthResult{}, err
		}
		_, _ = fmt.Fprintf(s.options.Prompt, "Open %s in a browser and enter the code %s\n", code.Result.VerificationURL, code.Result.UserCode)
		return code.AuthenticationResult(ctx)
	}
	open := func(address string) error {
		_, _ = fmt.Fprintf(s.options.Prompt, "Sign in with the browser. If none opens: %s\n", address)
		return s.options.OpenURL(address)
	}
	return s.client.AcquireTokenInteractive(ctx, d.Scopes, public.WithClaims(d.Claims), public.WithOpenURL(open))
}

// resources returns the APIs that the scopes are of, each once.
func resources(scopes []string) []string {
	var all []string
	for _, scope := range scopes {
		all = append(all, scope[:max(strings.LastIndexByte(scope, '/'), 0)])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// short bounds what came from the command line, which may be anything.
func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
