package main

import (
	"net/http"
	"strings"
	"testing"
)

// An application for clients that the file no longer names is named, and destroy takes it back.
func TestSetupFormerClients(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	s.must(exitOK, apply...)
	gone := func(name string) {
		t.Helper()
		if status, _ := s.try("GET", "/applications(uniqueName='"+name+"')", nil); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", name, status)
		}
	}
	file := s.spec("proof:\n", "proof:\n  secret: true\n") // without the web client
	if out := s.must(exitOK, "check", "-f", file); !strings.Contains(out, "the application files-mcp-web (client ID ") {
		t.Errorf("check does not name the application that is left:\n%s", out)
	}
	exclusive := s.spec("proof:\n", "exclusive: true\nproof:\n  secret: true\n")
	if out := s.must(exitDiffers, "check", "-f", exclusive); !strings.Contains(out, "web/delete") {
		t.Errorf("exclusive: check does not want it deleted:\n%s", out)
	}
	file = s.spec("proof:\n", "proof:\n  secret: true\n")
	s.must(exitOK, "destroy", "-f", file)
	for _, name := range all {
		gone(name)
	}
	s.must(exitOK, "destroy", "-f", file, "-purge")
	if left := list(s.graph("GET", "/directory/deletedItems/microsoft.graph.application", nil)["value"]); len(left) != 0 {
		t.Errorf("after destroy -purge, %d deleted applications are left: %v", len(left), left)
	}
	s.must(exitOK, "apply", "-f", apply[2], "-secret-file", apply[4])
	s.must(exitOK, "apply", "-f", s.spec("proof:\n", "exclusive: true\nproof:\n  secret: true\n"))
	gone("files-mcp-web")
}

// A deleted application of this name that setup did not make is left to its owner.
func TestSetupDeletedByOthers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.graph("POST", "/applications", map[string]any{"displayName": "By Bicep", "uniqueName": "files-mcp"})
	s.remove("By Bicep")
	file := s.spec()
	for _, args := range [][]string{{"destroy", "-f", file, "-purge"}, {"apply", "-f", file}, {"apply", "-f", file, "-deleted", "purge"}, {"apply", "-f", file, "-deleted", "restore"}} {
		code, stdout, stderr := s.run(args...)
		want := exitFailed
		if args[0] == "destroy" {
			want = exitOK
		}
		if code != want || !strings.Contains(stdout+stderr, `the deleted application "By Bicep" (client ID `) {
			t.Errorf("%q = %d, want %d and whose it is\n%s%s", args, code, want, stdout, stderr)
		}
	}
	if left := list(s.graph("GET", "/directory/deletedItems/microsoft.graph.application", nil)["value"]); len(left) != 1 {
		t.Errorf("%d deleted applications, want the other's", len(left))
	}
}

// Ids are the same in capitals.
func TestSetupIDsInCapitals(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alice := s.tenant.AddUser("alice@example.com", "Alice")
	file := s.spec(s.identity.ClientID, strings.ToUpper(s.identity.ClientID), "clients: [vscode, ", "clients: [{name: code, app-id: AEBC6443-996D-45C2-90F0-388FF96FAA56}, ",
		"    for: users\n", "    for: [applications, users]\n    assign: "+strings.ToUpper(alice.ObjectID)+"\n")
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	file = s.spec("clients: [", "clients: [{name: code, app-id: AEBC6443-996D-45C2-90F0-388FF96FAA56}, ")
	if code, _, stderr := s.run("check", "-f", file); code != exitFailed || !strings.Contains(stderr, `the app-id "aebc6443-996d-45c2-90f0-388ff96faa56" appears twice`) {
		t.Errorf("one client twice = %d, %s", code, stderr)
	}
}

// A federated credential of the same identity, which somebody made by hand, is the one: Entra takes
// no second with its issuer and subject.
func TestSetupFederatedByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	id := "/applications/" + s.app("files-mcp")["id"].(string) + "/federatedIdentityCredentials"
	ours := list(s.graph("GET", id, nil)["value"])[0]
	s.graph("DELETE", id+"/"+ours["id"].(string), nil)
	s.graph("POST", id, map[string]any{"name": "by-hand", "issuer": ours["issuer"], "subject": ours["subject"], "audiences": []string{"api://wrong"}})
	s.must(exitDiffers, "check", "-f", file)
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	if all := list(s.graph("GET", id, nil)["value"]); len(all) != 1 || all[0]["name"] != "by-hand" || texts(all[0]["audiences"])[0] != "api://AzureADTokenExchange" {
		t.Errorf("federated credentials: %v; want by-hand's with the right audience", all)
	}
}

