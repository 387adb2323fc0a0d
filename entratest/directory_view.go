package entratest

import (
	"slices"
	"strings"
)

// describe returns the app as the directory shows it. Callers hold the tenant's mu.
func (a *App) describe() application {
	doc := a.entry.written
	doc.blueprint = a.blueprint
	doc.ID, doc.AppID, doc.DisplayName = a.entry.id, a.ClientID, a.Name
	doc.IdentifierURIs = slices.Clone(a.AppIDURIs)
	domain := a.tenant.directory.domains[0]
	doc.PublisherDomain = &domain
	if doc.SignInAudience == "" {
		doc.SignInAudience = "AzureADMyOrg"
	}
	if shown := doc.IsFallbackPublicClient; a.public || shown != nil {
		public := a.public
		doc.IsFallbackPublicClient = &public
	}
	if shown := doc.API.RequestedAccessTokenVersion; shown == nil && a.AccessTokenVersion != 1 || shown != nil && *shown != a.AccessTokenVersion {
		version := a.AccessTokenVersion
		doc.API.RequestedAccessTokenVersion = &version
	}
	doc.API.OAuth2PermissionScopes = a.permissionScopes()
	doc.API.PreAuthorizedApplications = slices.Clone(a.preAuthorized)
	doc.API.KnownClientApplications = slices.Clone(doc.API.KnownClientApplications)
	for _, client := range a.KnownClients {
		if !slices.Contains(doc.API.KnownClientApplications, client.ClientID) {
			doc.API.KnownClientApplications = append(doc.API.KnownClientApplications, client.ClientID)
		}
	}
	doc.AppRoles = a.appRoles()
	doc.RequiredResourceAccess = slices.Clone(a.required)
	doc.Web.RedirectURIs, doc.SPA.RedirectURIs, doc.PublicClient.RedirectURIs = nil, nil, nil
	for _, r := range a.redirects {
		uris := map[Platform]*[]string{
			PlatformWeb: (*[]string)(&doc.Web.RedirectURIs), PlatformSPA: (*[]string)(&doc.SPA.RedirectURIs),
			PlatformDesktop: (*[]string)(&doc.PublicClient.RedirectURIs),
		}[r.platform]
		*uris = append(*uris, r.uri)
	}
	doc.PasswordCredentials, doc.KeyCredentials = nil, nil
	for _, secret := range a.secrets {
		doc.PasswordCredentials = append(doc.PasswordCredentials, secret.passwordCredential)
	}
	for _, certificate := range a.certificates {
		doc.KeyCredentials = append(doc.KeyCredentials, certificate.keyCredential)
	}
	doc.OptionalClaims = a.optionalClaims()
	if a.GroupClaims && doc.GroupMembershipClaims == nil {
		groups := "SecurityGroup"
		doc.GroupMembershipClaims = &groups
	}
	return doc
}

// optionalClaims returns the registration's optional claims, with those of App.OptionalClaims.
func (a *App) optionalClaims() *optionalClaims {
	shown := optionalClaims{}
	if a.entry.written.OptionalClaims != nil {
		shown = *a.entry.written.OptionalClaims
		shown.AccessToken = slices.Clone(shown.AccessToken)
	}
	for _, name := range a.OptionalClaims {
		if slices.ContainsFunc(shown.AccessToken, func(c optionalClaim) bool { return c.Name == name }) {
			continue
		}
		claim := optionalClaim{Name: name}
		if name == "idtyp" {
			claim.AdditionalProperties = []string{"include_user_token"}
		}
		shown.AccessToken = append(shown.AccessToken, claim)
	}
	if a.entry.written.OptionalClaims == nil && len(shown.AccessToken) == 0 {
		return nil
	}
	return &shown
}

// outdated returns the app as the directory's slower parts still show it: what was disabled is
// enabled. Callers hold the tenant's mu.
func (a *App) outdated() application {
	doc := a.describe()
	if !a.entry.lags.is(LagDisabled) {
		return doc
	}
	for i := range doc.API.OAuth2PermissionScopes {
		scope := &doc.API.OAuth2PermissionScopes[i]
		scope.IsEnabled = scope.IsEnabled || slices.Contains(a.entry.disabled, scope.ID)
	}
	for i := range doc.AppRoles {
		role := &doc.AppRoles[i]
		role.IsEnabled = role.IsEnabled || slices.Contains(a.entry.disabled, role.ID)
	}
	return doc
}

