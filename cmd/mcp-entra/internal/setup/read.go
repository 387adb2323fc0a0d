package setup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// A specFile is the YAML of a spec.
type specFile struct {
	Name        string         `yaml:"name"`
	DisplayName string         `yaml:"display-name"`
	Tenant      string         `yaml:"tenant"`
	Cloud       string         `yaml:"cloud"`
	Audience    string         `yaml:"audience"`
	Adopt       string         `yaml:"adopt"`
	Servers     []string       `yaml:"servers"`
	Landing     []string       `yaml:"landing"`
	Resources   []resourceItem `yaml:"resources"`
	Clients     []clientItem   `yaml:"clients"`
	Scopes      []scopeItem    `yaml:"scopes"`
	Roles       []roleItem     `yaml:"roles"`
	Proof       proofItem      `yaml:"proof"`
	Agents      []string       `yaml:"agents"`
	Sponsor     string         `yaml:"sponsor"`
	AuthProxy   string         `yaml:"auth-proxy"`
	Exclusive   bool           `yaml:"exclusive"`
}

type resourceItem struct{ yamlfile.Named }

// A clientItem is a known client by its name, with redirects, or one of the operator's own.
type clientItem struct {
	yamlfile.Named
	ID         string   `yaml:"name"`
	Platform   string   `yaml:"platform"`
	Redirects  []string `yaml:"redirects"`
	DeviceCode bool     `yaml:"device-code"`
	AppID      string   `yaml:"app-id"`
}

// A scopeItem is a scope by its name, or one with more.
type scopeItem struct {
	yamlfile.Named
	ID          string `yaml:"name"`
	Description string `yaml:"description"`
	Admin       bool   `yaml:"admin"`
}

type roleItem struct {
	Value       string   `yaml:"value"`
	Description string   `yaml:"description"`
	For         []string `yaml:"for"`
	Assign      []string `yaml:"assign"`
}

type proofItem struct {
	ManagedIdentity string        `yaml:"managed-identity"`
	Workload        *workloadItem `yaml:"workload-identity"`
	Certificate     string        `yaml:"certificate"`
	Secret          string        `yaml:"secret"` // a bool, which people take for the secret itself
}

type workloadItem struct {
	Issuer         string `yaml:"issuer"`
	Namespace      string `yaml:"namespace"`
	ServiceAccount string `yaml:"service-account"`
}

// Read reads a spec from YAML. The error has all that is wrong with it, with the file and lines.
func Read(file string, data []byte) (Spec, error) {
	var f specFile
	at, err := yamlfile.Decode(data, &f)
	if err != nil {
		return Spec{}, fmt.Errorf("%s:\n%w", file, err)
	}
	s := f.spec(at)
	err = at.Err()
	if err == nil {
		s.lowerIDs()
		err = errors.Join(s.check()...)
	}
	if err != nil {
		return Spec{}, fmt.Errorf("%s:\n%w", file, err)
	}
	return s, nil
}

// spec returns the spec. It reports what is wrong with single values at their places.
func (f *specFile) spec(at *yamlfile.Cursor) Spec {
	s := Spec{
		Name: f.Name, DisplayName: f.DisplayName, Tenant: f.Tenant, Cloud: cmp.Or(f.Cloud, "public"), MultiTenant: f.Audience == "multiple",
		Adopt: f.Adopt, Servers: f.Servers, Landing: f.Landing, AuthProxy: f.AuthProxy, Exclusive: f.Exclusive,
		Agents: f.Agents, Sponsor: f.Sponsor,
	}
	checkKey(at.Key("name"), f.Name, checkName)
	checkKey(at.Key("display-name"), f.DisplayName, checkText)
	checkKey(at.Key("tenant"), f.Tenant, checkID)
	checkKey(at.Key("cloud"), f.Cloud, checkCloud)
	checkKey(at.Key("audience"), f.Audience, checkAudience)
	checkKey(at.Key("adopt"), f.Adopt, checkID)
	checkKey(at.Key("auth-proxy"), f.AuthProxy, checkAuthProxy)
	checkKey(at.Key("sponsor"), f.Sponsor, checkID)
	checkItems(at.Key("agents"), f.Agents, checkText)
	checkItems(at.Key("servers"), f.Servers, checkServer)
	checkItems(at.Key("landing"), f.Landing, func(s string) error { return checkRedirect(s, knownclients.Web) })
	for i, item := range f.Resources {
		s.Resources = append(s.Resources, item.resource(at.Key("resources").Item(i)))
	}
	for i, item := range f.Clients {
		s.Clients = append(s.Clients, item.client(at.Key("clients").Item(i)))
	}
	for i, item := range f.Scopes {
		s.Scopes = append(s.Scopes, item.scope(at.Key("scopes").Item(i)))
	}
	for i, item := range f.Roles {
		s.Roles = append(s.Roles, item.role(at.Key("roles").Item(i)))
	}
	s.Proof = f.Proof.proof(at.Key("proof"))
	return s
}

