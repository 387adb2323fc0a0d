package graph

import "time"

// An Application is an app registration, with the members that setup and doctor use. Strings are
// ids and texts as Graph has them; a nil or empty member is left out of requests.
type Application struct {
	Type           string   `json:"@odata.type,omitempty"` // of what is more than an application
	ID             string   `json:"id,omitempty"`
	AppID          string   `json:"appId,omitempty"`
	UniqueName     string   `json:"uniqueName,omitempty"`
	DisplayName    string   `json:"displayName,omitempty"`
	SignInAudience string   `json:"signInAudience,omitempty"` // AzureADMyOrg, AzureADMultipleOrgs, ...
	Tags           []string `json:"tags,omitempty"`

	IdentifierURIs         []string                 `json:"identifierUris,omitempty"`
	API                    API                      `json:"api,omitzero"`
	AppRoles               []AppRole                `json:"appRoles,omitempty"`
	OptionalClaims         OptionalClaims           `json:"optionalClaims,omitzero"`
	RequiredResourceAccess []RequiredResourceAccess `json:"requiredResourceAccess,omitempty"`

	PublicClient           Redirects `json:"publicClient,omitzero"`
	Web                    Redirects `json:"web,omitzero"`
	SPA                    Redirects `json:"spa,omitzero"`
	IsFallbackPublicClient *bool     `json:"isFallbackPublicClient,omitempty"`

	PasswordCredentials []PasswordCredential `json:"passwordCredentials,omitempty"`
	KeyCredentials      []KeyCredential      `json:"keyCredentials,omitempty"`
	DeletedDateTime     *time.Time           `json:"deletedDateTime,omitempty"`
}

// IsBlueprint reports whether the application is an agent identity blueprint.
func (a Application) IsBlueprint() bool { return isType(a.Type, "agentIdentityBlueprint") }

// API is what an application has as an API.
type API struct {
	RequestedAccessTokenVersion int                `json:"requestedAccessTokenVersion,omitempty"` // 0 is null: version 1
	Scopes                      []PermissionScope  `json:"oauth2PermissionScopes,omitempty"`
	PreAuthorized               []PreAuthorizedApp `json:"preAuthorizedApplications,omitempty"`
	KnownClientApplications     []string           `json:"knownClientApplications,omitempty"`
}

// A PermissionScope is a delegated permission.
type PermissionScope struct {
	ID                      string `json:"id"`
	Value                   string `json:"value"`
	Type                    string `json:"type"` // User, Admin
	IsEnabled               bool   `json:"isEnabled"`
	AdminConsentDisplayName string `json:"adminConsentDisplayName,omitempty"`
	AdminConsentDescription string `json:"adminConsentDescription,omitempty"`
	UserConsentDisplayName  string `json:"userConsentDisplayName,omitempty"`
	UserConsentDescription  string `json:"userConsentDescription,omitempty"`
}

// A PreAuthorizedApp is a client whose users are not asked for consent.
type PreAuthorizedApp struct {
	AppID                  string   `json:"appId"`
	DelegatedPermissionIDs []string `json:"delegatedPermissionIds"`
}

// An AppRole is an application's role.
type AppRole struct {
	ID                 string   `json:"id"`
	Value              string   `json:"value"`
	DisplayName        string   `json:"displayName"`
	Description        string   `json:"description"`
	AllowedMemberTypes []string `json:"allowedMemberTypes"` // User, Application
	IsEnabled          bool     `json:"isEnabled"`
}

// OptionalClaims are the claims asked for besides the usual ones, by kind of token.
type OptionalClaims struct {
	AccessToken []OptionalClaim `json:"accessToken,omitempty"`
	IDToken     []OptionalClaim `json:"idToken,omitempty"`
	SAML2Token  []OptionalClaim `json:"saml2Token,omitempty"`
}

// An OptionalClaim is one of them.
type OptionalClaim struct {
	Name                 string   `json:"name"`
	Source               string   `json:"source,omitempty"`
	Essential            bool     `json:"essential"`
	AdditionalProperties []string `json:"additionalProperties,omitempty"`
}

// RequiredResourceAccess is what an application declares to need of one API.
type RequiredResourceAccess struct {
	ResourceAppID  string           `json:"resourceAppId"`
	ResourceAccess []ResourceAccess `json:"resourceAccess"`
}

// ResourceAccess is one permission.
type ResourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"` // Scope, Role
}

// Redirects are the redirect URIs of one platform.
type Redirects struct {
	RedirectURIs []string `json:"redirectUris,omitempty"`
}

// A PasswordCredential is a client secret, without its text.
type PasswordCredential struct {
	KeyID         string    `json:"keyId,omitempty"`
	DisplayName   string    `json:"displayName,omitempty"`
	StartDateTime time.Time `json:"startDateTime,omitzero"`
	EndDateTime   time.Time `json:"endDateTime,omitzero"`
}

