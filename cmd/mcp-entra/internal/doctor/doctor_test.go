package doctor_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
)

// A setup that works has no failure and no warning.
func TestHealthy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.examine(t)
	for _, c := range report.Checks {
		want := doctor.OK
		if slices.Contains([]string{"agents", "federated-credential", "auth-proxy", "loopback"}, c.ID) {
			want = doctor.NotRun
		}
		if c.Status != want {
			t.Errorf("%s: %s, want %s: %+v", c.ID, c.Status, want, c)
		}
	}
	t.Log(text(t, report))
}

// A client that was asked for needs its redirect; of the others nobody knows who uses them.
func TestClientWithoutRedirect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.options.Clients = []string{"cursor", "inspector"}
	all := text(t, w.examine(t))
	for _, want := range []string{"warning  client-inspector", "AADSTS50011", "http://localhost/oauth/callback", "ok       client-cursor"} {
		if !strings.Contains(all, want) {
			t.Errorf("the report does not say %q:\n%s", want, all)
		}
	}
}

func noSecrets(t *testing.T, w *world, s string) {
	t.Helper()
	for what, hidden := range map[string]string{"the secret": w.secret, "the token": w.token, "a token": "eyJ", "a control character": "\x1b"} {
		if hidden != "" && strings.Contains(s, hidden) {
			t.Errorf("the report has %s", what)
		}
	}
}

// docs/doctor.md has a section for each check, and for no other.
func TestDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections, want []string
	for line := range strings.Lines(string(data)) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			sections = append(sections, strings.TrimSpace(heading))
		}
	}
	for _, c := range newWorld(t).examine(t).Checks {
		if !strings.HasPrefix(c.ID, "client-") {
			want = append(want, c.ID)
		}
	}
	if want = append(want, "clients"); !slices.Equal(sections, want) {
		t.Errorf("docs/doctor.md has the sections\n%q, want\n%q", sections, want)
	}
}
