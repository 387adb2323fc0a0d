package tenantfile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Tenant returns the tenant with the name or id; the first one if name is empty.
func (w *World) Tenant(name string) (*Tenant, error) {
	if name == "" {
		return w.Tenants[0], nil
	}
	var names []string
	for _, t := range w.Tenants {
		if t.Name == name || strings.EqualFold(t.ID(), name) {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, unknown("tenant", name, names)
}

// registration returns what an app is now.
func (t *Tenant) registration(app *entratest.App) entratest.Registration {
	all := t.Registrations()
	if i := slices.IndexFunc(all, func(r entratest.Registration) bool { return r.App == app }); i >= 0 {
		return all[i]
	}
	return entratest.Registration{}
}

// App returns the app with the name, client ID or App ID URI. Apps that were registered after the
// start, through Microsoft Graph, are found too.
func (t *Tenant) App(name string) (*entratest.App, error) {
	if app := t.apps[name]; app != nil {
		return app, nil
	}
	names := slices.Collect(maps.Keys(t.apps))
	for _, r := range t.Registrations() {
		if r.Name == name || strings.EqualFold(r.ClientID, name) || slices.Contains(r.AppIDURIs, name) {
			return r.App, nil
		}
		if !r.Microsoft && r.Name != "" {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return nil, unknown("app", name, slices.Compact(names))
}

// User returns the user with the user principal name, the part of it before the @, or the object
// id.
func (t *Tenant) User(name string) (*entratest.User, error) {
	var names []string
	for _, user := range t.Users() {
		local, _, _ := strings.Cut(user.UserPrincipalName, "@")
		if strings.EqualFold(user.UserPrincipalName, name) || strings.EqualFold(local, name) || strings.EqualFold(user.ObjectID, name) {
			return user, nil
		}
		names = append(names, local)
	}
	return nil, unknown("user", name, names)
}

// unknown is the error for a name that is not there. It does not repeat the name, which may be a
// secret.
func unknown(kind, name string, names []string) error {
	if near, ok := yamlfile.Nearest(name, names); ok {
		return fmt.Errorf("there is no such %s; the nearest is %s", kind, near)
	}
	return fmt.Errorf("there is no such %s; there are: %s", kind, strings.Join(names, ", "))
}

// Fault looks the fault's client and user up.
func (t *Tenant) Fault(f *FaultSpec) (entratest.Fault, error) {
	var clientID, userID string
	if f.Client != "" {
		app, err := t.App(f.Client)
		if err != nil {
			return entratest.Fault{}, err
		}
		clientID = app.ClientID
	}
	if f.User != "" {
		user, err := t.User(f.User)
		if err != nil {
			return entratest.Fault{}, err
		}
		userID = user.ObjectID
	}
	return f.fault(clientID, userID), nil
}

// A TokenRequest asks for a token without a sign-in. With a user, it is a client's on their
// behalf; without one, the client's own; with a cluster, one for a federated credential.
type TokenRequest struct {
	Tenant   string   `yaml:"tenant" json:"tenant,omitempty"`
	User     string   `yaml:"user" json:"user,omitempty"`
	Client   string   `yaml:"client" json:"client,omitempty"`
	API      string   `yaml:"api" json:"api,omitempty"`
	Scopes   []string `yaml:"scopes" json:"scopes,omitempty"` // all that the API offers if empty
	Cluster  string   `yaml:"cluster" json:"cluster,omitempty"`
	Subject  string   `yaml:"subject" json:"subject,omitempty"`
	Audience string   `yaml:"audience" json:"audience,omitempty"`
}

// Token returns the token. Neither consent nor conditional access policies are checked.
func (w *World) Token(r TokenRequest) (string, error) {
	t, err := w.Tenant(r.Tenant)
	if err != nil {
		return "", err
	}
	if r.Cluster != "" {
		return t.clusterToken(r)
	}
	client, err := t.App(r.Client)
	if err != nil {
		return "", fmt.Errorf("client: %w", err)
	}
	api, err := t.App(r.API)
	if err != nil {
		return "", fmt.Errorf("api: %w", err)
	}
	if from := t.registration(client); r.User == "" && from.Public {
		return "", fmt.Errorf("client: %s is a public client, which gets no token of its own; name a user", from.Name)
	}
	if r.User == "" {
		return t.AppToken(client, api), nil
	}
	user, err := t.User(r.User)
	if err != nil {
		return "", fmt.Errorf("user: %w", err)
	}
	offer := t.registration(api)
	if len(offer.Scopes) == 0 {
		return "", fmt.Errorf("api: %s offers no scopes, so no user's token is for it", offer.Name)
	}
	for _, scope := range r.Scopes {
		name := scope[strings.LastIndexByte(scope, '/')+1:]
		if !slices.Contains(offer.Scopes, name) {
			return "", fmt.Errorf("scopes: %w", unknown("scope of "+offer.Name, name, offer.Scopes))
		}
	}
	return t.Token(user, client, api, r.Scopes...), nil
}

func (t *Tenant) clusterToken(r TokenRequest) (string, error) {
	cluster := t.clusters[r.Cluster]
	switch {
	case cluster == nil:
		return "", unknown("cluster", r.Cluster, slices.Sorted(maps.Keys(t.clusters)))
	case r.Subject == "":
		return "", fmt.Errorf("subject: expected one such as system:serviceaccount:NAMESPACE:NAME")
	}
	return cluster.Token(r.Subject, cmp.Or(r.Audience, tokenExchange), nil), nil
}

// ClusterURL returns the issuer of a cluster of the file.
func (t *Tenant) ClusterURL(name string) string { return t.clusters[name].URL }
