package entraauth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

const group = "33333333-4444-5555-6666-777777777777"

func claims(pairs ...any) edit {
	return func(_ *fixture, _, c map[string]any) {
		for i := 0; i < len(pairs); i += 2 {
			put(c, pairs[i].(string), pairs[i+1])
		}
	}
}

// daemon is the token of an application on its own, with roles.
func daemon(roles ...string) edit {
	return func(_ *fixture, _, c map[string]any) {
		delete(c, "scp")
		c["roles"], c["sub"] = append([]string{}, roles...), c["oid"]
	}
}

// appOnlyRole is the same with a scp.
func appOnlyRole(role, scp string) edit {
	return func(f *fixture, h, c map[string]any) {
		daemon(role)(f, h, c)
		c["scp"] = scp
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	type policy = entraauth.Policy
	f := newTenant(t)
	for name, row := range map[string]struct {
		policy policy // of the verifier
		change edit
		kind   error // nil: accepted
		rule   string
	}{
		"default":                          {policy{}, claims(), nil, ""},
		"default, other scope":             {policy{}, claims("scp", "x"), entraauth.ErrInsufficientScope, "scope"},
		"all of two scopes":                {policy{Scopes: []string{"a", "b"}}, claims("scp", "b c a"), nil, ""},
		"one of two scopes missing":        {policy{Scopes: []string{"a", "b"}}, claims("scp", "a"), entraauth.ErrInsufficientScope, "scope"},
		"any scope":                        {policy{AnyScope: []string{"a", "b"}}, claims("scp", "b"), nil, ""},
		"any scope, none":                  {policy{AnyScope: []string{"a", "b"}}, claims("scp", "c"), entraauth.ErrInsufficientScope, "scope"},
		"user role":                        {policy{UserRoles: []string{"R", "S"}}, claims("roles", []string{"S"}), nil, ""},
		"user role missing":                {policy{UserRoles: []string{"R"}}, claims("roles", []string{"T"}), entraauth.ErrNotPermitted, "user role"},
		"user role, scope missing":         {policy{UserRoles: []string{"R"}}, claims("roles", []string{"R"}, "scp", "x"), entraauth.ErrInsufficientScope, "scope"},
		"user role is not for apps":        {policy{UserRoles: []string{"R"}}, daemon("R"), entraauth.ErrInsufficientScope, "kind of caller"},
		"group":                            {policy{Groups: []string{strings.ToUpper(group)}}, claims("groups", []string{otherTenant, group}), nil, ""},
		"group missing":                    {policy{Groups: []string{group}}, claims("groups", []string{otherTenant}), entraauth.ErrNotPermitted, "group"},
		"groups not in the token":          {policy{Groups: []string{group}}, claims(), entraauth.ErrNotPermitted, "group"},
		"groups elsewhere":                 {policy{Groups: []string{group}}, claims("_claim_names", map[string]any{"groups": "src1"}, "_claim_sources", map[string]any{"src1": map[string]any{"endpoint": "https://evil.example"}}), entraauth.ErrNotPermitted, "group"},
		"hasgroups":                        {policy{Groups: []string{group}}, claims("hasgroups", true), entraauth.ErrNotPermitted, "group"},
		"app refused by default":           {policy{}, daemon("R"), entraauth.ErrInsufficientScope, "kind of caller"},
		"app role":                         {policy{AppRoles: []string{"Q", "R"}}, daemon("R"), nil, ""},
		"app role by idtyp":                {policy{AppRoles: []string{"R"}}, claims("idtyp", "app", "scp", nil, "roles", []string{"R"}), nil, ""},
		"app role, scp is empty":           {policy{AppRoles: []string{"R"}}, appOnlyRole("R", ""), nil, ""},
		"app role, scp is a slash":         {policy{AppRoles: []string{"R"}}, appOnlyRole("R", "/"), nil, ""},
		"app role, scp names a scope":      {policy{AppRoles: []string{"R"}}, appOnlyRole("R", "x"), entraauth.ErrNotPermitted, "kind of caller"},
		"user, scp is a slash":             {policy{AppRoles: []string{"R"}, Scopes: []string{"a"}}, claims("idtyp", "user", "scp", "/", "roles", []string{"R"}), entraauth.ErrInsufficientScope, "scope"},
		"app role missing":                 {policy{AppRoles: []string{"R"}}, daemon("T"), entraauth.ErrNotPermitted, "app role"},
		"app without roles":                {policy{AppRoles: []string{"R"}}, daemon(), entraauth.ErrNotPermitted, "app role"},
		"apps alone, a user":               {policy{AppRoles: []string{"R"}}, claims(), entraauth.ErrNotPermitted, "kind of caller"},
		"a user's role is no app's":        {policy{AppRoles: []string{"R"}}, claims("roles", []string{"R"}), entraauth.ErrNotPermitted, "kind of caller"},
		"a user's ID token is no app's":    {policy{AppRoles: []string{"R"}}, claims("scp", nil, "roles", []string{"R"}), entraauth.ErrInvalidToken, "kind of token"},
		"users and apps, a user":           {policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}}, claims(), nil, ""},
		"users and apps, an app":           {policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}}, daemon("R"), nil, ""},
		"client":                           {policy{Clients: []string{strings.ToUpper(otherTenant)}}, claims("appid", otherTenant), nil, ""},
		"client not on the list":           {policy{Clients: []string{otherTenant}}, claims("appid", group), entraauth.ErrNotPermitted, "client"},
		"client of the other version":      {policy{Clients: []string{otherTenant}}, claims("appid", group, "azp", otherTenant), entraauth.ErrNotPermitted, "client"},
		"public client":                    {policy{ClientAuth: entraauth.ClientAuthSecret}, claims("appidacr", "0"), entraauth.ErrNotPermitted, "client authentication"},
		"client with a secret":             {policy{ClientAuth: entraauth.ClientAuthSecret}, claims("appidacr", "1"), nil, ""},
		"client without certificate":       {policy{ClientAuth: entraauth.ClientAuthCertificate}, claims("appidacr", "1"), entraauth.ErrNotPermitted, "client authentication"},
		"client with a certificate":        {policy{ClientAuth: entraauth.ClientAuthCertificate}, claims("appidacr", "2"), nil, ""},
		"client authentication not told":   {policy{ClientAuth: entraauth.ClientAuthSecret}, claims("appidacr", nil, "azpacr", "2"), entraauth.ErrNotPermitted, "client authentication"},
		"context":                          {policy{AuthContext: "c1"}, claims("acrs", []string{"c2", "c1"}), nil, ""},
		"context as text":                  {policy{AuthContext: "c1"}, claims("acrs", "c1"), nil, ""},
		"context missing, able client":     {policy{AuthContext: "c1"}, claims("xms_cc", []string{"cp1"}), entraauth.ErrInsufficientClaims, "authentication context"},
		"context missing, able, as text":   {policy{AuthContext: "c1"}, claims("xms_cc", "cp1"), entraauth.ErrInsufficientClaims, "authentication context"},
		"context missing, other client":    {policy{AuthContext: "c1"}, claims("acrs", []string{"c11"}), entraauth.ErrNotPermitted, "authentication context"},
		"context missing, other abilities": {policy{AuthContext: "c1"}, claims("xms_cc", []string{"cp2"}), entraauth.ErrNotPermitted, "authentication context"},
	} {
		t.Run(name, func(t *testing.T) {
			f.start(t, func(o *entraauth.Options) { o.Policy = row.policy })
			id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, func(h, c map[string]any) { row.change(f, h, c) }))
			if row.kind == nil {
				if err != nil || id == nil {
					t.Errorf("refused: got %v, want nil, an id", err)
				}
				return
			}
			var e *entraauth.Error
			if !errors.Is(err, row.kind) || !errors.As(err, &e) || e.Rule != row.rule || e.Remedy == "" {
				t.Errorf("got %v (%+v), want %v by %q", err, e, row.kind, row.rule)
			}
		})
	}
}

func TestGuardsAddUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) {
		o.Policy.AppRoles = []string{"R"}
		o.Policy.Scopes = []string{"access_as_user"}
	})
	app := f.tenant.Mint(f.api, 1, func(h, c map[string]any) { daemon("R")(f, h, c) })
	for name, row := range map[string]struct {
		policy      entraauth.Policy
		user, admin int
		app         int
	}{
		"nothing more": {entraauth.Policy{}, 200, 200, 200},
		"users' scope": {entraauth.Policy{Scopes: []string{"admin"}}, 403, 200, 403},
		"apps' role":   {entraauth.Policy{AppRoles: []string{"R"}}, 403, 403, 200},
		"another role": {entraauth.Policy{AppRoles: []string{"S"}}, 403, 403, 403},
	} {
		s := f.serve(t, &entraauth.BearerCheck{Policy: row.policy})
		for token, want := range map[string]int{f.token(): row.user, f.tenant.Token(f.alice, f.client, f.api): row.admin, app: row.app} {
			if a := get(t, s.URL, authorization("Bearer "+token)); a.status != want {
				t.Errorf("%s: %d %s, want %d", name, a.status, a.body, want)
			}
		}
	}
	if err := (entraauth.Policy{}).Check(nil); !errors.Is(err, entraauth.ErrNoToken) {
		t.Errorf("with an empty policy, nobody: got %v, want %v", err, entraauth.ErrNoToken)
	}
}

