package blobtool_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestWriteEdit(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	w.storage.Put("docs", "a.csv", []byte("a,b\r\n1,2\r\n3,4\r\n"), "application/vnd.ms-excel; charset=utf-8")
	w.storage.Update("docs", "a.csv", func(p *blobtest.Properties) {
		p.Metadata, p.Tags, p.ContentLanguage = map[string]string{"project": "x"}, map[string]string{"state": "final"}, "ja"
	})
	before := statOf(t, session, "a.csv")
	w.storage.ForgetRequests()
	out := w.wrote(t, session, "edit_blob", args{"blob_path": "a.csv", "old_text": "1,2\n", "new_text": "1,5\n6,7\n", "if_match": before.ETag})
	if want := "@@ line 2 @@\n-1,2\n+1,5\n+6,7\n"; out.Diff != want || out.Action != "edited" || *out.Size != 20 {
		t.Errorf("got %+v, want the diff %q", out, want)
	}
	if n := len(w.storage.Requests()); n != 3 { // one for the tags
		t.Errorf("the edit took %d requests, want 3", n)
	}
	text, stat := w.content(t, session, "a.csv")
	if text != "a,b\r\n1,5\r\n6,7\r\n3,4\r\n" || stat.ETag != out.ETag || stat.ContentType != before.ContentType || stat.Language != "ja" ||
		stat.Metadata["project"] != "x" || len(stat.Metadata) != 1 || stat.Tags["state"] != "final" {
		t.Errorf("after the edit: got %q, %+v; want line ends and properties kept", text, stat)
	}
	if out := w.write(t, session, "edit_blob", args{"blob_path": "a.csv", "old_text": "a", "new_text": "b", "if_match": before.ETag}); out.Reason != "changed" || out.ETag != stat.ETag {
		t.Errorf("with an old etag: got %+v, want refused with %s", out, stat.ETag)
	}
}

func TestWriteEditText(t *testing.T) {
	t.Parallel()
	wide := func(s string) string { // UTF-16, little-endian, with its mark
		var b strings.Builder
		for _, u := range append([]uint16{0xFEFF}, utf16.Encode([]rune(s))...) {
			b.WriteString(string([]byte{byte(u), byte(u >> 8)}))
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		stored, contentType string
		a                   args
		want, reason, says  string
	}{
		"first":              {"abc", "", args{"old_text": "a", "new_text": "x"}, "xbc", "", ""},
		"all":                {"aba", "", args{"old_text": "a", "new_text": "x", "count": 2}, "xbx", "", ""},
		"removed":            {"abc\n", "", args{"old_text": "b", "new_text": ""}, "ac\n", "", ""},
		"utf-32, not marked": {"a\x00\x00\x00", "text/plain; charset=utf-32", args{"old_text": "a", "new_text": "b"}, "a\x00\x00\x00", "unsupported", "encoding"},
		"utf-7":              {"+AGE-b", "text/plain; charset=utf-7", args{"old_text": "b", "new_text": "日"}, "+AGE-b", "unsupported", "encoding"},
		"unknown, but given": {"ab", "text/plain; charset=x-own", args{"old_text": "b", "new_text": "日", "encoding": "utf-8"}, "a日", "", ""},
		"NUL":                {"a\x00b", "text/plain", args{"old_text": "a", "new_text": "x"}, "a\x00b", "unsupported", "not text"},
		"picture":            {"ab", "image/png", args{"old_text": "a", "new_text": "x"}, "ab", "unsupported", "not text"},
		"PDF":                {"%PDF-1.7 a", "application/octet-stream", args{"old_text": "a", "new_text": "x"}, "%PDF-1.7 a", "unsupported", "not text"},
		"picture, encoding":  {"ab", "image/png", args{"old_text": "a", "new_text": "x", "encoding": "utf-8"}, "xb", "", ""},
		"mark made":          {"abc", "", args{"old_text": "a", "new_text": "\uFEFFx"}, "abc", "invalid_argument", "byte order mark"},
		"utf-16 mark made":   {"a\xFF\xFEb", "text/plain; charset=windows-1252", args{"old_text": "a", "new_text": ""}, "a\xFF\xFEb", "invalid_argument", "byte order mark"},
		"mark":               {"\xEF\xBB\xBFabc", "", args{"old_text": "abc", "new_text": "é"}, "\xEF\xBB\xBFé", "", ""},
		"utf-16":             {wide("añ\r\nb"), "", args{"old_text": "ñ\n", "new_text": "ñ日\n"}, wide("añ日\r\nb"), "", ""},
		"declared":           {"\x93\xfa\n", "text/plain; charset=shift_jis", args{"old_text": "日", "new_text": "本日"}, "\x96\x7b\x93\xfa\n", "", ""},
		"given":              {"\xe9", "", args{"old_text": "é", "new_text": "è", "encoding": "windows-1252"}, "\xe8", "", ""},
		"mixed line ends":    {"a\r\nb\nc", "", args{"old_text": "b\nc", "new_text": "d"}, "a\r\nd", "", ""},
		"not there":          {"abc", "", args{"old_text": "x", "new_text": "y"}, "abc", "invalid_argument", "not in the blob"},
		"twice":              {"aba", "", args{"old_text": "a", "new_text": "x"}, "aba", "invalid_argument", "2 times, not 1"},
		"overlap":            {"aaa", "", args{"old_text": "aa", "new_text": "x"}, "aaa", "invalid_argument", "overlap"},
		"same":               {"abc", "", args{"old_text": "a", "new_text": "a"}, "abc", "invalid_argument", "the same"},
		"empty":              {"abc", "", args{"old_text": "", "new_text": "a"}, "abc", "invalid_argument", "old_text is empty"},
		"empty blob":         {"", "", args{"old_text": "a", "new_text": "b"}, "", "invalid_argument", "empty"},
		"not utf-8":          {"\xe9a", "", args{"old_text": "a", "new_text": "x"}, "\xe9a", "unsupported", "encoding"},
		"not in charset":     {"\x93\xfa", "text/plain; charset=shift_jis", args{"old_text": "日", "new_text": "🙂"}, "\x93\xfa", "invalid_argument", "shift_jis"},
		"grows too large":    {strings.Repeat("a", 50), "", args{"old_text": "a", "new_text": strings.Repeat("b", 50), "count": 50}, strings.Repeat("a", 50), "too_large", "larger"},
		"is too large":       {strings.Repeat("a", 1001), "", args{"old_text": "b", "new_text": "c"}, strings.Repeat("a", 1001), "too_large", "larger"},
		"html":               {"<b>", "text/html", args{"old_text": "b", "new_text": "c"}, "<b>", "unsupported", "text/html"},
		"outside":            {"abc", "", args{"blob_path": "b.txt", "old_text": "b", "new_text": "c"}, "abc", "not_allowed", "may write"},
		"no such blob":       {"abc", "", args{"blob_path": "c/none", "old_text": "b", "new_text": "c"}, "abc", "not_found", "none"},
		"unknown encoding":   {"abc", "", args{"old_text": "b", "new_text": "c", "encoding": "klingon"}, "abc", "invalid_argument", "klingon"},
		"boundary of bytes":  {"\x93\xfa\x96\x7b", "text/plain; charset=shift_jis", args{"old_text": "本", "new_text": "x"}, "\x93\xfax", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWriteWorld(t, nil, func(o *blobtool.WriteOptions) { o.Allow, o.MaxBytes = []string{"docs/a.txt", "docs/c"}, 1000 })
			session := w.connect(t, "alice")
			w.storage.Put("docs", "a.txt", []byte(c.stored), c.contentType)
			if c.a["blob_path"] == nil {
				c.a["blob_path"] = "a.txt"
			}
			out := w.write(t, session, "edit_blob", c.a)
			if out.Reason != c.reason || !strings.Contains(out.Message, c.says) {
				t.Errorf("got %s, %q (%s); want the reason %q and %q", out.Outcome, out.Reason, out.Message, c.reason, c.says)
			}
			if got := storedBytes(t, w, "a.txt"); got != c.want {
				t.Errorf("the blob has %q, want %q", got, c.want)
			}
		})
	}
}

// What is in a large edit's diff is bounded.
func TestWriteEditDiff(t *testing.T) {
	t.Parallel()
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte(strings.Repeat("a line of text\n", 5000)), "")
	out := w.wrote(t, session, "edit_blob", args{"blob_path": "a.txt", "old_text": "text", "new_text": "words", "count": 5000})
	if len(out.Diff) > 4200 || !strings.HasPrefix(out.Diff, "@@ line 1 @@\n-a line of text\n+a line of words\n@@ line 2 @@\n") || !strings.Contains(out.Diff, "more places") {
		t.Errorf("the diff has %d bytes: %s", len(out.Diff), out.Diff)
	}
	w.storage.Put("docs", "b.txt", []byte(strings.Repeat("日", 100_000)), "")
	out = w.wrote(t, session, "edit_blob", args{"blob_path": "b.txt", "old_text": strings.Repeat("日", 100_000), "new_text": "x"})
	if len(out.Diff) > 4200 {
		t.Errorf("the diff of one long line has %d bytes", len(out.Diff))
	}
}

// storedBytes returns a blob's content as stored.
func storedBytes(t *testing.T, w *world, blob string) string {
	t.Helper()
	token := tenant.Token(w.alice, w.client, tenant.Storage(), "user_impersonation")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.storage.URL()+"/docs/"+blob, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("x-ms-version", "2021-12-02")
	resp, err := w.storage.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("reading %s: %s, %v: %s", blob, resp.Status, err, data)
	}
	return string(data)
}
