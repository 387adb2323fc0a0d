package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// script runs a script that plan has printed.
func (s *stage) script(text string) (stdout, stderr string, err error) {
	s.Helper()
	return runScript(s.T, text, s.tenant.AuthorityHost(), "AZ_TENANT="+s.tenant.ID(), "AZ_TOKEN="+s.token(),
		"AZ_CA="+string(s.tenant.CertificatePEM()), "SECRETS_FILE="+filepath.Join(s.dir, "secrets"))
}

// ofAll asks for all that a script can do, under a name that a shell could trip over.
var ofAll = []string{
	"display-name: Files", `display-name: "Files of O'Brien & \"Söhne\" $(id) ` + "`id`" + `"`,
	"clients: [vscode, azurecli, inspector]", "clients: [vscode, azurecli, inspector, copilotstudio]",
	"roles:\n", "scopes: [Files.Read, {name: Files.Delete, description: \"Delete O'Brien's $(id) files\", admin: true}]\nroles:\n",
}

// The script ends in what apply ends in, in whatever form Graph is late, and changes nothing when it
// is run again.
func TestScriptDoesWhatApplyDoes(t *testing.T) {
	t.Parallel()
	names := []string{"files-mcp", "files-mcp-public", "files-mcp-web"}
	applied := newStage(t)
	applied.must(exitOK, "apply", "-f", applied.spec(ofAll...), "-secret-file", filepath.Join(applied.dir, "secrets"))
	want := applied.snapshot(names...)
	lags := map[string][]entratest.Lag{
		"at once": nil, "objects": {entratest.LagObject}, "conflicts": {entratest.LagConflict}, "lists": {entratest.LagList}, "backing": {entratest.LagBacking},
		"forbidden": {entratest.LagForbidden}, "references": {entratest.LagReference}, "credentials": {entratest.LagCredential},
	}
	if !*long {
		together := slices.Concat(slices.Collect(maps.Values(lags))...)
		lags = map[string][]entratest.Lag{"at once": nil, "all": together}
	}
	for name, lag := range lags {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			file := s.spec(ofAll...)
			text := s.must(exitOK, "plan", "-f", file, "-print", "az")
			if lag != nil {
				s.tenant.Directory().Delay(2, lag...)
			}
			if stdout, stderr, err := s.script(text); err != nil {
				t.Fatalf("the script failed: %v\n%s\n%s", err, stdout, stderr)
			}
			s.tenant.Directory().Settle()
			if got := s.snapshot(names...); got != want {
				t.Errorf("the script ends in\n%s\nand apply in\n%s", got, want)
			}
			if secrets, err := os.ReadFile(filepath.Join(s.dir, "secrets")); err != nil || !strings.HasPrefix(string(secrets), "WEB_CLIENT_SECRET='") {
				t.Errorf("the script's file of secrets has %d bytes, %v; want WEB_CLIENT_SECRET", len(secrets), err)
			}
			s.must(exitOK, "check", "-f", file)
			if lag != nil {
				return
			}
			if _, stderr, err := s.script(text); err != nil {
				t.Errorf("the script failed the second time: %v\n%s", err, stderr)
			}
			if got := s.snapshot(names...); got != want {
				t.Errorf("run again, the script ends in\n%s\nand apply in\n%s", got, want)
			}
		})
	}
}

// A script is for one tenant.
func TestScriptOfAnotherTenant(t *testing.T) {
	t.Parallel()
	s, other := newStage(t), newStage(t)
	text := s.must(exitOK, "plan", "-f", s.spec(), "-print", "az")
	_, stderr, err := other.script(text)
	if err == nil || !strings.Contains(stderr, "az login --tenant "+s.tenant.ID()) {
		t.Errorf("a script for another tenant ended with %v and %q", err, stderr)
	}
}

func TestSetupPrintsBicep(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	got := s.must(exitOK, "plan", "-f", s.spec(ofAll...), "-print", "bicep")
	for _, want := range []string{"extension microsoftGraphV1\n", "uniqueName: 'files-mcp'\n", "uniqueName: 'files-mcp-web'\n", "make the secret of files-mcp-web"} {
		if !strings.Contains(got, want) {
			t.Errorf("the file has no %q:\n%s", want, got)
		}
	}
	s.must(exitOK, "apply", "-f", s.spec(ofAll...), "-secret-file", filepath.Join(s.dir, "secrets"))
	if again := s.must(exitOK, "plan", "-f", s.spec(ofAll...), "-print", "bicep"); again != got {
		t.Errorf("printed once it is applied, the file is\n%s\nwant the same as before:\n%s", again, got)
	}
}