// A KeyCredential is a certificate. Key is the certificate's DER, and null in most answers.
type KeyCredential struct {
	KeyID               string    `json:"keyId,omitempty"`
	DisplayName         string    `json:"displayName,omitempty"`
	CustomKeyIdentifier string    `json:"customKeyIdentifier,omitempty"`
	Type                string    `json:"type"`
	Usage               string    `json:"usage"`
	Key                 []byte    `json:"key,omitempty"`
	StartDateTime       time.Time `json:"startDateTime,omitzero"`
	EndDateTime         time.Time `json:"endDateTime,omitzero"`
}

// A ServicePrincipal is an application in one tenant.
type ServicePrincipal struct {
	ID                     string            `json:"id,omitempty"`
	AppID                  string            `json:"appId,omitempty"`
	DisplayName            string            `json:"displayName,omitempty"`
	AccountEnabled         *bool             `json:"accountEnabled,omitempty"`
	ServicePrincipalType   string            `json:"servicePrincipalType,omitempty"` // Application, ManagedIdentity, ...
	AppRoleAssignmentReq   bool              `json:"appRoleAssignmentRequired,omitempty"`
	ServicePrincipalNames  []string          `json:"servicePrincipalNames,omitempty"`
	OAuth2PermissionScopes []PermissionScope `json:"oauth2PermissionScopes,omitempty"`
	AppRoles               []AppRole         `json:"appRoles,omitempty"`
}

// A PermissionGrant is a delegated permission grant. ClientID and ResourceID are object IDs of
// service principals.
type PermissionGrant struct {
	ID          string  `json:"id,omitempty"`
	ClientID    string  `json:"clientId"`
	ConsentType string  `json:"consentType"` // AllPrincipals, Principal
	PrincipalID *string `json:"principalId"`
	ResourceID  string  `json:"resourceId"`
	Scope       string  `json:"scope"` // separated by spaces
}

// An AppRoleAssignment gives a role of a resource to a principal.
type AppRoleAssignment struct {
	ID                   string `json:"id,omitempty"`
	PrincipalID          string `json:"principalId"`
	PrincipalDisplayName string `json:"principalDisplayName,omitempty"`
	ResourceID           string `json:"resourceId"`
	AppRoleID            string `json:"appRoleId"`
}

// A FederatedCredential lets an application prove itself with another issuer's tokens.
type FederatedCredential struct {
	ID          string   `json:"id,omitempty"`
	Name        string   `json:"name"`
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Audiences   []string `json:"audiences"`
	Description string   `json:"description,omitempty"`
}

// An Organization is the tenant.
type Organization struct {
	ID              string           `json:"id"`
	DisplayName     string           `json:"displayName"`
	VerifiedDomains []VerifiedDomain `json:"verifiedDomains"`
}

// A VerifiedDomain is one of the tenant's domains.
type VerifiedDomain struct {
	Name      string `json:"name"`
	IsDefault bool   `json:"isDefault"`
	IsInitial bool   `json:"isInitial"`
}

// A User is who is signed in.
type User struct {
	ID                string `json:"id"`
	DisplayName       string `json:"displayName"`
	UserPrincipalName string `json:"userPrincipalName"`
}

// An AppPolicy is the tenant's policy for applications, as far as it matters here.
type AppPolicy struct {
	IsEnabled               bool `json:"isEnabled"`
	ApplicationRestrictions struct {
		IdentifierURIs struct {
			NonDefault      URIRestriction `json:"nonDefaultUriAddition"`
			WithoutUniqueID URIRestriction `json:"uriAdditionWithoutUniqueTenantIdentifier"`
		} `json:"identifierUris"`
		PasswordCredentials []struct {
			RestrictionType string `json:"restrictionType"`
			State           string `json:"state"`
		} `json:"passwordCredentials"`
	} `json:"applicationRestrictions"`
}

// A URIRestriction is a restriction on new App ID URIs.
type URIRestriction struct {
	State                        string `json:"state"`
	ExcludeAppsReceivingV2Tokens bool   `json:"excludeAppsReceivingV2Tokens"`
}

// RefusesURIs reports whether App ID URIs are restricted for applications with this token version.
func (p AppPolicy) RefusesURIs(version int) bool {
	on := func(r URIRestriction) bool {
		return r.State == "enabled" && (version != 2 || !r.ExcludeAppsReceivingV2Tokens)
	}
	uris := p.ApplicationRestrictions.IdentifierURIs
	return p.IsEnabled && (on(uris.NonDefault) || on(uris.WithoutUniqueID))
}

// RefusesSecrets reports whether new secrets are forbidden.
func (p AppPolicy) RefusesSecrets() bool {
	for _, r := range p.ApplicationRestrictions.PasswordCredentials {
		if p.IsEnabled && r.RestrictionType == "passwordAddition" && r.State == "enabled" {
			return true
		}
	}
	return false
}
