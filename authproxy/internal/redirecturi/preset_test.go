package redirecturi_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
)

func TestPreset(t *testing.T) {
	t.Parallel()
	preset := redirecturi.Preset{Name: "Studio", Redirects: []string{
		"https://studio.example/redirect/*", "https://studio.example/apps/*/callback", "https://studio.example/done",
		"http://localhost/any", "http://localhost:6274/fixed", cursor,
	}}
	if err := preset.Check(); err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]bool{
		"https://studio.example/done":                    true,
		"https://studio.example/done/":                   false,
		"https://studio.example/redirect/new-5fapp.1":    true,
		"https://studio.example/redirect/":               false,
		"https://studio.example/redirect":                false,
		"https://studio.example/redirect/a/b":            false,
		"https://studio.example/redirect/a?x=y":          false,
		"https://studio.example/redirect/a%2Fb":          false,
		"https://studio.example/redirect/*":              true, // as it stands in the list
		"https://studio.example/redirect/a*":             false,
		"https://studio.example/apps/a/callback":         true,
		"https://studio.example/apps//callback":          false,
		"https://studio.example/apps/callback":           false,
		"https://studio.example/apps/a/b/callback":       false,
		"https://studio.example.evil.example/redirect/a": false,
		"http://localhost:1/any":                         true,
		"http://localhost/any":                           true,
		"http://127.0.0.1/any":                           false,
		"http://localhost:6274/fixed":                    true,
		"http://localhost:6275/fixed":                    false,
		cursor:                                           true,
	} {
		if got := preset.Has(uri); got != want {
			t.Errorf("Has(%q) = %v, want %v", uri, got, want)
		}
	}
	other := redirecturi.Preset{Name: "Other", Redirects: []string{"https://other.example/cb"}}
	for _, c := range []struct {
		redirects []string
		want      string
	}{
		{[]string{"https://studio.example/done", "http://localhost:3/any"}, "Studio"},
		{[]string{"https://other.example/cb"}, "Other"},
		{[]string{"https://other.example/cb", "https://studio.example/done"}, ""},
		{[]string{"https://studio.example/done", "https://evil.example/"}, ""},
		{nil, ""},
	} {
		if got := redirecturi.Known([]redirecturi.Preset{preset, other}, c.redirects); got != c.want {
			t.Errorf("Known(%q) = %q, want %q", c.redirects, got, c.want)
		}
	}
}

func TestPresetFaults(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"https://*.example/cb", "https://*/cb", "https://a.example*/cb", "https://a.example/*/*", "https://a.example/a*", "https://a.example/*a",
		"https://a.example/cb?x=*", "https://a.example/cb?/*", "http://localhost/*", "cursor://a/*", "*", "",
		"http://a.example/cb", "https://a.example/cb#", "javascript:x", "https://a.example/../*",
	} {
		err := redirecturi.Preset{Redirects: []string{"https://a.example/", pattern}}.Check()
		if err == nil || !strings.HasPrefix(err.Error(), "redirect 1: ") {
			t.Errorf("Check of %q = %v, want an error about redirect 1", pattern, err)
		}
	}
	if err := (redirecturi.Preset{Name: "A"}).Check(); err == nil {
		t.Error("Check without redirects = nil, want an error")
	}
}
