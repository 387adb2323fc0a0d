package setup

import (
	"fmt"
	"io"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// PrintBicep writes what the spec asks for as a file for the Microsoft Graph Bicep extension (v1.0,
// types 1.0.0), for those whose pipeline owns it. The file says what it can't do.
func PrintBicep(w io.Writer, spec Spec, want *State) error {
	f := &bicepFile{w: w, spec: spec, want: want, bicep: bicep{refs: map[string]string{"tenant": "tenant().tenantId"}}}
	f.references()
	fmt.Fprintf(w, bicepHead, oneLine(spec.Name))
	for _, line := range f.limits() {
		fmt.Fprintf(w, "//  - %s\n", oneLine(line))
	}
	fmt.Fprint(w, bicepParams)
	f.existing()
	for _, app := range want.Apps {
		f.application(app)
	}
	for _, app := range want.Apps { // they refer to service principals of other applications
		f.access(app)
	}
	for _, app := range want.Apps {
		fmt.Fprintf(w, "\noutput %sAppId string = %sApp.appId", app.Key, app.Key)
	}
	fmt.Fprintln(w)
	return f.err
}

const bicepHead = `// Registers %s with Microsoft Entra ID. Printed by: mcp-entra setup plan -print bicep
//
// bicepconfig.json beside this file:
//   {"extensions": {"microsoftGraphV1": "br:mcr.microsoft.com/bicep/extensions/microsoftgraph/v1.0:1.0.0"}}
//
// Deploy it twice, for two things need what the first deployment makes: the App ID URI with the
// application's own id, and pre-authorized clients, which refer to its scope.
//   az deployment group create -g GROUP -f FILE --query properties.outputs.apiAppId.value -o tsv
//   az deployment group create -g GROUP -f FILE -p apiAppId=WHAT_THE_FIRST_PRINTED
// From then on, always with apiAppId.
//
// What this file can't do, and mcp-entra setup apply does:
//  - keep what others have added: each list here replaces the tenant's
//  - change or remove an enabled scope or role: disable it in a deployment of its own first
//  - take over an application without this uniqueName, or one that is among the deleted
//  - print the variables of the server and what is left to do by hand (mcp-entra setup check compares)
`

const bicepParams = `extension microsoftGraphV1

@description('The output apiAppId of the first deployment. Empty for the first.')
param apiAppId string = ''
`

type bicepFile struct {
	bicep
	w    io.Writer
	spec Spec
	want *State
	err  error // the first
}

// references fills in the expressions of all placeholders.
func (f *bicepFile) references() {
	for _, app := range f.want.Apps {
		f.refs[app.Key+".id"], f.refs[app.Key+".appId"], f.refs[app.Key+".sp"] = app.Key+"App.id", app.Key+"App.appId", app.Key+"Sp.id"
	}
	f.refs["identity.sp"] = "identitySp.id"
	for i, r := range f.spec.Resources {
		key := resourceKey(f.spec, i)
		f.refs[key+".appId"], f.refs[key+".sp"] = key+"Sp.appId", key+"Sp.id"
		for _, scope := range r.Scopes {
			f.refs[key+".scope."+scope] = fmt.Sprintf("filter(%sSp.oauth2PermissionScopes, scope => scope.value == '%s')[0].id", key, escapeBicep(scope))
		}
	}
}

// limits are what this file in particular can't do.
func (f *bicepFile) limits() []string {
	var limits []string
	for i, r := range f.spec.Resources {
		if id := f.resourceID(i); id != "" {
			limits = append(limits, "make the service principal of "+r.Name+", should the tenant lack it: az ad sp create --id "+id)
		}
	}
	for _, app := range f.want.Apps {
		if app.Secret {
			limits = append(limits, "make the secret of "+app.Name+": az ad app credential reset --append --id ITS_APP_ID prints one")
		}
	}
	return limits
}

// resourceID returns the client ID of a resource, or "" if it is not known.
func (f *bicepFile) resourceID(i int) string {
	key := resourceKey(f.spec, i)
	if id := f.want.Known[key+".appId"]; id != "" {
		return id
	}
	return f.spec.Resources[i].AppID
}

// existing writes the service principals that are not ours.
func (f *bicepFile) existing() {
	for i, r := range f.spec.Resources {
		key := resourceKey(f.spec, i)
		id := "'" + escapeBicep(f.resourceID(i)) + "'"
		if id == "''" {
			id = key + "AppId"
			fmt.Fprintf(f.w, "\n@description('The client ID of %s.')\nparam %s string\n", escapeBicep(r.Name), id)
		}
		fmt.Fprintf(f.w, "\nresource %sSp 'Microsoft.Graph/servicePrincipals@v1.0' existing = {\n  appId: %s\n}\n", key, id)
	}
	if id := f.spec.Proof.ManagedIdentity; id != "" {
		fmt.Fprintf(f.w, "\nresource identitySp 'Microsoft.Graph/servicePrincipals@v1.0' existing = {\n  appId: '%s'\n}\n", escapeBicep(id))
	}
}

// application writes an application with its service principal and federated credentials.
func (f *bicepFile) application(app App) {
	app.UniqueName = app.Name
	own := "${" + app.Key + ".appId}"
	f.around = nil
	const second = "empty(apiAppId) ? [] : " // what waits for the second deployment
	id := f.refs["api.appId"]
	if app.proven() { // the API can't refer to itself, nor the proxy to the API, which refers to it
		f.refs["api.appId"] = "apiAppId"
	}
	switch uris := f.withoutOwn(app.IdentifierURIs, own); {
	case app.Key == proxyKey:
		f.around = map[string][2]string{"requiredResourceAccess": {second, ""}}
	case len(uris) == len(app.IdentifierURIs):
	case len(uris) == 0:
		f.around = map[string][2]string{"identifierUris": {second, ""}, "api.preAuthorizedApplications": {second, ""}}
	default:
		app.IdentifierURIs = uris
		f.around = map[string][2]string{
			"identifierUris":                {"concat(", ", " + second + "['api://${apiAppId}'])"},
			"api.preAuthorizedApplications": {second, ""},
		}
	}
	f.resource(app.Key+"App", "applications", app.Application)
	f.around, f.refs["api.appId"] = nil, id
	f.resource(app.Key+"Sp", "servicePrincipals", map[string]string{"appId": own})
	for i, c := range app.Federated {
		f.refs["federated.name"] = "'${" + app.Key + "App.uniqueName}/" + escapeBicep(c.Name) + "'"
		c.Name = "${federated.name}"
		f.resource(fmt.Sprintf("%sFederated%d", app.Key, i+1), "applications/federatedIdentityCredentials", c)
	}
}

// withoutOwn returns the URIs that don't have the application's own id, which its own resource can't
// refer to.
func (f *bicepFile) withoutOwn(uris []string, own string) []string {
	var rest []string
	for _, uri := range uris {
		if !strings.Contains(uri, own) {
			rest = append(rest, uri)
		}
	}
	return rest
}

// access writes what an application may use, and who has its roles.
func (f *bicepFile) access(app App) {
	type grant struct { // without principalId, which is for single users
		ClientID    string `json:"clientId"`
		ResourceID  string `json:"resourceId"`
		ConsentType string `json:"consentType"`
		Scope       string `json:"scope"`
	}
	for i, g := range app.Grants {
		f.resource(fmt.Sprintf("%sGrant%d", app.Key, i+1), "oauth2PermissionGrants", grant{g.ClientID, g.ResourceID, g.ConsentType, g.Scope})
	}
	for i, r := range app.Roles {
		r = graph.AppRoleAssignment{PrincipalID: r.PrincipalID, ResourceID: r.ResourceID, AppRoleID: r.AppRoleID}
		f.resource(fmt.Sprintf("%sRole%d", app.Key, i+1), "appRoleAssignedTo", r)
	}
}

func (f *bicepFile) resource(symbol, kind string, v any) {
	object, err := f.object(v, 0)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("print %s: %w", symbol, err)
	}
	fmt.Fprintf(f.w, "\nresource %s 'Microsoft.Graph/%s@v1.0' = %s\n", symbol, kind, object)
}