// checkKey checks a value if its key is there, be it empty.
func checkKey(at *yamlfile.Cursor, value string, check func(string) error) {
	if at.Present() && !at.Faulty() {
		report(at, check(value))
	}
}

// checkItems checks each text of a list, which must not have one twice.
func checkItems(at *yamlfile.Cursor, values []string, check func(string) error) {
	if at.Faulty() {
		return
	}
	for i, value := range values {
		if slices.Contains(values[:i], value) {
			at.Item(i).Faultf("%s is there twice; keep one", shown(value))
			continue
		}
		report(at.Item(i), check(value))
	}
}

func report(at *yamlfile.Cursor, err error) {
	if err != nil {
		at.Faultf("%v", err)
	}
}

func checkAudience(s string) error {
	if s != "single" && s != "multiple" {
		return fmt.Errorf("is %s; use single (users of this tenant) or multiple (users of any tenant)", shown(s))
	}
	return nil
}

func (item resourceItem) resource(at *yamlfile.Cursor) Resource {
	if at.Faulty() {
		return Resource{}
	}
	if err := checkResource(item.Name); err != nil {
		report(at, err)
		return Resource{}
	}
	checkItems(at, item.Values, checkScope)
	r, err := resource(item.Name, item.Values)
	report(at, err)
	return r
}

func (item clientItem) client(at *yamlfile.Cursor) Client {
	if item.Name != "" {
		c, err := known(item.Name, item.Values)
		report(at, err)
		return c
	}
	if !at.Key("name").Present() && !at.Faulty() {
		at.Faultf("expected the name of a known client, or name, platform and redirects of one of your own")
		return Client{}
	}
	checkKey(at.Key("name"), item.ID, checkName)
	checkKey(at.Key("platform"), item.Platform, checkPlatform)
	checkItems(at.Key("redirects"), item.Redirects, checkPlain)
	checkKey(at.Key("app-id"), item.AppID, checkID)
	c := Client{ID: item.ID, Platform: platforms[item.Platform], Redirects: item.Redirects, DeviceCode: item.DeviceCode, AppID: item.AppID}
	if !at.Faulty() {
		report(at, c.check())
	}
	return c
}

func (item scopeItem) scope(at *yamlfile.Cursor) Scope {
	switch {
	case at.Faulty():
	case len(item.Values) > 0:
		at.Faultf("expected a scope's name, such as Files.Read, or name, description and admin")
	case item.Name != "":
		report(at, checkScope(item.Name))
	case item.ID == "":
		at.Faultf("a scope needs a name, such as Files.Read")
	}
	checkKey(at.Key("name"), item.ID, checkScope)
	checkKey(at.Key("description"), item.Description, checkText)
	return Scope{Name: cmp.Or(item.Name, item.ID), Description: item.Description, Admin: item.Admin}
}

func (item roleItem) role(at *yamlfile.Cursor) Role {
	if item.Value == "" && !at.Faulty() {
		at.Faultf("a role needs a value, such as Files.Admin")
	}
	checkKey(at.Key("value"), item.Value, checkScope)
	checkKey(at.Key("description"), item.Description, checkText)
	checkItems(at.Key("assign"), item.Assign, checkID)
	members := []string{"users"}
	if at.Key("for").Present() {
		members = item.For
		checkItems(at.Key("for"), members, checkMember)
	}
	return Role{
		Value: item.Value, Description: item.Description, Assign: item.Assign,
		Users: slices.Contains(members, "users"), Applications: slices.Contains(members, "applications"),
	}
}

func checkMember(s string) error {
	if s != "users" && s != "applications" {
		return fmt.Errorf("is %s; use users, applications, or both", shown(s))
	}
	return nil
}

func (item proofItem) proof(at *yamlfile.Cursor) Proof {
	checkKey(at.Key("managed-identity"), item.ManagedIdentity, checkID)
	checkKey(at.Key("certificate"), item.Certificate, checkPath)
	checkKey(at.Key("secret"), item.Secret, checkSecret)
	p := Proof{ManagedIdentity: item.ManagedIdentity, Certificate: item.Certificate, Secret: item.Secret == "true"}
	if w := item.Workload; w != nil {
		at = at.Key("workload-identity")
		checkKey(at.Key("issuer"), w.Issuer, checkIssuer)
		checkKey(at.Key("namespace"), w.Namespace, checkKubernetes)
		checkKey(at.Key("service-account"), w.ServiceAccount, checkKubernetes)
		p.Workload = &WorkloadIdentity{Issuer: w.Issuer, Namespace: w.Namespace, ServiceAccount: w.ServiceAccount}
	}
	return p
}

func checkSecret(s string) error {
	if s != "true" && s != "false" {
		return errors.New("must be true or false (its value is not shown: a secret never stands in this file; if one did, make a new one)")
	}
	return nil
}
