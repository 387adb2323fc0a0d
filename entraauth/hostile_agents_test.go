package entraauth_test

import (
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Ids that a test gives to an agent and its blueprint.
const (
	agentID     = "aaaaaaaa-0000-4000-8000-000000000001"
	blueprintID = "bbbbbbbb-0000-4000-8000-000000000002"
)

// agentAlone is the token of an agent on its own, as on the wire.
func agentAlone(f *fixture, h, c map[string]any) {
	appOnly(f, h, c)
	c["idtyp"], c["xms_sub_fct"], c["xms_act_fct"], c["xms_par_app_azp"] = "app", "9 3 11", "3 9 11", blueprintID
	setClient(c, agentID)
}

// agentUser is the token of an agent user whose client is its agent.
func agentUser(_ *fixture, _, c map[string]any) {
	c["idtyp"], c["xms_sub_fct"], c["xms_act_fct"], c["xms_par_app_azp"] = "user", "13 3", "9 3 11", blueprintID
	setClient(c, agentID)
}

// throughAgent is the token of a person who acts through an agent.
func throughAgent(_ *fixture, _, c map[string]any) {
	c["idtyp"], c["xms_sub_fct"], c["xms_act_fct"], c["xms_par_app_azp"] = "user", "3 6", "9 3 11", blueprintID
	setClient(c, agentID)
}

// namesAgent is a policy that lets in one agent on its own.
func namesAgent(o *entraauth.Options) {
	o.Policy = entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"access_as_user"}, Agents: []string{agentID}}
}

// setClient sets the claim for the client that the token's version has.
func setClient(c map[string]any, id string) {
	if c["ver"] == "1.0" {
		c["appid"] = id
	} else {
		c["azp"] = id
	}
}

// but is an edit with claims changed after it.
func but(first edit, pairs ...any) edit {
	return func(f *fixture, h, c map[string]any) {
		first(f, h, c)
		claims(pairs...)(f, h, c)
	}
}

// oddFacets are values that no reader may take for facets, and none for 11 or 13.
var oddFacets = map[string]any{
	"a number": 11, "a list": []int{11}, "a list of text": []string{"11"}, "an object": map[string]any{"11": true},
	"null": raw("null"), "true": true, "a huge number": raw("1" + strings.Repeat("1", 400)), "a number with an exponent": raw("11e0"),
	"a plus": "+11", "a minus": "-11", "a leading zero": "011", "two zeros": "00", "a fraction": "11.0", "an exponent": "1e1", "hexadecimal": "0xb",
	"other digits": "١١", "wide digits": "１１", "a superscript": "1¹", "a tab": "3\t11", "a new line": "3\n11", "a line end": "11\r\n",
	"a space that is none": "3\u00a011", "a wide space": "3\u300011", "a space without width": "1\u200b1", "a comma": "3,11", "a semicolon": "3;11",
	"a pipe": "11|13", "letters": "agent", "a letter behind": "11a", "an underscore": "1_1", "a NUL": "11\x00", "brackets": "[11]", "quotes": `"11"`,
	"257 bytes": "11" + strings.Repeat(" 6", 127) + " ", "257 digits": strings.Repeat("1", 257), "10 kB": strings.Repeat("3 ", 5000) + "13",
}

// oddMarkers are values that are no blueprint's id.
var oddMarkers = map[string]any{
	"a number": 11, "a list": []string{blueprintID}, "an object": map[string]any{}, "null": raw("null"), "empty": "", "a word": "common",
	"braces": "{" + blueprintID + "}", "a space": blueprintID + " ", "no dashes": strings.ReplaceAll(blueprintID, "-", ""), "two": blueprintID + " " + agentID,
	"a path": "../" + blueprintID, "a NUL": blueprintID + "\x00", "257 bytes": strings.Repeat("b", 257),
}

