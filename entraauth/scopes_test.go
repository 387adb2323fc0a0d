package entraauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// files is a hierarchy of three steps, and a scope beside it that implies two.
var files = map[string][]string{
	"Files.Manage":    {"Files.ReadWrite"},
	"Files.ReadWrite": {"Files.Read", "Files.List"},
	"Files.Read":      {"Files.List"},
	"Backup":          {"Files.Read"},
}

func TestImpliedScopesFaults(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	for name, row := range map[string]struct {
		implied map[string][]string
		want    []string // of the error; none: no error
	}{
		"none":                 {nil, nil},
		"empty":                {map[string][]string{}, nil},
		"a hierarchy":          {files, nil},
		"two ways to a scope":  {map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}}, nil},
		"empty list":           {map[string][]string{"a": {}}, []string{`ImpliedScopes["a"]: the list is empty`}},
		"itself":               {map[string][]string{"a": {"b", "a"}}, []string{`ImpliedScopes["a"]: "a" implies itself`}},
		"twice":                {map[string][]string{"a": {"b", "c", "b"}}, []string{`ImpliedScopes["a"]: "b" is there twice`}},
		"in full":              {map[string][]string{"api://x/a": {"b"}}, []string{`ImpliedScopes: "api://x/a" is not a short name`}},
		"narrower in full":     {map[string][]string{"a": {"https://mcp.example.com/mcp/b"}}, []string{`ImpliedScopes["a"]: "https://mcp.example.com/mcp/b" is not a short name`}},
		"several in one":       {map[string][]string{"a": {"b c"}}, []string{`ImpliedScopes["a"]: "b c" is not a short name`}},
		"without a name":       {map[string][]string{"": {"b"}}, []string{`ImpliedScopes: "" is not a short name`}},
		"never in a token":     {map[string][]string{"openid": {"profile"}}, []string{`ImpliedScopes: "openid" is for clients`, `ImpliedScopes["openid"]: "profile" is for clients`}},
		"cycle of two":         {map[string][]string{"a": {"b"}, "b": {"a"}}, []string{"ImpliedScopes: a implies b implies a is a cycle"}},
		"cycle behind a scope": {map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": {"b"}}, []string{"ImpliedScopes: b implies c implies d implies b is a cycle"}},
		"two cycles":           {map[string][]string{"a": {"b"}, "b": {"a"}, "x": {"y"}, "y": {"x"}}, []string{"a implies b implies a is a cycle", "x implies y implies x is a cycle"}},
		"all at once":          {map[string][]string{"a": {"b", "b"}, "b": {"a"}, "c": {}}, []string{"is there twice", "is a cycle", "the list is empty"}},
	} {
		v, err := entraauth.NewVerifier(f.tenant.ID(), f.api.ClientID, &entraauth.Options{
			HTTPClient: f.tenant.HTTPClient(), AuthorityHost: f.tenant.AuthorityHost(), Logger: f.logger(), ImpliedScopes: row.implied,
		})
		if err == nil {
			_ = v.Close()
		}
		if (err != nil) != (len(row.want) > 0) {
			t.Errorf("%s: NewVerifier = %v, want errors %q", name, err, row.want)
		}
		for _, want := range row.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: NewVerifier = %v, want %q", name, err, want)
			}
		}
	}
}

// A token with a broader scope passes wherever a narrower one is needed, and no other does.
func TestImpliedScopesInPolicies(t *testing.T) {
	t.Parallel()
	type policy = entraauth.Policy
	f := newTenant(t)
	for name, row := range map[string]struct {
		policy policy // of the verifier
		scp    string
		kind   error // nil: accepted
	}{
		"the scope itself":       {policy{Scopes: []string{"Files.Read"}}, "Files.Read", nil},
		"one step":               {policy{Scopes: []string{"Files.Read"}}, "Files.ReadWrite", nil},
		"two steps":              {policy{Scopes: []string{"Files.Read"}}, "Files.Manage", nil},
		"three steps":            {policy{Scopes: []string{"Files.List"}}, "Files.Manage", nil},
		"the wrong way":          {policy{Scopes: []string{"Files.ReadWrite"}}, "Files.Read Files.List", entraauth.ErrInsufficientScope},
		"beside it":              {policy{Scopes: []string{"Files.ReadWrite"}}, "Backup", entraauth.ErrInsufficientScope},
		"all, by two":            {policy{Scopes: []string{"Files.List", "Mail.Read"}}, "Backup Mail.Read", nil},
		"all, one missing":       {policy{Scopes: []string{"Files.List", "Mail.Read"}}, "Files.Manage", entraauth.ErrInsufficientScope},
		"one of":                 {policy{AnyScope: []string{"Mail.Read", "Files.List"}}, "Files.Manage", nil},
		"one of, none":           {policy{AnyScope: []string{"Mail.Read", "Files.Manage"}}, "Files.ReadWrite", entraauth.ErrInsufficientScope},
		"the case counts":        {policy{Scopes: []string{"Files.Read"}}, "files.readwrite", entraauth.ErrInsufficientScope},
		"no part of a name":      {policy{Scopes: []string{"Files.Read"}}, "Files.ReadWrite.All", entraauth.ErrInsufficientScope},
		"an application's token": {policy{Scopes: []string{"Files.Read"}, AppRoles: []string{"R"}}, "", entraauth.ErrNotPermitted},
	} {
		t.Run(name, func(t *testing.T) {
			f.start(t, func(o *entraauth.Options) { o.Policy, o.ImpliedScopes = row.policy, files })
			id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, func(h, c map[string]any) {
				if c["scp"] = row.scp; row.scp == "" {
					daemon("Files.ReadWrite")(f, h, c) // a role of a scope's name is a role
				}
			}))
			if !errors.Is(err, row.kind) {
				t.Fatalf("Verify = %v, want %v", err, row.kind)
			}
			if err == nil && strings.Join(id.Scopes(), " ") != row.scp {
				t.Errorf("Scopes() = %q, want the token's: %q", id.Scopes(), row.scp)
			}
		})
	}
}

