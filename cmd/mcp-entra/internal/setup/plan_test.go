package setup_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// planOf returns the plan for a tenant that has nothing.
func planOf(t *testing.T, spec setup.Spec) *setup.Plan {
	t.Helper()
	cloud, _ := authority.CloudNamed(spec.Cloud)
	host, err := authority.Parse(cloud.Hosts[0])
	if err != nil {
		t.Fatal(err)
	}
	have := setup.Unobserved(spec)
	want, err := setup.Desired(spec, have, cloud, host)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := setup.NewPlan(spec, want, have, cloud.Graph+"/v1.0", setup.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func specOf(t *testing.T, text string) setup.Spec {
	t.Helper()
	spec, err := setup.Read("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// The order is Entra's, and each step finds the ids that it needs before it.
func TestPlanOrder(t *testing.T) {
	t.Parallel()
	plan := planOf(t, specOf(t, good+`resources: [storage, graph: User.Read]
clients: [vscode, azurecli, inspector, claude, {name: page, platform: spa, redirects: ['https://page.example/cb']}]
roles: [{value: Files.Admin, assign: 44444444-2222-3333-4444-555555555555}]
proof: {managed-identity: 55555555-2222-3333-4444-555555555555, secret: true}
`))
	var ids []string
	found := map[string]bool{"${tenant}": true, "${storage.appId}": true, "${graph.appId}": true}
	for _, s := range plan.Steps {
		ids = append(ids, s.ID)
		for _, c := range s.Captures { // its own Read may use them
			found["${"+c.Name+"}"] = true
		}
		for _, m := range regexp.MustCompile(`\$\{[^}]*\}`).FindAllString(s.Path+string(s.Body), -1) {
			if !found[m] {
				t.Errorf("step %s needs %s, which no step before it finds", s.ID, m)
			}
		}
		if s.Permission == "" || s.Role == "" || s.Title == "" {
			t.Errorf("step %s lacks permission, role or title: %+v", s.ID, s)
		}
	}
	order := []string{"api/create", "api/uri", "api/server-uris", "api/scopes", "api/preauthorized", "api/principal", "resource/storage",
		"grant/api/storage", "assign/Files.Admin/44444444-2222-3333-4444-555555555555", "identity/find", "api/federated/mcp-entra-identity", "api/secret"}
	last := -1
	for _, id := range order {
		i := slices.Index(ids, id)
		if i <= last {
			t.Errorf("step %s is number %d, want it after the one before it in %q; all: %q", id, i, order, ids)
		}
		last = i
	}
	if body := string(plan.Steps[0].Body); !strings.Contains(body, `"requestedAccessTokenVersion":2`) {
		t.Errorf("the first request is %s; want token version 2 in it, before App ID URIs", body)
	}
}

// Clients are on applications by platform, and redirects on localhost that differ in their port
// alone never share one.
func TestPlanLayout(t *testing.T) {
	t.Parallel()
	plan := planOf(t, specOf(t, good+`clients:
  - vscode
  - {name: one, platform: public, redirects: ['http://localhost:1000/cb']}
  - {name: two, platform: public, redirects: ['http://localhost:2000/cb'], device-code: true}
  - {name: three, platform: public, redirects: ['http://localhost:3000/other', 'http://127.0.0.1:4000/cb']}
  - {name: hosted, platform: web, redirects: ['https://hosted.example/cb']}
  - {name: page, platform: spa, redirects: ['http://localhost:1000/cb']}
`))
	want := map[string]string{
		"public/redirects-publicClient":  `{"publicClient":{"redirectUris":["http://localhost:1000/cb","http://localhost:3000/other","http://127.0.0.1:4000/cb"]}}`,
		"public2/redirects-publicClient": `{"publicClient":{"redirectUris":["http://localhost:2000/cb"]}}`,
		"web/redirects-web":              `{"web":{"redirectUris":["https://hosted.example/cb"]}}`,
		"spa/redirects-spa":              `{"spa":{"redirectUris":["http://localhost:1000/cb"]}}`,
		"api/redirects-web":              `{"web":{"redirectUris":["https://mcp.example.com/consent/done"]}}`,
	}
	for _, s := range plan.Steps {
		if strings.Contains(s.ID, "/redirects") && string(s.Body) != want[s.ID] {
			t.Errorf("step %s = %s, want %s", s.ID, s.Body, want[s.ID])
		}
		fallback := strings.Contains(string(s.Body), `"isFallbackPublicClient":true`)
		if fallback != (s.ID == "public2/create") {
			t.Errorf("step %s has isFallbackPublicClient %v; want it for the device code's application alone: %s", s.ID, fallback, s.Body)
		}
		if secret := strings.HasSuffix(s.ID, "/secret"); secret && s.ID != "web/secret" {
			t.Errorf("step %s: want a secret on the web application alone", s.ID)
		}
		delete(want, s.ID)
	}
	if len(want) > 0 {
		t.Errorf("steps missing: %v", want)
	}
}

// Ids of scopes and roles depend on names alone.
func TestPlanRepeats(t *testing.T) {
	t.Parallel()
	spec := specOf(t, good+"scopes: [C, {name: D, admin: true}]\nroles: [{value: A}, {value: B}]\nclients: [vscode]\n")
	if a, b := encode(t, planOf(t, spec)), encode(t, planOf(t, spec)); string(a) != string(b) {
		t.Errorf("two plans for one spec differ:\n%s\n%s", a, b)
	}
}
