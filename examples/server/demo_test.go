package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// TestDemoOnce runs the tour as a program.
func TestDemoOnce(t *testing.T) {
	t.Parallel()
	cmd := command(t, map[string]string{"PORT": "0"}, "-demo", "-once")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	out := stdout.String()
	wantText(t, out, "ok    1. Alice lists the tools", "Authenticated ping successful", "ようこそ、アリスさん。", "...<truncated>",
		"AuthorizationPermissionMismatch", "401 Unauthorized", "resource_metadata=", "insufficient_scope", "Carol opens the page", "All 12 steps passed.")
	for _, readme := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile(filepath.Join("..", "..", readme))
		if err != nil {
			t.Fatal(err)
		}
		wantText(t, out, regexp.MustCompile(`(?m)^ok  .*$`).FindAllString(string(data), -1)...)
		rules := regexp.MustCompile(`(?m)^ {8}rules passed .*\n(?: {25}.*\n)*`)
		if got, want := rules.FindString(string(data)), rules.FindString(out); got == "" || got != want {
			t.Errorf("%s prints\n%s, want what the tour prints:\n%s", readme, got, want)
		}
	}
	if strings.Contains(out, "FAIL") || stderr.Len() > 0 {
		t.Errorf("output:\n%s\nlog:\n%s", out, stderr.String())
	}
	if token := regexp.MustCompile(`eyJ[\w-]{13,}`).FindString(out); token != "" {
		t.Errorf("the tour prints %s", token)
	}
	if left, _ := filepath.Glob(filepath.Join(cmd.Dir, "*")); len(left) > 0 {
		t.Errorf("the tour left %q", left)
	}
}

// TestDemoProxy runs the tour with clients that sign in through the server.
func TestDemoProxy(t *testing.T) {
	t.Parallel()
	cmd := command(t, map[string]string{"PORT": "0", "LOG_LEVEL": "debug"}, "-demo", "-proxy", "-once")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.String(), stderr.String())
	}
	out := stdout.String()
	wantText(t, out, "ok   13. A client that nobody knows registers itself", "the registration itself, sealed", "Allow “Demo client”", "All 16 steps passed.")
	wantText(t, stderr.String(), "path=/register", "path=/authorize", "path=/token", "auth_proxy=http://localhost:")
	for name, text := range map[string]string{"tour": out, "log": stderr.String()} {
		if secret := regexp.MustCompile(`eyJ[\w-]{13,}|[?&]code=|[?&]state=|code_verifier|refresh_token=`).FindString(text); secret != "" {
			t.Errorf("the %s has %q:\n%s", name, secret, text)
		}
	}
}

// TestDemoCommands keeps the demo running and runs the curl commands that it prints.
func TestDemoCommands(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signal to end it by")
	}
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	cmd := command(t, map[string]string{"PORT": "0"}, "-demo")
	out := newLines()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	out.await(t, regexp.MustCompile(`(MCP_TOKEN=\$TOKEN go run ./cmd/mcp-entra call)`))
	printed := out.String()
	token := regexp.MustCompile(`(?m)^export TOKEN='.*'$`).FindString(printed)
	commands := regexp.MustCompile(`(?m)^curl (?:.*\\\n)+.*$`).FindAllString(printed, -1)
	if token == "" || len(commands) != 2 {
		t.Fatalf("got a token %v and %d commands:\n%s", token != "", len(commands), printed)
	}
	for i, want := range []string{`"name":"read_blob_with_token"`, "ようこそ、アリスさん。"} {
		answer, err := exec.CommandContext(t.Context(), shell, "-c", token+"\n"+commands[i]).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", commands[i], err)
		}
		wantText(t, string(answer), want)
	}
	wantText(t, printed, "npx -y @modelcontextprotocol/inspector@2.12.0 --cli http://localhost:")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(cmd.Dir, "*")); len(left) > 0 {
		t.Errorf("the demo left %q", left)
	}
}

// TestDemoFails checks that the demo reports a failed step.
func TestDemoFails(t *testing.T) {
	t.Parallel()
	f := start(t, func(w *world, c *serverconfig.Config) { *c = w.publish(c.Listen, "http://localhost:1") })
	f.blobs.Revoke(f.alice.ObjectID)
	var out bytes.Buffer
	if takeTour(t.Context(), &page{w: &out}, f.world, f.origin+"/mcp", false) {
		t.Errorf("the tour passed:\n%s", out.String())
	}
	wantText(t, out.String(), "FAIL  6. Alice reads", "FAIL: the tool answered: The signed-in user may not read", "FAIL: 3 of 12 steps")
}

// TestPortTaken checks that the message names the port and says what to do.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, args := range [][]string{{"-demo"}, {"-demo", "-once"}, nil} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, lookupIn(with("PORT", port)), strings.NewReader(""), &stdout, &stderr); code != exitFailed {
			t.Errorf("%q: exit code %d", args, code)
		}
		wantText(t, stderr.String(), "can't listen on 127.0.0.1:"+port, "set PORT")
	}
}

// TestDemoTakesAnotherPort: only with -once, and only if no port is set.
func TestDemoTakesAnotherPort(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	c := serverconfig.Listen{Host: "127.0.0.1", Port: taken.Addr().(*net.TCPAddr).Port}
	other, err := listenForDemo(t.Context(), c, true)
	if err != nil {
		t.Fatal(err)
	}
	_ = other.Close()
	if l, err := listenForDemo(t.Context(), c, false); err == nil {
		_ = l.Close()
		t.Error("the serving demo took another port")
	}
}

// TestDemoLog checks that the demo logs nothing by default, and what the user asks for otherwise.
func TestDemoLog(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ level, format, want string }{
		{"", "json", ""}, {"info", "", "tool=secure_ping"}, {"info", "json", `"tool":"secure_ping"`},
	} {
		variables := map[string]string{"PORT": "0", "LOG_LEVEL": row.level, "LOG_FORMAT": row.format}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"-demo", "-once"}, lookupIn(variables), strings.NewReader(""), &stdout, &stderr); code != exitOK {
			t.Errorf("%+v: exit code %d\n%s", row, code, stdout.String())
		}
		if got := stderr.String(); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%+v: log %q", row, got)
		}
		for line := range strings.Lines(stderr.String()) {
			if row.format == "json" && !json.Valid([]byte(line)) {
				t.Errorf("%q is not JSON", line)
			}
		}
	}
}

// TestDemoInterrupted stops the demo during its tour, which isn't a failure of the server.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, []string{"-demo"}, lookupIn(map[string]string{"PORT": "0"}), strings.NewReader(""), &stdout, &stderr)
	if code != exitFailed || !strings.Contains(stdout.String(), "Stopped during the tour.") || strings.Contains(stdout.String(), "FAIL") {
		t.Errorf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
	}
}
