//go:build unix

package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A report is what became of each check: by scenario and id of the check, the
// worst of its outcomes.
type report struct {
	outcome        map[string]string
	why            map[string]string // of what did not pass
	passed, failed int               // checks, as the suite counts them
}

// Outcomes from best to worst; INFO and SKIPPED say nothing of the server.
var outcomes = []string{"INFO", "SKIPPED", "SUCCESS", "WARNING", "FAILURE"}

// runSuite runs the scenarios that a revision of the specification requires.
func runSuite(t *testing.T, name, url, revision string) report {
	t.Helper()
	out := filepath.Join(t.TempDir(), "report")
	args := []string{"server", "--url", url, "--requirements", revision, "--output-dir", out}
	if name == "ours" {
		list, err := filepath.Abs(expectedFailures)
		must(t, err)
		args = append(args, "--expected-failures", list)
	}
	bin, err := filepath.Abs("node_modules/.bin")
	must(t, err)
	if _, err := os.Stat(filepath.Join(bin, "conformance")); err != nil {
		t.Fatalf("the suite is not installed (%v). Run: cd interop/conformance && npm ci", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// The suite's first line asks PATH for node: the lock file's is there before the machine's.
	printed, err := command(ctx, t, filepath.Join(bin, "conformance"), args, "PATH="+bin+":"+os.Getenv("PATH")).CombinedOutput()
	_, summary, found := bytes.Cut(printed, []byte("=== SUMMARY ==="))
	if !found {
		summary = printed
	}
	t.Logf("%s on %s\n%s", revision, name, bytes.TrimSpace(summary))
	if err != nil {
		t.Errorf("the suite on %s: %v", name, err)
	}
	return read(t, out)
}

// command prepares a program that is killed, with all that it started, when the
// context ends.
func command(ctx context.Context, t *testing.T, path string, args []string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"HOME=" + cmd.Dir, "NO_COLOR=1"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// folder is the name of a scenario's folder: command, scenario, time.
var folder = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[-\d]+Z$`)

func read(t *testing.T, dir string) report {
	t.Helper()
	r := report{outcome: map[string]string{}, why: map[string]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
	must(t, err)
	for _, file := range files {
		name := folder.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if name == nil {
			t.Fatalf("%s is no scenario's folder", file)
		}
		data, err := os.ReadFile(file)
		must(t, err)
		var checks []struct {
			ID           string `json:"id"`
			Status       string `json:"status"`
			ErrorMessage string `json:"errorMessage"`
		}
		must(t, json.Unmarshal(data, &checks))
		for _, c := range checks {
			rank := slices.Index(outcomes, c.Status)
			if rank < 0 {
				t.Fatalf("%s: what is the outcome %q?", name[1], c.Status)
			}
			key := name[1] + ":" + c.ID
			if old, ok := r.outcome[key]; !ok || rank > slices.Index(outcomes, old) {
				r.outcome[key], r.why[key] = c.Status, c.ErrorMessage
			}
			switch c.Status {
			case "SUCCESS":
				r.passed++
			case "FAILURE":
				r.failed++
			}
		}
	}
	if r.passed == 0 {
		t.Fatal("the suite has left no report")
	}
	return r
}

func (r report) String() string {
	return fmt.Sprintf("%d of %d checks passed", r.passed, r.passed+r.failed)
}

// failures returns the checks that failed, or were warned of, in order.
func (r report) failures() []string {
	var failed []string
	for key, outcome := range r.outcome {
		if outcome == "FAILURE" || outcome == "WARNING" {
			failed = append(failed, key)
		}
	}
	slices.Sort(failed)
	return failed
}

// expectedFailures is in the suite's own format: a scenario, or scenario:check.
const expectedFailures = "expected-failures.yml"

// expected returns the entries of the list, each of which must give a reason.
func expected(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(expectedFailures)
	must(t, err)
	var entries []string
	for line := range strings.Lines(string(data)) {
		entry, ok := strings.CutPrefix(strings.TrimSpace(line), "- ")
		if !ok {
			continue
		}
		name, reason, _ := strings.Cut(entry, " # ")
		if reason == "" {
			t.Errorf("%s: %s has no reason", expectedFailures, name)
		}
		entries = append(entries, name)
	}
	return entries
}

// covers reports whether an entry of the list is about a check.
func covers(entry, check string) bool {
	return entry == check || strings.HasPrefix(check, entry+":")
}
