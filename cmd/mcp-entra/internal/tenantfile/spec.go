// Package tenantfile reads the YAML file of "mcp-entra tenant" and starts the tenants that it
// describes.
package tenantfile

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
)

// Starter is a commented file: the tenant that runs without a file.
//
//go:embed starter.yaml
var Starter []byte

// A Spec is a file.
type Spec struct {
	Tenants []TenantSpec `yaml:"tenants"`
	Clock   ClockSpec    `yaml:"clock"`
}

// A ClockSpec is the clock of all tenants: it starts at a time, or runs ahead of the machine's or
// behind it.
type ClockSpec struct {
	Start  time.Time     `yaml:"start"`
	Offset time.Duration `yaml:"offset"`
}

// A TenantSpec is a tenant. Other entries refer to its parts by name.
type TenantSpec struct {
	Name              string         `yaml:"name"`
	ID                string         `yaml:"id"` // derived from the name if empty, as are all ids
	TokenLifetime     time.Duration  `yaml:"tokenLifetime"`
	ConsentPolicy     string         `yaml:"consentPolicy"`
	Apps              []AppSpec      `yaml:"apps"`
	Users             []UserSpec     `yaml:"users"`
	Groups            []GroupSpec    `yaml:"groups"`
	ManagedIdentities []IdentitySpec `yaml:"managedIdentities"`
	Clusters          []ClusterSpec  `yaml:"clusters"`
	Consents          []ConsentSpec  `yaml:"consents"`
	ConditionalAccess []AccessSpec   `yaml:"conditionalAccess"`
	Directory         DirectorySpec  `yaml:"directory"`
	Faults            []FaultSpec    `yaml:"faults"`
}

// An AppSpec is an app registration.
type AppSpec struct {
	Name                 string              `yaml:"name"`
	ClientID             string              `yaml:"clientId"`
	ObjectID             string              `yaml:"objectId"` // of its service principal
	AppIDURIs            []string            `yaml:"appIdUris"`
	TokenVersion         int                 `yaml:"tokenVersion"` // 1 if 0, as in Entra
	Scopes               []string            `yaml:"scopes"`
	AdminScopes          []string            `yaml:"adminScopes"`
	Roles                []string            `yaml:"roles"`
	AssignedRoles        map[string][]string `yaml:"assignedRoles"` // by the app that offers them
	Public               bool                `yaml:"public"`
	Redirects            RedirectSpec        `yaml:"redirects"`
	Secrets              []SecretSpec        `yaml:"secrets"`
	Certificates         []string            `yaml:"certificates"` // PEM files
	FederatedCredentials []FederatedSpec     `yaml:"federatedCredentials"`
	OptionalClaims       []string            `yaml:"optionalClaims"`
	GroupClaims          bool                `yaml:"groupClaims"`
	KnownClients         []string            `yaml:"knownClients"`
	Permissions          []PermissionSpec    `yaml:"permissions"`
	OwnSigningKey        bool                `yaml:"ownSigningKey"`
	Kind                 string              `yaml:"kind"`        // blueprint, agent or agent-client; others have none
	Blueprint            string              `yaml:"blueprint"`   // an agent's
	Inheritable          []PermissionSpec    `yaml:"inheritable"` // of a blueprint; all scopes if it names none
}

// A RedirectSpec is an app's redirect URIs by platform.
type RedirectSpec struct {
	Web     []string `yaml:"web"`
	SPA     []string `yaml:"spa"`
	Desktop []string `yaml:"desktop"`
}

// A SecretSpec is a client secret: a value, or a file that is read or, if it is missing, made.
type SecretSpec struct {
	Value   string    `yaml:"value"`
	File    string    `yaml:"file"`
	Expires time.Time `yaml:"expires"`
}

// A FederatedSpec is a federated credential: of a managed identity, of a cluster, or of any issuer
// whose public key is in a PEM file.
type FederatedSpec struct {
	ManagedIdentity string `yaml:"managedIdentity"`
	Cluster         string `yaml:"cluster"`
	Issuer          string `yaml:"issuer"`
	PublicKey       string `yaml:"publicKey"`
	KeyID           string `yaml:"keyId"`
	Subject         string `yaml:"subject"`
	Audience        string `yaml:"audience"`
}

// A PermissionSpec is a delegated permission that an app's registration lists.
type PermissionSpec struct {
	Resource string   `yaml:"resource"`
	Scopes   []string `yaml:"scopes"`
}

// A UserSpec is a user.
type UserSpec struct {
	UPN           string              `yaml:"upn"`
	Name          string              `yaml:"name"`
	Email         string              `yaml:"email"`
	ObjectID      string              `yaml:"objectId"`
	Admin         bool                `yaml:"admin"`
	Disabled      bool                `yaml:"disabled"`
	Roles         []string            `yaml:"directoryRoles"` // such as Application Developer
	Groups        []string            `yaml:"groups"`
	AssignedRoles map[string][]string `yaml:"assignedRoles"`
	Agent         string              `yaml:"agent"` // whose agent user it is
}

