package mcpentra_test

import (
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A pattern that can't match what it seems to say, or that matches nothing, is a fault
// that names the option, the pattern and the remedy.
func TestPatternFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sets := patternSets(t, w)
	for option, row := range map[string]struct {
		with     func(string, entraauth.Policy) mcpentra.Option
		patterns map[string]string
	}{
		"WithResourcePolicy": {mcpentra.WithResourcePolicy, map[string]string{
			"blob://docs/secret/**":   `write "blob://docs/secret/*"`,
			"secret":                  "scheme",
			"":                        `"*" matches all`,
			"blob://docs/secret/":     "no such resource",
			"blob://docs/secret?.txt": "no such resource",
			"blob://docs/secret/#*":   "no such resource",
			"blob://other/*":          "no such resource",
			"blobs://docs/*":          "no such resource",
			"note://team/a/b":         "no such resource",
			"note://team/a/*":         "no such resource",
			"https://docs/*":          "no such resource",
		}},
		"WithToolPolicy": {mcpentra.WithToolPolicy, map[string]string{
			"read_**": `write "read_*"`, "read_blob\n": "remove it", "": `"*" matches all`,
			"read%5Fblob": "no such", "Read_blob": "no such", "read_blob/": "no such", "read-*": "no such", "r?ad_blob": "no such", "^read": "no such",
		}},
		"WithPromptPolicy": {mcpentra.WithPromptPolicy, map[string]string{
			"dr**": `write "dr*"`, "draft ": "remove it", "": `"*" matches all`,
			"drift": "no such", "weekly  report": "no such",
		}},
	} {
		for pattern, want := range row.patterns {
			_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithExchanger(w.exchanger), sets, row.with(pattern, readers))
			wantFault(t, pattern, err, option+"("+quoted(pattern)+")", want)
		}
	}
}