// Texts of the tenant stand for themselves, and move no terminal's cursor.
func TestSetupOthersTexts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must(exitOK, "apply", "-f", s.spec())
	api := s.app("files-mcp")
	id := "/applications/" + api["id"].(string)
	scope := map[string]any{"id": "99999999-2222-3333-4444-555555555555", "value": "others", "type": "User", "isEnabled": true,
		"adminConsentDisplayName": "costs ${foo.bar} or $(id)", "adminConsentDescription": "x"}
	s.graph("PATCH", id, map[string]any{"api": map[string]any{"oauth2PermissionScopes": append(list(api["api"].(map[string]any)["oauth2PermissionScopes"]), scope)}})
	s.graph("POST", id+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "\x1b[2Jothers\n${foo.bar}"}})
	changes := []string{"display-name: Files", "display-name: Filing"}
	exclusive := s.spec(append(changes, "proof:", "exclusive: true\nproof:")...)
	for _, args := range [][]string{{"plan"}, {"plan", "-print", "az"}} {
		if code, stdout, stderr := s.run(append(args, "-f", exclusive)...); code == exitFailed || strings.Contains(stdout, "\x1b") || strings.Contains(stdout, "others\n") {
			t.Errorf("%q = %d\n%q%s", args, code, stdout, stderr)
		}
	}
	out := s.must(exitOK, "apply", "-f", s.spec(changes...))
	if strings.Contains(out, "\x1b") || !strings.Contains(out, "others ${foo.bar}") {
		t.Errorf("apply prints %q", out)
	}
	for _, got := range list(s.app("files-mcp")["api"].(map[string]any)["oauth2PermissionScopes"]) {
		if got["value"] == "others" && got["adminConsentDisplayName"] != scope["adminConsentDisplayName"] {
			t.Errorf("others' scope is called %q now", got["adminConsentDisplayName"])
		}
	}
}

// Drift in what is neither a list of ours nor shown in the portal.
func TestSetupDriftOfSettings(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	id := "/applications/" + s.app("files-mcp")["id"].(string)
	claims := s.app("files-mcp")["optionalClaims"].(map[string]any)
	ours := claims["accessToken"]
	s.graph("PATCH", id, map[string]any{"tags": []string{"mcp-entra", "theirs"}, "optionalClaims": map[string]any{
		"accessToken": append(list(ours), map[string]any{"name": "email"}), "idToken": []any{map[string]any{"name": "ctry"}},
	}})
	out := s.must(exitOK, "check", "-f", file)
	for _, want := range []string{"tag theirs", "optional claim email of access tokens", "optional claim ctry of ID tokens"} {
		if !strings.Contains(out, want) {
			t.Errorf("check does not name %q:\n%s", want, out)
		}
	}
	exclusive := s.spec("proof:", "exclusive: true\nproof:")
	s.must(exitDiffers, "check", "-f", exclusive)
	s.must(exitOK, "apply", "-f", exclusive)
	s.must(exitOK, "check", "-f", exclusive)
	if app := s.app("files-mcp"); len(texts(app["tags"])) != 1 || len(list(app["optionalClaims"].(map[string]any)["accessToken"])) != 6 {
		t.Errorf("exclusive: true leaves %v, %v", app["tags"], app["optionalClaims"])
	}
	for what, change := range map[string]map[string]any{
		"fallback": {"isFallbackPublicClient": true}, "audience": {"signInAudience": "AzureADMultipleOrgs", "identifierUris": []string{"api://" + s.app("files-mcp")["appId"].(string)}},
		"name": {"displayName": "Another"}, "claims": {"optionalClaims": map[string]any{"accessToken": []any{}}}, "tag": {"tags": []string{"mcp-entra", "x"}},
		"redirects": {"web": map[string]any{"redirectUris": []string{}}}, "permissions": {"requiredResourceAccess": []any{}}, "clients": {"api": map[string]any{"preAuthorizedApplications": []any{}}},
	} {
		s.graph("PATCH", id, change)
		s.must(exitDiffers, "check", "-f", exclusive)
		s.must(exitOK, "apply", "-f", exclusive)
		if code, stdout, _ := s.run("check", "-f", exclusive); code != exitOK {
			t.Errorf("%s: check after apply = %d\n%s", what, code, stdout)
		}
	}
}
