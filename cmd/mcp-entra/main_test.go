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

// What is pasted into a wrong place of the command line is not repeated if it may be a secret.
func TestPastedSecrets(t *testing.T) {
	t.Parallel()
	const url = "http://localhost:1/mcp"
	for _, secret := range []string{"eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.S3cr3t", "Ab18Q~S3cr3tValueOfAnEntraClient.0123456"} {
		for _, args := range [][]string{
			{secret}, {"call", secret}, {"login", secret}, {"explain", secret}, {"tenant", secret}, {"tenant", "control", secret}, {"setup", secret},
			{"call", "-" + secret, url}, {"login", "-device=" + secret, url}, {"login", "-device", "-client", secret, url},
			{"login", "-device", "-authority", secret, url}, {"login", "-device", "-tenant", secret, url}, {"login", "-device", "-scope", secret, url},
			{"login", "-device", "-out", secret + "/x", url}, {"tenant", "-ca", secret + "/x"}, {"tenant", "-state", secret + "/x"}, {"setup", "plan", secret},
		} {
			code, out, errs := start(t, nil, args...)
			if code == exitOK || strings.Contains(out+errs, "S3cr3t") {
				t.Errorf("%q: exit code %d: %s%s", args, code, out, errs)
			}
		}
	}
}
