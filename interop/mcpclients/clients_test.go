//go:build unix

package mcpclients_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a client says of each step, where all goes well, beside the protocol that it
// speaks and the tools that it sees.
var allWell = map[string]string{
	"call":    "Authenticated ping successful",
	"consent": "Hello, Alice",
	"count":   "1 2 3 counted",
	"greet":   "Hello, Alice",
	"delete":  "done, refused not_confirmed", // the user says yes, then no
	"expiry":  "Authenticated ping successful",
	"write":   "written",
	"whoami":  "alice@contoso.example",
}

// How clients get their tokens. All ask for more scopes by another sign-in, of
// which the user sees nothing.
const (
	signsInAgain = "authorization_code authorization_code authorization_code"
	refreshes    = "authorization_code refresh_token authorization_code"
)

// The clients, each with the protocol that it spoke and how it got its tokens: at
// first, when they had expired, and when it needed more.
func TestScripts(t *testing.T) {
	node := func(args ...string) []string { return append([]string{"node"}, args...) }
	python := func(args ...string) []string { return append([]string{"python/.venv/bin/python"}, args...) }
	for _, c := range []struct {
		name     string
		command  []string
		sessions bool
		protocol string
		grants   string
	}{
		{"TypeScript sdk 1", node("node/sdk.mjs"), true, "2025-11-25", signsInAgain},
		{"TypeScript client 2, modern", node("node/client.mjs", "modern"), false, "2026-07-28", refreshes},
		{"TypeScript client 2, legacy", node("node/client.mjs", "legacy"), true, "2025-11-25", refreshes},
		{"Python mcp, modern", python("python/mcp_client.py", "auto"), false, "2026-07-28", signsInAgain},
		{"Python mcp, legacy", python("python/mcp_client.py", "legacy"), true, "2025-11-25", signsInAgain},
		{"FastMCP, modern", python("python/fastmcp_client.py", "auto"), false, "2026-07-28", signsInAgain},
		{"FastMCP, legacy", python("python/fastmcp_client.py", "legacy"), true, "2025-11-25", signsInAgain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.sessions)
			got := s.run(t, c.command)
			want := maps.Clone(allWell)
			want["connect"], want["list"] = c.protocol, s.tools
			for step, text := range want {
				if got[step] != text {
					t.Errorf("%s: %q, want %q", step, got[step], text)
				}
			}
			if grants := s.grants(); grants != c.grants {
				t.Errorf("tokens by %s, want %s", grants, c.grants)
			}
			s.checkLog(t)
		})
	}
}

// The newer TypeScript client asks for a refresh token where it can have one, and
// refreshes without a scope, which Entra refuses: it neither goes on nor signs in
// again. An application helps it with an addClientAuthentication that repeats the
// scope, as the script does otherwise, or by not naming refresh_token in its
// clientMetadata. If this fails, the client has learned it: say so in the docs.
func TestRefreshWithoutScope(t *testing.T) {
	s := newStage(t, false)
	got := s.run(t, []string{"node", "node/client.mjs", "modern", "as-it-is"})
	if got["call"] != allWell["call"] || !strings.Contains(got["expiry"], "AADSTS90009") {
		t.Errorf("%q, then %q", got["call"], got["expiry"])
	}
}

// checkLog looks at the server's side: a token was found expired, and nothing of
// one was written.
func (s *stage) checkLog(t *testing.T) {
	t.Helper()
	text := s.log.String()
	if !strings.Contains(text, "expired") {
		t.Error("the server has met no expired token")
	}
	if strings.Contains(text, "eyJ") {
		t.Error("the server's log has a token")
	}
}

// run runs a client's script to its end, and returns what it said of each step.
func (s *stage) run(t *testing.T, args []string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	path, err := exec.LookPath(args[0])
	must(t, err)
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(args[1])
	must(t, err)
	roots := s.certificates(t)
	cmd := command(ctx, t.TempDir(), path, append([]string{script}, args[2:]...),
		"NODE_EXTRA_CA_CERTS="+roots, "SSL_CERT_FILE="+roots, "PYTHONDONTWRITEBYTECODE=1",
		"MCP_URL="+s.url, "DESK_URL="+s.desk, "CLIENT_ID="+s.client.ClientID)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Errorf("the client ended: %v\n%s", err, &stderr)
	}
	said := map[string]string{}
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		var line struct{ Step, Text string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("the client printed %q", lines.Text())
			continue
		}
		said[line.Step] = line.Text
	}
	t.Logf("said %s", strings.Join(steps(said), "\n\t"))
	return said
}

func steps(said map[string]string) []string {
	var all []string
	for _, step := range slices.Sorted(maps.Keys(said)) {
		all = append(all, step+": "+said[step])
	}
	return all
}

// command prepares a program in a folder of its own, with nothing of the test's
// environment but PATH. When the context ends, it and all that it started are
// killed.
func command(ctx context.Context, dir, path string, args []string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NO_COLOR=1"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
