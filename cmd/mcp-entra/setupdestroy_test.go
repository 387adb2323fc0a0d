package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// others adds to the API what other people might: all of it must stay.
func (s *stage) others() (client map[string]any) {
	s.Helper()
	api := s.app("files-mcp")
	id := "/applications/" + api["id"].(string)
	client = s.graph("POST", "/applications", map[string]any{"displayName": "Another client"})
	principal := s.graph("POST", "/servicePrincipals", map[string]any{"appId": client["appId"]})
	scope := map[string]any{"id": "99999999-2222-3333-4444-555555555555", "value": "others", "type": "User", "isEnabled": true,
		"adminConsentDisplayName": "x", "adminConsentDescription": "x"}
	scopes := append(list(api["api"].(map[string]any)["oauth2PermissionScopes"]), scope)
	s.graph("PATCH", id, map[string]any{"api": map[string]any{"oauth2PermissionScopes": scopes}})
	authorized := append(list(api["api"].(map[string]any)["preAuthorizedApplications"]), map[string]any{"appId": client["appId"], "delegatedPermissionIds": []string{scope["id"].(string)}})
	s.graph("PATCH", id, map[string]any{
		"identifierUris": append(texts(api["identifierUris"]), "api://"+s.tenant.ID()+"/others"),
		"web":            map[string]any{"redirectUris": append(texts(api["web"].(map[string]any)["redirectUris"]), "https://others.example.com/cb")},
		"api":            map[string]any{"preAuthorizedApplications": authorized},
	})
	s.graph("POST", id+"/federatedIdentityCredentials", map[string]any{"name": "others", "issuer": "https://others.example.com", "subject": "s", "audiences": []string{"api://AzureADTokenExchange"}})
	s.graph("POST", id+"/addPassword", map[string]any{"passwordCredential": map[string]any{"displayName": "others"}})
	sp := s.graph("GET", "/servicePrincipals(appId='"+api["appId"].(string)+"')", nil)
	s.graph("POST", "/oauth2PermissionGrants", map[string]any{"clientId": principal["id"], "consentType": "AllPrincipals", "resourceId": sp["id"], "scope": "others"})
	return client
}

// left checks that what others added is there, and whether ours is.
func (s *stage) left(ours bool) {
	s.Helper()
	api := s.app("files-mcp")
	values := func(items []map[string]any, name string) (all []string) {
		for _, item := range items {
			all = append(all, item[name].(string))
		}
		return all
	}
	check := func(what string, has []string, others, own string) {
		if !slices.Contains(has, others) {
			s.Errorf("%s are %q; want others' %s to stay", what, has, others)
		}
		if slices.Contains(has, own) != ours {
			s.Errorf("%s are %q; ours there = %v, want %v", what, has, !ours, ours)
		}
	}
	check("App ID URIs", texts(api["identifierUris"]), "api://"+s.tenant.ID()+"/others", "https://mcp.example.com/mcp")
	check("redirects", texts(api["web"].(map[string]any)["redirectUris"]), "https://others.example.com/cb", "https://mcp.example.com/consent/done")
	check("scopes", values(list(api["api"].(map[string]any)["oauth2PermissionScopes"]), "value"), "others", "access_as_user")
	federated := list(s.graph("GET", "/applications/"+api["id"].(string)+"/federatedIdentityCredentials", nil)["value"])
	check("federated credentials", values(federated, "name"), "others", "mcp-entra-identity")
	if n := len(list(api["api"].(map[string]any)["preAuthorizedApplications"])); n != map[bool]int{true: 3, false: 1}[ours] {
		s.Errorf("%d pre-authorized clients, ours among them = %v", n, ours)
	}
	if secrets := values(list(api["passwordCredentials"]), "displayName"); !slices.Contains(secrets, "others") {
		s.Errorf("secrets are %q; want others' to stay", secrets)
	}
}

