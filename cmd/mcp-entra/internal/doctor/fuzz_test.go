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

// Microsoft's own hosts stay in a masked report, and those of its customers don't.
func TestMaskedHosts(t *testing.T) {
	for host, stays := range map[string]bool{
		"login.microsoftonline.com": true, "sts.windows.net": true, "graph.microsoft.com": true, "storage.azure.com": true, "vault.azure.net": true, "management.azure.com": true,
		"contosofiles.blob.core.windows.net": false, "contosofiles.z01.blob.storage.azure.net": false, "contosofiles.dfs.core.windows.net": false, "contoso.vault.azure.net": false,
		"contoso.database.windows.net": false, "contosofiles.blob.core.chinacloudapi.cn": false, "contoso.ciamlogin.com": false, "contoso.azurewebsites.net": false,
		"contoso.onmicrosoft.com": false, "vm7.westeurope.cloudapp.azure.com": false, "10.1.2.3": false, "proxy": false, "127.0.0.1": true, "localhost": true,
	} {
		r := &Report{Checks: []Result{failed(Finding{Problem: host, Came: "https://" + host + ":8443/x", Remedy: "alice.smith@contoso.example"})}, names: namesOf("http://proxy:3128", "http://localhost:1")}
		r.Mask()
		f := r.Checks[0].Findings[0]
		if got := f.Problem == host && strings.Contains(f.Came, host); got != stays {
			t.Errorf("masked, %s stays: %v, want %v (%+v)", host, got, stays, f)
		}
		if strings.Contains(f.Remedy, "alice") || strings.Contains(f.Remedy, "contoso") {
			t.Errorf("masked, a user is %q", f.Remedy)
		}
	}
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
