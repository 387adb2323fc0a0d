package entratest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// check holds a changed application against the directory's rules. It returns the certificates of
// the document.
func (c *graphCall) check(app *App, old application, doc *application) ([]appCertificate, *graphFault) {
	for _, rule := range []func() *graphFault{
		func() *graphFault { return checkMembers(old, doc) },
		func() *graphFault { return app.checkBlueprint(doc) },
		func() *graphFault { return c.checkUniqueName(app, old, doc) },
		func() *graphFault { return c.checkURIs(app, old, doc) },
		func() *graphFault { return checkEntitlements(old, doc) },
		func() *graphFault { return c.checkPreAuthorized(old, doc) },
		func() *graphFault { return checkRedirects(old, doc) },
		func() *graphFault { return checkRequired(doc) },
		func() *graphFault { return checkPasswords(old, doc) },
		func() *graphFault { return checkSize(doc) },
	} {
		if f := rule(); f != nil {
			return nil, f
		}
	}
	return app.checkKeys(doc)
}

// checkMembers checks simple members, among them those that only the directory sets.
func checkMembers(old application, doc *application) *graphFault {
	before, after := asMap(old), asMap(*doc)
	for _, name := range []string{"id", "appId", "createdDateTime", "deletedDateTime", "publisherDomain"} {
		if !reflect.DeepEqual(before[name], after[name]) {
			return badRequest("Property '%s' is read-only and cannot be set.", name)
		}
	}
	if n := utf8.RuneCountInString(doc.DisplayName); n == 0 || n > 256 {
		return invalid("displayName", "want 1 to 256 characters, got %d", n)
	}
	if !slices.Contains([]string{"AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount", "PersonalMicrosoftAccount"}, doc.SignInAudience) {
		return invalid("signInAudience", "'%s' is no audience", clip(doc.SignInAudience))
	}
	version := doc.API.RequestedAccessTokenVersion
	if version != nil && *version != 1 && *version != 2 {
		return invalid("api.requestedAccessTokenVersion", "want 1, 2 or null, got %d", *version)
	}
	if strings.Contains(doc.SignInAudience, "Personal") && (version == nil || *version != 2) {
		return invalid("api.requestedAccessTokenVersion", "an application with personal accounts needs 2")
	}
	if doc.OptionalClaims != nil {
		for _, claim := range slices.Concat(doc.OptionalClaims.IDToken, doc.OptionalClaims.AccessToken, doc.OptionalClaims.SAML2Token) {
			if claim.Name == "" {
				return invalid("optionalClaims", "a claim has no name")
			}
		}
	}
	for _, clientID := range doc.API.KnownClientApplications {
		if !isGUID(clientID) {
			return invalid("api.knownClientApplications", "'%s' is not a GUID", clip(clientID))
		}
	}
	return nil
}

// checkUniqueName keeps an application's alternate key unique and unchanged. The deleted hold theirs
// too.
func (c *graphCall) checkUniqueName(app *App, old application, doc *application) *graphFault {
	if reflect.DeepEqual(old.UniqueName, doc.UniqueName) {
		return nil
	}
	if old.UniqueName != nil {
		return badRequest("Property 'uniqueName' is immutable: it can't be changed once it is set.").with("InvalidValue", "uniqueName")
	}
	name := *doc.UniqueName
	if name == "" || utf8.RuneCountInString(name) > 128 {
		return invalid("uniqueName", "want 1 to 128 characters")
	}
	for _, other := range c.d.everyApp() {
		if other != app && strings.EqualFold(other.entry.uniqueName(), name) {
			return taken("uniqueName")
		}
	}
	return nil
}

