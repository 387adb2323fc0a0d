package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// all are the applications of the spec with a web client.
var all = []string{"files-mcp", "files-mcp-public", "files-mcp-web"}

// everything asks for secrets, too.
func (s *stage) everything() (apply []string) {
	s.Helper()
	file := s.spec("clients: [vscode, azurecli, inspector]", "clients: [vscode, azurecli, inspector, {name: hosted, platform: web, redirects: ['https://hosted.example.com/cb']}]",
		"proof:\n", "proof:\n  secret: true\n")
	return []string{"apply", "-f", file, "-secret-file", filepath.Join(s.dir, "secrets.env")}
}

// secretOf checks that an application has exactly one secret, which the file has, and returns it.
func (s *stage) checkSecrets() {
	s.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "secrets.env"))
	if err != nil {
		s.Fatal(err)
	}
	for name, variable := range map[string]string{"files-mcp": "ENTRA_APP_CLIENT_SECRET", "files-mcp-web": "WEB_CLIENT_SECRET"} {
		app := s.app(name)
		if n := len(list(app["passwordCredentials"])); n != 1 {
			s.Errorf("%s has %d secrets, want 1", name, n)
		}
		_, rest, ok := strings.Cut(string(data), variable+"='")
		secret, _, _ := strings.Cut(rest, "'")
		if !ok || strings.Count(string(data), variable) != 1 {
			s.Errorf("the file has %s %d times, want once", variable, strings.Count(string(data), variable))
		}
		resp, err := s.tenant.HTTPClient().PostForm(s.tenant.AuthorityHost()+"/"+s.tenant.ID()+"/oauth2/v2.0/token", map[string][]string{
			"grant_type": {"client_credentials"}, "client_id": {app["appId"].(string)}, "client_secret": {secret}, "scope": {"https://graph.microsoft.com/.default"},
		})
		if err != nil {
			s.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			s.Errorf("the secret of %s in the file gets status %d, want 200", name, resp.StatusCode)
		}
	}
}

func TestSetupInterrupted(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	whole.must(exitOK, whole.everything()...)
	writes := whole.wire.written()
	want := whole.snapshot(all...)
	whole.checkSecrets()
	for i, write := range writes {
		if !*long && i%3 != 0 {
			continue
		}
		for name, lost := range map[string]bool{"after": false, "answer lost": true} {
			t.Run(fmt.Sprintf("%s %d %s", name, i+1, strings.Fields(write)[0]), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				s.kill(i+1, lost)
				apply := s.everything()
				s.must(exitFailed, apply...)
				s.wire.set(nil)
				s.wire.setBefore(nil)
				s.must(exitOK, apply...)
				if got := s.snapshot(all...); got != want {
					t.Errorf("killed at %s, then run again, ends in another state:\n%s", write, difference(got, want))
				}
				s.checkSecrets()
				s.must(exitOK, "check", "-f", apply[2])
			})
		}
	}
}

// kill makes the process end at its n-th write to Microsoft Graph, after or before it has the answer.
func (s *stage) kill(n int, lost bool) {
	killed := false
	var mu sync.Mutex
	s.wire.set(func(i int, _ *http.Request, _ *http.Response) error {
		mu.Lock()
		defer mu.Unlock()
		if i != n {
			return nil
		}
		killed = true
		if lost {
			return errKilled
		}
		return nil
	})
	s.wire.setBefore(func(*http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if killed {
			return nil, errKilled
		}
		return nil, errPass
	})
}

// difference shows the first lines that differ.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, strings.Join(a[max(0, i-3):min(len(a), i+3)], "\n"), strings.Join(b[max(0, i-3):min(len(b), i+3)], "\n"))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(a), len(b))
}

// An answer that is lost once is asked for again, or found out, in the same run.
func TestSetupAnswerLostOnce(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	file := whole.spec()
	whole.must(exitOK, "apply", "-f", file)
	writes := whole.wire.written()
	want := whole.snapshot(all...)
	for i, write := range writes {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.wire.set(func(n int, _ *http.Request, _ *http.Response) error {
				if n == i+1 {
					return errors.New("connection reset by peer")
				}
				return nil
			})
			s.must(exitOK, "apply", "-f", s.spec())
			if got := s.snapshot(all...); got != want {
				t.Errorf("the answer of %s lost: ends in another state:\n%s", write, difference(got, want))
			}
		})
	}
}

