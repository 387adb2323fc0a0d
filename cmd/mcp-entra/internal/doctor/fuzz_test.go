package doctor

import (
	"bytes"
	"strings"
	"testing"
	"unicode"
)

// What a server sends in a challenge comes out as it is, or not at all.
func FuzzParameter(f *testing.F) {
	for _, s := range []string{
		`Bearer resource_metadata="https://mcp.example.com/x", scope="a b"`, `Basic realm="x", Bearer scope=a`, `Bearer scope="`, `scope=`, `resource_metadata=""`, "scope = \x1b[2J",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, challenge string) {
		for _, name := range []string{"resource_metadata", "scope"} {
			if value := parameter(challenge, name); !strings.Contains(challenge, value) {
				t.Errorf("parameter(%q, %s) = %q, which is not in it", challenge, name, value)
			}
		}
	})
}

// Whatever came from elsewhere, a report has no control characters but line breaks, no token and,
// masked, no id.
func FuzzReport(f *testing.F) {
	const token, id = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "12345678-1234-1234-1234-123456789abc"
	for _, s := range []string{"", "text", token, "\x1b[2J" + id, "id=" + id + ".contoso.com", strings.ToUpper(id), "2001:db8::1", "https://a.b.example/x?y=z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := &Report{Checks: []Result{failed(Finding{Problem: s, Expected: s + " " + id, Came: printable(s), Remedy: token + " " + s})}}
		r.clean([]string{"a secret"})
		r.Mask()
		var b bytes.Buffer
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		if strings.ContainsFunc(out, func(c rune) bool { return c != '\n' && unicode.IsControl(c) }) {
			t.Errorf("%q has control characters", out)
		}
		if strings.Contains(out, token) || strings.Contains(out, "eyJzdWIiOiJ4In0") {
			t.Errorf("%q has a token", out)
		}
		if strings.Contains(out, " "+id) {
			t.Errorf("%q has an id", out)
		}
	})
}
