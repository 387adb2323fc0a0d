package entratest

import (
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// The types below are entities and complex types of Microsoft Graph v1.0, with the members that the
// double knows. A pointer may be null. Names of types are Graph's: they are in error messages.

type application struct {
	ID                         string                             `json:"id"`
	DeletedDateTime            *time.Time                         `json:"deletedDateTime"`
	AppID                      string                             `json:"appId"`
	CreatedDateTime            *time.Time                         `json:"createdDateTime"`
	DisplayName                string                             `json:"displayName"`
	Description                *string                            `json:"description"`
	GroupMembershipClaims      *string                            `json:"groupMembershipClaims"`
	IdentifierURIs             odata.List[string]                 `json:"identifierUris"`
	IsFallbackPublicClient     *bool                              `json:"isFallbackPublicClient"`
	Notes                      *string                            `json:"notes"`
	PublisherDomain            *string                            `json:"publisherDomain"`
	ServiceManagementReference *string                            `json:"serviceManagementReference"`
	SignInAudience             string                             `json:"signInAudience"`
	Tags                       odata.List[string]                 `json:"tags"`
	UniqueName                 *string                            `json:"uniqueName"`
	API                        apiApplication                     `json:"api"`
	AppRoles                   odata.List[appRole]                `json:"appRoles"`
	KeyCredentials             odata.List[keyCredential]          `json:"keyCredentials"`
	OptionalClaims             *optionalClaims                    `json:"optionalClaims"`
	PasswordCredentials        odata.List[passwordCredential]     `json:"passwordCredentials"`
	PublicClient               publicClientApplication            `json:"publicClient"`
	RequiredResourceAccess     odata.List[requiredResourceAccess] `json:"requiredResourceAccess"`
	SPA                        spaApplication                     `json:"spa"`
	Web                        webApplication                     `json:"web"`

	blueprint bool
}

func (doc application) odataType() string {
	if doc.blueprint {
		return blueprintType
	}
	return ""
}

func (doc *application) isMultitenant() bool { return doc.SignInAudience != "AzureADMyOrg" }

type apiApplication struct {
	AcceptMappedClaims          *bool                                `json:"acceptMappedClaims"`
	KnownClientApplications     odata.List[string]                   `json:"knownClientApplications"`
	OAuth2PermissionScopes      odata.List[permissionScope]          `json:"oauth2PermissionScopes"`
	PreAuthorizedApplications   odata.List[preAuthorizedApplication] `json:"preAuthorizedApplications"`
	RequestedAccessTokenVersion *int                                 `json:"requestedAccessTokenVersion"`
}

type permissionScope struct {
	AdminConsentDescription *string `json:"adminConsentDescription"`
	AdminConsentDisplayName *string `json:"adminConsentDisplayName"`
	ID                      string  `json:"id"`
	IsEnabled               bool    `json:"isEnabled"`
	Type                    string  `json:"type"` // User, or Admin: only administrators can consent
	UserConsentDescription  *string `json:"userConsentDescription"`
	UserConsentDisplayName  *string `json:"userConsentDisplayName"`
	Value                   string  `json:"value"`
}

type preAuthorizedApplication struct {
	AppID                  string             `json:"appId"`
	DelegatedPermissionIDs odata.List[string] `json:"delegatedPermissionIds"`
}

type appRole struct {
	AllowedMemberTypes odata.List[string] `json:"allowedMemberTypes"`
	Description        *string            `json:"description"`
	DisplayName        *string            `json:"displayName"`
	ID                 string             `json:"id"`
	IsEnabled          bool               `json:"isEnabled"`
	Origin             *string            `json:"origin"`
	Value              string             `json:"value"`
}

type requiredResourceAccess struct {
	ResourceAppID  string                     `json:"resourceAppId"`
	ResourceAccess odata.List[resourceAccess] `json:"resourceAccess"`
}

type resourceAccess struct {
	ID   string `json:"id"`
	Type string `json:"type"` // Scope or Role
}

type webApplication struct {
	HomePageURL           *string                         `json:"homePageUrl"`
	LogoutURL             *string                         `json:"logoutUrl"`
	RedirectURIs          odata.List[string]              `json:"redirectUris"`
	ImplicitGrantSettings implicitGrantSettings           `json:"implicitGrantSettings"`
	RedirectURISettings   odata.List[redirectUriSettings] `json:"redirectUriSettings"`
}

type implicitGrantSettings struct {
	EnableAccessTokenIssuance bool `json:"enableAccessTokenIssuance"`
	EnableIDTokenIssuance     bool `json:"enableIdTokenIssuance"`
}

//nolint:revive // Graph's name
type redirectUriSettings struct {
	URI   string `json:"uri"`
	Index *int   `json:"index"`
}

type spaApplication struct {
	RedirectURIs odata.List[string] `json:"redirectUris"`
}

type publicClientApplication struct {
	RedirectURIs odata.List[string] `json:"redirectUris"`
}

type optionalClaims struct {
	IDToken     odata.List[optionalClaim] `json:"idToken"`
	AccessToken odata.List[optionalClaim] `json:"accessToken"`
	SAML2Token  odata.List[optionalClaim] `json:"saml2Token"`
}

type optionalClaim struct {
	Name                 string             `json:"name"`
	Source               *string            `json:"source"`
	Essential            bool               `json:"essential"`
	AdditionalProperties odata.List[string] `json:"additionalProperties"`
}

type passwordCredential struct {
	CustomKeyIdentifier *string    `json:"customKeyIdentifier"`
	DisplayName         *string    `json:"displayName"`
	EndDateTime         *time.Time `json:"endDateTime"`
	Hint                *string    `json:"hint"`
	KeyID               string     `json:"keyId"`
	SecretText          *string    `json:"secretText"`
	StartDateTime       *time.Time `json:"startDateTime"`
}

type keyCredential struct {
	CustomKeyIdentifier *string    `json:"customKeyIdentifier"`
	DisplayName         *string    `json:"displayName"`
	EndDateTime         *time.Time `json:"endDateTime"`
	Key                 *string    `json:"key"` // base64 of the certificate
	KeyID               string     `json:"keyId"`
	StartDateTime       *time.Time `json:"startDateTime"`
	Type                string     `json:"type"`
	Usage               string     `json:"usage"`
}

type federatedIdentityCredential struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Issuer      string             `json:"issuer"`
	Subject     string             `json:"subject"`
	Description *string            `json:"description"`
	Audiences   odata.List[string] `json:"audiences"`
}

