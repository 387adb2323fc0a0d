package entratest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The routes of what the directory says about the tenant and its people.
var tenantRoutes = []graphRoute{
	{http.MethodGet, "me", mayReadSelf, (*graphCall).getMe},
	{http.MethodGet, "me/memberOf/microsoft.graph.directoryRole", mayReadSelf, (*graphCall).getMyRoles},
	{http.MethodGet, "me/transitiveMemberOf/microsoft.graph.directoryRole", mayReadSelf, (*graphCall).getMyRoles},
	{http.MethodGet, "users/{}", mayReadAll, (*graphCall).getUser},
	{http.MethodGet, "groups", mayReadAll, (*graphCall).listGroups},
	{http.MethodGet, "organization", mayReadOrganization, (*graphCall).getOrganization},
	{http.MethodGet, "policies/defaultAppManagementPolicy", mayReadPolicy, (*graphCall).getPolicy},
}

// A graphUser has members of Graph's type user.
type graphUser struct {
	DisplayName       string  `json:"displayName"`
	Mail              *string `json:"mail"`
	UserPrincipalName string  `json:"userPrincipalName"`
	ID                string  `json:"id"`
}

func (c *graphCall) getMe() (graphResult, *graphFault) {
	if c.caller.user == nil {
		return graphResult{}, notFound(c.caller.objectID)
	}
	return c.user(c.caller.user)
}

func (c *graphCall) getUser() (graphResult, *graphFault) {
	for _, user := range c.t.users {
		if key := c.keys[0].Text; strings.EqualFold(key, user.ObjectID) || strings.EqualFold(key, user.UserPrincipalName) {
			return c.user(user)
		}
	}
	return graphResult{}, notFound(c.keys[0].Text)
}

func (c *graphCall) user(user *User) (graphResult, *graphFault) {
	answer := graphUser{DisplayName: user.DisplayName, UserPrincipalName: user.UserPrincipalName, ID: user.ObjectID}
	if user.Email != "" {
		answer.Mail = &user.Email
	}
	return c.entity(http.StatusOK, "users", answer)
}

// getMyRoles answers with the caller's roles in the directory.
func (c *graphCall) getMyRoles() (graphResult, *graphFault) {
	if c.caller.user == nil {
		return graphResult{}, notFound(c.caller.objectID)
	}
	var roles []directoryRole
	for _, role := range c.caller.user.roles() {
		roles = append(roles, directoryRole{ID: derivedID(c.t.id, string(role)), DisplayName: string(role), RoleTemplateID: roleTemplates[role]})
	}
	return list(c, "directoryRoles", roles, "roleTemplateId", "displayName")
}

// A graphGroup has members of Graph's type group.
type graphGroup struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
}

func (c *graphCall) listGroups() (graphResult, *graphFault) {
	var groups []graphGroup
	for _, group := range c.t.groups {
		groups = append(groups, graphGroup{group.ObjectID, group.Name})
	}
	return list(c, "groups", groups, "displayName")
}

// getOrganization answers with the tenant. Without more than User.Read, the caller sees three
// members.
func (c *graphCall) getOrganization() (graphResult, *graphFault) {
	answer := organization{ID: c.t.id, DisplayName: "entratest"}
	if !c.caller.lacks(mayReadAll) {
		kind := "AAD"
		answer.TenantType = &kind
	}
	for i, name := range c.d.domains {
		answer.VerifiedDomains = append(answer.VerifiedDomains, verifiedDomain{
			Capabilities: "Email, OfficeCommunicationsOnline", IsDefault: i == len(c.d.domains)-1, IsInitial: i == 0, Name: name, Type: "Managed",
		})
	}
	return list(c, "organization", []organization{answer})
}

// getPolicy answers with the tenant's policy for applications.
func (c *graphCall) getPolicy() (graphResult, *graphFault) {
	p := c.d.policy
	answer := tenantAppManagementPolicy{
		ID: emptyGUID, DisplayName: "Default app management tenant policy",
		Description: "Default tenant policy that enforces app management restrictions on applications and service principals.",
		IsEnabled:   p != (AppPolicy{LoopbackURIs: p.LoopbackURIs}),
	}
	restrict := &answer.ApplicationRestrictions
	if p.NoPasswords {
		restrict.PasswordCredentials = append(restrict.PasswordCredentials, passwordCredentialConfiguration{RestrictionType: "passwordAddition", State: "enabled"})
	}
	if p.PasswordLifetime > 0 {
		longest := isoDuration(p.PasswordLifetime)
		restrict.PasswordCredentials = append(restrict.PasswordCredentials,
			passwordCredentialConfiguration{RestrictionType: "passwordLifetime", State: "enabled", MaxLifetime: &longest})
	}
	if p.UniqueTenantIdentifier || p.OnlyDefaultURIs {
		restrict.IdentifierURIs = &identifierUriConfiguration{restriction(p.OnlyDefaultURIs, p.ExcludeV2), restriction(p.UniqueTenantIdentifier, p.ExcludeV2)}
	}
	return c.entity(http.StatusOK, "policies/defaultAppManagementPolicy", answer)
}

func restriction(enabled, excludeV2 bool) *identifierUriRestriction {
	r := &identifierUriRestriction{State: "disabled", ExcludeAppsReceivingV2Tokens: excludeV2}
	if enabled {
		r.State = "enabled"
	}
	return r
}

// isoDuration formats a duration as Graph does (ISO 8601), in days or hours.
func isoDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d%day == 0 {
		return fmt.Sprintf("P%dD", d/day)
	}
	return fmt.Sprintf("PT%dH", d/time.Hour)
}
