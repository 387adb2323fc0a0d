// Package setup registers an MCP server and its clients with Microsoft Entra ID.
//
// A [Spec] is what the operator asks for. It becomes a desired [State], which is compared with the state of
// the tenant; the difference is a [Plan]: an ordered list of requests to Microsoft Graph, as data.
// The same list is shown, saved, printed as a script, and applied.
package setup

import "github.com/mcpentra/mcp-entra-go/internal/knownclients"

// A Spec is what the operator wants: the content of the YAML file. It never holds a secret.
type Spec struct {
	Name        string `json:"name"`                  // the API's unique name in the tenant; client apps are NAME-public, NAME-web, NAME-spa
	DisplayName string `json:"displayName,omitempty"` // what users see; "" means Name
	Tenant      string `json:"tenant,omitempty"`      // tenant ID, which the sign-in must be for; "" means that of the sign-in
	Cloud       string `json:"cloud"`                 // public, usgov or china
	MultiTenant bool   `json:"multiTenant,omitempty"` // users of other tenants, too (audience: multiple)
	Adopt       string `json:"adopt,omitempty"`       // client ID of an existing application that becomes the API

	Servers   []string   `json:"servers"`             // the MCP endpoint's URLs, exactly as clients use them
	Landing   []string   `json:"landing,omitempty"`   // pages where a consent ends; nil means /consent/done beside each server
	Resources []Resource `json:"resources,omitempty"` // what the server calls as its user
	Clients   []Client   `json:"clients,omitempty"`
	Scopes    []Scope    `json:"scopes,omitempty"` // besides access_as_user
	Roles     []Role     `json:"roles,omitempty"`
	Proof     Proof      `json:"proof,omitzero"`
	Agents    []string   `json:"agents,omitempty"`    // display names of agent identities: then the API is a blueprint
	Sponsor   string     `json:"sponsor,omitempty"`   // object ID of the user who answers for them
	AuthProxy string     `json:"authProxy,omitempty"` // clients sign in through the server's proxy, whose application is the API's (api) or one of its own (own)
	Exclusive bool       `json:"exclusive,omitempty"` // removes what others added
}

// A Resource is an API that the server calls on behalf of its users.
type Resource struct {
	Name   string   `json:"name"`            // storage, keyvault, graph, arm, or the App ID URI
	AppID  string   `json:"appId,omitempty"` // its client ID; "" where only the tenant knows it
	Scopes []string `json:"scopes"`          // delegated permissions, by value
}

// A Client is an MCP client: a known one by its id, or one of the operator's own.
type Client struct {
	ID         string                `json:"id"`                 // a known client's, or the operator's name for it
	Platform   knownclients.Platform `json:"platform,omitempty"` // of its redirects; "" for those that are pre-authorized only
	Redirects  []string              `json:"redirects,omitempty"`
	DeviceCode bool                  `json:"deviceCode,omitempty"` // signs in with a device code
	AppID      string                `json:"appId,omitempty"`      // pre-authorized, with a registration that isn't ours
}

// A Scope is a delegated permission of the API, besides access_as_user.
type Scope struct {
	Name        string `json:"name"`                  // as in the token's scp claim
	Description string `json:"description,omitempty"` // on the consent page; "" means Name
	Admin       bool   `json:"admin,omitempty"`       // only administrators may consent
}

// A Role is an app role of the API.
type Role struct {
	Value        string   `json:"value"`                 // as in the token's roles claim
	Description  string   `json:"description,omitempty"` // "" means Value
	Users        bool     `json:"users,omitempty"`       // for users and groups
	Applications bool     `json:"applications,omitempty"`
	Assign       []string `json:"assign,omitempty"` // object IDs of users, groups and service principals
}

// Proof is how the API proves to Entra that it is the application. An app may have several:
// a secret on a laptop, a managed identity in Azure.
type Proof struct {
	ManagedIdentity string            `json:"managedIdentity,omitempty"` // client ID of a user-assigned identity
	Workload        *WorkloadIdentity `json:"workload,omitempty"`
	Certificate     string            `json:"certificate,omitempty"` // PEM file with the certificate; its private key is not read
	Secret          bool              `json:"secret,omitempty"`
}

// A WorkloadIdentity is a Kubernetes service account.
type WorkloadIdentity struct {
	Issuer         string `json:"issuer"` // the cluster's OIDC issuer, as it is
	Namespace      string `json:"namespace"`
	ServiceAccount string `json:"serviceAccount"`
}

// Subject returns the subject of the service account's tokens.
func (w *WorkloadIdentity) Subject() string {
	return "system:serviceaccount:" + w.Namespace + ":" + w.ServiceAccount
}