// What the map says later doesn't count: it is copied.
func TestImpliedScopesAreACopy(t *testing.T) {
	t.Parallel()
	implied := map[string][]string{"admin": {"read"}}
	f := newFixture(t, func(o *entraauth.Options) { o.ImpliedScopes = implied })
	implied["access_as_user"], implied["admin"][0] = []string{"admin"}, "other"
	id, err := f.verifier.Verify(t.Context(), f.tenant.Token(f.alice, f.client, f.api, "access_as_user", "admin"))
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]bool{"admin": true, "read": true, "access_as_user": true, "other": false} {
		if got := id.HasScope(scope); got != want {
			t.Errorf("HasScope(%s) = %v, want %v", scope, got, want)
		}
	}
}

// Challenges ask for the narrowest scopes that suffice, and a token with exactly those
// passes. The first policy is the verifier's.
func TestNarrowestScopes(t *testing.T) {
	t.Parallel()
	type policy = entraauth.Policy
	all := func(scopes ...string) policy { return policy{Scopes: scopes} }
	oneOf := func(scopes ...string) policy { return policy{AnyScope: scopes} }
	for name, row := range map[string]struct {
		implied  map[string][]string
		policies []policy
		want     string
	}{
		"nothing":                           {files, []policy{{}}, ""},
		"all, in order":                     {nil, []policy{all("b", "a"), all("c", "a")}, "b a c"},
		"one of: the first":                 {nil, []policy{oneOf("a", "b")}, "a"},
		"one of, met by others":             {nil, []policy{all("x"), oneOf("a", "b"), all("b")}, "x b"},
		"one of, met by others before":      {nil, []policy{oneOf("a", "b"), all("b")}, "b"},
		"two of one: what they share":       {nil, []policy{oneOf("a", "b"), oneOf("b", "c")}, "b"},
		"implied: left out":                 {files, []policy{all("Files.Read"), all("Files.ReadWrite")}, "Files.ReadWrite"},
		"implied in steps: left out":        {files, []policy{all("Files.List", "Files.Manage", "Mail.Read")}, "Files.Manage Mail.Read"},
		"never broader than wanted":         {files, []policy{all("Files.Read")}, "Files.Read"},
		"one of: the narrowest":             {files, []policy{oneOf("Files.Manage", "Files.ReadWrite", "Files.Read")}, "Files.Read"},
		"one of: the first of two":          {files, []policy{oneOf("Files.Manage", "Backup")}, "Files.Manage"},
		"one of: others don't hide it":      {files, []policy{oneOf("Files.ReadWrite", "Mail.Read", "Files.Read")}, "Mail.Read"},
		"one of, implied by what is wanted": {files, []policy{all("Files.Manage"), oneOf("Files.List", "Mail.Read")}, "Files.Manage"},
		"one of, broader than wanted":       {files, []policy{all("Files.Read"), oneOf("Files.Manage", "Backup")}, "Files.Manage"},
		"one of each, and each implies":     {files, []policy{oneOf("Files.Read", "a"), oneOf("Files.ReadWrite", "b")}, "Files.ReadWrite"},
	} {
		v, err := entraauth.Implying(row.implied, row.policies[0])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := v.ShortScopesFor(row.policies[1:]...)
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: ScopesFor = %q, want %q", name, got, row.want)
		}
		for _, p := range row.policies {
			if err := p.Check(v.CallerWith(got...)); err != nil {
				t.Errorf("%s: a token with %q: %v, want nil", name, got, err)
			}
		}
	}
}

