package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A rotation is not forgotten where the tenant is read again during it.
func TestSetupRestoreAndRotate(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	s.must(exitOK, apply...)
	s.must(exitOK, "destroy", "-f", apply[2])
	s.must(exitOK, append(apply, "-deleted", "restore", "-rotate")...)
	data, err := os.ReadFile(filepath.Join(s.dir, "secrets.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range []string{"ENTRA_APP_CLIENT_SECRET='", "WEB_CLIENT_SECRET='"} {
		if n := strings.Count(string(data), variable); n != 2 {
			t.Errorf("the file has %s %d times, want the first and the rotated one", variable, n)
		}
	}
}

// What was done before the tenant could not be read again is reported.
func TestSetupReportsWhatWasDone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.spec()
	s.must(exitOK, "apply", "-f", file)
	s.must(exitOK, "destroy", "-f", file)
	restored := false
	s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/restore"):
			restored = true
		case restored && strings.HasSuffix(r.URL.Path, "/oauth2PermissionGrants"):
			return answer(r, http.StatusForbidden, "blocked", "Content-Type", "text/html"), nil
		}
		return nil, errPass
	})
	code, stdout, stderr := s.run("apply", "-f", file, "-deleted", "restore")
	if code != exitFailed || !strings.Contains(stdout, "Done  api/restore") || !strings.Contains(stderr, "a proxy or another server answers for it") {
		t.Errorf("apply = %d; want %d, the restored application and the error\n%s%s", code, exitFailed, stdout, stderr)
	}
}

// A run that is between asking for a secret and saving it is not taken for one that was killed.
func TestSetupSecretInFlight(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	asked, goOn := make(chan struct{}), make(chan struct{})
	slow := &wire{base: s.tenant.HTTPClient().Transport}
	var once, once2 sync.Once
	slow.setBefore(func(r *http.Request) (*http.Response, error) {
		resp, err := slow.base.RoundTrip(r)
		if strings.HasSuffix(r.URL.Path, "/addPassword") {
			once.Do(func() { close(asked); <-goOn })
		}
		return resp, err
	})
	var group sync.WaitGroup
	group.Go(func() {
		code, _, stderr := s.runAs(func(p *process) { p.client = &http.Client{Transport: slow} }, apply...)
		if code != exitOK {
			t.Errorf("the slow run = %d\n%s", code, stderr)
		}
	})
	<-asked
	s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/appRoleAssignedTo") { // the last that is read before the file
			once2.Do(func() { close(goOn) })
		}
		return nil, errPass
	})
	s.must(exitOK, apply...)
	group.Wait()
	s.checkSecrets()
}

// A file of secrets that is not one is refused before anything is done; a file with other lines
// keeps them.
func TestSetupSecretFiles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	apply := s.everything()
	bad := map[string]string{s.dir: "is not a regular file", "/dev/zero": "is not a regular file", filepath.Join(s.dir, "none", "x"): "no such file"}
	link := filepath.Join(s.dir, "link")
	if err := os.Symlink(s.write("target", ""), link); err == nil {
		bad[link] = "is a symbolic link"
	} else if runtime.GOOS != "windows" { // where making links is a privilege
		t.Errorf("Symlink = %v, want no error", err)
	}
	for name, want := range bad {
		if code, _, stderr := s.run("apply", "-f", apply[2], "-secret-file", name); code != exitFailed || !strings.Contains(stderr, want) {
			t.Errorf("-secret-file %s = %d, %s; want %d, %q", name, code, stderr, exitFailed, want)
		}
	}
	if writes := s.wire.written(); len(writes) > 0 {
		t.Errorf("it writes %q before it refuses", writes)
	}
	s.write("secrets.env", "LOG_LEVEL=debug") // without an end of the line
	s.must(exitOK, apply...)
	s.checkSecrets()
	data, err := os.ReadFile(apply[4])
	if err != nil || !bytes.HasPrefix(data, []byte("LOG_LEVEL=debug\n")) {
		t.Errorf("the file begins with %.40q, %v; want the line that was there, by itself", data, err)
	}
}

// A proxy's page in place of any answer to a write is no success, and the next run goes on.
func TestSetupPageForEachWrite(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	whole.must(exitOK, "apply", "-f", whole.spec())
	for i, write := range whole.wire.written() {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			file, n := s.spec(), 0
			s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.URL.Path, "/v1.0") || r.Method == http.MethodGet {
					return nil, errPass
				}
				if n++; n != i+1 {
					return nil, errPass
				}
				return answer(r, http.StatusOK, "<html>", "Content-Type", "text/html"), nil
			})
			if code, stdout, stderr := s.run("apply", "-f", file); code != exitFailed || !strings.Contains(stdout, "a proxy or another server answers for it") {
				t.Errorf("apply, with a page for %s = %d, want %d\n%s%s", write, code, exitFailed, stdout, stderr)
			}
			s.must(exitOK, "apply", "-f", file)
			s.must(exitOK, "check", "-f", file)
		})
	}
}

// An interrupt says so, wherever it comes, and what is done is reported.
func TestSetupInterruptSignal(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/token", "/organization", "/applications(uniqueName='files-mcp')", "/servicePrincipals", "/oauth2PermissionGrants"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ctx, stop := context.WithCancel(t.Context())
			s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, at) && (r.Method != http.MethodGet || !strings.Contains("/servicePrincipals /oauth2PermissionGrants", at)) {
					stop()
					return nil, ctx.Err()
				}
				return nil, errPass
			})
			var out, errs bytes.Buffer
			p := &process{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
			s.process(p)
			code := run(ctx, p, []string{"setup", "apply", "-graph-host", s.tenant.AuthorityHost(), "-f", s.spec()})
			if code != exitFailed || !strings.Contains(errs.String(), "mcp-entra setup: interrupted: what is done stays") {
				t.Errorf("interrupted at %s = %d, want %d\n%s%s", at, code, exitFailed, &out, &errs)
			}
			if strings.Contains(strings.ToLower("/servicePrincipals /oauth2PermissionGrants"), strings.ToLower(at)) && !strings.Contains(out.String(), "Done    api/create") {
				t.Errorf("what is done is not reported:\n%s", &out)
			}
		})
	}
}
