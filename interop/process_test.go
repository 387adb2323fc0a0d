//go:build unix

package interop_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a program that runs beside the test.
type process struct {
	name   string
	cmd    *exec.Cmd
	stdout *output
	stderr *output
	ended  chan struct{}
	err    error // how it ended, once it has
}

// command prepares a program in a folder of its own, with nothing of the test's
// environment but PATH. When the context ends, it and all that it started are
// killed.
func command(ctx context.Context, dir string, env map[string]string, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "NO_COLOR=1"}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// start starts the program. It is killed when the test ends, and what it wrote is
// shown if the test has failed.
func start(t testing.TB, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{name: name, cmd: cmd, stdout: newOutput(), stderr: newOutput(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-p.ended:
		default:
			_ = cmd.Cancel()
			<-p.ended
		}
		if t.Failed() {
			t.Logf("%s: %v\n--- its standard output\n%s\n--- its standard error\n%s\n---", name, p.err, p.stdout, p.stderr)
		}
	})
	return p
}

// wait returns the exit code of a program that ends by itself.
func (p *process) wait() int {
	<-p.ended // the command's context bounds it
	return p.cmd.ProcessState.ExitCode()
}

// terminate asks the program to end, as the platform does, and returns its exit
// code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("stopping %s: %v", p.name, err)
	}
	return p.wait()
}

// waitFor waits until the program has written what the pattern says, and returns
// the pattern's group.
func (p *process) waitFor(t testing.TB, o *output, pattern *regexp.Regexp) string {
	t.Helper()
	for ended := false; ; {
		text, grown := o.look()
		if m := pattern.FindStringSubmatch(text); m != nil {
			return m[1]
		}
		if ended {
			t.Fatalf("%s ended (%v) without writing %s", p.name, p.err, pattern)
		}
		select {
		case <-grown:
		case <-p.ended: // in time, or killed by the command's context
			ended = true
		}
	}
}

// An output is what a program has written so far.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	grown chan struct{} // closed with the next write
}

func newOutput() *output { return &output{grown: make(chan struct{})} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.grown)
	o.grown = make(chan struct{})
	return o.text.Write(p)
}

func (o *output) look() (text string, grown <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.grown
}

func (o *output) String() string {
	text, _ := o.look()
	return text
}
