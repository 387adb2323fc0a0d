package graph

import (
	"context"
	"net/url"
	"strings"
)

// applicationMembers are what Application has, for $select.
const applicationMembers = "id,appId,uniqueName,displayName,signInAudience,tags,identifierUris,api,appRoles,optionalClaims," +
	"requiredResourceAccess,publicClient,web,spa,isFallbackPublicClient,passwordCredentials,keyCredentials"

// ByUniqueName and ByAppID are the alternate keys in paths: /applications(uniqueName='N').
func ByUniqueName(name string) string { return "/applications(uniqueName='" + quote(name) + "')" }

// ApplicationByAppID is the path of the application with this client ID.
func ApplicationByAppID(id string) string { return "/applications(appId='" + quote(id) + "')" }

// PrincipalByAppID is the path of the application's service principal.
func PrincipalByAppID(id string) string { return "/servicePrincipals(appId='" + quote(id) + "')" }

// quote escapes a string literal of OData in a path.
func quote(s string) string { return url.PathEscape(strings.ReplaceAll(s, "'", "''")) }

// literal is a string literal of OData in a query.
func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Application reads the application at the path, which is one of the above or /applications/{id}.
// Its certificates are complete: Graph returns a certificate's key only where keyCredentials is
// selected on one object.
func (c *Client) Application(ctx context.Context, path string) (Application, error) {
	var a Application
	err := c.Get(ctx, path+"?$select="+applicationMembers, &a)
	return a, err
}

// ApplicationsWhere lists the applications that a filter finds. The search is eventually consistent:
// it can miss what was just made.
func (c *Client) ApplicationsWhere(ctx context.Context, filter string) ([]Application, error) {
	return list[Application](ctx, c, "/applications?$select=id,appId,uniqueName,displayName,tags,identifierUris&$filter="+url.QueryEscape(filter))
}

// ApplicationsNamed lists the applications with this display name.
func (c *Client) ApplicationsNamed(ctx context.Context, name string) ([]Application, error) {
	return c.ApplicationsWhere(ctx, "displayName eq "+literal(name))
}

// ApplicationsWithURI lists the applications with this App ID URI: one or none.
func (c *Client) ApplicationsWithURI(ctx context.Context, uri string) ([]Application, error) {
	return c.ApplicationsWhere(ctx, "identifierUris/any(u:u eq "+literal(uri)+")")
}

// DeletedApplications lists the applications deleted in the last 30 days, which hold their names
// and App ID URIs.
func (c *Client) DeletedApplications(ctx context.Context) ([]Application, error) {
	return list[Application](ctx, c, "/directory/deletedItems/microsoft.graph.application")
}

// ServicePrincipal reads the service principal of an application in this tenant.
func (c *Client) ServicePrincipal(ctx context.Context, appID string) (ServicePrincipal, error) {
	var p ServicePrincipal
	err := c.Get(ctx, PrincipalByAppID(appID)+"?$select=id,appId,displayName,accountEnabled,servicePrincipalType,"+
		"appRoleAssignmentRequired,servicePrincipalNames,oauth2PermissionScopes,appRoles", &p)
	return p, err
}

// ServicePrincipalsNamed lists the service principals with this name: an App ID URI or client ID.
func (c *Client) ServicePrincipalsNamed(ctx context.Context, name string) ([]ServicePrincipal, error) {
	return list[ServicePrincipal](ctx, c, "/servicePrincipals?$select=id,appId,displayName,oauth2PermissionScopes,appRoles,servicePrincipalNames&$filter="+
		url.QueryEscape("servicePrincipalNames/any(n:n eq "+literal(name)+")"))
}

// PermissionGrants lists the grants to a client, or of a resource: field is clientId or resourceId,
// and id a service principal's object ID.
func (c *Client) PermissionGrants(ctx context.Context, field, id string) ([]PermissionGrant, error) {
	return list[PermissionGrant](ctx, c, "/oauth2PermissionGrants?$filter="+url.QueryEscape(field+" eq "+literal(id)))
}

// AppRoleAssignments lists who has roles of a resource.
func (c *Client) AppRoleAssignments(ctx context.Context, principal string) ([]AppRoleAssignment, error) {
	return list[AppRoleAssignment](ctx, c, "/servicePrincipals/"+quote(principal)+"/appRoleAssignedTo")
}

// FederatedCredentials lists an application's federated credentials.
func (c *Client) FederatedCredentials(ctx context.Context, application string) ([]FederatedCredential, error) {
	return list[FederatedCredential](ctx, c, "/applications/"+quote(application)+"/federatedIdentityCredentials")
}

// Organization reads the tenant of the sign-in.
func (c *Client) Organization(ctx context.Context) (Organization, error) {
	all, err := list[Organization](ctx, c, "/organization?$select=id,displayName,verifiedDomains")
	if err != nil || len(all) == 0 {
		return Organization{}, err
	}
	return all[0], nil
}

// Me reads who is signed in. An application that signs in as itself has no such object.
func (c *Client) Me(ctx context.Context) (User, error) {
	var u User
	err := c.Get(ctx, "/me", &u)
	return u, err
}

// MyRoles lists the names of the directory roles of who is signed in.
func (c *Client) MyRoles(ctx context.Context) ([]string, error) {
	roles, err := list[struct {
		DisplayName string `json:"displayName"`
	}](ctx, c, "/me/transitiveMemberOf/microsoft.graph.directoryRole?$select=displayName")
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.DisplayName
	}
	return names, err
}

// AppPolicy reads the tenant's policy for applications.
func (c *Client) AppPolicy(ctx context.Context) (AppPolicy, error) {
	var p AppPolicy
	err := c.Get(ctx, "/policies/defaultAppManagementPolicy", &p)
	return p, err
}