// checkEntitlements checks scopes and roles, which share a name space.
func checkEntitlements(old application, doc *application) *graphFault {
	ids, values := map[string]bool{}, map[string]bool{}
	unique := func(target, id, value string) *graphFault {
		switch {
		case !isGUID(id) || id == emptyGUID:
			return invalid(target, "the id '%s' is not a GUID", clip(id))
		case value == "" || len(value) > 120 || strings.ContainsAny(value, " \t\r\n"):
			return invalid(target, "the value '%s' must have 1 to 120 characters without white space", clip(value))
		case ids[strings.ToLower(id)] || values[value]:
			return badRequest("Request contains a property with duplicate values.").with("DuplicateValue", target)
		}
		ids[strings.ToLower(id)], values[value] = true, true
		return nil
	}
	for _, scope := range doc.API.OAuth2PermissionScopes {
		if f := unique("api.oauth2PermissionScopes", scope.ID, scope.Value); f != nil {
			return f
		}
		if scope.Type != "User" && scope.Type != "Admin" {
			return invalid("api.oauth2PermissionScopes", "the type '%s' is neither User nor Admin", clip(scope.Type))
		}
		if scope.IsEnabled && (isBlank(scope.AdminConsentDisplayName) || isBlank(scope.AdminConsentDescription)) {
			return invalid("api.oauth2PermissionScopes", "an enabled scope needs adminConsentDisplayName and adminConsentDescription")
		}
	}
	for _, role := range doc.AppRoles {
		if f := unique("appRoles", role.ID, role.Value); f != nil {
			return f
		}
		if len(role.AllowedMemberTypes) == 0 || isBlank(role.DisplayName) || isBlank(role.Description) {
			return invalid("appRoles", "a role needs allowedMemberTypes, displayName and description")
		}
		for _, kind := range role.AllowedMemberTypes {
			if kind != "User" && kind != "Application" {
				return invalid("appRoles", "the member type '%s' is neither User nor Application", clip(kind))
			}
		}
	}
	return checkEnabled(old, doc)
}

func isBlank(text *string) bool { return text == nil || strings.TrimSpace(*text) == "" }

// checkEnabled keeps enabled scopes and roles as they are: they can only be disabled.
func checkEnabled(old application, doc *application) *graphFault {
	fault := func(target string) *graphFault {
		return refused("CannotDeleteOrUpdateEnabledEntitlement", "Property value cannot be deleted or updated unless it is disabled first.").
			with("CannotDeleteOrUpdateEnabledEntitlement", target)
	}
	for _, scope := range old.API.OAuth2PermissionScopes {
		disabled := scope
		disabled.IsEnabled = false
		if scope.IsEnabled && !slices.ContainsFunc(doc.API.OAuth2PermissionScopes, func(s permissionScope) bool {
			return reflect.DeepEqual(s, scope) || reflect.DeepEqual(s, disabled)
		}) {
			return fault("api.oauth2PermissionScopes")
		}
	}
	for _, role := range old.AppRoles {
		disabled := role
		disabled.IsEnabled = false
		if role.IsEnabled && !slices.ContainsFunc(doc.AppRoles, func(r appRole) bool {
			return reflect.DeepEqual(r, role) || reflect.DeepEqual(r, disabled)
		}) {
			return fault("appRoles")
		}
	}
	return nil
}

// checkPreAuthorized checks that clients and scopes exist. A scope of the same request does not yet.
func (c *graphCall) checkPreAuthorized(old application, doc *application) *graphFault {
	const target = "api.preAuthorizedApplications"
	seen := map[string]bool{}
	for _, p := range doc.API.PreAuthorizedApplications {
		id := strings.ToLower(p.AppID)
		switch client := c.t.appWith(func(a *App) bool { return strings.EqualFold(a.ClientID, p.AppID) }); {
		case client == nil && !c.t.knowsElsewhere(p.AppID):
			return badRequest("Property PreAuthorizedApplication references applications %s that cannot be found.", clip(p.AppID)).
				with("InvalidAppId", target)
		case seen[id]:
			return badRequest("Request contains a property with duplicate values.").with("DuplicateValue", target)
		case len(p.DelegatedPermissionIDs) == 0:
			return invalid(target, "a pre-authorized application needs delegatedPermissionIds")
		}
		seen[id] = true
		for _, permission := range p.DelegatedPermissionIDs {
			has := func(s permissionScope) bool { return strings.EqualFold(s.ID, permission) }
			if !slices.ContainsFunc(old.API.OAuth2PermissionScopes, has) || !slices.ContainsFunc(doc.API.OAuth2PermissionScopes, has) {
				return badRequest("Property PreAuthorizedApplication references permission ids %s that cannot be found.", clip(permission)).
					with("InvalidPermissionId", target)
			}
		}
	}
	return nil
}