func TestSetupKeepsWhatOthersAdded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	s.others()
	out := s.must(exitOK, "apply", "-f", file)
	for _, want := range []string{"No change", "App ID URI api://" + s.tenant.ID() + "/others", "redirect URI https://others.example.com/cb", "scope others",
		"federated credential others", "secret others", "pre-authorized client "} {
		if !strings.Contains(out, want) {
			t.Errorf("apply prints no %q:\n%s", want, out)
		}
	}
	s.left(true)
	// A change of ours keeps them, too.
	s.must(exitOK, "apply", "-f", s.spec("display-name: Files", "display-name: Filing"))
	s.left(true)
	if scopes := list(s.app("files-mcp")["api"].(map[string]any)["oauth2PermissionScopes"]); !strings.Contains(scopes[0]["userConsentDisplayName"].(string)+scopes[1]["adminConsentDisplayName"].(string), "Filing") {
		t.Errorf("the scope's text did not change: %v", scopes)
	}
	file = s.spec("display-name: Files", "display-name: Filing", "proof:", "exclusive: true\nproof:")
	s.must(exitDiffers, "check", "-f", file)
	s.must(exitOK, "apply", "-f", file)
	api := s.app("files-mcp")
	if text := strings.Join(texts(api["identifierUris"]), " "); strings.Contains(text, "others") || len(list(api["passwordCredentials"])) > 0 ||
		len(list(api["api"].(map[string]any)["oauth2PermissionScopes"])) != 1 || len(list(api["api"].(map[string]any)["preAuthorizedApplications"])) != 2 {
		t.Errorf("exclusive: true leaves what others added: %v", api)
	}
	s.must(exitOK, "check", "-f", file)
}

func TestSetupDestroy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "destroy", "-f", file)
	for _, name := range all {
		if status, _ := s.try("GET", "/applications(uniqueName='"+name+"')", nil); status != http.StatusNotFound {
			t.Errorf("%s: status %d after destroy, want 404", name, status)
		}
	}
	if status, _ := s.try("GET", "/servicePrincipals(appId='e406a681-f3d4-42a8-90b6-c2b029497af1')", nil); status != http.StatusOK {
		t.Errorf("the service principal of Azure Storage: status %d after destroy, want 200", status)
	}
	s.must(exitOK, "destroy", "-f", file) // again: nothing to do

	code, _, stderr := s.run("apply", "-f", file)
	if code != exitFailed || !strings.Contains(stderr, "files-mcp (client ID ") || !strings.Contains(stderr, "-deleted restore") {
		t.Errorf("apply of a deleted name = %d, %s; want %d, and the offer to restore or purge", code, stderr, exitFailed)
	}
	s.must(exitOK, "apply", "-f", file, "-deleted", "restore")
	s.must(exitOK, "check", "-f", file)
	restored := s.app("files-mcp")["appId"]
	s.must(exitOK, "destroy", "-f", file)
	s.must(exitOK, "apply", "-f", file, "-deleted", "purge")
	s.must(exitOK, "check", "-f", file)
	if s.app("files-mcp")["appId"] == restored {
		t.Error("-deleted purge took the old application back")
	}
	s.must(exitOK, "destroy", "-f", file, "-purge")
	if n := len(list(s.graph("GET", "/directory/deletedItems/microsoft.graph.application", nil)["value"])); n != 0 {
		t.Errorf("%d deleted applications after destroy -purge, want none", n)
	}
	s.must(exitOK, "apply", "-f", file)
}

// destroy, killed after each of its writes, goes on when it is run again.
func TestSetupDestroyInterrupted(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 4} { // two applications, each deleted and purged
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			file := s.spec()
			s.must(exitOK, "apply", "-f", file)
			s.kill(n, n%2 == 0)
			if code, _, stderr := s.run("destroy", "-f", file, "-purge"); code != exitFailed && n < 4 {
				t.Errorf("destroy, killed = %d, %s; want %d", code, stderr, exitFailed)
			}
			s.wire.set(nil)
			s.wire.setBefore(nil)
			s.must(exitOK, "destroy", "-f", file, "-purge")
			s.must(exitOK, "apply", "-f", file) // nothing holds the names
		})
	}
}

