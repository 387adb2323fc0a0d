package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// agentSpec is spec with an agent, and changes to its text.
func (s *stage) agentSpec(changes ...string) string {
	s.Helper()
	sponsor := s.tenant.AddUser("sponsor@example.com", "Sponsor")
	return s.spec(append([]string{"clients: [vscode, azurecli, inspector]", "clients: [vscode]\nagents: [Files agent]\nsponsor: " + sponsor.ObjectID}, changes...)...)
}

const blueprintCast = "/microsoft.graph.agentIdentityBlueprint"

func (s *stage) inheritable(id string) []map[string]any {
	s.Helper()
	return list(s.graph("GET", "/applications/"+id+blueprintCast+"/inheritablePermissions", nil)["value"])
}

func (s *stage) agents(blueprint string) []map[string]any {
	s.Helper()
	return list(s.graph("GET", "/servicePrincipals/microsoft.graph.agentIdentity?$filter=agentIdentityBlueprintId%20eq%20'"+blueprint+"'", nil)["value"])
}

// With agents, the API is a blueprint: the agent acts for a user who signed in to it, in two steps. Again
// changes nothing, and destroy leaves nothing.
func TestSetupAgents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alice := s.tenant.AddUser("alice@example.com", "Alice")
	file := s.agentSpec()
	plan := s.must(exitDiffers, "plan", "-f", file)
	for _, want := range []string{"Create the agent identity blueprint files-mcp", "Needs AgentIdentityBlueprint.ReadWrite.All, and for a user the role Agent ID Developer",
		"Needs AgentIdentityBlueprintPrincipal.Create, ", "inherit/storage", "Let agents inherit User.Read of graph", "Needs AgentIdentity.Create.All, ", "Create the agent identity Files agent",
		"xms_sub_fct, xms_act_fct, xms_par_app_azp"} {
		if !strings.Contains(plan, want) {
			t.Errorf("plan prints no %q:\n%s", want, plan)
		}
	}
	out := s.must(exitOK, "apply", "-f", file)
	s.wire.written()
	s.must(exitOK, "apply", "-f", file)
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("the second apply writes %q; want none", writes)
	}
	s.must(exitOK, "check", "-f", file)

	api := s.app("files-mcp")
	blueprint := api["appId"].(string)
	agents := s.agents(blueprint)
	if len(agents) != 1 || agents[0]["displayName"] != "Files agent" {
		t.Fatalf("agent identities %v; want one, Files agent", agents)
	}
	agent := agents[0]["id"].(string)
	if !strings.Contains(out, "The agent identity Files agent: "+agent) || !strings.Contains(out, "AGENT_ID="+agent) {
		t.Errorf("apply does not print the agent's ID %s:\n%s", agent, out)
	}
	token := s.signIn(alice, "aebc6443-996d-45c2-90f0-388ff96faa56", "https://vscode.dev/redirect")
	proof := s.post(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {blueprint}, "scope": {"api://AzureADTokenExchange/.default"}, "fmi_path": {agent},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {s.identityToken()},
	})
	assertion, _ := proof["access_token"].(string)
	for _, resource := range []string{"https://storage.azure.com/user_impersonation", "https://graph.microsoft.com/User.Read"} {
		answer := s.post(url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "requested_token_use": {"on_behalf_of"}, "client_id": {agent}, "assertion": {token}, "scope": {resource},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		})
		if answer["access_token"] == nil {
			t.Errorf("no token for %s by the agent: %v, %v", resource, answer["error_description"], proof["error_description"])
		}
	}

	s.must(exitOK, "destroy", "-f", file, "-purge")
	if left := s.agents(blueprint); len(left) > 0 {
		t.Errorf("agent identities after destroy: %v; want none", left)
	}
	if status, answer := s.try("GET", "/directory/deletedItems/"+agent, nil); status != http.StatusNotFound {
		t.Errorf("the deleted agent identity after destroy -purge = %d %v; want 404", status, answer)
	}
	s.must(exitOK, "apply", "-f", file)
}

