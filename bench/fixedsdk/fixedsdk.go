// Package fixedsdk builds programs of this module with a copy of the Go SDK that
// decodes JSON without a new buffer for each value: docs/upstream.md of the
// repository says what is wrong and what is changed. The copy is made in a
// temporary folder from the module cache, so no code of the SDK is kept here.
package fixedsdk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the path of the Go SDK.
const Module = "github.com/modelcontextprotocol/go-sdk"

// decoding is the file of the SDK with the function that is rewritten.
const decoding = "internal/json/json.go"

// Copy writes the SDK, in the version that this module requires, to dir, and
// fixes its decoding. It fails if the function is no longer the known one.
func Copy(ctx context.Context, dir string) error {
	sdk, err := goTool(ctx, "list", "-m", "-f", "{{.Dir}}", Module)
	if err != nil {
		return err
	}
	if sdk == "" {
		return fmt.Errorf("%s is not in the module cache; run go mod download", Module)
	}
	if err := os.CopyFS(dir, os.DirFS(sdk)); err != nil {
		return err
	}
	file := filepath.Join(dir, filepath.FromSlash(decoding))
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fixed, err := Fix(source)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", filepath.Base(sdk), decoding, err)
	}
	return os.WriteFile(file, fixed, 0o600) //nolint:gosec // G703: in the folder that the caller named
}

// Build builds a package of this module, such as ./calls/compare, with a fixed
// copy of the SDK. The copy is made in dir and must stay while the program is
// built, and so does the program, whose path is returned.
func Build(ctx context.Context, dir, pkg string) (program string, err error) {
	sdk := filepath.Join(dir, "go-sdk")
	if err := Copy(ctx, sdk); err != nil {
		return "", err
	}
	root, err := goTool(ctx, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", err
	}
	// With -modfile, go.sum is the file beside it, and other paths are still
	// relative to the module. An overlay would do, if it could replace files of
	// the module cache.
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil { //nolint:gosec // G703: the same
			return "", err
		}
	}
	modfile := filepath.Join(dir, "go.mod")
	if _, err := goTool(ctx, "mod", "edit", "-replace", Module+"="+sdk, modfile); err != nil {
		return "", err
	}
	program = filepath.Join(dir, "program.exe")
	// Without -trimpath, the folder's name is part of what the build cache knows
	// packages by, and all are compiled again each time.
	_, err = goTool(ctx, "-C", root, "build", "-trimpath", "-modfile", modfile, "-o", program, pkg)
	return program, err
}

// goTool runs the go command on this module alone: a workspace takes no -modfile.
func goTool(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // G204: the go command
	cmd.Env = append(cmd.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