// apply makes the app what the document says. Callers hold the tenant's mu.
func (a *App) apply(doc application) {
	a.noteDisabled(doc)
	a.Name, a.AppIDURIs = doc.DisplayName, append([]string{}, doc.IdentifierURIs...)
	a.AccessTokenVersion = 1
	if doc.API.RequestedAccessTokenVersion != nil {
		a.AccessTokenVersion = *doc.API.RequestedAccessTokenVersion
	}
	a.entry.scopes, a.Scopes, a.AdminScopes = doc.API.OAuth2PermissionScopes, nil, nil
	for _, scope := range doc.API.OAuth2PermissionScopes {
		if scope.IsEnabled {
			a.Scopes = append(a.Scopes, scope.Value)
			if scope.Type == "Admin" {
				a.AdminScopes = append(a.AdminScopes, scope.Value)
			}
		}
	}
	a.entry.roles = doc.AppRoles
	a.tenant.dropRoles(a)
	a.preAuthorized = doc.API.PreAuthorizedApplications
	a.KnownClients = slices.DeleteFunc(slices.Clone(a.KnownClients), func(client *App) bool {
		return !slices.Contains(doc.API.KnownClientApplications, client.ClientID)
	})
	a.required = doc.RequiredResourceAccess
	a.public = doc.IsFallbackPublicClient != nil && *doc.IsFallbackPublicClient
	a.redirects = nil
	for _, list := range doc.redirects() {
		for _, uri := range list.uris {
			a.redirects = append(a.redirects, redirect{list.platform, uri})
		}
	}
	a.secrets = slices.DeleteFunc(slices.Clone(a.secrets), func(s clientSecret) bool {
		return !slices.ContainsFunc(doc.PasswordCredentials, func(p passwordCredential) bool { return p.KeyID == s.KeyID })
	})
	a.OptionalClaims = nil
	if doc.OptionalClaims != nil {
		for _, claim := range doc.OptionalClaims.AccessToken {
			a.OptionalClaims = append(a.OptionalClaims, claim.Name)
		}
	}
	a.GroupClaims = doc.GroupMembershipClaims != nil && !strings.EqualFold(*doc.GroupMembershipClaims, "None")
	a.entry.written = doc
}

// noteDisabled remembers the scopes and roles that a document disables.
func (a *App) noteDisabled(doc application) {
	var disabled []string
	for _, scope := range doc.API.OAuth2PermissionScopes {
		if !scope.IsEnabled && slices.ContainsFunc(a.permissionScopes(), func(s permissionScope) bool { return s.ID == scope.ID && s.IsEnabled }) {
			disabled = append(disabled, scope.ID)
		}
	}
	for _, role := range doc.AppRoles {
		if !role.IsEnabled && slices.ContainsFunc(a.appRoles(), func(r appRole) bool { return r.ID == role.ID && r.IsEnabled }) {
			disabled = append(disabled, role.ID)
		}
	}
	if len(disabled) > 0 {
		a.entry.disabled = disabled
		fresh := a.tenant.directory.newLags()
		if a.entry.lags == nil {
			a.entry.lags = lags{}
		}
		a.entry.lags[LagDisabled] = fresh[LagDisabled]
	}
}

// A platformList is the redirect URIs of a platform.
type platformList struct {
	platform Platform
	target   string // the member's path
	uris     []string
}

// redirects returns the application's redirect URIs by platform.
func (doc *application) redirects() []platformList {
	return []platformList{
		{PlatformWeb, "web.redirectUris", doc.Web.RedirectURIs},
		{PlatformSPA, "spa.redirectUris", doc.SPA.RedirectURIs},
		{PlatformDesktop, "publicClient.redirectUris", doc.PublicClient.RedirectURIs},
	}
}
