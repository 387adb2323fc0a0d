package main

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	c := config{tenantID: w.tenant.ID(), apiAppID: w.api.ClientID, authorityHost: w.tenant.AuthorityHost()}
	good := w.tenant.Token(w.alice, w.client, w.api)
	change := func(name string, value any) string {
		return w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims[name] = value })
	}
	for name, row := range map[string]struct {
		input string
		code  int
		texts []string
	}{
		"good":           {good + "\n", exitOK, []string{"The token is accepted.", "signature            passed"}},
		"with Bearer":    {"Bearer " + good, exitOK, []string{"The token is accepted."}},
		"the header":     {"Authorization: Bearer " + good, exitOK, []string{"The token is accepted."}},
		"header of JSON": {`"authorization": "Bearer ` + good + `"`, exitOK, []string{"The token is accepted."}},
		"quoted":         {`"` + good + "\"\n", exitOK, []string{"The token is accepted."}},
		"quotes":         {`""`, exitFailed, []string{"no token on standard input"}},
		"expired":        {change("exp", time.Now().Unix()-3600), exitFailed, []string{"expired: Token expired", "#expired", "expiry               FAILED"}},
		"wrong audience": {change("aud", "https://graph.microsoft.com"), exitFailed, []string{"audience_mismatch: Audience validation failed", "https://graph.microsoft.com", "api://" + w.api.ClientID}},
		"garbage":        {"garbage", exitFailed, []string{"malformed: ", "signature            not reached"}},
		"terminal codes": {change("aud", "\x1b[31mred"), exitFailed, []string{`"\x1b[31mred"`}},
		"nothing":        {" \n", exitFailed, []string{"no token on standard input"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			code := runExplain(context.Background(), c, w.tenant.HTTPClient(), strings.NewReader(row.input), &out, &out)
			if code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			for _, text := range row.texts {
				if !strings.Contains(out.String(), text) {
					t.Errorf("%q is not in:\n%s", text, out.String())
				}
			}
			signature := strings.TrimRight(row.input[strings.LastIndexByte(row.input, '.')+1:], "\"\n")
			if len(signature) > 40 && strings.Contains(out.String(), signature[:40]) {
				t.Error("the signature is printed")
			}
			if name == "good" || name == "expired" {
				t.Logf("\n%s", out.String())
			}
		})
	}
}