type servicePrincipal struct {
	ID                        string                         `json:"id"`
	DeletedDateTime           *time.Time                     `json:"deletedDateTime"`
	AccountEnabled            bool                           `json:"accountEnabled"`
	AlternativeNames          odata.List[string]             `json:"alternativeNames"`
	AppDisplayName            *string                        `json:"appDisplayName"`
	AppID                     string                         `json:"appId"`
	AppOwnerOrganizationID    *string                        `json:"appOwnerOrganizationId"`
	AppRoleAssignmentRequired bool                           `json:"appRoleAssignmentRequired"`
	DisplayName               string                         `json:"displayName"`
	Homepage                  *string                        `json:"homepage"`
	Notes                     *string                        `json:"notes"`
	ReplyURLs                 odata.List[string]             `json:"replyUrls"`
	ServicePrincipalNames     odata.List[string]             `json:"servicePrincipalNames"`
	ServicePrincipalType      string                         `json:"servicePrincipalType"`
	SignInAudience            *string                        `json:"signInAudience"`
	Tags                      odata.List[string]             `json:"tags"`
	AppRoles                  odata.List[appRole]            `json:"appRoles"`
	KeyCredentials            odata.List[keyCredential]      `json:"keyCredentials"`
	OAuth2PermissionScopes    odata.List[permissionScope]    `json:"oauth2PermissionScopes"`
	PasswordCredentials       odata.List[passwordCredential] `json:"passwordCredentials"`

	kind string
}

