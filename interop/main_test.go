//go:build interop && unix

package interop_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// binaries is where the programs of examples/ are built, each once for all tests.
var binaries string

func TestMain(m *testing.M) {
	var err error
	if binaries, err = os.MkdirTemp("", "interop-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binaries)
		os.Exit(code)
	}))
}

var (
	exampleServer = sync.OnceValues(func() (string, error) { return build("server") })
	exampleClient = sync.OnceValues(func() (string, error) { return build("client") })
)

// build compiles a program of examples/ and returns its path.
func build(example string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // nothing may be cached
	defer cancel()
	path := filepath.Join(binaries, example)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/mcpentra/mcp-entra-go/examples/"+example)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building examples/%s: %w\n%s", example, err, text)
	}
	return path, nil
}

// program returns the path of a program that is built when it is first needed.
func program(t *testing.T, built func() (string, error)) string {
	t.Helper()
	path, err := built()
	must(t, err)
	return path
}

// nodeProgram returns the path of a program that npm has installed.
func nodeProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("node_modules", ".bin", name))
	must(t, err)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is not installed (%v). Run: cd interop && npm ci", name, err)
	}
	return path
}

// deadline returns a context that ends before the test binary's own time-out,
// which would leave the programs running.
func deadline(t *testing.T, most time.Duration) context.Context {
	t.Helper()
	end := time.Now().Add(most)
	if last, ok := t.Deadline(); ok && last.Add(-20*time.Second).Before(end) {
		end = last.Add(-20 * time.Second)
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
