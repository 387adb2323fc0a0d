package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestExplain(t *testing.T) {
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
			signature := row.input[strings.LastIndexByte(row.input, '.')+1:]
			if len(signature) > 40 && strings.Contains(out.String(), signature[:40]) {
				t.Error("the signature is printed")
			}
			if name == "good" || name == "expired" {
				t.Logf("\n%s", out.String())
			}
		})
	}
}