func TestSetupDelays(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	whole.must(exitOK, whole.everything()...)
	want := whole.snapshot(all...)
	for name, lags := range map[string][]entratest.Lag{
		"object": {entratest.LagObject}, "conflict": {entratest.LagConflict}, "list": {entratest.LagList}, "backing": {entratest.LagBacking},
		"forbidden": {entratest.LagForbidden}, "reference": {entratest.LagReference}, "credential": {entratest.LagCredential}, "disabled": {entratest.LagDisabled},
		"all": {entratest.LagObject, entratest.LagConflict, entratest.LagList, entratest.LagBacking, entratest.LagReference, entratest.LagCredential, entratest.LagDisabled},
	} {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s %d", name, n), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				s.tenant.Directory().Delay(n, lags...)
				apply := s.everything()
				code, stdout, stderr := s.run(apply...)
				if code != exitOK {
					t.Fatalf("apply = %d\n%s%s", code, stdout, stderr)
				}
				s.tenant.Directory().Settle()
				s.tenant.Directory().Delay(0)
				if got := s.snapshot(all...); got != want {
					t.Errorf("ends in another state:\n%s", difference(got, want))
				}
				s.checkSecrets()
			})
		}
	}
	t.Run("for ever", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.tenant.Directory().Delay(-1, entratest.LagBacking)
		code, stdout, stderr := s.run("apply", "-f", s.spec())
		if code != exitFailed || !strings.Contains(stdout, "waited 3m0s for Microsoft Graph to replicate") || !strings.Contains(stderr, "api/principal: waiting") {
			t.Errorf("apply = %d; want %d, a named and bounded wait\n%s%s", code, exitFailed, stdout, stderr)
		}
	})
}

func TestSetupTwoAtOnce(t *testing.T) {
	t.Parallel()
	whole := newStage(t)
	whole.must(exitOK, whole.everything()...)
	want := whole.snapshot(all...)
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			apply := s.everything()
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() {
					if code, stdout, stderr := s.run(apply...); code != exitOK {
						t.Errorf("apply = %d\n%s%s", code, stdout, stderr)
					}
				})
			}
			group.Wait()
			if got := s.snapshot(all...); got != want {
				t.Errorf("ends in another state:\n%s", difference(got, want))
			}
			s.checkSecrets()
		})
	}
}

func TestSetupThrottled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := 0
	var mu sync.Mutex
	s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		if n++; !strings.HasPrefix(r.URL.Path, "/v1.0") || n%3 != 0 {
			return nil, errPass
		}
		return answer(r, http.StatusTooManyRequests, `{"error":{"code":"TooManyRequests","message":"slow down"}}`, "Retry-After", "17"), nil
	})
	code, stdout, stderr := s.run("apply", "-f", s.spec())
	if code != exitOK || !strings.Contains(stderr, "waiting 17s: Microsoft Graph throttles this sign-in (429)") {
		t.Errorf("apply = %d; want 0, and each wait as long as Graph says\n%s%s", code, stdout, stderr)
	}
	s.wire.setBefore(func(r *http.Request) (*http.Response, error) {
		if !strings.HasPrefix(r.URL.Path, "/v1.0") {
			return nil, errPass
		}
		return answer(r, http.StatusTooManyRequests, `{"error":{"code":"TooManyRequests","message":"slow down"}}`, "Retry-After", "86400"), nil
	})
	if code, _, stderr := s.run("check", "-f", s.spec()); code != exitFailed || !strings.Contains(stderr, "longer than 3m0s in all") {
		t.Errorf("check, asked to wait for a day = %d, %s; want %d and the reason", code, stderr, exitFailed)
	}
}

func answer(r *http.Request, status int, body string, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: http.NoBody, ProtoMajor: 1, ProtoMinor: 1}
	resp.Body = readCloser{strings.NewReader(body)}
	for i := 0; i+1 < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }
