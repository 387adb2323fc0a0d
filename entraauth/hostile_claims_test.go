package entraauth_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

var claimTricks = []hostile{
	{name: "no ver", change: claim("ver", nil), kind: bad, rule: "version"},
	{name: "ver 3.0", change: claim("ver", "3.0"), kind: bad, rule: "version"},
	{name: "ver with space", change: claim("ver", "1.0 "), kind: bad, rule: "version"},
	{name: "ver is a number", change: claim("ver", 1.0), kind: bad, rule: "form"},
	{name: "ver is null", change: claim("ver", raw("null")), kind: bad, rule: "form"},
	{name: "aud of Graph", change: claim("aud", "https://graph.microsoft.com"), kind: bad, rule: "audience"},
	{name: "aud of Graph by id", change: claim("aud", "00000003-0000-0000-c000-000000000000"), kind: bad, rule: "audience"},
	{name: "aud with a path", change: func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID + "/x" }, kind: bad, rule: "audience"},
	{name: "aud with two slashes", change: func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID + "//" }, kind: bad, rule: "audience"},
	{name: "aud of another scheme", change: func(f *fixture, _, c map[string]any) { c["aud"] = "apis://" + f.api.ClientID }, kind: bad, rule: "audience"},
	{name: "aud in upper case in a v2 token", version: 2, change: func(f *fixture, _, c map[string]any) { c["aud"] = strings.ToUpper(f.api.ClientID) }, kind: bad, rule: "audience"},
	{name: "aud with a scope", change: func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID + "/access_as_user" }, kind: bad, rule: "audience"},
	{name: "aud with white space", change: func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID + " " }, kind: bad, rule: "audience"},
	{name: "aud as prefix", change: func(f *fixture, _, c map[string]any) { c["aud"] = f.api.ClientID + "0" }, kind: bad, rule: "audience"},
	{name: "aud cut short", change: func(f *fixture, _, c map[string]any) { c["aud"] = f.api.ClientID[:35] }, kind: bad, rule: "audience"},
	{name: "aud with NUL", change: func(f *fixture, _, c map[string]any) { c["aud"] = f.api.ClientID + "\x00" }, kind: bad, rule: "audience"},
	{name: "aud with a look-alike", change: func(f *fixture, _, c map[string]any) {
		c["aud"] = "аpi://" + f.api.ClientID // a Cyrillic letter
	}, kind: bad, rule: "audience"},
	{name: "aud is empty", change: claim("aud", ""), kind: bad, rule: "audience"},
	{name: "aud is a slash", change: claim("aud", "/"), kind: bad, rule: "audience"},
	{name: "no aud", change: claim("aud", nil), kind: bad, rule: "audience"},
	{name: "aud is a list with ours", change: func(f *fixture, _, c map[string]any) { c["aud"] = []string{f.api.ClientID} }, kind: bad, rule: "form"},
	{name: "aud is an object", change: claim("aud", map[string]any{}), kind: bad, rule: "form"},
	{name: "aud is null", change: claim("aud", raw("null")), kind: bad, rule: "form"},
	{name: "App ID URI in a v2 token", version: 2, change: func(f *fixture, _, c map[string]any) { c["aud"] = "api://" + f.api.ClientID }, kind: bad, rule: "audience"},
	{name: "no oid", change: claim("oid", nil), kind: bad, rule: "object id"},
	{name: "oid is a path", change: claim("oid", "../.."), kind: bad, rule: "object id"},
	{name: "oid is empty", change: claim("oid", ""), kind: bad, rule: "object id"},
	{name: "oid in braces", change: claim("oid", "{11111111-2222-3333-4444-555555555555}"), kind: bad, rule: "object id"},
	{name: "oid is a list", change: claim("oid", []string{otherTenant}), kind: bad, rule: "form"},
	{name: "Aud", change: claim("Aud", "x"), kind: bad, rule: "form"},
	{name: "SCP", change: claim("SCP", "admin"), kind: bad, rule: "form"},
	{name: "OID", change: claim("OID", otherTenant), kind: bad, rule: "form"},
	{name: "iss with a long s", change: claim("i\u017fs", "x"), kind: bad, rule: "form"},
	{name: "roles with a long s", change: claim("role\u017f", []string{"admin"}), kind: bad, rule: "form"},
	{name: "two unknown names but for case", change: func(_ *fixture, _, c map[string]any) { c["xms_a"], c["XMS_A"] = 1, 2 }, kind: bad, rule: "form"},
	{name: "endless name", change: claim(strings.Repeat("n", 129), 1), kind: bad, rule: "form"},
	{name: "too many claims", change: func(_ *fixture, _, c map[string]any) {
		for i := range 300 {
			c[fmt.Sprint("claim", i)] = i
		}
	}, kind: bad, rule: "form"},
	{name: "nested too deep", change: claim("deep", raw(strings.Repeat("[", 9)+strings.Repeat("]", 9))), kind: bad, rule: "form"},
	{name: "nested too deep in objects", change: claim("deep", raw(strings.Repeat(`{"a":`, 9)+"1"+strings.Repeat("}", 9))), kind: bad, rule: "form"},
	{name: "roles with a number", change: claim("roles", []any{"a", 1}), kind: bad, rule: "form"},
	{name: "roles with null", change: claim("roles", []any{"a", nil}), kind: bad, rule: "form"},
	{name: "roles is text", change: claim("roles", "admin"), kind: bad, rule: "form"},
	{name: "groups is text", change: claim("groups", "admin"), kind: bad, rule: "form"},
	{name: "_claim_names is text", change: claim("_claim_names", "groups"), kind: bad, rule: "form"},
	{name: "appid is an object", change: claim("appid", map[string]any{"a": 1}), kind: bad, rule: "form"},
}

var timeTricks = []hostile{
	{name: "expired by the skew", change: at("exp", -time.Minute), kind: expired, rule: "expiry"},
	{name: "expired long ago", change: at("exp", -24*365*time.Hour), kind: expired, rule: "expiry"},
	{name: "exp is zero", change: claim("exp", 0), kind: expired, rule: "expiry"},
	{name: "no exp", change: claim("exp", nil), kind: bad, rule: "expiry"},
	{name: "exp is null", change: claim("exp", raw("null")), kind: bad, rule: "form"},
	{name: "exp is text", change: claim("exp", "9999999999"), kind: bad, rule: "form"},
	{name: "exp is a fraction", change: claim("exp", raw("9999999999.5")), kind: bad, rule: "form"},
	{name: "exp has an exponent", change: claim("exp", raw("1e12")), kind: bad, rule: "form"},
	{name: "exp is negative", change: claim("exp", -1), kind: bad, rule: "form"},
	{name: "exp overflows", change: claim("exp", raw("99999999999999999999")), kind: bad, rule: "form"},
	{name: "exp in milliseconds", change: claim("exp", raw("1767225600000")), kind: bad, rule: "form"},
	{name: "exp is a list", change: claim("exp", []int{1}), kind: bad, rule: "form"},
	{name: "exp is true", change: claim("exp", true), kind: bad, rule: "form"},
	{name: "begins a second after the skew", change: at("nbf", 61*time.Second), kind: bad, rule: "not before"},
	{name: "nbf next year", change: at("nbf", 365*24*time.Hour), kind: bad, rule: "not before"},
	{name: "nbf is text", change: claim("nbf", "0"), kind: bad, rule: "form"},
	{name: "issued a second after the skew", change: at("iat", 61*time.Second), kind: bad, rule: "issued at"},
	{name: "iat is a fraction", change: claim("iat", raw("1.5")), kind: bad, rule: "form"},
}

var tenancyTricks = []hostile{
	{name: "another tenant's iss", change: claim("iss", "https://sts.windows.net/"+otherTenant+"/"), kind: bad, rule: "issuer"},
	{name: "another tenant's tid", change: claim("tid", otherTenant), kind: bad, rule: "tenant"},
	{name: "both of another tenant", change: func(_ *fixture, _, c map[string]any) {
		c["iss"], c["tid"] = "https://sts.windows.net/"+otherTenant+"/", otherTenant
	}, kind: bad, rule: "issuer"},
	{name: "another tenant's id in the path of iss", version: 2, change: func(f *fixture, _, c map[string]any) {
		c["iss"] = strings.Replace(f.tenant.V2Issuer(), f.tenant.ID(), otherTenant+"/"+f.tenant.ID(), 1)
	}, kind: bad, rule: "issuer"},
	{name: "the consumers' tid", change: claim("tid", "9188040d-6c67-4c5b-b112-36a304b66dad"), kind: bad, rule: "tenant"},
	{name: "tid in upper case", change: func(f *fixture, _, c map[string]any) { c["tid"] = strings.ToUpper(f.tenant.ID()) }, kind: bad, rule: "tenant"},
	{name: "tid is a name", change: claim("tid", "contoso.onmicrosoft.com"), kind: bad, rule: "tenant"},
	{name: "tid is common", change: claim("tid", "common"), kind: bad, rule: "tenant"},
	{name: "tid is empty", change: claim("tid", ""), kind: bad, rule: "tenant"},
	{name: "no tid", change: claim("tid", nil), kind: bad, rule: "tenant"},
	{name: "iss without slash", change: func(f *fixture, _, c map[string]any) { c["iss"] = strings.TrimSuffix(f.tenant.V1Issuer(), "/") }, kind: bad, rule: "issuer"},
	{name: "iss with two slashes", change: func(f *fixture, _, c map[string]any) { c["iss"] = f.tenant.V1Issuer() + "/" }, kind: bad, rule: "issuer"},
	{name: "iss over http", change: func(f *fixture, _, c map[string]any) {
		c["iss"] = strings.Replace(f.tenant.V1Issuer(), "https", "http", 1)
	}, kind: bad, rule: "issuer"},
	{name: "iss in upper case", change: func(f *fixture, _, c map[string]any) { c["iss"] = strings.ToUpper(f.tenant.V1Issuer()) }, kind: bad, rule: "issuer"},
	{name: "iss of another cloud", version: 2, change: func(f *fixture, _, c map[string]any) {
		c["iss"] = "https://login.microsoftonline.us/" + f.tenant.ID() + "/v2.0"
	}, kind: bad, rule: "issuer"},
	{name: "iss on a host that begins as ours", version: 2, change: func(f *fixture, _, c map[string]any) {
		c["iss"] = "https://login.microsoftonline.com.evil.example/" + f.tenant.ID() + "/v2.0"
	}, kind: bad, rule: "issuer"},
	{name: "iss is the template", version: 2, change: claim("iss", "https://login.microsoftonline.com/{tenantid}/v2.0"), kind: bad, rule: "issuer"},
	{name: "v2 iss in a v1 token", change: func(f *fixture, _, c map[string]any) { c["iss"] = f.tenant.V2Issuer() }, kind: bad, rule: "issuer"},
	{name: "v1 iss in a v2 token", version: 2, change: func(f *fixture, _, c map[string]any) { c["iss"] = f.tenant.V1Issuer() }, kind: bad, rule: "issuer"},
	{name: "no iss", change: claim("iss", nil), kind: bad, rule: "issuer"},
	{name: "iss is a list", change: func(f *fixture, _, c map[string]any) { c["iss"] = []string{f.tenant.V1Issuer()} }, kind: bad, rule: "form"},
	{name: "ver changed alone", change: claim("ver", "2.0"), kind: bad, rule: "issuer"},
}

var kindTricks = []hostile{
	{name: "app-only v1", change: appOnly, kind: scope, rule: "kind of caller"},
	{name: "app-only v2", version: 2, change: appOnly, kind: scope, rule: "kind of caller"},
	{name: "app-only by idtyp, with scp", change: claim("idtyp", "app"), kind: bad, rule: "agent claims"},
	{name: "app-only without oid", change: func(f *fixture, h, c map[string]any) { appOnly(f, h, c); delete(c, "oid") }, kind: scope, rule: "kind of caller"},
	{name: "a user's roles and no scope", change: func(_ *fixture, _, c map[string]any) {
		delete(c, "scp")
		c["roles"] = []string{"access_as_user"}
	}, kind: bad, rule: "kind of token"},
	{name: "ID token v2", version: 2, change: func(_ *fixture, _, c map[string]any) {
		delete(c, "scp")
		delete(c, "azp")
		delete(c, "azpacr")
		c["nonce"] = "n"
	}, kind: bad, rule: "kind of token"},
	{name: "ID token v2 without oid", version: 2, change: func(_ *fixture, _, c map[string]any) {
		delete(c, "scp")
		delete(c, "azp")
		delete(c, "oid")
	}, kind: bad, rule: "kind of token"},
	{name: "ID token of Entra's", forge: func(f *fixture, _ string) string { return f.tenant.IDToken(f.alice, f.api) }, kind: bad, rule: "kind of token"},
	{name: "ID token of the API's own app, with azp", version: 2, change: func(f *fixture, _, c map[string]any) {
		delete(c, "scp")
		c["azp"], c["nonce"] = f.api.ClientID, "n"
	}, kind: bad, rule: "kind of token"},
	{name: "app-only of the API itself, v1", change: func(f *fixture, h, c map[string]any) {
		appOnly(f, h, c)
		c["aud"], c["appid"] = f.api.ClientID, f.api.ClientID
	}, kind: scope, rule: "kind of caller"},
	{name: "app-only of the API itself, v2", version: 2, change: func(f *fixture, h, c map[string]any) { appOnly(f, h, c); c["azp"] = f.api.ClientID }, kind: scope, rule: "kind of caller"},
	{name: "azp = aud of another app", version: 2, change: func(f *fixture, _, c map[string]any) { c["aud"], c["azp"] = f.client.ClientID, f.client.ClientID }, kind: bad, rule: "audience"},
	{name: "appid = aud of another app", change: func(f *fixture, _, c map[string]any) { c["aud"], c["appid"] = f.client.ClientID, f.client.ClientID }, kind: bad, rule: "audience"},
	{name: "idtyp device", change: claim("idtyp", "device"), kind: bad, rule: "kind of token"},
	{name: "idtyp App", change: claim("idtyp", "App"), kind: bad, rule: "kind of token"},
	{name: "idtyp user without scope", change: func(_ *fixture, _, c map[string]any) { c["idtyp"] = "user"; delete(c, "scp") }, kind: bad, rule: "kind of token"},
	{name: "app-only with an empty scp", change: appOnlyWith(""), kind: scope, rule: "kind of caller"},
	{name: "app-only with scp of a slash", change: appOnlyWith("/"), kind: scope, rule: "kind of caller"},
	{name: "app-only with scp of slashes", version: 2, change: appOnlyWith(" / // "), kind: scope, rule: "kind of caller"},
	{name: "app-only with scp of white space", version: 2, change: appOnlyWith(" \t\n\u00a0\u200b"), kind: scope, rule: "kind of caller"},
	{name: "app-only with scp of signs", change: appOnlyWith("-._:"), kind: scope, rule: "kind of caller"},
	{name: "app-only without oid, with an empty scp", change: func(f *fixture, h, c map[string]any) { appOnlyWith("")(f, h, c); delete(c, "oid") }, kind: scope, rule: "kind of caller"},
	{name: "cnf as VS Code sends it", change: claim("cnf", map[string]any{"kid": "x", "xms_ksl": "sw"}), kind: bad, rule: "proof of possession"},
	{name: "cnf with a key", change: claim("cnf", map[string]any{"jkt": "x"}), kind: bad, rule: "proof of possession"},
	{name: "cnf is null", change: claim("cnf", raw("null")), kind: bad, rule: "proof of possession"},
}

var scopeTricks = []hostile{
	{name: "another scope", change: claim("scp", "admin"), kind: scope, rule: "scope"},
	{name: "no value", change: claim("scp", ""), kind: scope, rule: "scope"},
	{name: "in another case", change: claim("scp", "Access_As_User"), kind: scope, rule: "scope"},
	{name: "as a part", change: claim("scp", "access_as_user_x"), kind: scope, rule: "scope"},
	{name: "with a prefix", change: claim("scp", "api://x/access_as_user"), kind: scope, rule: "scope"},
	{name: "a slash", change: claim("scp", "/"), kind: scope, rule: "scope"},
	{name: "by tab", change: claim("scp", "a\taccess_as_user"), kind: scope, rule: "scope"},
	{name: "by a space that is none", change: claim("scp", "a\u00a0access_as_user"), kind: scope, rule: "scope"},
	{name: "by comma", change: claim("scp", "a,access_as_user"), kind: scope, rule: "scope"},
	{name: "as role", change: func(_ *fixture, _, c map[string]any) { c["scp"], c["roles"] = "admin", []string{"access_as_user"} }, kind: scope, rule: "scope"},
	{name: "in scope, not scp", change: func(_ *fixture, _, c map[string]any) { c["scp"], c["scope"] = "admin", "access_as_user" }, kind: scope, rule: "scope"},
	{name: "as list", change: claim("scp", []string{"access_as_user"}), kind: entraauth.ErrInvalidToken, rule: "form"},
	{name: "null", change: claim("scp", raw("null")), kind: entraauth.ErrInvalidToken, rule: "form"},
}
