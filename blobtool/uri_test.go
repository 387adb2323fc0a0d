package blobtool_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/yosida95/uritemplate/v3"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

func TestResourceURI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ container, blob, uri string }{
		{"docs", "a/b.txt", "blob://docs/a/b.txt"},
		{"$root", "a", "blob://%24root/a"},
		{"docs", "a b?c#d%2e.txt", "blob://docs/a%20b%3Fc%23d%252e.txt"},
		{"docs", "日本.", "blob://docs/%E6%97%A5%E6%9C%AC."},
		{"docs", "/a//b/", "blob://docs//a//b/"},
	} {
		if got := (names.Location{Container: c.container, Blob: c.blob}).URI(); got != c.uri {
			t.Errorf("%q is %s, want %s", c.blob, got, c.uri)
		}
		at, err := names.ParseURI(c.uri)
		if err != nil || at.Container != c.container || at.Blob != c.blob {
			t.Errorf("%s is %q, %v; want %s in %s, nil", c.uri, at, err, c.blob, c.container)
		}
	}
	for _, uri := range []string{"", "blob:", "blob://", "blob://docs", "blob://docs/", "blob:///a", "file:///a", "https://docs/a", "blob://docs/a?b", "blob://docs/a#b", "blob://a%2Fb/c", "blob://docs/%ff"} {
		_, err := names.ParseURI(uri)
		if !errors.Is(err, blobtool.ErrInvalidArgument) {
			t.Errorf("%q: got %v, want an invalid argument", uri, err)
		}
	}
}

func TestToolForResource(t *testing.T) {
	t.Parallel()
	one, err := blobtool.New(account, "docs", noCredential, nil)
	if err != nil {
		t.Fatal(err)
	}
	all, err := blobtool.NewAccount(account, noCredential, nil)
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string][2]string{
		"blob://docs/a":      {"read_blob", "read_blob"},
		"blob://doc%73/a":    {"read_blob", "read_blob"},
		"blob://other/a":     {"", "read_blob"},
		"blob://docs/../a":   {"read_blob", "read_blob"},
		"file:///a":          {"", ""},
		"blobs://docs/a":     {"", ""},
		"ui://blob://docs/a": {"", ""},
	} {
		if got := [2]string{one.ToolForResource(uri), all.ToolForResource(uri)}; got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
}

// FuzzResourceURI: every legal name has a URI that means it again, to us, to a
// reader of URIs and to the template by which the SDK finds the handler; and what
// we can read has one canonical form.
func FuzzResourceURI(f *testing.F) {
	for _, s := range []string{"a.txt", "a/b c", "100%", "%2e%2e/x", "日本/語.txt", "a?b#c", "/a", "a//", "a.", "😀", "\u202eabc", "blob://x/y", "a&b=c;d,e:f@g!h$i'j(k)*+", "{+path}", "[x]"} {
		f.Add("docs", s)
		f.Add("$root", s)
	}
	one, _ := blobtool.New(account, "docs", noCredential, nil)
	all, _ := blobtool.NewAccount(account, noCredential, nil)
	forOne, forAll := uritemplate.MustNew(one.URITemplate()).Regexp(), uritemplate.MustNew(all.URITemplate()).Regexp()
	f.Fuzz(func(t *testing.T, container, name string) {
		if at, err := names.ParseURI(name); err == nil {
			if same, err := names.ParseURI(at.URI()); err != nil || same != at {
				t.Fatalf("%q is %q, which is %s, which is %q, %v", name, at, at.URI(), same, err)
			}
			if one.ToolForResource(name) == "" && at.Container == "docs" || all.ToolForResource(name) == "" {
				t.Fatalf("%q has no policy", name)
			}
		}
		if names.CheckBlob(name) != nil || all.Locate(container, name) != nil {
			return
		}
		at := names.Location{Container: container, Blob: name}
		uri := at.URI()
		if same, err := names.ParseURI(uri); err != nil || same != at {
			t.Fatalf("%q is %s, which is %q, %v", at, uri, same, err)
		}
		if !strings.Contains(container, "$") { // which net/url wants as it is
			if u, err := url.Parse(uri); err != nil || u.Host != container || u.Path != "/"+name || u.RawQuery != "" || u.Fragment != "" {
				t.Fatalf("%q is %s, which is %+v, %v", name, uri, u, err)
			}
		}
		if !forAll.MatchString(uri) || forOne.MatchString(uri) != (container == "docs") {
			t.Fatalf("%s: of all %v, of one %v; want true, and true in docs", uri, forAll.MatchString(uri), forOne.MatchString(uri))
		}
	})
}
