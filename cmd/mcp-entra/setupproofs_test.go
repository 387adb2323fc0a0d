package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// certificate writes a certificate, and returns its file.
func (s *stage) certificate(name string) string {
	s.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.Fatal(err)
	}
	return s.write(name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))+string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// issuer answers for a cluster whose issuer this is.
func (s *stage) issuer(name string) {
	s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Host, ".example.com") {
			return answer(r, http.StatusOK, `{"issuer":"`+name+`"}`), nil
		}
		return nil, errPass
	})
}

// Every proof on one application; each second apply changes nothing, also page by page.
func TestSetupProofs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.tenant.Directory().SetPageSize(1)
	s.issuer("https://oidc.example.com/t/")
	first := s.certificate("first")
	file := s.spec("proof:\n", "proof:\n  certificate: "+first+"\n  workload-identity: {issuer: 'https://oidc.example.com/t/', namespace: mcp, service-account: files}\n")
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	id := "/applications/" + s.app("files-mcp")["id"].(string)
	var subjects []string
	for _, path := range []string{id + "/federatedIdentityCredentials?$top=10"} {
		for _, c := range list(s.graph("GET", path, nil)["value"]) {
			subjects = append(subjects, c["subject"].(string))
		}
	}
	if got := strings.Join(subjects, " "); got != s.identity.ObjectID+" system:serviceaccount:mcp:files" {
		t.Errorf("federated subjects are %q; want the identity's principal id, and the service account", got)
	}
	// Another certificate: the first stays, for Graph removes those that a request doesn't repeat.
	second := s.certificate("second")
	data, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	s.write("first.pem", string(data))
	out := s.must(exitOK, "apply", "-f", file)
	if !strings.Contains(out, "certificate mcp-entra ") {
		t.Errorf("apply does not name the certificate that stays:\n%s", out)
	}
	if keys := list(s.graph("GET", id+"?$select=keyCredentials", nil)["keyCredentials"]); len(keys) != 2 || keys[0]["key"] == nil || keys[1]["key"] == nil {
		t.Errorf("certificates: %v, want both, with their keys", keys)
	}
	// A wrong subject, as somebody typed it in the portal, is drift.
	s.graph("PATCH", id+"/federatedIdentityCredentials(name='mcp-entra-identity')", map[string]any{"subject": s.identity.ClientID})
	if out := s.must(exitDiffers, "check", "-f", file); !strings.Contains(out, "api/federated/mcp-entra-identity") {
		t.Errorf("check does not see the wrong subject:\n%s", out)
	}
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
}

// Resources that the tenant has never used get their service principals, which destroy leaves; their
// scopes are looked up; roles are given to people.
func TestSetupResourcesAndRoles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	orders := s.tenant.AddApp("orders", "Orders.Read")
	orders.AppIDURIs = []string{"api://orders.example"}
	s.tenant.Directory().AddDomain("orders.example")
	alice := s.tenant.AddUser("alice@example.com", "Alice")
	file := s.spec("  - storage\n", "  - storage\n  - keyvault\n  - arm\n  - api://orders.example: Orders.Read\n", "    for: users\n", "    for: users\n    assign: "+alice.ObjectID+"\n")
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	sp := s.graph("GET", "/servicePrincipals(appId='"+s.app("files-mcp")["appId"].(string)+"')", nil)["id"].(string)
	if n := len(list(s.graph("GET", "/oauth2PermissionGrants?$filter=clientId%20eq%20'"+sp+"'", nil)["value"])); n != 5 {
		t.Errorf("%d grants to the API, want 5: storage, keyvault, arm, orders, graph", n)
	}
	if roles := list(s.graph("GET", "/servicePrincipals/"+sp+"/appRoleAssignedTo", nil)["value"]); len(roles) != 1 || roles[0]["principalId"] != alice.ObjectID {
		t.Errorf("roles given: %v; want Alice's", roles)
	}
	// A second resource scope is added to the row that is there.
	file = s.spec("graph: User.Read", "graph: User.Read openid")
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "check", "-f", file)
	s.must(exitOK, "destroy", "-f", file)
	s.graph("GET", "/servicePrincipals(appId='cfa8b339-82a2-471a-a3c9-0fc0be7a4093')", nil)
}

// A role that the file no longer has goes, after it is disabled.
func TestSetupRoleRemoved(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must(exitOK, "apply", "-f", s.spec("  - value: Files.Admin\n", "  - value: Files.Old\n  - value: Files.Admin\n"))
	s.tenant.Directory().Delay(2, entratest.LagDisabled)
	s.must(exitOK, "apply", "-f", s.spec())
	s.tenant.Directory().Settle()
	if roles := list(s.app("files-mcp")["appRoles"]); len(roles) != 1 || roles[0]["value"] != "Files.Admin" || roles[0]["isEnabled"] != true {
		t.Errorf("roles: %v; want Files.Admin alone, enabled", roles)
	}
	s.must(exitOK, "check", "-f", s.spec())
}

