package tenantcontrol

import (
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// An Info says what runs, for people and scripts. It has no secrets but the managed identities'
// header, which only local code can use.
type Info struct {
	AuthorityHost string       `json:"authorityHost"`
	CA            string       `json:"ca,omitempty"` // a PEM file
	Page          string       `json:"page"`
	Control       string       `json:"control"`
	KeyFile       string       `json:"keyFile"`
	PID           int          `json:"pid"`
	Tenants       []TenantInfo `json:"tenants"`
}

// A TenantInfo is a tenant.
type TenantInfo struct {
	Name             string        `json:"name"`
	ID               string        `json:"id"`
	Authority        string        `json:"authority"` // for MSAL
	Issuer           string        `json:"issuer"`    // of v2 tokens
	Metadata         string        `json:"metadata"`
	IdentityEndpoint string        `json:"identityEndpoint,omitempty"`
	IdentityHeader   string        `json:"identityHeader,omitempty"`
	Apps             []AppInfo     `json:"apps"`
	Users            []UserInfo    `json:"users"`
	Identities       []IdentInfo   `json:"managedIdentities,omitempty"`
	Clusters         []ClusterInfo `json:"clusters,omitempty"`
}

// An AppInfo is an app of the file.
type AppInfo struct {
	Name     string   `json:"name"`
	ClientID string   `json:"clientId"`
	Public   bool     `json:"public"`
	Kind     string   `json:"kind,omitempty"`      // blueprint or agent, for Microsoft Entra Agent ID
	Parent   string   `json:"blueprint,omitempty"` // an agent's blueprint, by name; none if it is a public client
	URIs     []string `json:"appIdUris,omitempty"`
	Scopes   []string `json:"scopes,omitempty"` // in full, as clients request them, with the first App ID URI
}

// A UserInfo is a user.
type UserInfo struct {
	UPN      string `json:"upn"`
	Name     string `json:"name"`
	ObjectID string `json:"objectId"`
	Admin    bool   `json:"admin"`
	Disabled bool   `json:"disabled"`
	Agent    string `json:"agent,omitempty"` // whose agent user it is, by name
}

// An IdentInfo is a managed identity.
type IdentInfo struct {
	Name     string `json:"name"`
	ClientID string `json:"clientId"`
	ObjectID string `json:"objectId"`
}

// A ClusterInfo is a cluster.
type ClusterInfo struct {
	Name   string `json:"name"`
	Issuer string `json:"issuer"`
}

// Describe returns what runs. Page, control endpoint and files are the caller's to fill in.
func Describe(w *tenantfile.World) Info {
	info := Info{AuthorityHost: w.Tenants[0].AuthorityHost()}
	for _, t := range w.Tenants {
		info.Tenants = append(info.Tenants, describe(t))
	}
	return info
}

func describe(t *tenantfile.Tenant) TenantInfo {
	info := TenantInfo{
		Name: t.Name, ID: t.ID(), Authority: t.AuthorityHost() + "/" + t.ID(),
		Issuer: t.V2Issuer(), Metadata: t.V2Issuer() + "/.well-known/openid-configuration",
		Clusters: clusters(t),
	}
	for _, r := range t.Registrations() {
		if r.Microsoft {
			continue
		}
		a := AppInfo{Name: r.Name, ClientID: r.ClientID, Public: r.Public, URIs: r.AppIDURIs}
		switch {
		case r.Blueprint:
			a.Kind = "blueprint"
		case r.Parent != nil:
			a.Kind = "agent"
			if r.Parent != r.App {
				a.Parent = r.Parent.Name
			}
		}
		prefix := r.ClientID
		if len(r.AppIDURIs) > 0 {
			prefix = r.AppIDURIs[0]
		}
		for _, scope := range r.Scopes {
			a.Scopes = append(a.Scopes, prefix+"/"+scope)
		}
		info.Apps = append(info.Apps, a)
	}
	agents := map[string]string{}
	for _, user := range t.Spec.Users {
		agents[user.UPN] = user.Agent
	}
	for _, user := range t.Users() {
		info.Users = append(info.Users, UserInfo{user.UserPrincipalName, user.DisplayName, user.ObjectID, user.Administrator, user.Disabled, agents[user.UserPrincipalName]})
	}
	for _, m := range t.Spec.ManagedIdentities {
		info.Identities = append(info.Identities, IdentInfo{m.Name, m.ClientID, m.ObjectID})
	}
	if len(info.Identities) > 0 {
		info.IdentityEndpoint, info.IdentityHeader = t.ManagedIdentityEndpoint()
	}
	return info
}

func clusters(t *tenantfile.Tenant) []ClusterInfo {
	var all []ClusterInfo
	for _, c := range t.Spec.Clusters {
		all = append(all, ClusterInfo{c.Name, t.ClusterURL(c.Name)})
	}
	return all
}
