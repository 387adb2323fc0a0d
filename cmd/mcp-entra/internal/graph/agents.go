package graph

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Blueprint, BlueprintPrincipal and AgentIdentity are the types of Microsoft Entra Agent ID. In paths, they follow
// the object or collection that they narrow.
const (
	Blueprint          = "/microsoft.graph.agentIdentityBlueprint"
	BlueprintPrincipal = "/microsoft.graph.agentIdentityBlueprintPrincipal"
	Agent              = "/microsoft.graph.agentIdentity"
)

// EnumeratedScopes is the type of inheritable scopes that are listed one by one.
const EnumeratedScopes = "microsoft.graph.enumeratedScopes"

// codeNoBlueprintPrincipal refuses an agent identity whose blueprint has no principal (yet).
const codeNoBlueprintPrincipal = "AgentIdentity_AgentBlueprintPrincipalDoesNotExist"

// isType compares a value of @odata.type, which has a # in front in some answers.
func isType(value, name string) bool {
	return strings.EqualFold(strings.TrimPrefix(value, "#"), "microsoft.graph."+name)
}

// An AgentIdentity is a service principal without an application, a child of a blueprint. Its ID is its client
// ID, too.
type AgentIdentity struct {
	ID              string    `json:"id,omitempty"`
	DisplayName     string    `json:"displayName"`
	BlueprintID     string    `json:"agentIdentityBlueprintId"` // the blueprint's client ID
	AccountEnabled  *bool     `json:"accountEnabled,omitempty"`
	CreatedDateTime time.Time `json:"createdDateTime,omitzero"`
}

// An InheritablePermission says which delegated permissions of a resource the blueprint's children inherit, as far as
// they are granted to the blueprint's principal.
type InheritablePermission struct {
	ResourceAppID string            `json:"resourceAppId"`
	Scopes        InheritableScopes `json:"inheritableScopes"`
}

// InheritableScopes are some scopes of the resource, or all.
type InheritableScopes struct {
	Type   string   `json:"@odata.type"`
	Scopes []string `json:"scopes,omitempty"`
}

// All reports whether each scope that is granted is inherited.
func (s InheritableScopes) All() bool { return isType(s.Type, "allAllowedScopes") }

// AgentIdentities lists the children of the blueprint with this client ID, the oldest first.
func (c *Client) AgentIdentities(ctx context.Context, blueprintAppID string) ([]AgentIdentity, error) {
	all, err := list[AgentIdentity](ctx, c, "/servicePrincipals"+Agent+"?$filter="+url.QueryEscape("agentIdentityBlueprintId eq "+literal(blueprintAppID)))
	slices.SortStableFunc(all, func(a, b AgentIdentity) int { return a.CreatedDateTime.Compare(b.CreatedDateTime) })
	return all, err
}

// InheritablePermissions lists the inheritable permissions of the blueprint with this object ID.
func (c *Client) InheritablePermissions(ctx context.Context, blueprint string) ([]InheritablePermission, error) {
	return list[InheritablePermission](ctx, c, "/applications/"+quote(blueprint)+Blueprint+"/inheritablePermissions")
}
