package doctor

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// A Directory reads app registrations. *graph.Client is one.
type Directory interface {
	Application(ctx context.Context, path string) (graph.Application, error)
	ServicePrincipal(ctx context.Context, appID string) (graph.ServicePrincipal, error)
	ServicePrincipalsNamed(ctx context.Context, name string) ([]graph.ServicePrincipal, error)
	PermissionGrants(ctx context.Context, field, id string) ([]graph.PermissionGrant, error)
	InheritablePermissions(ctx context.Context, blueprint string) ([]graph.InheritablePermission, error)
	FederatedCredentials(ctx context.Context, application string) ([]graph.FederatedCredential, error)
	Get(ctx context.Context, path string, into any) error
}

var _ Directory = (*graph.Client)(nil)

// notSignedIn is why what needs Microsoft Graph doesn't run.
const notSignedIn = "nobody is signed in to Microsoft Graph (-auth)"

// registration reads the app registration for the checks behind it.
func (x *exam) registration(ctx context.Context) Result {
	if x.options.Directory == nil {
		return notRun(notSignedIn)
	}
	if r := x.lacks("API_APP_ID", x.ClientID); r != nil {
		return *r
	}
	app, err := x.options.Directory.Application(ctx, graph.ApplicationByAppID(x.ClientID))
	switch {
	case graph.IsNotFound(err):
		return failed(Finding{Problem: "there is no registration of the application " + x.ClientID + " in this tenant", Expected: "an app registration", Came: "none",
			Remedy: "Correct API_APP_ID, or sign in to the tenant that has the registration; one that was deleted can be restored for 30 days (App registrations, Deleted applications)"})
	case err != nil:
		return x.unread("the app registration", err)
	}
	signsIn := len(app.PublicClient.RedirectURIs)+len(app.Web.RedirectURIs)+len(app.SPA.RedirectURIs) > 0
	if len(app.API.Scopes) == 0 && (len(app.IdentifierURIs) == 0 || signsIn && !slices.Contains(app.IdentifierURIs, x.ResourceURL)) {
		return failed(x.notAnAPI(ctx, app))
	}
	x.app = &app
	return ok("%s (%s)", printable(app.DisplayName), app.SignInAudience)
}

// notAnAPI says that the application is none that tokens can be for: a client, as a rule, whose id
// stands where the API's belongs.
func (x *exam) notAnAPI(ctx context.Context, app graph.Application) Finding {
	f := Finding{Problem: "the application " + x.ClientID + " offers no scope, so it is not the API", Expected: "the API's registration",
		Came:   printable(app.DisplayName),
		Remedy: "Set API_APP_ID to the API's Application (client) ID, if this is a client's; if it is the API, run mcp-entra setup apply, or see Expose an API"}
	for _, uri := range append([]string{x.ResourceURL}, x.AppIDURIs...) {
		if !strings.Contains(uri, "://") || strings.HasSuffix(strings.ToLower(uri), strings.ToLower(x.ClientID)) {
			continue
		}
		named, err := x.options.Directory.ServicePrincipalsNamed(ctx, uri)
		if err == nil && len(named) > 0 {
			f.Came += "; " + printable(uri) + " is an App ID URI of the application " + printable(named[0].AppID)
			f.Remedy = "Set API_APP_ID=" + printable(named[0].AppID)
			break
		}
	}
	return f
}

// unread is the result of a check that Graph didn't answer.
func (x *exam) unread(what string, err error) Result {
	if graph.IsForbidden(err) {
		return notRun("this sign-in may not read %s: it needs Application.Read.All, or the role Directory Readers", what)
	}
	f := Finding{Problem: "Microsoft Graph doesn't show " + what, Remedy: "Sign in again, or go on without Graph"}
	first, _, _ := strings.Cut(err.Error(), "\n") // the SDK's errors have the whole answer
	f.Came = printable(first)
	if code := entraCode.FindString(err.Error()); code != "" {
		f.Came = "the sign-in failed: " + code
	}
	return warning(f)
}