func TestSetupDestroyLeavesWhatOthersAdded(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	client := s.others()
	out := s.must(exitOK, "destroy", "-f", file, "-purge")
	if !strings.Contains(out, "secret others") || !strings.Contains(out, "the consent to the client with the service principal ") {
		t.Errorf("destroy does not name what keeps the application:\n%s", out)
	}
	s.left(false)
	if status, _ := s.try("GET", "/applications(uniqueName='files-mcp-public')", nil); status != http.StatusNotFound {
		t.Errorf("the clients' application: status %d after destroy, want 404", status)
	}
	s.graph("GET", "/applications/"+client["id"].(string), nil)
	s.must(exitOK, "apply", "-f", file) // and comes back
	s.left(true)
	s.must(exitOK, "check", "-f", file)
}

func TestSetupAdopt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	old := s.graph("POST", "/applications", map[string]any{"displayName": "Made by hand", "web": map[string]any{"redirectUris": []string{"https://old.example.com/cb"}}})
	id := "/applications/" + old["id"].(string)
	s.graph("PATCH", id, map[string]any{"identifierUris": []string{"api://" + old["appId"].(string)}, "api": map[string]any{"oauth2PermissionScopes": []any{map[string]any{
		"id": "99999999-2222-3333-4444-555555555555", "value": "access_as_user", "type": "User", "isEnabled": true, "adminConsentDisplayName": "Old", "adminConsentDescription": "Old",
	}}}})
	file := s.spec()
	s.must(exitOK, "apply", "-f", file, "-adopt", old["appId"].(string))
	s.wire.written()
	s.must(exitOK, "apply", "-f", file, "-adopt", old["appId"].(string))
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("the second apply writes %q", writes)
	}
	app := s.graph("GET", id, nil)
	scope := list(app["api"].(map[string]any)["oauth2PermissionScopes"])[0]
	if app["displayName"] != "Made by hand" || scope["id"] != "99999999-2222-3333-4444-555555555555" || scope["adminConsentDisplayName"] != "Old" {
		t.Errorf("adopting changes the name, or the scope that clients refer to: %v, %v", app["displayName"], scope)
	}
	if uris := texts(app["identifierUris"]); !slices.Contains(uris, "https://mcp.example.com/mcp") {
		t.Errorf("App ID URIs are %q", uris)
	}
	s.must(exitOK, "destroy", "-f", file, "-adopt", old["appId"].(string), "-purge")
	app = s.graph("GET", id, nil)
	if uris, redirects := texts(app["identifierUris"]), texts(app["web"].(map[string]any)["redirectUris"]); len(uris) != 1 || len(redirects) != 1 || redirects[0] != "https://old.example.com/cb" {
		t.Errorf("after destroy it has %q and %q; want what it had", uris, redirects)
	}
	if len(list(app["api"].(map[string]any)["oauth2PermissionScopes"])) != 1 {
		t.Error("destroy took the scope that was there before")
	}
}

// A restored application keeps others' certificates, whose keys the list of the deleted lacks.
func TestSetupRestoreKeepsCertificates(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec("proof:\n", "proof:\n  certificate: "+s.certificate("first")+"\n")
	s.must(exitOK, "apply", "-f", file)
	id := "/applications/" + s.app("files-mcp")["id"].(string)
	s.graph("DELETE", id, nil)
	file = s.spec("proof:\n", "proof:\n  certificate: "+s.certificate("second")+"\n")
	s.must(exitOK, "apply", "-f", file, "-deleted", "restore")
	keys := list(s.graph("GET", id+"?$select=keyCredentials", nil)["keyCredentials"])
	if len(keys) != 2 || keys[0]["key"] == nil || keys[1]["key"] == nil {
		t.Errorf("certificates: %v; want both, with their keys", keys)
	}
	s.must(exitOK, "check", "-f", file)
}
