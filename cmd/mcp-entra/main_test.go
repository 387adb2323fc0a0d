package main

import (
	"bytes"
	"strings"
	"testing"
)

// start runs the program with the arguments and returns its exit code and output. change, if not
// nil, sets what the process has.
func start(t *testing.T, change func(*process), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := &process{
		lookup: func(string) (string, bool) { return "", false },
		stdin:  strings.NewReader(""), stdout: &out, stderr: &errs,
	}
	if change != nil {
		change(p)
	}
	code = run(t.Context(), p, args)
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string // on standard error
	}{
		"nothing":         {nil, exitUsage, "Usage: mcp-entra COMMAND"},
		"help":            {[]string{"-h"}, exitOK, "Usage: mcp-entra COMMAND"},
		"unknown command": {[]string{"set-up"}, exitUsage, `there is no command "set-up"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := start(t, nil, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("mcp-entra %q = %d, %q; want %d, %q", c.args, code, stderr, c.code, c.want)
			}
		})
	}
}
