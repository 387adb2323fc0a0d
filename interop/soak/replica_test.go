//go:build unix

package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// program is the replica, built before the test.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "soak-")
	if err == nil {
		program = filepath.Join(dir, "replica")
		var text []byte
		if text, err = exec.Command("go", "build", "-o", program, "./replica").CombinedOutput(); err != nil {
			err = fmt.Errorf("building the replica: %w\n%s", err, text)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// settings are what the replica reads: see its config.
type settings struct {
	Tenant, AuthorityHost  string
	APIAppID, APISecret    string
	SignInAppID, AppSecret string
	Certificates           string
	StorageURL, Container  string
	RedisAddr              string
	Keys                   [][]byte
	URL, SessionsURL       string
	Folder                 string
	Flaw                   string
	PreStop                time.Duration
}

// A replica is a process of the server.
type replica struct {
	name      string
	addresses struct{ Calls, Sessions, State string }
	cmd       *exec.Cmd
	log       *logBuffer
	ready     atomic.Bool  // as the balancer last saw it
	calls     atomic.Int64 // sent to it
}

func startReplica(t *testing.T, name string, s settings) (*replica, error) {
	in, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	r := &replica{name: name, cmd: exec.Command(program), log: &logBuffer{}}
	r.cmd.Stdin, r.cmd.Stderr = bytes.NewReader(in), r.log
	r.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Folder, "TMPDIR=" + s.Folder}
	out, err := r.cmd.StdoutPipe()
	if err == nil {
		err = r.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait() // it has ended already, unless the test failed
		if t.Failed() {
			t.Logf("the last errors of replica %s:\n%s", r.name, r.log)
		}
	})
	if err := json.NewDecoder(out).Decode(&r.addresses); err != nil {
		return nil, fmt.Errorf("replica %s did not start: %w\n%s", name, err, r.log)
	}
	return r, nil
}

// stop deploys the replica away: SIGTERM, then its drain.
func (r *replica) stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return r.cmd.Wait()
}

// A state is what a replica holds: see there.
type state struct {
	Heap        uint64
	Goroutines  int
	Descriptors int
	CPU         time.Duration
}

// state asks the replica for its state, after a collection, and if quiet after its idle connections are
// closed.
func (r *replica) state(ctx context.Context, quiet bool) (s state, err error) {
	path := "/state"
	if quiet {
		path += "?quiet"
	}
	body, err := r.look(ctx, path)
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	return s, err
}

// look gets a page of the replica's own, each on a new connection.
func (r *replica) look(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addresses.State+path, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	return io.ReadAll(response.Body)
}

// A logBuffer keeps the last of a log.
type logBuffer struct {
	mu   sync.Mutex
	text []byte
}

// Write implements [io.Writer].
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text = append(l.text, p...); len(l.text) > 64<<10 {
		l.text = append([]byte(nil), l.text[len(l.text)-8<<10:]...)
	}
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text[max(0, len(l.text)-8<<10):])
}
