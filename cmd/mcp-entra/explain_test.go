package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	w := newWorld(t)
	t.Chdir(t.TempDir()) // without .env
	bad := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["aud"] = "https://graph.microsoft.com" })
	for name, c := range map[string]struct {
		stdin     string
		variables []string
		args      []string
		code      int
		out, errs string
	}{
		"accepted":       {"Bearer " + w.token(), []string{"TENANT_ID", w.tenant.ID(), "API_APP_ID", w.api.ClientID}, nil, exitOK, "The token is accepted.", ""},
		"by itself":      {w.token(), nil, nil, exitOK, "valid for its own tenant and audience", ""},
		"rejected":       {bad, []string{"TENANT_ID", w.tenant.ID(), "API_APP_ID", w.api.ClientID}, nil, exitFailed, "audience_mismatch: Audience validation failed", "the token is rejected"},
		"rejected, JSON": {bad, []string{"TENANT_ID", w.tenant.ID(), "API_APP_ID", w.api.ClientID}, []string{"-json"}, exitFailed, `"reason": "audience_mismatch"`, "the token is rejected"},
		"no token":       {"", nil, nil, exitFailed, "", "no token on standard input"},
		"a wrong id":     {w.token(), []string{"TENANT_ID", "contoso"}, nil, exitFailed, "", "TENANT_ID: \"contoso\" is not a GUID"},
		"an argument":    {w.token(), nil, []string{"token"}, exitUsage, "", "comes on standard input"},
	} {
		code, out, errs := start(t, func(p *process) {
			w.at(t)(p)
			p.stdin = strings.NewReader(c.stdin)
			p.lookup = variables(append(c.variables, "AZURE_AUTHORITY_HOST", w.tenant.AuthorityHost())...)
		}, append([]string{"explain"}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || (errs == "") != (c.errs == "") {
			t.Errorf("%s: exit code %d, want %d\n%s\n%s, want %q and %q", name, code, c.code, out, errs, c.out, c.errs)
		}
		if name == "rejected, JSON" {
			var report struct {
				Accepted bool
				Checks   []struct{ Rule string }
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil || report.Accepted || len(report.Checks) < 10 {
				t.Errorf("%s: %v %+v", name, err, report)
			}
		}
	}
}