func agentTricks() []hostile {
	rows := []hostile{
		{name: "a scope beside app", change: but(agentAlone, "scp", "access_as_user"), kind: bad, rule: "agent claims"},
		{name: "a scope beside app, without facets", change: but(appOnly, "idtyp", "app", "scp", "access_as_user"), kind: bad, rule: "agent claims"},
		{name: "13 beside app", change: but(agentAlone, "xms_sub_fct", "9 3 13"), kind: bad, rule: "agent claims"},
		{name: "13 as actor beside app", change: but(agentAlone, "xms_act_fct", "13"), kind: bad, rule: "agent claims"},
		{name: "11 as subject beside user", change: but(throughAgent, "xms_sub_fct", "11"), kind: bad, rule: "agent claims"},
		{name: "11 as subject beside user, no scope", version: 2, change: but(throughAgent, "xms_sub_fct", "11", "scp", ""), kind: bad, rule: "agent claims"},
		{name: "11 as subject beside a scope", version: 2, change: but(throughAgent, "xms_sub_fct", "11", "idtyp", nil), kind: bad, rule: "agent claims"},
		{name: "11 as subject, empty scp and no client", change: claims("xms_sub_fct", "11", "scp", "", "appid", nil), kind: bad, rule: "agent claims"},
		{name: "11 and 13 as subject", change: but(agentUser, "xms_sub_fct", "11 13"), kind: bad, rule: "agent claims"},
		{name: "11 and 13 as subject, app", change: but(agentAlone, "xms_sub_fct", "13 3 11"), kind: bad, rule: "agent claims"},
		{name: "11 and 13 as actor", change: but(throughAgent, "xms_act_fct", "13 11"), kind: bad, rule: "agent claims"},
		{name: "13 as actor", change: but(throughAgent, "xms_act_fct", "13"), kind: bad, rule: "agent claims"},
		{name: "13, no scope, like an application", change: but(appOnly, "xms_sub_fct", "13"), kind: bad, rule: "agent claims"},
		{name: "13, no scope, the marker", version: 2, change: but(agentUser, "idtyp", nil, "scp", "/"), kind: entraauth.ErrNotPermitted, rule: "agent"},

		{name: "agent on its own", change: agentAlone, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent on its own, v2", version: 2, change: agentAlone, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent as in the sample: oid is not sub", version: 2, change: but(agentAlone, "sub", otherTenant), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the sample without idtyp", version: 2, change: but(agentAlone, "sub", otherTenant, "idtyp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the sample with the marker alone", version: 2, change: but(agentAlone, "sub", otherTenant, "idtyp", nil, "xms_sub_fct", nil, "xms_act_fct", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent with an empty scp", change: but(agentAlone, "scp", "", "idtyp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent with scp of a slash", version: 2, change: but(agentAlone, "scp", "/"), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent by 11 as actor alone", change: but(agentAlone, "xms_sub_fct", nil, "xms_par_app_azp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent by an escaped 11", change: but(agentAlone, "xms_sub_fct", raw(`"\u0031\u0031"`), "xms_act_fct", nil, "xms_par_app_azp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent without a client", change: but(agentAlone, "appid", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent user", change: agentUser, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent user, v2, no idtyp", version: 2, change: but(agentUser, "idtyp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent user through a middle tier", version: 2, change: but(agentUser, "xms_act_fct", "9 3", "xms_par_app_azp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent user, facets in odd order with many spaces", change: but(agentUser, "xms_sub_fct", "  3   6 13 "), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "agent user, 256 bytes of facets", change: but(agentUser, "xms_sub_fct", strings.Repeat("6 ", 127)+"13"), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "marker alone", change: but(throughAgent, "xms_sub_fct", nil, "xms_act_fct", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "marker alone, no idtyp", version: 2, change: but(throughAgent, "xms_sub_fct", nil, "xms_act_fct", nil, "idtyp", nil), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "marker beside empty facets", change: but(throughAgent, "xms_sub_fct", "", "xms_act_fct", ""), kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "marker beside facets of spaces", change: but(throughAgent, "xms_sub_fct", "  ", "xms_act_fct", "9 3"), kind: entraauth.ErrNotPermitted, rule: "agent"},

		{name: "the blueprint in the agent's place", change: but(agentAlone, "appid", blueprintID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the blueprint in the agent's place, v2", version: 2, change: but(agentAlone, "azp", blueprintID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "blueprint and agent exchanged", change: but(agentAlone, "appid", blueprintID, "xms_par_app_azp", agentID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "another child of the blueprint", change: but(agentAlone, "appid", otherTenant), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the agent's id as object", change: but(agentAlone, "appid", blueprintID, "oid", agentID, "sub", agentID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the agent in v2's claim", change: but(agentAlone, "appid", blueprintID, "azp", agentID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the agent in v1's claim", version: 2, change: but(agentAlone, "azp", blueprintID, "appid", agentID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "the agent as marker, and no client", change: but(agentAlone, "appid", nil, "xms_par_app_azp", agentID), named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},
		{name: "an agent user of the named agent", change: agentUser, named: true, kind: entraauth.ErrNotPermitted, rule: "agent"},

		{name: "subject's facets twice", change: agentUser, forge: decoded(1, front(`"xms_sub_fct":"3"`)), kind: bad, rule: "form"},
		{name: "subject's facets twice, once escaped", change: agentUser, forge: decoded(1, front(`"xms_\u0073ub_fct":"3"`)), kind: bad, rule: "form"},
		{name: "marker twice", change: agentAlone, forge: decoded(1, front(`"xms_par_app_azp":"`+agentID+`"`)), kind: bad, rule: "form"},
		{name: "XMS_SUB_FCT", change: claim("XMS_SUB_FCT", "3 6"), kind: bad, rule: "form"},
		{name: "Xms_act_fct beside the other", change: but(agentUser, "Xms_act_fct", "3 6"), kind: bad, rule: "form"},
		{name: "xms_sub_fct with a long s", change: claim("xm\u017f_sub_fct", "13"), kind: bad, rule: "form"},
		{name: "xms_par_app_AZP", change: claim("xms_par_app_AZP", blueprintID), kind: bad, rule: "form"},
	}
	for name, value := range oddFacets {
		rows = append(rows,
			hostile{name: "subject's facets: " + name, change: but(agentUser, "xms_sub_fct", value), kind: bad, rule: "agent claims"},
			hostile{name: "actor's facets: " + name, version: 2, change: but(throughAgent, "xms_act_fct", value), kind: bad, rule: "agent claims"})
	}
	for name, value := range oddMarkers {
		rows = append(rows, hostile{name: "marker: " + name, version: 2, change: but(throughAgent, "xms_par_app_azp", value), kind: bad, rule: "agent claims"})
	}
	return rows
}