// What is written in another spelling than that of the URIs works.
func TestPatternsMeetURIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sets := patternSets(t, w)
	for _, c := range []struct{ pattern, closed, open string }{
		{"blob://docs/secret%20x/*", "blob://docs/secret x/plan", "blob://docs/secret/plan"},
		{"BLOB://Docs/secret/*", "blob://docs/secret/plan", "blob://docs/plan"},
		{"blob://docs/%73ecret/*", "blob://docs/secret/plan", "blob://docs/plan"},
		{"blob://docs/x/../secret/*", "blob://docs/secret/plan", "blob://docs/x/plan"},
		{"blob://docs/日本/*", "blob://docs/%e6%97%a5%E6%9C%AC/plan", "blob://docs/%E6%97%A5/plan"},
		{"blob://docs/secret%2F*", "blob://docs/secret/plan", "blob://docs/secretplan"},
		{"blob://docs/a%2520b/*", "blob://docs/a%2520b/plan", "blob://docs/a/plan"},
		{"blob://docs/%3Cx%3E/*", "blob://docs/%3cx%3e/plan", "blob://docs/x/plan"},
		{"blob://docs//secret/*", "blob://docs//secret/plan", "blob://docs/plan"},
		{"blob://docs/.*", "blob://docs/.git", "blob://docs/git"},
		{"blob://docs/..*", "blob://docs/..git", "blob://docs/.git"},
		{"blob://docs/secret", "blob://docs/secret", "blob://docs/secret/plan"},
		{"blob://docs/sec*", "blob://docs/secret/plan", "blob://docs/se"},
		{"blob:///docs/secret/*", "blob://docs/secret/plan", "blob://docs/plan"},
		{"blob:*", "blob://docs/x", "note://own"},
		{"blo*", "blob://docs/x", "note://own"},
		{"note://own", "note://OWN", "note://team/x"},
		{"note://team/a%2F*", "note://team/a%2Fb", "note://team/b"},
		{"note://team/plan", "note://team/pl%61n/", "note://team/plans"},
		{"*", "blob://docs/x", ""},
	} {
		w.options = []mcpentra.Option{sets, mcpentra.WithResourcePolicy(c.pattern, readers)}
		w.rebuild(t)
		for uri, want := range map[string]int{c.closed: 403, c.open: 200} {
			if uri == "" {
				continue
			}
			if status, _, text := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"`+uri+`"}}`, w.bearer(nil)); status != want {
				t.Errorf("%q: %q is %d, want %d: %s", c.pattern, uri, status, want, text)
			}
		}
	}
	w.options = []mcpentra.Option{sets, mcpentra.WithPromptPolicy("weekly report", readers), mcpentra.WithToolPolicy("read_*", readers)}
	w.rebuild(t)
}

// patternSets have tools, prompts and resources for patterns.
func patternSets(t *testing.T, w *world) mcpentra.Option {
	t.Helper()
	blobs, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{HTTPClient: w.blobs.HTTPClient(), Tools: []string{"read_blob"}})
	must(t, err)
	return mcpentra.WithTools(blobs, notes{}, registers(func(s *mcp.Server) {
		s.AddPrompt(&mcp.Prompt{Name: "weekly report"}, nil)
	}))
}

// registers is a tool set that is a function.
type registers func(*mcp.Server)

func (r registers) Register(s *mcp.Server) { r(s) }

// OpenID scopes are in no access token for an API, and a policy that asks for
// nothing opens what it seems to close.
func TestPoliciesOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	none := []string{}
	for name, c := range map[string]struct {
		policy entraauth.Policy
		want   string
	}{
		"zero":                  {entraauth.Policy{}, "asks for nothing"},
		"empty lists":           {entraauth.Policy{Scopes: none, AnyScope: none, UserRoles: none, Groups: none, AppRoles: none, Clients: none}, "asks for nothing"},
		"one empty list":        {entraauth.Policy{UserRoles: none}, "asks for nothing"},
		"public client":         {entraauth.Policy{ClientAuth: entraauth.ClientAuthNone}, "asks for nothing"},
		"one of two is empty":   {entraauth.Policy{UserRoles: none, Scopes: []string{"Mail.Read"}}, "UserRoles"},
		"openid":                {entraauth.Policy{Scopes: []string{"openid"}}, `"openid"`},
		"profile":               {entraauth.Policy{Scopes: []string{"access_as_user", "Profile"}}, `"Profile"`},
		"email, any":            {entraauth.Policy{AnyScope: []string{"email", "access_as_user"}}, `"email"`},
		"offline_access":        {entraauth.Policy{Scopes: []string{"offline_access"}}, `"offline_access"`},
		".default":              {entraauth.Policy{Scopes: []string{".default"}}, `".default"`},
		"a line's end in role":  {entraauth.Policy{UserRoles: []string{"Reader\n"}}, "UserRoles"},
		"a tab in scope":        {entraauth.Policy{Scopes: []string{"a\tb"}}, "Scopes"},
		"empty string as scope": {entraauth.Policy{Scopes: []string{""}}, "Scopes"},
	} {
		for option, o := range map[string]mcpentra.Option{
			`WithToolPolicy("secure_ping")`:    mcpentra.WithToolPolicy("secure_ping", c.policy),
			`WithResourcePolicy("note://own")`: mcpentra.WithResourcePolicy("note://own", c.policy),
			`WithPromptPolicy("draft")`:        mcpentra.WithPromptPolicy("draft", c.policy),
			`Tool("own")`:                      mcpentra.WithTools(said("own", c.policy)),
			`Tool("wrapped")`:                  mcpentra.WithTools(bundle{wrapped{said("wrapped", c.policy)}}),
		} {
			_, err := mcpentra.NewServer(resourceURL, w.verifier, mcpentra.WithTools(mcpentra.IdentityTools(w.verifier), notes{}), o)
			wantFault(t, name, err, option, c.want)
		}
	}
	// The verifier's own has a default.
	verifier := func(p entraauth.Policy) error {
		v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{Policy: p, HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger()})
		if v != nil {
			_ = v.Close()
		}
		return err
	}
	if err := verifier(entraauth.Policy{Scopes: none}); err != nil {
		t.Errorf("NewVerifier = %v, want nil", err)
	}
	wantFault(t, "verifier", verifier(entraauth.Policy{Scopes: []string{"openid"}}), `Policy.Scopes: "openid"`)
}
