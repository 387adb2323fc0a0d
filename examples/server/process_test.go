package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
)

// beServer is a variable that makes this test binary run the program. Tests run it as users do,
// without building it separately.
const beServer = "MCP_ENTRA_TEST_SERVER"

// command returns the program in an empty directory with only these variables.
func command(t *testing.T, variables map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{beServer + "=1", "HOME=" + cmd.Dir, "TMPDIR=" + cmd.Dir, "SYSTEMROOT=" + os.Getenv("SYSTEMROOT")}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// A process is a running server.
type process struct {
	cmd    *exec.Cmd
	origin string
	log    *lines
}

// startProcess runs the server with the world, and trusts its certificates with SSL_CERT_FILE like
// those of any other authority.
func (w *world) startProcess(t *testing.T, change map[string]string) *process {
	t.Helper()
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("SSL_CERT_FILE is not for this system")
	}
	trust := filepath.Join(t.TempDir(), "trust.pem")
	if err := os.WriteFile(trust, append(w.tenant.CertificatePEM(), w.blobs.CertificatePEM()...), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{
		"SSL_CERT_FILE": trust, "AZURE_AUTHORITY_HOST": w.tenant.AuthorityHost() + "/",
		"TENANT_ID": w.tenant.ID(), "API_APP_ID": w.api.ClientID,
		"USE_OBO_FLOW": "true", "ENTRA_APP_CLIENT_SECRET": w.secret,
		"AZURE_STORAGE_ACCOUNT_URL": w.blobs.URL(), "AZURE_STORAGE_CONTAINER": demoContainer,
		"PORT": "0", "LOG_LEVEL": "debug",
	}
	maps.Copy(variables, change)
	p := &process{cmd: command(t, variables), log: newLines()}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.origin = p.log.await(t, regexp.MustCompile(`msg=serving .* url=(\S+)/mcp `))
	return p
}

// await waits until the log matches, and returns the first group.
func (l *lines) await(t *testing.T, text *regexp.Regexp) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		log, more := l.read()
		if m := text.FindStringSubmatch(log); m != nil {
			return m[1]
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%s does not come:\n%s", text, log)
		}
	}
}

// stop sends SIGTERM twice, as timeout(1) does, and expects exit code 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, p.log.String())
	}
	wantText(t, p.log.String(), "msg=stopped")
}

// TestProcess runs the server as documented, with an authority that it knows only from environment
// variables. It stops the server with SIGTERM, and searches the most detailed log for secrets.
func TestProcess(t *testing.T) {
	t.Parallel()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	p := w.startProcess(t, map[string]string{"METRICS_ADDR": "127.0.0.1:9464"})
	alice, bob := w.token(w.alice), w.token(w.bob)
	secrets := map[string]string{"Alice's token": alice, "Bob's token": bob, "the client secret": w.secret}
	for era, version := range eras {
		s := session(t, p.origin+"/mcp", alice, version)
		result(t, s, "secure_ping", nil)
		result(t, s, "get_user_info", nil)
		secrets["the storage token "+era] = result(t, s, "get_azure_blob_storage_token", nil)["access_token"].(string)
		out := result(t, s, "read_blob_with_token", map[string]any{"blob_path": welcomeBlob})
		if path := filepath.Join(p.cmd.Dir, "downloads"); !strings.HasPrefix(filepath.Join(p.cmd.Dir, out["local_path"].(string)), path) &&
			!strings.HasPrefix(out["local_path"].(string), path) {
			t.Errorf("saved in %v, want below %s", out["local_path"], path)
		}
		refusal(t, s, "read_blob_with_token", map[string]any{"blob_path": "../x"})
	}
	s := session(t, p.origin+"/mcp", bob, "")
	refusal(t, s, "read_blob_with_token", map[string]any{"blob_path": reportBlob})
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	other := w.token(w.bob)
	secrets["Bob's other token"] = other
	refusal(t, session(t, p.origin+"/mcp", other, ""), "get_azure_blob_storage_token", nil)
	f := &fixture{origin: p.origin}
	expired := w.tenant.Mint(w.api, 1, func(_, claims map[string]any) { claims["exp"] = 1 })
	secrets["an expired token"] = expired
	f.post(t, bearerHeader(expired))
	f.post(t, bearerHeader("garbage-that-may-be-half-a-token"))
	secrets["garbage"] = "garbage-that-may-be-half-a-token"
	p.stop(t)
	log := p.log.String()
	wantText(t, log, "level=WARN msg=\""+documented.TokenToolWarning[:40], "obo=\"client secret\"", `msg="these clients will be refused" clients="VS Code`, "code=AADSTS9010010", "tool=read_blob_with_token",
		"METRICS_ADDR has no effect: only examples/production reads it", "user="+w.tenant.ID()+"."+w.alice.ObjectID, "outcome=ok", "outcome=error", "duration=", "uti=",
		"msg=\"garbage collector\" room_bytes=", "live_bytes=", "resident_bytes=")
	wantNoSecrets(t, log, secrets)
}

