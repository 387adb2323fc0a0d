//go:build unix

package interop_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Paths of the programs, built before the tests begin: their deadlines are not for the
// compiler.
var exampleServer, exampleStorage, mcpEntra, goSDK string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "interop-")
	if err == nil {
		exampleServer, err = build(dir, "examples/server")
	}
	if err == nil {
		exampleStorage, err = build(dir, "examples/storage")
	}
	if err == nil {
		mcpEntra, err = build(dir, "cmd/mcp-entra")
	}
	if err == nil {
		goSDK, err = build(dir, "interop/mcpclients/gosdk")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = os.RemoveAll(dir)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// build compiles a program of the module and returns its path.
func build(dir, program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // nothing may be cached
	defer cancel()
	path := filepath.Join(dir, filepath.Base(program))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/mcpentra/mcp-entra-go/"+program)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", program, err, text)
	}
	return path, nil
}

// nodeProgram returns the path of a program that npm has installed.
func nodeProgram(t testing.TB, name string) string {
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
