package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