// wantNoSecrets searches for any 16 consecutive characters of the secrets, and so for tokens and
// parts of them. The header is the same for all of a tenant's tokens and not a secret.
func wantNoSecrets(t *testing.T, log string, secrets map[string]string) {
	t.Helper()
	const window = 16
	for name, secret := range secrets {
		if _, rest, ok := strings.Cut(secret, "."); ok && strings.HasPrefix(secret, "eyJ") {
			secret = rest
		}
		for i := 0; i+window <= len(secret); i++ {
			if strings.Contains(log, secret[i:i+window]) {
				t.Errorf("the log has %q of %s", secret[i:i+window], name)
				break
			}
		}
		if len(secret) < window {
			t.Errorf("%s is too short to look for", name)
		}
	}
}

// TestProcessFaults expects all faults on standard error, and exit code 1.
func TestProcessFaults(t *testing.T) {
	t.Parallel()
	cmd := command(t, map[string]string{"USE_OBO_FLOW": "perhaps", "PORT": "x"})
	if err := os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte("LOG_LEVEL=loud\n oops\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, want exit code 1", err)
	}
	wantText(t, stderr.String(), "6 errors", "\n  .env:2: ", "\n  TENANT_ID: ", "\n  API_APP_ID: ", "\n  USE_OBO_FLOW: ", "\n  PORT: ", "\n  LOG_LEVEL (.env:1): ")
}

// TestJSONFaults expects JSON on each line, also of what goes wrong before the server serves.
func TestJSONFaults(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	ids := with()
	for name, c := range map[string]struct {
		args      []string
		variables map[string]string
		want      []string
	}{
		"nothing set": {nil, map[string]string{}, []string{`"where":"TENANT_ID"`, `"where":"API_APP_ID"`, `"fix":"Copy`}},
		"faults":      {nil, with("PORT", "x", "SESSIONS", "maybe"), []string{`"where":"PORT"`, `"where":"SESSIONS"`}},
		"-demo":       {[]string{"-demo"}, with("PORT", "x"), []string{`"where":"PORT"`}},
		"port taken":  {nil, ids, []string{"can't listen on 127.0.0.1:" + port}},
	} {
		c.variables["LOG_FORMAT"] = "json"
		if c.variables["PORT"] == "" {
			c.variables["PORT"] = port
		}
		var stderr bytes.Buffer
		code := run(t.Context(), c.args, lookupIn(c.variables), strings.NewReader(""), io.Discard, &stderr)
		if code != exitFailed {
			t.Errorf("%s: exit code %d", name, code)
		}
		for line := range strings.Lines(stderr.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: %q is not JSON", name, line)
			}
		}
		wantText(t, stderr.String(), c.want...)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-once"}, {"-nonsense"}, {"serve"}, {"-health", "-demo"}, {"-health", "-explain"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, lookupIn(nil), strings.NewReader(""), &stdout, &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: exit code %d, %s", args, code, stderr.String())
		}
	}
	var stderr bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, lookupIn(nil), strings.NewReader(""), &stderr, &stderr); code != exitOK {
		t.Errorf("-h: exit code %d", code)
	}
}