// What the tenant has besides is kept, and drift is repaired: an agent of others, all permissions inherited, a
// permission too few. With an agent of others, destroy keeps the blueprint.
func TestSetupAgentsDrift(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.agentSpec()
	s.must(exitOK, "apply", "-f", file)
	api := s.app("files-mcp")
	id, blueprint := api["id"].(string), api["appId"].(string)
	sponsor := s.tenant.AddUser("other@example.com", "Other")
	s.graph("POST", "/servicePrincipals/microsoft.graph.agentIdentity", map[string]any{"displayName": "Another agent", "agentIdentityBlueprintId": blueprint,
		"sponsors@odata.bind": []string{"https://graph.microsoft.com/v1.0/users/" + sponsor.ObjectID}})
	all := map[string]any{"inheritableScopes": map[string]any{"@odata.type": "microsoft.graph.allAllowedScopes"}}
	const storage = "e406a681-f3d4-42a8-90b6-c2b029497af1"
	s.graph("PATCH", "/applications/"+id+blueprintCast+"/inheritablePermissions/"+storage, all)
	s.graph("PATCH", "/applications/"+id+blueprintCast+"/inheritablePermissions/00000003-0000-0000-c000-000000000000",
		map[string]any{"inheritableScopes": map[string]any{"@odata.type": "#microsoft.graph.enumeratedScopes", "scopes": []string{"Mail.Read"}}})
	out := s.must(exitDiffers, "check", "-f", file)
	for _, want := range []string{"agent identity Another agent (", "agents inherit all permissions of storage", "inherit/graph", "inheritable permission of graph Mail.Read"} {
		if !strings.Contains(out, want) {
			t.Errorf("check prints no %q:\n%s", want, out)
		}
	}
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	for _, p := range s.inheritable(id) {
		if scopes := texts(p["inheritableScopes"].(map[string]any)["scopes"]); p["resourceAppId"] != storage && !slices.Equal(scopes, []string{"Mail.Read", "User.Read"}) {
			t.Errorf("inherited of %v: %q; want Mail.Read and User.Read", p["resourceAppId"], scopes)
		}
	}
	s.must(exitOK, "destroy", "-f", file)
	if left := s.agents(blueprint); len(left) != 1 || left[0]["displayName"] != "Another agent" {
		t.Errorf("agent identities after destroy: %v; want others' alone", left)
	}
	s.must(exitOK, "apply", "-f", file)
	exclusive := s.spec("clients: [vscode, azurecli, inspector]", "clients: [vscode]\nexclusive: true\nagents: [Files agent]\nsponsor: "+sponsor.ObjectID)
	s.must(exitOK, "apply", "-f", exclusive)
	s.must(exitOK, "check", "-f", exclusive)
	if left := s.agents(blueprint); len(left) != 1 || left[0]["displayName"] != "Files agent" {
		t.Errorf("agent identities with exclusive: %v; want ours alone", left)
	}
}

// setup, killed at each write that is about agents, and destroy at each of its own, end where they would have ended.
func TestSetupAgentsKilled(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	file := whole.agentSpec()
	whole.must(exitOK, "apply", "-f", file)
	applied, want := whole.wire.written(), whole.snapshot("files-mcp")
	whole.must(exitOK, "destroy", "-f", file, "-purge")
	destroyed := len(whole.wire.written())
	for i, write := range applied {
		if i > 0 && (!strings.Contains(write, ".agentIdentity") || !strings.HasPrefix(write, "POST")) {
			continue // TestSetupInterrupted takes the others
		}
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprint("apply ", i+1, lost), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				file := s.agentSpec()
				s.kill(i+1, lost)
				s.run("apply", "-f", file)
				s.wire.set(nil)
				s.wire.setBefore(nil)
				s.must(exitOK, "apply", "-f", file)
				s.must(exitOK, "check", "-f", file)
				if got := s.snapshot("files-mcp"); got != want {
					t.Errorf("killed at %s, then run again, ends in another state:\n%s", write, difference(got, want))
				}
			})
		}
	}
	for i := range destroyed {
		t.Run(fmt.Sprint("destroy ", i+1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			file := s.agentSpec()
			s.must(exitOK, "apply", "-f", file)
			s.kill(i+1, i%2 == 0)
			s.run("destroy", "-f", file, "-purge")
			s.wire.set(nil)
			s.wire.setBefore(nil)
			s.must(exitOK, "destroy", "-f", file, "-purge")
			s.must(exitOK, "apply", "-f", file) // nothing holds the name
			if n := len(s.agents(s.app("files-mcp")["appId"].(string))); n != 1 {
				t.Errorf("%d agent identities, want 1", n)
			}
		})
	}
}