// Rotation adds a secret, keeps the one before it, and removes older ones.
func TestSetupRotate(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	s.must(exitOK, apply...)
	secrets := func() int { return len(list(s.app("files-mcp")["passwordCredentials"])) }
	for i, want := range []int{2, 2, 2} {
		s.must(exitOK, append(apply, "-rotate")...)
		if got := secrets(); got != want {
			t.Errorf("after rotation %d: %d secrets, want %d", i+1, got, want)
		}
	}
	s.must(exitOK, apply...)
	if got := secrets(); got != 2 {
		t.Errorf("apply without -rotate: %d secrets, want 2", got)
	}
	// Without the file, which went to a vault: nothing is added.
	if err := os.Remove(filepath.Join(s.dir, "secrets.env")); err != nil {
		t.Fatal(err)
	}
	s.must(exitOK, "apply", "-f", apply[2])
	// A file that others can read is refused.
	if err := os.WriteFile(filepath.Join(s.dir, "secrets.env"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := s.run(append(apply, "-rotate")...); code != exitFailed || !strings.Contains(stderr, "can be read by others (mode 644): chmod 600") {
		t.Errorf("apply with an open file = %d, %s; want %d", code, stderr, exitFailed)
	}
}

// A user who may register applications, and no more: what an administrator has to do is named.
func TestSetupAsDeveloper(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	alice := s.tenant.AddUser("alice@example.com", "Alice")
	alice.Roles = []entratest.Role{entratest.RoleApplicationDeveloper}
	file := s.spec()
	code, stdout, stderr := s.asUser(alice, "apply", "-f", file, "-auth", "device", "-tenant", s.tenant.ID())
	if code != exitFailed || !strings.Contains(stdout, "Done    api/federated/mcp-entra-identity") || !strings.Contains(stdout, "Failed  grant/api/storage") ||
		!strings.Contains(stdout, "Cloud Application Administrator or Privileged Role Administrator") {
		t.Errorf("apply as Application Developer = %d; want %d, all but the grants\n%s%s", code, exitFailed, stdout, stderr)
	}
	alice.Roles = []entratest.Role{entratest.RoleCloudApplicationAdministrator}
	if code, stdout, stderr := s.asUser(alice, "apply", "-f", file, "-auth", "device", "-tenant", s.tenant.ID()); code != exitOK {
		t.Errorf("apply as Cloud Application Administrator = %d\n%s%s", code, stdout, stderr)
	}
}

// At a terminal, destroy asks.
func TestSetupDestroyAsks(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	for answer, want := range map[string]int{"no\n": exitFailed, "": exitFailed} {
		code, stdout, stderr := s.runAs(func(p *process) { p.terminal, p.stdin = true, strings.NewReader(answer) }, "destroy", "-f", file)
		if code != want || !strings.Contains(stderr, "nothing was changed") || !strings.Contains(stdout, "api/delete") {
			t.Errorf("destroy, answered %q = %d, want %d\n%s%s", answer, code, want, stdout, stderr)
		}
	}
	s.app("files-mcp")
	if code, _, stderr := s.runAs(func(p *process) { p.terminal, p.stdin = true, strings.NewReader("yes\n") }, "destroy", "-f", file); code != exitOK {
		t.Errorf("destroy, answered yes = %d\n%s", code, stderr)
	}
}

// A permission that a resource new to the tenant doesn't have is not granted either.
func TestSetupUnknownScopeOfNewResource(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	code, stdout, stderr := s.run("apply", "-f", s.spec("  - storage\n", "  - arm: user_impersonate\n"))
	if code != exitFailed || !strings.Contains(stdout, "it has no permission user_impersonate; did you mean user_impersonation?") {
		t.Errorf("apply = %d, want %d\n%s%s", code, exitFailed, stdout, stderr)
	}
	for _, grant := range list(s.graph("GET", "/oauth2PermissionGrants", nil)["value"]) {
		if grant["scope"] == "user_impersonate" {
			t.Errorf("it grants %v", grant)
		}
	}
}

// One resource under two names would be two grants for one row.
func TestSetupResourceTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	orders := s.tenant.AddApp("orders", "Orders.Read")
	orders.AppIDURIs = []string{"api://orders.example", "https://orders.example"}
	s.tenant.Directory().AddDomain("orders.example")
	code, _, stderr := s.run("apply", "-f", s.spec("  - storage\n", "  - api://orders.example: Orders.Read\n  - https://orders.example: Orders.Read\n"))
	if code != exitFailed || !strings.Contains(stderr, "the resources api://orders.example and https://orders.example are one application") {
		t.Errorf("apply = %d, %s; want %d", code, stderr, exitFailed)
	}
}