// checkRequired checks the form of the permissions that an application lists.
func checkRequired(doc *application) *graphFault {
	const target = "requiredResourceAccess"
	permissions := 0
	for _, required := range doc.RequiredResourceAccess {
		if !isGUID(required.ResourceAppID) {
			return invalid(target, "the resourceAppId '%s' is not a GUID", clip(required.ResourceAppID))
		}
		for _, access := range required.ResourceAccess {
			if permissions++; !isGUID(access.ID) || access.Type != "Scope" && access.Type != "Role" {
				return invalid(target, "want the id of a permission, a GUID, and the type Scope or Role, got '%s' and '%s'", clip(access.ID), clip(access.Type))
			}
		}
	}
	if len(doc.RequiredResourceAccess) > 50 || permissions > 400 {
		return invalid(target, "at most 50 resources and 400 permissions")
	}
	return nil
}

// checkPasswords lets a PATCH remove secrets, not add any.
func checkPasswords(old application, doc *application) *graphFault {
	for _, password := range doc.PasswordCredentials {
		known := func(p passwordCredential) bool { return p.KeyID == password.KeyID }
		if password.SecretText != nil || !slices.ContainsFunc(old.PasswordCredentials, known) {
			return badRequest("New password credentials must be generated with service actions: use addPassword.").
				with("InvalidValue", "passwordCredentials")
		}
	}
	return nil
}

// checkKeys reads the certificates of a document. One without its key is lost, even if the
// application had it.
func (a *App) checkKeys(doc *application) ([]appCertificate, *graphFault) {
	var all []appCertificate
	for _, wanted := range doc.KeyCredentials {
		if wanted.Key == nil {
			continue
		}
		der, err := base64.StdEncoding.DecodeString(*wanted.Key)
		if err != nil {
			return nil, invalid("keyCredentials", "the key is not base64")
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, invalid("keyCredentials", "the key is not a certificate")
		}
		if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok || wanted.Type != "AsymmetricX509Cert" || wanted.Usage != "Verify" {
			return nil, invalid("keyCredentials", "want an RSA certificate of type AsymmetricX509Cert with usage Verify")
		}
		if outside(wanted.StartDateTime, certificate) || outside(wanted.EndDateTime, certificate) {
			return nil, refused("KeyCredentialsInvalidEndDate", "Key credential end date is invalid: it must be within the certificate's validity period.").
				with("KeyCredentialsInvalidEndDate", "keyCredentials")
		}
		if wanted.KeyID == "" {
			wanted.KeyID = newGUID()
		}
		added := newCertificate(certificate, wanted)
		known := slices.IndexFunc(a.certificates, func(c appCertificate) bool { return c.KeyID == wanted.KeyID })
		if known >= 0 {
			added.lags = a.certificates[known].lags
		} else {
			added.lags = a.tenant.directory.newLags()
		}
		all = append(all, added)
	}
	return all, nil
}

// outside reports whether a date is not in the certificate's validity period.
func outside(date *time.Time, certificate *x509.Certificate) bool {
	return date != nil && (date.Before(certificate.NotBefore) || date.After(certificate.NotAfter))
}

// maxItems limits the items in all collections of an application.
const maxItems = 1000

// checkSize checks the number of items.
func checkSize(doc *application) *graphFault {
	items := len(doc.IdentifierURIs) + len(doc.Tags) + len(doc.AppRoles) + len(doc.KeyCredentials) + len(doc.PasswordCredentials) +
		len(doc.API.OAuth2PermissionScopes) + len(doc.API.PreAuthorizedApplications) + len(doc.API.KnownClientApplications)
	for _, required := range doc.RequiredResourceAccess {
		items += len(required.ResourceAccess)
	}
	for _, list := range doc.redirects() {
		items += len(list.uris)
	}
	if items > maxItems {
		return badRequest("The application has %d items in its collections, at most %d are allowed.", items, maxItems)
	}
	return nil
}