// What keeps agents from being set up is named, with what to do.
func TestSetupAgentsRefused(t *testing.T) {
	t.Parallel()
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(operatorRoles), func(role string) bool { return slices.Contains(names, role) })
	}
	for name, c := range map[string]struct {
		roles  []string
		before func(s *stage)
		change []string
		want   []string
		writes bool
	}{
		"no permission for blueprints": {
			roles: without("AgentIdentityBlueprint.ReadWrite.All"), writes: true,
			want: []string{"Failed api/create", "needs the Microsoft Graph permission AgentIdentityBlueprint.ReadWrite.All"},
		},
		"no permission for the principal": {
			roles: without("AgentIdentityBlueprintPrincipal.Create"), writes: true,
			want: []string{"Failed api/principal", "AgentIdentityBlueprintPrincipal.Create", "Done inherit/storage"},
		},
		"no permission for agents": {
			roles: without("AgentIdentity.Create.All"), writes: true,
			want: []string{"Failed agent/create", "AgentIdentity.Create.All", "Agent ID Administrator", "Done api/federated/mcp-entra-identity"},
		},
		"an ordinary registration": {
			before: func(s *stage) { s.must(exitOK, "apply", "-f", s.spec()) },
			want:   []string{"is not an agent identity blueprint, and Entra can't convert it", "choose another name"},
		},
		"enumerated permissions": {
			before: func(s *stage) {
				s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/inheritablePermissions") {
						return answer(r, http.StatusBadRequest, `{"error": {"code": "Request_BadRequest", "message": "The kind 'enumerated' is not supported."}}`, "Content-Type", "application/json"), nil
					}
					return nil, errPass
				})
			},
			writes: true, want: []string{"Failed inherit/storage", "set it to allAllowedScopes", "Done agent/create"},
		},
		"someone else adds the permission meanwhile": {
			before: func(s *stage) {
				done := false
				s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/inheritablePermissions") && !done {
						done = true
						id := strings.Split(r.URL.Path, "/")[3]
						s.graph("POST", "/applications/"+id+blueprintCast+"/inheritablePermissions", map[string]any{
							"resourceAppId": "e406a681-f3d4-42a8-90b6-c2b029497af1", "inheritableScopes": map[string]any{"@odata.type": "microsoft.graph.noScopes"}})
					}
					return nil, errPass
				})
			},
			writes: true, want: []string{"Done inherit/storage", "Done inherit/graph", "Done agent/create"},
		},
		"no sponsor":           {change: []string{"sponsor: ", "# "}, want: []string{"agents needs sponsor"}},
		"the proxy's API":      {change: []string{"proof:", "auth-proxy: api\nproof:"}, want: []string{"agents needs auth-proxy: own"}},
		"several tenants":      {change: []string{"proof:", "audience: multiple\nproof:"}, want: []string{"agent identities belong to one tenant"}},
		"the same agent twice": {change: []string{"[Files agent]", "[Files agent, files agent]"}, want: []string{`the agent "files agent" appears twice`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.roles...)
			if c.before != nil {
				c.before(s)
			}
			file := s.agentSpec()
			if len(c.change) > 0 {
				data := string(readFile(t, file))
				file = s.write("mcp-entra.yaml", strings.NewReplacer(c.change...).Replace(data))
			}
			s.wire.written()
			_, stdout, stderr := s.run("apply", "-f", file)
			text := strings.Join(strings.Fields(stdout+stderr), " ") // the table's columns differ
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("apply prints no %q:\n%s%s", want, stdout, stderr)
				}
			}
			if writes := s.wire.written(); !c.writes && len(writes) > 0 {
				t.Errorf("apply writes %q before it refuses", writes)
			}
		})
	}
}

// The token of the Azure CLI is refused before anything is changed, and plan says so.
func TestSetupAgentsWithTheAzureCLI(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	admin := s.tenant.AddUser("admin@example.com", "Admin")
	admin.Administrator = true
	file := s.agentSpec()
	const want = "carries Directory.AccessAsUser.All"
	for verb, code := range map[string]int{"plan": exitDiffers, "apply": exitFailed} {
		got, text := s.atDevice(admin, "", verb, "-f", file)
		if got != code || !strings.Contains(text, want) || !strings.Contains(text, "AZURE_CLIENT_ID") {
			t.Errorf("%s = %d, %s; want %d, and %q with another way", verb, got, text, code, want)
		}
	}
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("apply writes %q", writes)
	}
	if code, _, stderr := s.run("plan", "-f", file, "-print", "az"); code != exitFailed || !strings.Contains(stderr, "there is no script for agents") {
		t.Errorf("plan -print az = %d, %s", code, stderr)
	}
	// A user of an application of one's own, with the narrow permissions and role, may.
	own := s.tenant.AddClient("setup")
	names := append([]string{"User.Read", "Application.ReadWrite.All"}, operatorRoles[1:3]...)
	names = append(names, slices.DeleteFunc(slices.Clone(operatorRoles), func(r string) bool { return !strings.HasPrefix(r, "Agent") })...)
	s.tenant.Consent(own, s.tenant.Graph(), append(names, "openid", "profile", "offline_access")...)
	admin.Administrator = false
	admin.Roles = []entratest.Role{entratest.RoleAgentIDAdministrator, entratest.RoleCloudApplicationAdministrator}
	if code, text := s.atDevice(admin, own.ClientID, "apply", "-f", file); code != exitOK {
		t.Errorf("apply with an application of one's own = %d\n%s", code, text)
	}
}

// atDevice runs setup for a user who signs in with a device code, to the client.
func (s *stage) atDevice(user *entratest.User, client, verb string, args ...string) (code int, text string) {
	s.Helper()
	stderr := &deviceUser{t: s.T, tenant: s.tenant, user: user}
	code, stdout, _ := s.runAs(func(p *process) {
		p.lookup = variables("AZURE_AUTHORITY_HOST", s.tenant.AuthorityHost(), "AZURE_CLIENT_ID", client)
		p.terminal, p.stderr = true, stderr
	}, append([]string{verb, "-auth", "device", "-tenant", s.tenant.ID()}, args...)...)
	return code, stdout + stderr.text.String()
}