func TestAppIdentity(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *entraauth.Options) { o.Policy.AppRoles = []string{"R"} })
	id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(h, c map[string]any) { daemon("R")(f, h, c) }))
	if err != nil {
		t.Fatal(err)
	}
	if id.Kind() != entraauth.KindApp || id.HasRole(entraauth.KindUser, "R") || !id.HasRole(entraauth.KindApp, "R") || id.UserID() != f.tenant.ID()+"."+id.ObjectID() {
		t.Errorf("kind %v, roles %v, id %s; want %v, R, {tenant}.{object}", id.Kind(), id.Roles(), id.UserID(), entraauth.KindApp)
	}
	id, err = f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(h, c map[string]any) { daemon("R")(f, h, c); delete(c, "oid") }))
	if err != nil || id.UserID() != f.tenant.ID()+"."+id.ClientID() {
		t.Errorf("without object ID: got %v, %v; want {tenant}.{client}, nil", id, err)
	}
}

// The claims challenge, as Microsoft's clients look for it.
func TestStepUpChallenge(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	s := f.serve(t, &entraauth.BearerCheck{ResourceMetadata: metadataURL, Policy: entraauth.Policy{AuthContext: "c1"}})
	able := f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["xms_cc"] = []string{"cp1"} })
	a := get(t, s.URL, authorization("Bearer "+able))
	c := a.header.Get("WWW-Authenticate")
	m := regexp.MustCompile(`^Bearer realm="", authorization_uri="([^"]+)", claims="([^"]+)", error="insufficient_claims"`).FindStringSubmatch(c)
	if a.status != http.StatusUnauthorized || m == nil {
		t.Fatalf("got %d %s, want 401 and claims", a.status, c)
	}
	claims, err := base64.StdEncoding.DecodeString(m[2])
	if err != nil || string(claims) != `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}` {
		t.Errorf("claims %s, %v; want %q, nil", claims, err, `{"access_token":{"acrs":{"essential":true,"value":"c1"}}}`)
	}
	if m[1] != f.tenant.AuthorityHost()+"/"+f.tenant.ID()+"/oauth2/v2.0/authorize" {
		t.Errorf("authorization_uri %s, want the tenant's", m[1])
	}
	if a := get(t, s.URL, authorization("Bearer "+f.token())); a.status != http.StatusForbidden || strings.Contains(a.header.Get("WWW-Authenticate"), "claims=") {
		t.Errorf("a client that can't: got %d %s, want 403 and no claims", a.status, a.header.Get("WWW-Authenticate"))
	}
}

