package entraauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

const (
	// organizations is the authority's name for all tenants but the consumers'.
	organizations = "organizations"
	// consumers is the tenant of personal Microsoft accounts. Anybody can make one.
	consumers = "9188040d-6c67-4c5b-b112-36a304b66dad"
	// template stands for the tenant in metadata and keys of more than one.
	template = "{tenantid}"
)

// A tenancy says whose tokens are accepted, and where their keys are.
type tenancy struct {
	listed  []string              // the home tenant first
	sources map[string]*keySource // of the listed ones
	any     *keySource            // of every other organization; nil unless asked for
}

// newTenancy checks the tenants of a configuration. The key sources come later.
func newTenancy(home string, others []string, fault func(field string, err error)) tenancy {
	t := tenancy{sources: make(map[string]*keySource)}
	fault("tenant id", checkTenantID(home))
	for i, id := range append([]string{home}, others...) {
		if i > 0 {
			fault("OtherTenants", checkTenantID(id))
		}
		if id = strings.ToLower(id); !slices.Contains(t.listed, id) {
			t.listed = append(t.listed, id)
		}
	}
	return t
}

func checkTenantID(id string) error {
	switch strings.ToLower(id) {
	case "common", organizations:
		return fmt.Errorf("%q is every tenant in the world; give the id of your own, and see AcceptAnyOrganization", id)
	case "consumers":
		return errors.New(`"consumers" is the tenant ` + consumers + `, of personal accounts`)
	}
	return authority.CheckGUID(id)
}

// accepts reports whether tokens of the tenant are accepted.
func (t *tenancy) accepts(id string) bool {
	return t.sources[id] != nil || t.any != nil && authority.IsGUID(id) && !strings.EqualFold(id, consumers)
}

// source returns where the keys of the tenant are: for one that is not accepted
// the home tenant's, whose issuer then says what was expected.
func (t *tenancy) source(id string) *keySource {
	switch {
	case t.sources[id] != nil:
		return t.sources[id]
	case t.accepts(id):
		return t.any
	}
	return t.sources[t.listed[0]]
}

func (t *tenancy) each(f func(*keySource)) {
	for _, id := range t.listed {
		f(t.sources[id])
	}
	if t.any != nil {
		f(t.any)
	}
}

// String names the tenants for the text of an error.
func (t *tenancy) String() string {
	if t.any != nil {
		return "any organization's tenant"
	}
	return "tenant " + strings.Join(t.listed, " or ")
}

// fill puts a tenant into an issuer that stands for several.
func fill(issuer, tenantID string) string {
	return strings.ReplaceAll(issuer, template, tenantID)
}