func (principal servicePrincipal) odataType() string { return principal.kind }

type oAuth2PermissionGrant struct {
	ClientID    string  `json:"clientId"` // of the service principal
	ConsentType string  `json:"consentType"`
	ID          string  `json:"id"`
	PrincipalID *string `json:"principalId"`
	ResourceID  string  `json:"resourceId"` // of the service principal
	Scope       string  `json:"scope"`
}

type appRoleAssignment struct {
	ID                   string     `json:"id"`
	DeletedDateTime      *time.Time `json:"deletedDateTime"`
	AppRoleID            string     `json:"appRoleId"`
	CreatedDateTime      *time.Time `json:"createdDateTime"`
	PrincipalDisplayName *string    `json:"principalDisplayName"`
	PrincipalID          string     `json:"principalId"`
	PrincipalType        *string    `json:"principalType"`
	ResourceDisplayName  *string    `json:"resourceDisplayName"`
	ResourceID           string     `json:"resourceId"`
}

type organization struct {
	ID              string                     `json:"id"`
	DisplayName     string                     `json:"displayName"`
	VerifiedDomains odata.List[verifiedDomain] `json:"verifiedDomains"`
	CreatedDateTime *time.Time                 `json:"createdDateTime"`
	TenantType      *string                    `json:"tenantType"`
}

type verifiedDomain struct {
	Capabilities string `json:"capabilities"`
	IsDefault    bool   `json:"isDefault"`
	IsInitial    bool   `json:"isInitial"`
	Name         string `json:"name"`
	Type         string `json:"type"`
}

type directoryRole struct {
	ID              string     `json:"id"`
	DeletedDateTime *time.Time `json:"deletedDateTime"`
	Description     *string    `json:"description"`
	DisplayName     string     `json:"displayName"`
	RoleTemplateID  string     `json:"roleTemplateId"`
}

type tenantAppManagementPolicy struct {
	ID                           string                           `json:"id"`
	DisplayName                  string                           `json:"displayName"`
	Description                  string                           `json:"description"`
	IsEnabled                    bool                             `json:"isEnabled"`
	ApplicationRestrictions      appManagementApplicationSettings `json:"applicationRestrictions"`
	ServicePrincipalRestrictions appManagementConfiguration       `json:"servicePrincipalRestrictions"`
}

type appManagementConfiguration struct {
	PasswordCredentials odata.List[passwordCredentialConfiguration] `json:"passwordCredentials"`
	KeyCredentials      odata.List[struct{}]                        `json:"keyCredentials"`
}

// An appManagementApplicationSettings is Graph's appManagementApplicationConfiguration.
type appManagementApplicationSettings struct {
	appManagementConfiguration
	IdentifierURIs *identifierUriConfiguration `json:"identifierUris,omitempty"`
}

type passwordCredentialConfiguration struct {
	RestrictionType                     string     `json:"restrictionType"`
	MaxLifetime                         *string    `json:"maxLifetime"`
	RestrictForAppsCreatedAfterDateTime *time.Time `json:"restrictForAppsCreatedAfterDateTime"`
	State                               string     `json:"state"`
}

//nolint:revive // Graph's name
type identifierUriConfiguration struct {
	NonDefaultURIAddition *identifierUriRestriction `json:"nonDefaultUriAddition"`
	WithoutUniqueID       *identifierUriRestriction `json:"uriAdditionWithoutUniqueTenantIdentifier"`
}

//nolint:revive // Graph's name
type identifierUriRestriction struct {
	State                        string `json:"state"`
	ExcludeAppsReceivingV2Tokens bool   `json:"excludeAppsReceivingV2Tokens"`
	ExcludeSAML                  bool   `json:"excludeSaml"`
}