func TestPolicyFaults(t *testing.T) {
	t.Parallel()
	_, err := entraauth.Policy{Scopes: []string{"api://x/a"}, AnyScope: []string{""}, UserRoles: []string{"a b"}, AppRoles: []string{`"`},
		Groups: []string{"staff"}, Clients: []string{"vscode"}, ClientAuth: 7, AuthContext: "C1"}.Validated()
	if err == nil {
		t.Fatal("Validated() accepts a policy with a fault in each field")
	}
	for _, field := range []string{"Scopes", "AnyScope", "UserRoles", "AppRoles", "Groups", "Clients", "ClientAuth", "AuthContext"} {
		if !strings.Contains("\n"+err.Error(), "\n"+field+": ") {
			t.Errorf("Validated() = %v, want a line for %s", err, field)
		}
	}
}

// Check of a policy that was never validated rejects rather than panics.
func TestPolicyThatWasNotValidated(t *testing.T) {
	t.Parallel()
	if err := (entraauth.Policy{ClientAuth: 7}).Check(&entraauth.Identity{}); !errors.Is(err, entraauth.ErrNotPermitted) {
		t.Errorf("Check() = %v, want %v", err, entraauth.ErrNotPermitted)
	}
}

// Scopes that clients ask for, and no access token for an API has, would lock
// everybody out.
func TestPolicyOfOpenIDScopes(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"openid", "profile", "email", "offline_access", "OpenID", ".default"} {
		for field, p := range map[string]entraauth.Policy{
			"Scopes": {Scopes: []string{"access_as_user", scope}}, "AnyScope": {AnyScope: []string{scope, "access_as_user"}},
		} {
			_, err := p.Validated()
			if err == nil || !strings.HasPrefix(err.Error(), field+": ") || !strings.Contains(err.Error(), strconv.Quote(scope)) {
				t.Errorf("Validated() = %v, want an error for %s %q", err, field, scope)
			}
		}
	}
	good := entraauth.Policy{Scopes: []string{"email.send", "open_id"}, UserRoles: []string{"profile"}, AppRoles: []string{"openid"}}
	if _, err := good.Validated(); err != nil {
		t.Errorf("%+v.Validated() = %v, want nil", good, err)
	}
}

// A policy that asks for nothing is an error; one requirement of any kind is enough.
func TestPolicyOfNothing(t *testing.T) {
	t.Parallel()
	for _, p := range []entraauth.Policy{{}, {Scopes: []string{}, Groups: []string{}}, {ClientAuth: entraauth.ClientAuthNone}} {
		if _, err := p.Validated(); err == nil || !strings.Contains(err.Error(), "asks for nothing") {
			t.Errorf("%+v.Validated() = %v, want an error: it asks for nothing", p, err)
		}
	}
	for _, p := range []entraauth.Policy{{Scopes: []string{"a"}}, {AnyScope: []string{"a"}}, {UserRoles: []string{"a"}}, {Groups: []string{otherTenant}}, {AppRoles: []string{"a"}},
		{Clients: []string{otherTenant}}, {ClientAuth: entraauth.ClientAuthCertificate}, {AuthContext: "c1"}} {
		if _, err := p.Validated(); err != nil {
			t.Errorf("%+v.Validated() = %v, want nil", p, err)
		}
	}
}

// Whoever changes a policy's lists later doesn't change the validated copy.
func TestValidatedPolicyIsACopy(t *testing.T) {
	t.Parallel()
	p := entraauth.Policy{Scopes: []string{"a"}, AnyScope: []string{"a"}, UserRoles: []string{"a"}, Groups: []string{otherTenant}, AppRoles: []string{"a"}, Clients: []string{otherTenant}}
	valid, err := p.Validated()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{p.Scopes, p.AnyScope, p.UserRoles, p.Groups, p.AppRoles, p.Clients} {
		list[0] = "changed"
	}
	if got := fmt.Sprint(valid); strings.Contains(got, "changed") {
		t.Errorf("the validated copy is now %s", got)
	}
}
