package entraauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// statement says who calls, by what the token has. The first line that fits holds; * fits
// all, a|b fits either, and "none" is any scp that names no scope.
//
// It is written from Microsoft's documentation and from tokens seen, not from the code.
const statement = `
idtyp   scp    subject  actor  oid          marker  | who
*       *      *        13     *            *       | contradiction
*       *      11+13    *      *            *       | contradiction
app     named  *        *      *            *       | contradiction
app     *      13       *      *            *       | contradiction
user    *      11       *      *            *       | contradiction
absent  named  11       *      *            *       | contradiction
device  *      *        *      *            *       | odd kind

app     *      11       *      *            *       | agent alone
app     *      *        11     *            *       | agent alone
app     *      *        *      *            yes|azp | agent alone
app     *      *        *      *            *       | application

absent  none   13       *      sub|absent   *       | contradiction
absent  none   11       *      *            *       | agent alone
absent  none   absent|empty * *             yes|azp | agent alone
absent  none   *        *      sub|absent   yes|azp | agent alone
absent  none   *        11     sub|absent   *       | agent alone
absent  none   *        *      sub|absent   *       | application

*       absent *        *      *            *       | ID token
*       *      *        *      absent       *       | no oid
*       *      13       *      *            *       | agent user
*       *      *        11     *            *       | person through agent
*       *      people   *      *            yes|azp | person through agent
*       *      *        *      *            yes|azp | unclear
*       *      *        *      *            *       | person
`

// axes are the values of each column, by their names in the statement. A nil value leaves
// the claim out.
var axes = [6]map[string]any{
	{"absent": nil, "app": "app", "user": "user", "device": "device"},
	{"absent": nil, "empty": "", "slash": "/", "named": "access_as_user"},
	{"absent": nil, "empty": "", "people": "3 6", "11": "9 3 11", "13": "13 3", "11+13": "13 11"},
	{"absent": nil, "other": "3 9", "11": "3 9 11", "13": "13"},
	{"absent": nil, "sub": "its sub", "another": otherTenant},
	{"absent": nil, "yes": blueprintID, "azp": agentID},
}

// who returns what the statement says of a row.
func who(row [6]string) string {
	fits := func(pattern, value string) bool {
		return pattern == "*" || slices.Contains(strings.Split(pattern, "|"), value) || pattern == "none" && value != "named"
	}
	for _, line := range strings.Split(statement, "\n")[2:] {
		left, outcome, ok := strings.Cut(line, " | ")
		columns := strings.Fields(left)
		if !ok {
			continue
		}
		matches := true
		for i, pattern := range columns {
			matches = matches && fits(pattern, row[i])
		}
		if matches {
			return outcome
		}
	}
	return "nobody"
}

// A verdict is what verifiers must say of a caller: a reason, or "". One that names the agent
// and the agent user accepts them.
type verdict struct {
	reason string // of every verifier
	plain  string // of the verifier whose policy does not mention agents
	people string // of the one that is for people only
	role   entraauth.AgentRole
	person bool
}

var verdicts = map[string]verdict{
	"contradiction":        {reason: "claims_contradict"},
	"odd kind":             {reason: "idtyp_not_accepted"},
	"ID token":             {reason: "id_token"},
	"no oid":               {reason: "oid_missing"},
	"unclear":              {reason: "agent_unclear"},
	"agent alone":          {plain: "agent_not_accepted", people: "people_only", role: entraauth.AgentRoleAlone},
	"application":          {people: "people_only"},
	"agent user":           {plain: "agent_user_not_accepted", people: "people_only", role: entraauth.AgentRoleUser},
	"person through agent": {people: "people_only", role: entraauth.AgentRoleForPerson, person: true},
	"person":               {person: true},
}

// A tableRow is a token of the table.
type tableRow struct {
	columns [6]string
	token   string
	version string
}

// tableOfAgents returns a token for each combination of the axes, in both versions. The
// signatures are not theirs.
func tableOfAgents(t *testing.T, f *fixture) (rows []tableRow) {
	t.Helper()
	for version := 1; version <= 2; version++ {
		parts := strings.Split(f.tenant.Mint(f.api, version, nil), ".")
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		good := map[string]any{}
		if err := json.Unmarshal(payload, &good); err != nil {
			t.Fatal(err)
		}
		good["oid"], good["roles"] = group, []string{"R"}
		good["exp"], good["nbf"], good["iat"] = f.clock.Now().Unix()+600, f.clock.Now().Unix(), f.clock.Now().Unix()
		setClient(good, agentID)
		eachRow(func(columns [6]string) {
			c := maps.Clone(good)
			for i, name := range []string{"idtyp", "scp", "xms_sub_fct", "xms_act_fct", "oid", "xms_par_app_azp"} {
				put(c, name, axes[i][columns[i]])
			}
			if columns[4] == "sub" {
				c["oid"], c["sub"] = group, group
			}
			data, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, tableRow{columns, parts[0] + "." + b64(data) + "." + parts[2], good["ver"].(string)})
		})
	}
	return rows
}

