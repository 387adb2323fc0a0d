package entraauth_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Whatever prints, logs or encodes a caller or its assertion, the token is not in it.
func TestAssertionHidesItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.token()
	id, err := f.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	assertion := id.Assertion()
	if assertion.IsZero() || !(entraauth.Assertion{}).IsZero() {
		t.Errorf("IsZero() = %v and %v, want false for a token and true for none", assertion.IsZero(), entraauth.Assertion{}.IsZero())
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "assertion", assertion, "caller", id, "value", *id)
	texts := map[string]string{"log": log.String(), "String": assertion.String(), "Print": fmt.Sprint(assertion, id, *id)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts[verb] = fmt.Sprintf(verb+" "+verb+" "+verb, assertion, id, struct{ A entraauth.Assertion }{assertion})
	}
	for name, text := range texts {
		for part := range strings.SplitSeq(token, ".") {
			if strings.Contains(text, part) || strings.Contains(text, fmt.Sprintf("%x", part)) {
				t.Errorf("%s shows a part of the token: %s", name, text)
			}
		}
	}
	for name, encode := range map[string]func() error{
		"JSON": func() error { _, err := json.Marshal(assertion); return err },
		"text": func() error { _, err := assertion.MarshalText(); return err },
		"gob":  func() error { return gob.NewEncoder(&log).Encode(assertion) },
	} {
		if encode() == nil {
			t.Errorf("an assertion can be encoded as %s", name)
		}
	}
}

// Names are for people to read: cut, and without what can't be printed.
func TestNames(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for name, row := range map[string]struct {
		claims                map[string]any
		username, displayName string
	}{
		"Entra's own":           {map[string]any{"preferred_username": "alice@contoso.example", "name": "Alice Adams"}, "alice@contoso.example", "Alice Adams"},
		"v1 names":              {map[string]any{"upn": "alice@contoso.example", "unique_name": "live.com#a", "name": "Ålice"}, "alice@contoso.example", "Ålice"},
		"unique name alone":     {map[string]any{"unique_name": "live.com#a"}, "live.com#a", ""},
		"display name alone":    {map[string]any{"name": "Alice"}, "", "Alice"},
		"no name":               {nil, "", ""},
		"control characters":    {map[string]any{"upn": "a\n\x1b[31mb", "name": "A\u202e\x00lice"}, "a[31mb", "Alice"},
		"other spaces":          {map[string]any{"name": "山田\u3000太郎", "upn": "a\u00a0b"}, "a b", "山田 太郎"},
		"more than 1,024 bytes": {map[string]any{"upn": strings.Repeat("é", 600), "name": strings.Repeat("x", 1025)}, strings.Repeat("é", 512), strings.Repeat("x", 1024)},
	} {
		id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 1, func(_, c map[string]any) {
			for _, claim := range []string{"preferred_username", "upn", "unique_name", "name"} {
				put(c, claim, row.claims[claim])
			}
		}))
		if err != nil {
			t.Errorf("%s: Verify() = %v, want nil", name, err)
			continue
		}
		if id.Username() != row.username || id.DisplayName() != row.displayName {
			t.Errorf("%s: Username() = %q, DisplayName() = %q, want %q and %q", name, id.Username(), id.DisplayName(), row.username, row.displayName)
		}
	}
}

// An identity is shared by all requests with its token, and some log handlers redact
// the attributes of a group in place.
func TestLogValueIsNotShared(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := f.token()
	id, err := f.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	want := id.LogValue().String()
	id.LogValue().Group()[0] = slog.String("user", "redacted")
	again, err := f.verifier.Verify(t.Context(), token)
	if err != nil || again.LogValue().String() != want {
		t.Errorf("LogValue() = %s, %v after a handler's redaction, want %s", again.LogValue(), err, want)
	}
}

// A token's id is copied into logs and queries, so it has no more characters than Entra's.
func TestTokenID(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for _, c := range []struct{ uti, want string }{
		{"Yk1nQ2VVdEpV-_0123456A", "Yk1nQ2VVdEpV-_0123456A"},
		{strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{strings.Repeat("a", 65), ""},
		{"a b", ""}, {"a\n", ""}, {`a"`, ""}, {"ä", ""}, {"a.b", ""}, {"", ""},
	} {
		id, err := f.verifier.Verify(t.Context(), f.tenant.Mint(f.api, 2, func(_, claims map[string]any) { claims["uti"] = c.uti }))
		if err != nil {
			t.Errorf("uti %q: Verify() = %v, want nil", c.uti, err)
			continue
		}
		if got := id.TokenID(); got != c.want {
			t.Errorf("uti %q: TokenID() = %q, want %q", c.uti, got, c.want)
		}
	}
}
