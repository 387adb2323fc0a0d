//go:build unix

package interop_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPagesInChromium goes through the pages as a person does. SCREENSHOTS names a folder
// for pictures of them.
func TestPagesInChromium(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v. Run: apt-get install --no-install-recommends chromium", err)
	}
	w := newIdentityWorld(t)
	pictures := os.Getenv("SCREENSHOTS")
	if pictures == "" {
		pictures = t.TempDir()
	}
	got := w.browse(t, chromium, pictures)
	text := func(name string) string {
		s, _ := got[name].(string)
		return s
	}
	for name, want := range map[string]string{
		"picker":       "Pick an account",
		"consent":      "Permissions requested",
		"formPost":     "Continue",
		"singleSignOn": "/?code=1.A",
		"approval":     "Approve sign-in request",
		"refused":      "error=access_denied",
		"error":        "AADSTS50011",
		"device":       "You have signed in",
		"logout":       "You signed out",
		"signedOut":    "error=login_required",
	} {
		if !strings.Contains(text(name), want) {
			t.Errorf("%s: %q, want %q", name, text(name), want)
		}
	}
	for _, name := range []string{"posted", "postedByScript"} {
		posted, _ := got[name].(map[string]any)
		body, _ := posted["body"].(string)
		form, err := url.ParseQuery(body)
		if err != nil || posted["method"] != "POST" || form.Get("state") != "s" || form.Get("code") == "" {
			t.Errorf("%s: %v", name, posted)
		}
	}
	for _, name := range []string{"picker", "consent", "form-post", "approval", "error", "device", "device-done"} {
		if info, err := os.Stat(filepath.Join(pictures, name+".png")); err != nil || info.Size() < 5000 {
			t.Errorf("no picture of %s: %v", name, err)
		}
	}
}

// browse runs clients/node/pages.mjs.
func (w *identityWorld) browse(t *testing.T, chromium, pictures string) map[string]any {
	t.Helper()
	config := map[string]any{"devicePage": w.AuthorityHost() + "/devicelogin", "userCode": w.beginDevice(t), "userName": w.alice.UserPrincipalName}
	data, err := json.Marshal(w.config)
	must(t, err)
	must(t, json.Unmarshal(data, &config))
	data, err = json.Marshal(config)
	must(t, err)
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, data, 0o600))
	dir, err := filepath.Abs("clients/node")
	must(t, err)
	home, err := os.MkdirTemp("", "interop-chromium-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) }) // Chromium's last words may still be under way
	p := start(t, "pages.mjs", command(deadline(t, 2*time.Minute), dir,
		map[string]string{"HOME": home, "TMPDIR": home, "CONFIG": path, "CHROMIUM": chromium, "SCREENSHOTS": pictures}, node(t), "pages.mjs"))
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	return decode(t, []byte(p.stdout.String()))
}

// beginDevice asks for a device code, and returns what the user must enter.
func (w *identityWorld) beginDevice(t *testing.T) string {
	t.Helper()
	form := url.Values{"client_id": {w.desktop.ClientID}, "scope": {w.config.APIScope}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		w.AuthorityHost()+"/"+w.ID()+"/oauth2/v2.0/devicecode", strings.NewReader(form.Encode()))
	must(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.HTTPClient().Do(request)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	code, _ := decode(t, body)["user_code"].(string)
	return code
}