// A GroupSpec is a security group.
type GroupSpec struct {
	Name     string `yaml:"name"`
	ObjectID string `yaml:"objectId"`
}

// An IdentitySpec is a user-assigned managed identity.
type IdentitySpec struct {
	Name          string              `yaml:"name"`
	ClientID      string              `yaml:"clientId"`
	ObjectID      string              `yaml:"objectId"`
	AssignedRoles map[string][]string `yaml:"assignedRoles"`
}

// A ClusterSpec is a Kubernetes cluster that issues tokens for federated credentials.
type ClusterSpec struct {
	Name string `yaml:"name"`
}

// A ConsentSpec is consent for everyone or, with a user, theirs.
type ConsentSpec struct {
	Client   string   `yaml:"client"`
	Resource string   `yaml:"resource"`
	Scopes   []string `yaml:"scopes"` // all that the resource offers if empty
	User     string   `yaml:"user"`
}

// An AccessSpec is a conditional access policy: mfa, block, or an authentication context such as c1.
type AccessSpec struct {
	Resource string `yaml:"resource"`
	Require  string `yaml:"require"`
}

// A DirectorySpec is what Microsoft Graph allows of those who register apps, see
// [entratest.AppPolicy].
type DirectorySpec struct {
	Domains                []string `yaml:"domains"` // verified ones
	UsersMayNotRegister    bool     `yaml:"usersMayNotRegister"`
	UniqueTenantIdentifier bool     `yaml:"uniqueTenantIdentifier"`
	OnlyDefaultURIs        bool     `yaml:"onlyDefaultUris"`
	ExcludeV2              bool     `yaml:"excludeV2"`
	NoPasswords            bool     `yaml:"noPasswords"`
	LoopbackURIs           bool     `yaml:"loopbackUris"`
}

// A FaultSpec is a fault of an endpoint, as in [entratest.Fault].
type FaultSpec struct {
	Endpoint    string        `yaml:"endpoint"`
	Client      string        `yaml:"client"`
	User        string        `yaml:"user"`
	Method      string        `yaml:"method"`
	Skip        int           `yaml:"skip"`
	Times       int           `yaml:"times"`
	Delay       time.Duration `yaml:"delay"`
	Drop        bool          `yaml:"drop"`
	LoseAnswer  bool          `yaml:"loseAnswer"`
	CutAfter    int           `yaml:"cutAfter"`
	StallAfter  int           `yaml:"stallAfter"`
	Status      int           `yaml:"status"`
	AADSTS      int           `yaml:"aadsts"`
	GraphCode   string        `yaml:"graphCode"`
	Suberror    string        `yaml:"suberror"`
	Claims      string        `yaml:"claims"`
	Body        string        `yaml:"body"`
	ContentType string        `yaml:"contentType"`
	RetryAfter  time.Duration `yaml:"retryAfter"`
}

// Read reads a file. It reports all faults at once, each with its line. Paths in the file are not
// opened.
func Read(data []byte) (*Spec, error) {
	var s Spec
	c, err := yamlfile.Decode(data, &s)
	if err != nil {
		return nil, err
	}
	s.fill()
	s.check(c)
	if err := c.Err(); err != nil {
		return nil, err
	}
	return &s, nil
}

// fill derives the ids that the file leaves out from names, so that the same file has the same
// ids in every run.
func (s *Spec) fill() {
	for i := range s.Tenants {
		t := &s.Tenants[i]
		derive(&t.ID, "tenant", t.Name)
		for i := range t.Apps {
			a := &t.Apps[i]
			derive(&a.ClientID, "app", t.ID, a.Name)
			if a.isAgent() { // has one ID
				a.ObjectID, a.Public = cmp.Or(a.ObjectID, a.ClientID), a.Public || a.Kind == kindAgentClient
			}
			derive(&a.ObjectID, "service principal", t.ID, a.Name)
			if len(a.AppIDURIs) == 0 && !a.Public && !a.isAgent() {
				a.AppIDURIs = []string{"api://" + strings.ToLower(a.ClientID)}
			}
		}
		for i := range t.Users {
			derive(&t.Users[i].ObjectID, "user", t.ID, strings.ToLower(t.Users[i].UPN))
		}
		for i := range t.Groups {
			derive(&t.Groups[i].ObjectID, "group", t.ID, t.Groups[i].Name)
		}
		for i := range t.ManagedIdentities {
			m := &t.ManagedIdentities[i]
			derive(&m.ClientID, "managed identity", t.ID, m.Name)
			derive(&m.ObjectID, "principal", t.ID, m.Name)
		}
	}
}

// derive sets an id that is empty to a GUID made of names. It says that it is random (version 4 of
// RFC 9562), as Entra's do, because some libraries know no others.
func derive(id *string, names ...string) {
	if *id != "" {
		return
	}
	sum := sha256.Sum256([]byte("entratest\x00" + strings.Join(names, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	*id = strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