// eachRow calls f with each combination of the axes.
func eachRow(f func([6]string)) {
	var row [6]string
	var fill func(int)
	fill = func(i int) {
		if i == len(row) {
			f(row)
			return
		}
		for _, value := range slices.Sorted(maps.Keys(axes[i])) {
			row[i] = value
			fill(i + 1)
		}
	}
	fill(0)
}

// agentVerifiers are verifiers with each kind of policy.
func agentVerifiers(t *testing.T, f *fixture) map[string]*entraauth.Verifier {
	t.Helper()
	start := func(p entraauth.Policy) *entraauth.Verifier {
		f.start(t, func(o *entraauth.Options) { o.Policy, o.TokenCache = p, -1 })
		return f.verifier
	}
	both := entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}}
	plain := start(both)
	both.Agents, both.AgentUsers = []string{strings.ToUpper(agentID)}, []string{strings.ToUpper(group), otherTenant}
	return map[string]*entraauth.Verifier{"open": start(both), "plain": plain, "people": start(entraauth.Policy{PeopleOnly: true})}
}

// The truth table: what Identity and each kind of policy make of every combination. It bites:
// without any one of what it is about, some rows fail.
func TestAgentTable(t *testing.T) { // not in parallel: it takes rules from all verifiers
	f := newTenant(t)
	verifiers := agentVerifiers(t, f)
	defer entraauth.DisableRule("signature")()
	rows := tableOfAgents(t, f)
	for _, fault := range judgeTable(t, rows, verifiers, 20) {
		t.Error(fault)
	}
	for name, disable := range entraauth.AgentRules() {
		restore := disable()
		faults := judgeTable(t, rows, verifiers, 1)
		restore()
		if len(faults) == 0 {
			t.Errorf("no row fails without %q", name)
		}
	}
}

// judgeTable returns what differs from the statement, and stops at that many faults.
func judgeTable(t *testing.T, rows []tableRow, verifiers map[string]*entraauth.Verifier, most int) (faults []string) {
	t.Helper()
	seen := map[string]int{}
	for _, row := range rows {
		outcome := who(row.columns)
		want, known := verdicts[outcome]
		if !known {
			t.Fatalf("%v: the statement says %q", row.columns, outcome)
		}
		seen[outcome]++
		if len(faults) >= most {
			return faults
		}
		for name, reason := range map[string]string{"open": "", "plain": want.plain, "people": want.people} {
			if name != "open" && want.reason != "" {
				continue // refused before the policy
			}
			id, err := verifiers[name].Verify(t.Context(), row.token)
			if fault := row.differs(outcome, want, reason, id, err); fault != "" {
				faults = append(faults, fmt.Sprintf("v%s %v, %s policy: %s, want %s", row.version, row.columns, name, fault, outcome))
			}
		}
	}
	if len(seen) != len(verdicts) || len(rows) < 6000 {
		t.Errorf("%d rows with outcomes %v, want at least 6000, with all of %d", len(rows), seen, len(verdicts))
	}
	return faults
}

// differs says how a verification differs from the statement, or returns "".
func (row tableRow) differs(outcome string, want verdict, reason string, id *entraauth.Identity, err error) string {
	if want.reason != "" {
		reason = want.reason
	}
	isApp := outcome == "application" || outcome == "agent alone"
	if reason == "" && row.columns[1] != "named" && !isApp {
		reason = "scope_missing"
	}
	e, _ := errors.AsType[*entraauth.Error](err)
	switch {
	case reason == "" && err != nil:
		return "refused: " + err.Error()
	case reason != "" && (e == nil || e.Reason != reason):
		return "got " + errorText(err) + ", want the reason " + reason
	case reason != "" && e.Caller() == nil:
		if want.reason == "" {
			return "the refusal has no caller"
		}
		return ""
	case reason != "":
		id = e.Caller()
	}
	client := ""
	if want.role != entraauth.AgentRoleNone &&
		(want.role != entraauth.AgentRoleUser || row.columns[3] == "11" || row.columns[5] != "absent") {
		client = agentID
	}
	text := func(i int) string { s, _ := axes[i][row.columns[i]].(string); return s }
	agent := entraauth.Agent{Role: want.role, ID: client, BlueprintID: text(5), ActorFacets: text(3), SubjectFacets: text(2)}
	if got := id.Agent(); got != agent {
		return "Agent() is " + toJSON(got) + ", want " + toJSON(agent)
	}
	if id.IsPerson() != want.person {
		return "IsPerson() is wrong"
	}
	if (id.Kind() == entraauth.KindApp) != isApp {
		return "Kind() is " + id.Kind().String()
	}
	return ""
}

func errorText(err error) string {
	if e, ok := errors.AsType[*entraauth.Error](err); ok {
		return e.Reason + " (" + e.Actual + ")"
	}
	return "an identity"
}

func toJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
