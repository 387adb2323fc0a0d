package entratest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

const (
	badRequest = "Request_BadRequest"
	otherID    = "22222222-aaaa-4bbb-8ccc-000000000001"
)

// fill replaces APPID and TID in a JSON value.
func (d *desk) fill(clientID string, value any) any {
	switch v := value.(type) {
	case string:
		return strings.NewReplacer("APPID", clientID, "TID", d.ID()).Replace(v)
	case list:
		filled := list{}
		for _, element := range v {
			filled = append(filled, d.fill(clientID, element))
		}
		return filled
	case object:
		filled := object{}
		for name, member := range v {
			filled[name] = d.fill(clientID, member)
		}
		return filled
	default:
		return value
	}
}

// Each change is made to an application of its own, which has what newAPI gives it.
func TestDirectoryRules(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	role := func(enabled bool, value string) object {
		return object{"id": roleID, "value": value, "displayName": "R", "description": "R", "isEnabled": enabled, "allowedMemberTypes": list{"User"}}
	}
	renamed := accessAsUser(true)
	renamed["value"] = "renamed"
	second := accessAsUser(true)
	second["id"], second["value"] = otherID, "second"
	many := list{}
	for i := range 257 {
		many = append(many, fmt.Sprintf("https://app.example.com/%d", i))
	}
	preAuthorized := func(client, scope string) list {
		return list{object{"appId": client, "delegatedPermissionIds": list{scope}}}
	}
	for name, test := range map[string]struct {
		change       object
		code, detail string // none: 204
	}{
		"nothing":                      {object{}, "", ""},
		"unknown member":               {object{"displayname": "x"}, badRequest, ""},
		"unknown member inside":        {object{"api": object{"preAuthorizedApplications": list{object{"appId": vsCode, "permissionIds": list{scopeID}}}}}, badRequest, ""},
		"wrong type":                   {object{"identifierUris": "x"}, badRequest, ""},
		"null collection":              {object{"identifierUris": nil}, badRequest, ""},
		"read-only member":             {object{"appId": otherID}, badRequest, ""},
		"same read-only member":        {object{"appId": "APPID"}, "", ""},
		"no name":                      {object{"displayName": ""}, badRequest, "InvalidValue"},
		"long name":                    {object{"displayName": long(257)}, badRequest, "InvalidValue"},
		"uniqueName changed":           {object{"uniqueName": "other"}, badRequest, "InvalidValue"},
		"uniqueName removed":           {object{"uniqueName": nil}, badRequest, "InvalidValue"},
		"audience":                     {object{"signInAudience": "Everybody"}, badRequest, "InvalidValue"},
		"version 3":                    {object{"api": object{"requestedAccessTokenVersion": 3}}, badRequest, "InvalidValue"},
		"back to version 1":            {object{"api": object{"requestedAccessTokenVersion": 1}}, "HostNameNotOnVerifiedDomain", "HostNameNotOnVerifiedDomain"},
		"back to no version":           {object{"api": object{"requestedAccessTokenVersion": nil}}, "HostNameNotOnVerifiedDomain", "HostNameNotOnVerifiedDomain"},
		"back, without the URI":        {object{"api": object{"requestedAccessTokenVersion": 1}, "identifierUris": list{"api://APPID"}}, "", ""},
		"multitenant with the URI":     {object{"signInAudience": "AzureADMultipleOrgs"}, "HostNameNotOnVerifiedDomain", "HostNameNotOnVerifiedDomain"},
		"duplicate URI":                {object{"identifierUris": list{"api://APPID", "API://APPID"}}, badRequest, "DuplicateValue"},
		"URI with a slash":             {object{"identifierUris": list{server + "/"}}, badRequest, "InvalidValue"},
		"URI with a query":             {object{"identifierUris": list{server + "?x=1"}}, badRequest, "InvalidValue"},
		"URI with a wildcard":          {object{"identifierUris": list{"https://*.example.com"}}, badRequest, "InvalidValue"},
		"URI without host":             {object{"identifierUris": list{"api:x"}}, badRequest, "InvalidValue"},
		"http URI":                     {object{"identifierUris": list{"http://mcp.example.com"}}, badRequest, "InvalidValue"},
		"localhost":                    {object{"identifierUris": list{"https://localhost:8443/mcp"}}, badRequest, "InvalidValue"},
		"long URI":                     {object{"identifierUris": list{"https://mcp.example.com/" + long(240)}}, badRequest, "InvalidValue"},
		"URI of another app":           {object{"identifierUris": list{"https://graph.microsoft.com"}}, badRequest, "ObjectConflict"},
		"GUID of another app":          {object{"identifierUris": list{"api://" + otherID}}, "HostNameNotOnVerifiedDomain", "HostNameNotOnVerifiedDomain"},
		"tenant's GUID":                {object{"identifierUris": list{"api://TID/mcp"}}, "", ""},
		"another https host":           {object{"identifierUris": list{"https://mcp.example.net/mcp"}}, "", ""},
		"enabled scope removed":        {object{"api": object{"oauth2PermissionScopes": list{}}}, "CannotDeleteOrUpdateEnabledEntitlement", "CannotDeleteOrUpdateEnabledEntitlement"},
		"enabled scope changed":        {object{"api": object{"oauth2PermissionScopes": list{renamed}}}, "CannotDeleteOrUpdateEnabledEntitlement", "CannotDeleteOrUpdateEnabledEntitlement"},
		"scope disabled":               {object{"api": object{"oauth2PermissionScopes": list{accessAsUser(false)}}}, "", ""},
		"scope added":                  {object{"api": object{"oauth2PermissionScopes": list{accessAsUser(true), second}}}, "", ""},
		"scope without id":             {object{"api": object{"oauth2PermissionScopes": list{accessAsUser(true), object{"value": "x"}}}}, badRequest, "InvalidValue"},
		"two scopes with one value":    {object{"api": object{"oauth2PermissionScopes": list{accessAsUser(true), object{"id": otherID, "value": "access_as_user", "type": "User"}}}}, badRequest, "DuplicateValue"},
		"role with a scope's value":    {object{"appRoles": list{role(true, "access_as_user")}}, badRequest, "DuplicateValue"},
		"role":                         {object{"appRoles": list{role(true, "Tasks.Run")}}, "", ""},
		"role with a blank":            {object{"appRoles": list{role(true, "Run tasks")}}, badRequest, "InvalidValue"},
		"pre-authorized":               {object{"api": object{"preAuthorizedApplications": preAuthorized(vsCode, scopeID)}}, "", ""},
		"pre-authorized unknown":       {object{"api": object{"preAuthorizedApplications": preAuthorized(otherID, scopeID)}}, badRequest, "InvalidAppId"},
		"pre-authorized for no scope":  {object{"api": object{"preAuthorizedApplications": preAuthorized(vsCode, otherID)}}, badRequest, "InvalidPermissionId"},
		"pre-authorized for new scope": {object{"api": object{"oauth2PermissionScopes": list{accessAsUser(true), second}, "preAuthorizedApplications": preAuthorized(vsCode, otherID)}}, badRequest, "InvalidPermissionId"},
		"redirects":                    {object{"web": object{"redirectUris": list{"https://a.example.com", "http://localhost/x", "http://127.0.0.1:3000"}}, "publicClient": object{"redirectUris": list{"cursor://x/y"}}}, "", ""},
		"redirect over http":           {object{"web": object{"redirectUris": list{"http://a.example.com"}}}, badRequest, "InvalidReplyUrl"},
		"redirect to [::1]":            {object{"publicClient": object{"redirectUris": list{"http://[::1]/x"}}}, badRequest, "InvalidReplyUrl"},
		"custom scheme for web":        {object{"web": object{"redirectUris": list{"cursor://x/y"}}}, badRequest, "InvalidReplyUrl"},
		"redirect with a fragment":     {object{"spa": object{"redirectUris": list{"https://a.example.com/#x"}}}, badRequest, "InvalidReplyUrl"},
		"long redirect":                {object{"spa": object{"redirectUris": list{"https://a.example.com/" + long(240)}}}, badRequest, "InvalidReplyUrl"},
		"a redirect on two platforms":  {object{"spa": object{"redirectUris": list{"https://a.example.com"}}, "web": object{"redirectUris": list{"https://a.example.com"}}}, badRequest, "DuplicateValue"},
		"257 redirects":                {object{"web": object{"redirectUris": many}}, badRequest, "InvalidValue"},
		"permission":                   {object{"requiredResourceAccess": list{object{"resourceAppId": otherID, "resourceAccess": list{object{"id": otherID, "type": "Scope"}}}}}, "", ""},
		"permission without type":      {object{"requiredResourceAccess": list{object{"resourceAppId": otherID, "resourceAccess": list{object{"id": otherID}}}}}, badRequest, "InvalidValue"},
		"new password":                 {object{"passwordCredentials": list{object{"displayName": "x"}}}, badRequest, "InvalidValue"},
		"certificate that is none":     {object{"keyCredentials": list{object{"type": "AsymmetricX509Cert", "usage": "Verify", "key": "eA=="}}}, badRequest, "InvalidValue"},
		"1001 items":                   {object{"tags": make1001()}, badRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			path, clientID := d.newAPI(t)
			before := d.must(t, http.StatusOK, "GET", path, nil)
			a := d.call(t, "PATCH", path, d.fill(clientID, test.change))
			want := http.StatusNoContent
			if test.code != "" {
				want = http.StatusBadRequest
			}
			checkFault(t, fmt.Sprint(test.change), a, want, test.code, test.detail)
			if after := d.must(t, http.StatusOK, "GET", path, nil); want == http.StatusBadRequest && after.body != before.body {
				t.Errorf("the refused change took effect: %s", after.body)
			}
		})
	}
}

func make1001() list {
	all := list{}
	for i := range 1001 {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// App ID URIs of an application with version 1, and under a tenant's policies.
func TestDirectoryURIPolicies(t *testing.T) {
	t.Parallel()
	const (
		foreign   = "HostNameNotOnVerifiedDomain"
		noID      = "InvalidUniqueTenantIdentifierAsPerAppPolicy"
		noDefault = "NonDefaultIdentifierUriAsPerAppPolicy"
	)
	unique, only := entratest.AppPolicy{UniqueTenantIdentifier: true}, entratest.AppPolicy{OnlyDefaultURIs: true}
	for name, test := range map[string]struct {
		version int
		policy  entratest.AppPolicy
		uri     string
		code    string
	}{
		"v1, any host":               {1, entratest.AppPolicy{}, server, foreign},
		"v1, any name":               {1, entratest.AppPolicy{}, "api://server", foreign},
		"v1, app ID":                 {1, entratest.AppPolicy{}, "api://APPID", ""},
		"v1, tenant and app ID":      {1, entratest.AppPolicy{}, "api://TID/APPID", ""},
		"v1, name and app ID":        {1, entratest.AppPolicy{}, "api://server/APPID", ""},
		"v1, verified domain":        {1, entratest.AppPolicy{}, "https://mcp.contoso.com/mcp", ""},
		"v1, domain that looks so":   {1, entratest.AppPolicy{}, "https://mcpcontoso.com/mcp", foreign},
		"v2, any name":               {2, entratest.AppPolicy{}, "api://server", ""},
		"unique: any host":           {2, unique, server, noID},
		"unique: verified domain":    {2, unique, "https://mcp.contoso.com/mcp", ""},
		"unique: ends with app ID":   {2, unique, "https://mcp.example.com/APPID", ""},
		"unique: ends with tenant":   {2, unique, "https://mcp.example.com/TID", ""},
		"unique: v2 excluded":        {2, entratest.AppPolicy{UniqueTenantIdentifier: true, ExcludeV2: true}, server, ""},
		"default: verified domain":   {2, only, "https://mcp.contoso.com/mcp", noDefault},
		"default: app ID":            {2, only, "api://APPID", ""},
		"default: tenant and app ID": {2, only, "api://TID/APPID", ""},
		"default: app ID and a name": {2, only, "api://APPID/mcp", noDefault},
		"loopback":                   {2, entratest.AppPolicy{LoopbackURIs: true}, "http://localhost:8080/mcp", ""},
		"loopback, v1":               {1, entratest.AppPolicy{LoopbackURIs: true}, "http://localhost:8080/mcp", badRequest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.Directory().AddDomain("contoso.com")
			d.Directory().SetPolicy(test.policy)
			a := d.must(t, http.StatusCreated, "POST", "applications", object{"displayName": "x"})
			path, clientID := "applications/"+a.text("id"), a.text("appId")
			if uris := a.at("identifierUris"); fmt.Sprint(uris) != "[]" {
				t.Errorf("a new application has %v, want no App ID URI", uris)
			}
			// The version may come in the same request.
			a = d.call(t, "PATCH", path, d.fill(clientID, object{
				"identifierUris": list{test.uri}, "api": object{"requestedAccessTokenVersion": test.version},
			}))
			if _, code, _ := a.fault(); code != test.code {
				t.Errorf("got %q, want %q: %s", code, test.code, a.body)
			}
		})
	}
}

// A tenant may forbid secrets, or long ones, and shows so to those who may read it.
func TestDirectoryPasswordPolicies(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, _ := d.newAPI(t)
	add := func(days int) answer {
		return d.call(t, "POST", path+"/addPassword", object{"passwordCredential": object{"endDateTime": d.clock.Now().AddDate(0, 0, days)}})
	}
	if a := add(700); a.status != http.StatusOK {
		t.Errorf("without a policy: %s", a.body)
	}
	d.Directory().SetPolicy(entratest.AppPolicy{PasswordLifetime: 90 * 24 * time.Hour})
	checkFault(t, "too long", add(91), 400, "CredentialInvalidLifetimeAsPerAppPolicy", "InvalidKeyEndDate")
	if a := add(89); a.status != http.StatusOK {
		t.Errorf("short enough: %s", a.body)
	}
	d.Directory().SetPolicy(entratest.AppPolicy{NoPasswords: true, UniqueTenantIdentifier: true})
	checkFault(t, "forbidden", add(1), 400, "CredentialTypeNotAllowedAsPerAppPolicy", "")
	shown := d.must(t, http.StatusOK, "GET", "policies/defaultAppManagementPolicy", nil)
	for _, want := range []string{`"isEnabled":true`, `"passwordAddition"`, `"uriAdditionWithoutUniqueTenantIdentifier":{"state":"enabled"`} {
		if !strings.Contains(shown.body, want) {
			t.Errorf("the policy lacks %s: %s", want, shown.body)
		}
	}
}

// After it was disabled, a scope can be removed; but parts of the directory lag.
func TestDirectoryDisablesBeforeRemoval(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	path, _ := d.newAPI(t)
	d.Directory().Delay(2, entratest.LagDisabled)
	without := object{"api": object{"oauth2PermissionScopes": list{}}}
	d.must(t, http.StatusNoContent, "PATCH", path, object{"api": object{"oauth2PermissionScopes": list{accessAsUser(false)}}})
	for range 2 {
		checkFault(t, "too early", d.call(t, "PATCH", path, without), 400, "CannotDeleteOrUpdateEnabledEntitlement", "CannotDeleteOrUpdateEnabledEntitlement")
		if a := d.must(t, http.StatusOK, "GET", path, nil); !strings.Contains(a.body, `"isEnabled":true`) {
			t.Errorf("the scope is shown as disabled at once: %s", a.body)
		}
	}
	if a := d.must(t, http.StatusOK, "GET", path, nil); !strings.Contains(a.body, `"isEnabled":false`) {
		t.Errorf("the scope is shown as enabled: %s", a.body)
	}
	d.must(t, http.StatusNoContent, "PATCH", path, without)
}
