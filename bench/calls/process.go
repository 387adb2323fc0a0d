package calls

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
		Serves: cmp.Or(e.serves, e.Name), Floor: e.floor, TokenCache: e.tokenCache,
		TenantID: b.Tenant.ID(), ClientID: b.API.ClientID, AuthorityHost: b.Tenant.AuthorityHost(),
		Issuer: b.Tenant.V2Issuer(), KeysURL: b.KeysURL(), Scope: bench.Scope, Tools: Tools(),
	})
	if err != nil {
		return nil, err
	}
	command := e.command
	if command == nil {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		command = []string{cmp.Or(e.program, self)}
	}
	p := &Process{cmd: exec.CommandContext(ctx, command[0], command[1:]...), stderr: &tail{}} //nolint:gosec // G204: this package's own programs
	p.cmd.Env = slices.Concat(p.cmd.Environ(), []string{settingsVariable + "=" + string(text),
		"SSL_CERT_FILE=" + b.CertificateFile, "NODE_EXTRA_CA_CERTS=" + b.CertificateFile, "NODE_ENV=production"}, e.env)
	p.cmd.Stderr, p.cmd.WaitDelay = p.stderr, 5*time.Second
	if p.Address, err = p.start(e); err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	return p, nil
}

// start returns the address where the process listens.
func (p *Process) start(e *Entrant) (address string, err error) {
	if e.log != "" {
		return p.startLogging(e.log)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	late := time.AfterFunc(maxStart, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ended := p.cmd.Wait()
		return "", fmt.Errorf("it said nothing: %w; %s", errors.Join(err, ended), p.stderr)
	}
	u, err := url.Parse(line[:len(line)-1])
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("it says %q", line)
	}
	return u.Host, nil
}

// serving is the line of the log with the address.
var serving = regexp.MustCompile(`msg=serving address=(\S+)`)

// startLogging is start for a server that logs to the file, in whose folder it runs.
func (p *Process) startLogging(file string) (address string, err error) {
	log, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { _ = log.Close() }() // the process has its own
	p.cmd.Stderr, p.cmd.Dir = log, filepath.Dir(file)
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	var text []byte
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for started := time.Now(); time.Since(started) < maxStart; <-look.C {
		if text, err = os.ReadFile(file); err != nil {
			return "", err
		}
		if m := serving.FindSubmatch(text); m != nil {
			return string(m[1]), nil
		}
	}
	return "", fmt.Errorf("it does not say where it listens: %s", text)
}

// resident is how much memory the process occupies, in bytes, or 0 where that is
// not to be found.
func (p *Process) resident() int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	var all, pages int64
	_, _ = fmt.Sscan(string(text), &all, &pages)
	return pages * int64(os.Getpagesize())
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