// Without configuration, the report uses the token's own tenant and audience, and says so. Keys
// come from the configured authority, whatever the token says.
func TestExplainWithoutConfiguration(t *testing.T) {
	t.Parallel()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	mint := func(version int, name string, value any) string {
		return w.tenant.Mint(w.api, version, func(_, claims map[string]any) { claims[name] = value })
	}
	const notice = "checked against its own tenant ("
	for name, row := range map[string]struct {
		config config
		input  string
		code   int
		texts  []string
	}{
		"v1":                   {config{}, mint(1, "x", 1), exitOK, []string{notice + w.tenant.ID(), "audience (api://" + w.api.ClientID, "valid for its own tenant", "keys of " + w.tenant.AuthorityHost()}},
		"v2":                   {config{}, mint(2, "x", 1), exitOK, []string{notice + w.tenant.ID(), "audience (" + w.api.ClientID}},
		"an App ID URI":        {config{}, mint(1, "aud", "https://mcp.example.com/mcp/"), exitOK, []string{"audience (https://mcp.example.com/mcp/)"}},
		"expired":              {config{}, mint(1, "exp", 1), exitFailed, []string{notice, "expired: Token expired"}},
		"the tenant is set":    {config{tenantID: w.tenant.ID()}, mint(1, "x", 1), exitOK, []string{"checked against its own audience (api://"}},
		"the app is set":       {config{apiAppID: w.api.ClientID}, mint(1, "aud", "api://other"), exitFailed, []string{notice + w.tenant.ID() + "),", "audience_mismatch"}},
		"a stranger's host":    {config{}, mint(2, "iss", "https://evil.example/"+w.tenant.ID()+"/v2.0"), exitFailed, []string{"issuer_mismatch", "keys of " + w.tenant.AuthorityHost()}},
		"a tenant that is not": {config{}, mint(2, "tid", testTenant), exitFailed, []string{"tenant_not_found", "AADSTS90002"}},
		"tid is a path":        {config{}, mint(2, "tid", "../x"), exitFailed, []string{"the token's claim tid is not a tenant id", "Set TENANT_ID"}},
		"no audience":          {config{}, mint(2, "aud", nil), exitFailed, []string{"the token has no audience"}},
		"a scope":              {config{}, mint(1, "aud", "api://"+w.api.ClientID+"/access_as_user"), exitFailed, []string{"No API can have the audience api://" + w.api.ClientID + "/access_as_user", "is a scope of the API", "audience_mismatch", "api://" + w.api.ClientID + " or", "signature            passed"}},
		"the tenant":           {config{}, mint(1, "aud", w.tenant.ID()), exitFailed, []string{"No API can have the audience " + w.tenant.ID(), "audience_mismatch", "signature            passed"}},
		"all audiences":        {config{}, mint(1, "aud", "api://*"), exitFailed, []string{"No API can have the audience api://*", "audience_mismatch"}},
		"a list":               {config{}, mint(1, "aud", []string{w.api.ClientID}), exitFailed, []string{"audience ([" + w.api.ClientID + "])", "FAILED"}},
		"a number":             {config{}, mint(1, "aud", 7), exitFailed, []string{"audience (7)", "FAILED"}},
		"empty":                {config{}, mint(1, "aud", ""), exitFailed, []string{"the token has no audience"}},
		"terminal codes":       {config{}, mint(2, "aud", "\x1b[31mred"), exitFailed, []string{`"\x1b[31mred"`}},
		"garbage":              {config{}, "garbage", exitFailed, []string{"the token can't be read", "Set both"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := *w.tenant.HTTPClient()
			client.Transport = only{w.tenant.AuthorityHost(), client.Transport, t}
			row.config.authorityHost = w.tenant.AuthorityHost()
			var out bytes.Buffer
			if code := runExplain(context.Background(), row.config, &client, strings.NewReader(row.input), &out, &out); code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			wantText(t, out.String(), row.texts...)
			if strings.Contains(out.String(), "is accepted") || strings.Contains(out.String(), row.input[len(row.input)-7:]) && len(row.input) > 40 {
				t.Errorf("it says too much:\n%s", out.String())
			}
		})
	}
}

// only is a transport that allows requests to one origin.
type only struct {
	origin string
	next   http.RoundTripper
	t      *testing.T
}

func (o only) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != o.origin {
		o.t.Errorf("a request went to %s", r.URL.Host)
	}
	return o.next.RoundTrip(r)
}

func TestExplainConfig(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		variables map[string]string
		where     []string
	}{
		"nothing":           {nil, nil},
		"a tenant":          {map[string]string{"TENANT_ID": testTenant}, nil},
		"an odd tenant":     {map[string]string{"TENANT_ID": "x"}, []string{"TENANT_ID"}},
		"an odd app":        {map[string]string{"API_APP_ID": "x"}, []string{"API_APP_ID"}},
		"an odd authority":  {map[string]string{"AZURE_AUTHORITY_HOST": "http://x"}, []string{"AZURE_AUTHORITY_HOST"}},
		"both, one of them": {with("TENANT_ID", "x"), []string{"TENANT_ID"}},
		"both the same":     {with("API_APP_ID", testTenant), []string{"API_APP_ID"}},
	} {
		_, faults := readExplainConfig(lookupIn(row.variables), nil)
		var where []string
		for _, f := range faults {
			where = append(where, f.where)
		}
		if !slices.Equal(where, row.where) {
			t.Errorf("%s: faults %v, want of %v", name, faults, row.where)
		}
	}
}