// The same over HTTP: metadata, the challenge without a token, that of an endpoint, and one
// of a handler that has several policies.
func TestNarrowestScopesInChallenges(t *testing.T) {
	t.Parallel()
	const resource = "https://mcp.example.com/mcp"
	f := newTenant(t)
	f.start(t, func(o *entraauth.Options) {
		o.AppIDURIs, o.ImpliedScopes = []string{resource, "api://" + f.api.ClientID}, files
		o.Policy = entraauth.Policy{AnyScope: []string{"Files.Manage", "Files.List"}}
	})
	check := &entraauth.BearerCheck{ResourceMetadata: metadataURL, Policy: entraauth.Policy{AnyScope: []string{"Files.Manage", "Files.ReadWrite"}, Scopes: []string{"Files.Read"}}}
	s := f.serve(t, check)
	token := func(scopes ...string) http.Header {
		return authorization("Bearer " + f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["scp"] = strings.Join(scopes, " ") }))
	}
	for name, row := range map[string]struct {
		header http.Header
		status int
		scope  string
	}{
		"no token":                  {http.Header{}, 401, "Files.ReadWrite"},
		"none of the API's scopes":  {token("Mail.Read"), 403, "Files.ReadWrite"},
		"the verifier's alone":      {token("Files.List"), 403, "Files.ReadWrite"},
		"the endpoint's, narrower":  {token("Files.Read"), 403, "Files.ReadWrite"},
		"what was asked for":        {token("Files.ReadWrite"), 200, ""},
		"more than what was asked":  {token("Files.Manage"), 200, ""},
		"what implies a part of it": {token("Backup"), 403, "Files.ReadWrite"},
	} {
		want := row.scope
		if want != "" {
			want = resource + "/" + want
		}
		if a := get(t, s.URL, row.header); a.status != row.status || scopeOf(a.header.Get("WWW-Authenticate")) != want {
			t.Errorf("%s: got %d, scope %q; want %d, %q", name, a.status, scopeOf(a.header.Get("WWW-Authenticate")), row.status, want)
		}
	}
	if got, want := f.verifier.ScopesFor(resource), []string{resource + "/Files.List"}; !slices.Equal(got, want) {
		t.Errorf("ScopesFor(%s) = %q, want %q", resource, got, want)
	}
	several := &entraauth.BearerCheck{ResourceMetadata: metadataURL, Scopes: f.verifier.ScopesFor(resource, entraauth.Policy{Scopes: []string{"Mail.Read"}}, check.Policy)}
	refuse := f.verifier.Middleware(nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.verifier.Refuse(w, r, several, check.Policy.Check(entraauth.FromContext(r.Context())))
	}))
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header = token("Files.List")
	refused := httptest.NewRecorder()
	refuse.ServeHTTP(refused, request)
	if got, want := scopeOf(refused.Header().Get("WWW-Authenticate")), resource+"/Mail.Read "+resource+"/Files.ReadWrite"; got != want {
		t.Errorf("the challenge of several policies: scope %q, want %q", got, want)
	}
}

// A large hierarchy costs the start little, and its cycles don't flood the error.
func TestLargeHierarchies(t *testing.T) {
	t.Parallel()
	const n, width = 400, 20
	layers, tangle := map[string][]string{}, map[string][]string{}
	for i := range n {
		for j := range width {
			layers[fmt.Sprint("s", i)] = append(layers[fmt.Sprint("s", i)], fmt.Sprint("s", (i/width+1)*width+j))
		}
		for j := range 100 {
			if a, b := fmt.Sprint("t", i%100), fmt.Sprint("t", j); a != b && i < 100 {
				tangle[a] = append(tangle[a], b)
			}
		}
	}
	f := newFixture(t, func(o *entraauth.Options) { o.ImpliedScopes = layers })
	id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["scp"] = "access_as_user s0" }))
	if err != nil {
		t.Fatal(err)
	}
	for scope, want := range map[string]bool{"s0": true, "s1": false, "s20": true, "s419": true, "S20": false, "access_as_user": true} {
		if got := id.HasScope(scope); got != want {
			t.Errorf("HasScope(%q) = %t, want %t", scope, got, want)
		}
	}
	_, err = entraauth.NewVerifier(f.tenant.ID(), f.api.ClientID, &entraauth.Options{ImpliedScopes: tangle})
	if err == nil || strings.Count(err.Error(), "is a cycle") != 50 || len(err.Error()) > 16<<10 {
		t.Errorf("a tangle of 100 scopes: %.200v, want one cycle for each scope that is in one", err)
	}
}
