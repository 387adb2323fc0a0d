package calls

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// maxStart is how long an entrant may take until it listens.
const maxStart = time.Minute

// A Process is an entrant at work.
type Process struct {
	// Address is its host and port.
	Address string
	cmd     *exec.Cmd
	stderr  *tail
}

// Start starts an entrant on the bed's tenant and waits for it to listen. It
// ends with ctx; call Wait then.
func Start(ctx context.Context, b *bench.Bed, e *Entrant) (*Process, error) {
	text, err := json.Marshal(settings{
		TenantID: b.Tenant.ID(), ClientID: b.API.ClientID, AuthorityHost: b.Tenant.AuthorityHost(),
		Issuer: b.Tenant.V2Issuer(), KeysURL: b.KeysURL(), Scope: bench.Scope, Tools: Tools(),
	})
	if err != nil {
		return nil, err
	}
	command := e.command
	env := append(os.Environ(), settingsVariable+"="+string(text),
		"SSL_CERT_FILE="+b.CertificateFile, "NODE_EXTRA_CA_CERTS="+b.CertificateFile, "NODE_ENV=production")
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		command, env = []string{self}, append(env, serveVariable+"="+e.Name)
	}
	p := &Process{cmd: exec.CommandContext(ctx, command[0], command[1:]...), stderr: &tail{}} //nolint:gosec // G204: this package's own programs
	p.cmd.Env, p.cmd.Stderr, p.cmd.WaitDelay = env, p.stderr, 5*time.Second
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(maxStart, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ended := p.cmd.Wait()
		return nil, fmt.Errorf("%s said nothing: %w; %s", e.Name, errors.Join(err, ended), p.stderr)
	}
	u, err := url.Parse(line[:len(line)-1])
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%s says %q", e.Name, line)
	}
	p.Address = u.Host
	return p, nil
}

// Wait waits for the end of the process, which was killed.
func (p *Process) Wait() { _ = p.cmd.Wait() }

// A tail keeps the last of what a process complains about.
type tail struct{ text []byte }

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-2000):]
	return len(p), nil
}

// String returns it. It is complete when the process has ended.
func (t *tail) String() string { return string(t.text) }