// tokenVersion checks the version of the tokens that Entra issues for the API.
func (x *exam) tokenVersion(context.Context) Result {
	f := Finding{Problem: "Entra ID issues v1 tokens for the API, and restricts its App ID URIs to verified domains",
		Expected: "requestedAccessTokenVersion 2", Came: "null, which means 1",
		Remedy: "Set api.requestedAccessTokenVersion to 2 in the registration's manifest, or run mcp-entra setup apply"}
	switch {
	case x.app != nil && x.app.API.RequestedAccessTokenVersion == 2:
		return ok("2")
	case x.app != nil && x.app.API.RequestedAccessTokenVersion != 0:
		f.Came = strconv.Itoa(x.app.API.RequestedAccessTokenVersion)
	case x.app != nil:
	case x.proof == nil || !x.proof.answer.accepted || x.proof.answer.issued.Version == "":
		return x.like("registration")
	case x.proof.answer.issued.Version == "2.0":
		return ok("2, by a token for the app itself")
	default:
		f.Came = "a token of version " + printable(x.proof.answer.issued.Version)
	}
	if !strings.HasPrefix(x.ResourceURL, "https://") && !slices.Contains(x.AppIDURIs, x.ResourceURL) {
		return warning(f) // its URL can't be an App ID URI anyway
	}
	return failed(f)
}

// scopes checks that the API offers the scope that its tokens must have.
func (x *exam) scopes(context.Context) Result {
	if x.app == nil {
		return x.like("registration")
	}
	var names []string
	for _, s := range x.app.API.Scopes {
		if s.Value == x.Scope && s.IsEnabled {
			if s.Type == "Admin" {
				return warning(Finding{Problem: "only administrators can consent to " + x.Scope, Expected: "Admins and users", Came: "Admins only",
					Remedy: "Change it under Expose an API, unless that is meant"})
			}
			return ok("%s", x.Scope)
		}
		name := s.Value
		if !s.IsEnabled {
			name += " (disabled)"
		}
		names = append(names, name)
	}
	return failed(Finding{Problem: "the API doesn't offer the scope " + x.Scope + ", so no token has it", Expected: x.Scope, Came: list(names),
		Remedy: "Add or enable it under Expose an API, or run mcp-entra setup apply"})
}

// preAuthorized checks that Microsoft's own clients need no consent page.
func (x *exam) preAuthorized(context.Context) Result {
	if x.app == nil {
		return x.like("registration")
	}
	var findings []Finding
	for _, c := range knownclients.All() {
		has := slices.ContainsFunc(x.app.API.PreAuthorized, func(p graph.PreAuthorizedApp) bool { return strings.EqualFold(p.AppID, c.AppID) })
		if c.AppID != "" && !has {
			findings = append(findings, Finding{Problem: c.Name + " is not pre-authorized, and shows no consent page", Expected: c.AppID,
				Came: "not among the authorized client applications", Remedy: "If your users use it, add it under Expose an API, Authorized client applications, or with mcp-entra setup apply"})
		}
	}
	if len(findings) > 0 {
		return warning(findings...)
	}
	return ok("Microsoft's clients are pre-authorized")
}

// servicePrincipal checks that the application is usable in the tenant.
func (x *exam) servicePrincipal(ctx context.Context) Result {
	if x.app == nil {
		return x.like("registration")
	}
	p, err := x.options.Directory.ServicePrincipal(ctx, x.ClientID)
	remedy := "Run az ad sp create --id " + x.ClientID + ", or mcp-entra setup apply"
	switch {
	case graph.IsNotFound(err):
		return failed(Finding{Problem: "the application has no service principal in the tenant, so nobody gets a token for it",
			Expected: "an enterprise application " + x.ClientID, Came: "none", Remedy: remedy})
	case err != nil:
		return x.unread("the service principal", err)
	case p.AccountEnabled != nil && !*p.AccountEnabled:
		return failed(Finding{Problem: "the application is disabled in the tenant", Expected: "Enabled for users to sign in: Yes", Came: "No",
			Remedy: "Enable it: Enterprise applications, the application, Properties"})
	}
	x.principal = &p
	if p.AppRoleAssignmentReq {
		return warning(Finding{Problem: "only assigned users get tokens for the API", Expected: "Assignment required: No", Came: "Yes",
			Remedy: "Assign your users under Enterprise applications, Users and groups, if they are refused with AADSTS50105"})
	}
	return ok("%s", p.ID)
}

// list shows a list of strings, one under the other.
func list(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, "\n")
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}
