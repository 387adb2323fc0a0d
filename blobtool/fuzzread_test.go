package blobtool_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// FuzzBlobName: a name that is accepted is what the service gets, and nothing on the
// way takes it for another.
func FuzzBlobName(f *testing.F) {
	for _, s := range []string{"a.txt", "a/../b", "..", "%2e%2e/x", "/a", `a\b`, "a\x00b", "a?b#c", "a//b/", "a.", "😀\u202e", "a;b=c", strings.Repeat("a/", 300)} {
		f.Add(s, "2026-01-31T09:30:00.1234567Z")
		f.Add(s, "")
		f.Add(s, "x&comp=list")
	}
	f.Fuzz(func(t *testing.T, name, version string) {
		if names.CheckBlob(name) != nil || blobtool.CheckVersionID(version) != nil {
			return
		}
		sent, err := blobtool.BlobURL(name, version)
		if err != nil {
			t.Fatalf("%q: got %v, want nil", name, err)
		}
		u, err := url.Parse(sent)
		if err != nil || u.Host != "account.blob.core.windows.net" || u.Path != "/docs/"+name || u.Fragment != "" {
			t.Fatalf("%q is sent to %s: %v", name, sent, err)
		}
		if q := u.Query(); q.Get("versionid") != version || len(q) > 1 || (version == "") != (len(q) == 0) {
			t.Fatalf("%q is sent with the query %q", version, u.RawQuery)
		}
		if segments := strings.Split(u.EscapedPath(), "/"); slices.Contains(segments, "..") || slices.Contains(segments, ".") || strings.ContainsAny(sent, "\\ ") {
			t.Fatalf("%q is sent to %s", name, sent)
		}
	})
}

// FuzzReadArguments: what the arguments of read_blob say is plain, or refused.
func FuzzReadArguments(f *testing.F) {
	for _, s := range []string{"1", "10-20", "10-", "-5", "0", "3-1", " 4 - 9 ", "1-2-3", "９", "99999999999999999999", `"0x8D"`, "W/\"x\"", "*", "a, b", "+1", "0x10"} {
		f.Add(s)
	}
	canonical := regexp.MustCompile(`^"[0-9A-Za-z-]{1,100}"$`)
	f.Fuzz(func(t *testing.T, s string) {
		if first, last, err := blobtool.ParseLines(s); err == nil && (first < 1 || last != 0 && last < first) {
			t.Fatalf("%q is lines %d to %d", s, first, last)
		}
		etag, err := blobtool.ParseETag(s)
		if err == nil && etag != "" && !canonical.MatchString(etag) {
			t.Fatalf("%q is the ETag %s", s, etag)
		}
		if again, err2 := blobtool.ParseETag(etag); err == nil && (err2 != nil || again != etag) {
			t.Fatalf("%q is the ETag %s, which is %s, %v", s, etag, again, err2)
		}
	})
}
