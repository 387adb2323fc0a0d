package tenantfile_test

import (
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// TestAgents: an agent acts for Alice and as its agent user, with what its blueprint lets inherit.
func TestAgents(t *testing.T) {
	t.Parallel()
	const file = `
tenants:
- name: contoso
  apps:
  - {name: agent, kind: agent, blueprint: server, assignedRoles: {files: [Reader]}}
  - {name: local, kind: agent-client, redirects: {desktop: [http://localhost]}}
  - {name: server, kind: blueprint, scopes: [access_as_user], secrets: [{value: server-secret}], inheritable: [{resource: files, scopes: [read]}]}
  - {name: files, scopes: [read, write], roles: [Reader], optionalClaims: [xms_sub_fct, xms_act_fct, xms_par_app_azp, idtyp]}
  users: [{upn: alice@contoso.example}, {upn: agent@contoso.example, agent: agent}]
  consents: [{client: server, resource: files}]
`
	spec, err := tenantfile.Read([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	world, err := tenantfile.Start(spec, tenantfile.Options{Addr: "127.0.0.1:0", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	f := &fixture{World: world, contoso: world.Tenants[0]}
	apps := spec.Tenants[0].Apps
	agent, local, server := apps[0].ClientID, apps[1].ClientID, apps[2].ClientID
	const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	post := func(changes url.Values) any {
		answer := f.post(t.Context(), t, "/oauth2/v2.0/token", changes)
		if answer["access_token"] == nil {
			t.Errorf("%v", answer["error_description"])
		}
		return answer["access_token"]
	}
	t1, _ := post(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {server}, "client_secret": {"server-secret"},
		"scope": {"api://AzureADTokenExchange/.default"}, "fmi_path": {agent},
	}).(string)
	assertion, err := world.Token(tenantfile.TokenRequest{User: "alice", Client: "local", API: "server"})
	if err != nil {
		t.Fatal(err)
	}
	mint := func(r tenantfile.TokenRequest) any {
		token, err := world.Token(r)
		if err != nil {
			t.Error(err)
		}
		return token
	}
	for name, test := range map[string]struct {
		token                           any
		subject, actor, parent, allowed any
	}{
		"for Alice": {post(url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "assertion": {assertion},
			"client_id": {agent}, "client_assertion_type": {assertionType}, "client_assertion": {t1}, "scope": {"api://" + apps[3].ClientID + "/.default"},
		}), "3 6", "3 9 11", server, "read"},
		"as agent user": {mint(tenantfile.TokenRequest{User: "agent", Client: "agent", API: "files"}), "3 13", "3 9 11", server, "read write"},
		"alone":         {mint(tenantfile.TokenRequest{Client: "agent", API: "files"}), "9 3 11", "3 9 11", server, nil},
		"alone, by itself": {post(url.Values{
			"grant_type": {"client_credentials"}, "client_id": {agent}, "client_assertion_type": {assertionType}, "client_assertion": {t1},
			"scope": {"api://" + apps[3].ClientID + "/.default"},
		}), "9 3 11", "3 9 11", server, nil},
		"by a public agent": {mint(tenantfile.TokenRequest{User: "alice", Client: "local", API: "files"}), "3 6", "3 9 11", local, "read write"},
	} {
		claims := claimsOf(t, test.token)
		got := []any{claims["xms_sub_fct"], claims["xms_act_fct"], claims["xms_par_app_azp"], claims["scp"]}
		if want := []any{test.subject, test.actor, test.parent, test.allowed}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: facets, blueprint and scopes are %v, want %v", name, got, want)
		}
	}
}
