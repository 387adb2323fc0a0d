package blobtool_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// An account with a hierarchical namespace has no tags, and the caller is told that.
func TestTagsInHierarchicalNamespace(t *testing.T) {
	t.Parallel()
	w := newWorldOn(t, func(o *blobtest.Options) { o.HierarchicalNamespace = true }, nil)
	put(w.storage, "docs", "a.txt")
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	text := w.refusal(t, w.connect(t, "alice"), "search_blobs", args{"tags": []args{{"key": "day", "value": "1"}}}, blobtool.ErrUnsupported)
	if !strings.Contains(text, "hierarchical namespace") || strings.Contains(text, "log") {
		t.Errorf("got %s, want \"hierarchical namespace\" and no log", text)
	}
}

// A directory is refused by every tool that reads, and never saved: so what is in it can
// be.
func TestDirectoryIsNeverSaved(t *testing.T) {
	t.Parallel()
	for _, marker := range []map[string]string{{"hdi_isfolder": "true"}, {"Hdi_IsFolder": "True"}, nil} {
		w := newWorldOn(t, func(o *blobtest.Options) { o.HierarchicalNamespace = marker == nil }, nil)
		if marker == nil {
			w.storage.AddDirectory("docs", "dir")
		} else {
			w.storage.Put("docs", "dir", nil, "")
			w.storage.Update("docs", "dir", func(p *blobtest.Properties) { p.Metadata = marker })
		}
		put(w.storage, "docs", "dir/a.txt")
		mkdir(t, w.dir)
		session := w.connect(t, "alice")
		for _, tool := range []string{"read_blob", "read_blob_with_token"} {
			w.refusal(t, session, tool, args{"blob_path": "dir"}, blobtool.ErrDirectory)
		}
		if n := countFiles(t, w.dir); n != 0 {
			t.Errorf("%v: %d files were saved, want 0", marker, n)
		}
		if out := read(t, session, args{"blob_path": "dir/a.txt"}); out.LocalPath == "" {
			t.Errorf("%v: a file in it: got %s, want a LocalPath", marker, out.Warning)
		}
	}
	// A file that is called a directory, but has content, is a file.
	w := newWorld(t, nil)
	put(w.storage, "docs", "a")
	w.storage.Update("docs", "a", func(p *blobtest.Properties) { p.Metadata = map[string]string{"hdi_isfolder": "true"} })
	if out := read(t, w.connect(t, "alice"), args{"blob_path": "a"}); out.Text != "content of a" {
		t.Errorf("got %+v, want Text \"content of a\"", out)
	}
}

// What Content-Encoding says of plain text changes nothing for any tool; what it says of
// packed content is told as it is.
func TestContentEncodings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	for encoding, want := range map[string]struct{ content, text, note, warning string }{
		"utf-8":             {"needle", "needle", "", ""},
		"UTF-8":             {"needle", "needle", "", ""},
		"utf8":              {"needle", "needle", "", ""},
		"charset=utf-8":     {"needle", "needle", "", ""},
		"iso-8859-1":        {"needle \xe9\xe8\xea", "needle éèê", "", ""},
		"Shift_JIS":         {"needle " + encode(t, "shift_jis", "日本"), "needle 日本", "", ""},
		"identity":          {"needle", "needle", "", ""},
		"Identity, utf-8":   {"needle", "needle", "", ""},
		"aws-chunked":       {"needle", "needle", "", "Content-Encoding"},
		"gzip":              {pack(t, "gzip", "needle"), "needle", "", ""},
		"GZIP":              {pack(t, "gzip", "needle"), "needle", "", ""},
		"x-gzip":            {pack(t, "gzip", "needle"), "needle", "", ""},
		"gzip, identity":    {pack(t, "gzip", "needle"), "needle", "", ""},
		"aws-chunked,gzip":  {pack(t, "gzip", "needle"), "needle", "", ""},
		"zstd":              {pack(t, "zstd", "needle"), "needle", "", ""},
		"br":                {"\x0b\x05\x80needle\x03\x00", "", "can't unpack", "Content-Encoding"},
		"deflate":           {"\x78\x9c\x00\x01needle", "", "can't unpack", "Content-Encoding"},
		"gzip, br":          {"\x0b\x05\x80needle\x03\x00", "", "can't unpack", "Content-Encoding"},
		"gzip by its name":  {"needle", "needle", "", "Content-Encoding"},
		"br, but it is not": {"needle", "needle", "", "Content-Encoding"},
	} {
		w.storage.Put("docs", "a.txt", []byte(want.content), "text/plain")
		w.storage.SetContentEncoding("docs", "a.txt", strings.TrimSuffix(strings.TrimSuffix(encoding, " by its name"), ", but it is not"))
		found := callFor[found](t, session, "search_blobs", args{"text": "needle"})
		if hit := len(found.Matches) == 1; hit != (want.note == "") || !hit && (len(found.Notes) != 1 || !strings.Contains(found.Notes[0].Note, want.note)) {
			t.Errorf("%s: searching finds %+v, want a match, or the note %q", encoding, found, want.note)
		}
		var out blobOutput
		call(t, session, "read_blob", args{"blob_path": "a.txt"}, &out)
		if out.Text != want.text || (out.Warning != "") != (want.warning != "") || !strings.Contains(out.Warning, want.warning) {
			t.Errorf("%s: reading gives %q, warning %q; want %q, %q", encoding, out.Text, out.Warning, want.text, want.warning)
		}
	}
}

// read_blob, the resource and search_blobs agree on what is text.
func TestOneAnswerToWhatIsText(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	long := strings.Repeat("some plain text, and more of it\n", 250)
	for name, c := range map[string]struct {
		content, contentType string
		text                 bool
	}{
		"text":                      {"needle", "text/plain", true},
		"of no type":                {"needle", "", true},
		"json":                      {"needle", "application/json", true},
		"svg":                       {"<svg>needle</svg>", "image/svg+xml", true},
		"called a picture":          {"needle", "image/png", false},
		"TypeScript":                {"export const needle = 1;\n", "video/mp2t", true},
		"TypeScript, with charset":  {"export const needle = 1;\n", "Video/MP2T; charset=utf-8", true},
		"a video in packets":        {"G\x40\x00\x10\x00\x00needle\xff\xfe\x00", "video/mp2t", false},
		"a playlist":                {"#EXTM3U\n#EXTINF:1,needle\n", "audio/mpegurl", true},
		"a playlist of old":         {"#EXTM3U\n#EXTINF:1,needle\n", "audio/x-mpegurl", true},
		"called sound":              {"needle", "audio/mpeg", false},
		"called a film":             {"needle", "Video/MP4", false},
		"pdf":                       {"%PDF-1.4\nneedle", "", false},
		"pdf called text":           {"%PDF-1.4\nneedle", "text/plain", false},
		"NUL":                       {"needle\x00", "text/plain", false},
		"NUL after 7,990 bytes":     {"needle" + long[:7990] + "\x00", "text/plain", false},
		"control characters":        {"needle" + strings.Repeat("\x01\x02", 20), "text/plain", false},
		"one odd byte":              {"needle \xff", "text/plain", true},
		"latin-1 without its name":  {"needle" + strings.Repeat("\xe9", 50), "text/plain", false},
		"latin-1":                   {"needle" + strings.Repeat("\xe9", 50), "text/plain; charset=latin1", true},
		"utf-16":                    {encode(t, "utf-16 with BOM", "needle"), "text/plain", true},
		"utf-16 without its mark":   {encode(t, "utf-16be", "needle"), "text/plain", false},
		"utf-16 by type":            {encode(t, "utf-16be", "needle"), "text/plain; charset=utf-16be", true},
		"utf-32":                    {"\xff\xfe\x00\x00n\x00\x00\x00", "text/plain", false},
		"escape sequences and tabs": {"\x1b[1mneedle\x1b[0m\t\f", "text/plain", true},
		"empty":                     {"", "text/plain", true},
	} {
		w.storage.Put("docs", "a", []byte(c.content), c.contentType)
		var out blobOutput
		call(t, session, "read_blob", args{"blob_path": "a"}, &out)
		found := callFor[found](t, session, "search_blobs", args{"text": "."})
		if (out.Kind == "text") != c.text || found.Binary == 0 != c.text || (len(found.Matches) > 0) != (c.text && c.content != "") {
			t.Errorf("%s: read_blob says %s, search_blobs %d binary and %d matches; want text %v", name, out.Kind, found.Binary, len(found.Matches), c.text)
		}
	}
}

// A byte order mark tells read_blob_with_token too how to decode, or a warning says so.
func TestByteOrderMarksWithToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	for name, c := range map[string]struct{ content, encoding, text, warning string }{
		"utf-16le":              {"\xff\xfeh\x00i\x00", "", "hi", "utf-16le"},
		"utf-16be":              {"\xfe\xff\x00h\x00i", "", "hi", "utf-16be"},
		"utf-16, named":         {"\xff\xfeh\x00i\x00", "utf-16", "hi", ""},
		"utf-16le, named":       {"\xff\xfeh\x00i\x00", "utf-16le", "hi", ""},
		"utf-16, utf-8 named":   {"\xff\xfeh\x00i\x00", "utf-8", "hi", "utf-16le"},
		"utf-16, latin-1 named": {"\xff\xfeh\x00", "iso-8859-1", "ÿþh\x00", "call again with encoding utf-16le"},
		"the other order":       {"\xff\xfeh\x00", "utf-16be", "\ufffe\u6800", "call again with encoding utf-16le"},
		"utf-8":                 {"\xef\xbb\xbfhi", "", "hi", ""},
		"utf-8, latin-1 named":  {"\xef\xbb\xbfhi", "windows-1252", "ï»¿hi", "encoding utf-8"},
		"utf-32le":              {"\xff\xfe\x00\x00h\x00\x00\x00", "", "", "UTF-32"},
		"utf-32be":              {"\x00\x00\xfe\xff\x00\x00\x00h", "", "", "UTF-32"},
		"nothing":               {"", "", "", ""},
		"a mark alone":          {"\xff\xfe", "", "", "utf-16le"},
		"half a mark":           {"\xff", "", "\ufffd", ""},
	} {
		w.storage.Put("docs", "a.csv", []byte(c.content), "text/csv")
		a := args{"blob_path": "a.csv"}
		if c.encoding != "" {
			a["encoding"] = c.encoding
		}
		out := read(t, session, a)
		if c.warning != "UTF-32" && out.Text != c.text || (out.Warning != "") != (c.warning != "") || !strings.Contains(out.Warning, c.warning) {
			t.Errorf("%s: text %q, warning %q; want %q, %q", name, out.Text, out.Warning, c.text, c.warning)
		}
	}
}

// A result's URI and a blob's URL name the blob, as its name does.
func TestURLsAsPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	put(w.storage, "docs", "dir/a b.txt", "100%.txt", "a%2Fb", "https://example.com/page")
	account := w.storage.URL()
	host, _ := url.Parse(account)
	const sas = "?sv=2026-01-01&sr=b&sp=r&sig=hush%2Bhush%3D"
	session := w.connect(t, "alice")
	for path, want := range map[string]string{
		"blob://docs/dir/a%20b.txt":           "dir/a b.txt",
		"BLOB://docs/dir/a%20b.txt":           "dir/a b.txt",
		"blob://docs/a%252Fb":                 "a%2Fb", // decoded once
		account + "/docs/dir/a%20b.txt":       "dir/a b.txt",
		account + "/docs/dir%2Fa%20b.txt":     "dir/a b.txt", // as the portal shows it
		account + "/docs/dir/a b.txt":         "dir/a b.txt",
		account + "/docs/100%.txt":            "100%.txt",
		account + "/docs/dir/a%20b.txt" + sas: "dir/a b.txt",
		"HTTPS://" + strings.ToUpper(host.Host) + strings.TrimSuffix(host.Path, "/") + "/docs/dir/a%20b.txt": "dir/a b.txt",
		"https://example.com/page": "https://example.com/page", // a page that somebody has archived
	} {
		for _, tool := range []string{"read_blob", "read_blob_with_token", "stat_blob"} {
			if tool == "read_blob_with_token" && (strings.HasPrefix(want, "https") || want == "a%2Fb") {
				continue // such names it does not take
			}
			var out struct {
				Path string `json:"blob_path"`
			}
			call(t, session, tool, args{"blob_path": path}, &out)
			if out.Path != want {
				t.Errorf("%s %s: got %q, want %q", tool, path, out.Path, want)
			}
		}
	}
	for path, kind := range map[string]error{
		"blob://other/a.txt":           blobtool.ErrNotAllowed,
		"blob://docs":                  blobtool.ErrInvalidPath,
		"blob://docs/":                 blobtool.ErrInvalidPath,
		"blob://docs/a?b":              blobtool.ErrInvalidArgument,
		account + "/other/a.txt" + sas: blobtool.ErrNotAllowed,
		account + "/docs":              blobtool.ErrInvalidPath,
		account + "/docs/" + sas:       blobtool.ErrInvalidPath,
		account:                        blobtool.ErrInvalidPath,
		account + "/docs/a.txt?versionid=2026" + sas[1:]:           blobtool.ErrInvalidPath,
		account + "/docs/a.txt" + sas + "&snapshot=2026":           blobtool.ErrInvalidPath,
		account + "/docs/what?.txt":                                blobtool.ErrInvalidPath,
		account + "/docs/a#b":                                      blobtool.ErrInvalidPath,
		account + "/docs/../other/a.txt":                           blobtool.ErrInvalidPath,
		account + "/docs/%2e%2e/other/a.txt":                       blobtool.ErrInvalidPath,
		"https://elsewhere.blob.core.windows.net/docs/a.txt" + sas: blobtool.ErrInvalidPath,
		"https://elsewhere.dfs.core.windows.net/docs/a.txt":        blobtool.ErrInvalidPath,
		"abfss://docs@elsewhere.dfs.core.windows.net/a.txt":        blobtool.ErrInvalidPath,
		"https://files.contoso.com/docs/a.txt" + sas:               blobtool.ErrInvalidPath,
		"no/such/blob.txt" + sas:                                   blobtool.ErrNotFound,
		"no/such/blob.txt" + strings.ReplaceAll(sas, "=", "%3D"):   blobtool.ErrNotFound,
	} {
		for _, tool := range []string{"read_blob", "read_blob_with_token", "stat_blob"} {
			text := w.refusal(t, session, tool, args{"blob_path": path}, nil)
			w.mu.Lock()
			cause := w.causes[len(w.causes)-1]
			w.mu.Unlock()
			if !errors.Is(kind, blobtool.ErrNotFound) { // for which the Azure SDK's error has the request's URL
				wantKind(t, tool+" "+path, cause, kind)
			}
			if strings.Contains(text+w.logs.String(), "hush") {
				t.Fatalf("%s %s: the signature of a SAS is shown: %s\n%s", tool, path, text, w.logs)
			}
		}
	}
}

// In an account, a URL and the argument container must agree.
func TestURLsAsPathsInAccount(t *testing.T) {
	t.Parallel()
	w := newAccountWorld(t, func(o *blobtool.Options) { o.Allow = []string{"docs/open/"} })
	put(w.storage, "docs", "open/a.txt", "secret/a.txt")
	session := w.connect(t, "alice")
	var out blobOutput
	call(t, session, "read_blob", args{"container": "docs", "blob_path": w.storage.URL() + "/docs/open/a.txt"}, &out)
	if out.BlobPath != "open/a.txt" {
		t.Errorf("got %+v, want BlobPath open/a.txt", out)
	}
	w.refusal(t, session, "read_blob", args{"container": "docs", "blob_path": "blob://docs/secret/a.txt"}, blobtool.ErrNotAllowed)
	w.refusal(t, session, "read_blob", args{"container": "docs", "blob_path": "blob://other/open/a.txt"}, blobtool.ErrInvalidArgument)
}

// Whatever is no URL of Blob Storage is told at start, with the right one.
func TestServiceURLs(t *testing.T) {
	t.Parallel()
	const hush = "?sv=2026&sig=hush"
	for _, cloud := range []string{"core.windows.net", "core.usgovcloudapi.net", "core.chinacloudapi.cn"} {
		for host, right := range map[string]string{
			"acct.dfs":             "https://acct.blob.",
			"acct.file":            "https://acct.blob.",
			"acct.queue":           "https://acct.blob.",
			"acct.table":           "https://acct.blob.",
			"acct.z13.web":         "https://acct.blob.",
			"ACCT.DFS":             "https://acct.blob.",
			"acct-secondary.dfs":   "https://acct-secondary.blob.",
			"acct.privatelink.dfs": "https://acct.blob.",
			"acct":                 "https://acct.blob.",
			"acct.vault.blob":      "https://acct.blob.",
			"blob":                 "https://account.blob.",
			"<acct>.blob":          "https://account.blob.",
			"*.blob":               "https://account.blob.",
		} {
			wantFault(t, "https://"+host+"."+cloud, "docs", right+cloud)
		}
		for _, host := range []string{"acct.blob", "acct-secondary.blob", "acct.privatelink.blob", "ACCT.blob", "acct-microsoftrouting.blob"} {
			wantFault(t, "https://"+host+"."+cloud, "docs")
			wantFault(t, "https://"+host+"."+cloud+":443/", "docs")
		}
	}
	for address, faults := range map[string][]string{
		"https://acct.z01.blob.storage.azure.net":              nil,
		"https://acct.z01.privatelink.blob.storage.azure.net":  nil,
		"https://acct.z01.dfs.storage.azure.net":               {"https://acct.z01.blob.storage.azure.net"},
		"https://acct.z01.web.storage.azure.net":               {"https://acct.z01.blob.storage.azure.net"},
		"https://acct.z1.blob.storage.azure.us":                nil,
		"https://acct.z1.file.storage.azure.us":                {"https://acct.z1.blob.storage.azure.us"},
		"https://acct.blob.storage.azure.net":                  {"lacks the DNS zone", "https://acct.z01.blob.storage.azure.net"},
		"https://acct.privatelink.blob.storage.azure.net":      {"lacks the DNS zone"},
		"https://acct.blob.core.microsoft.scloud":              nil,
		"https://acct.dfs.core.microsoft.scloud":               {"https://acct.blob.core.microsoft.scloud"},
		"https://acct.file.core.eaglex.ic.gov":                 {"https://acct.blob.core.eaglex.ic.gov"},
		"https://acct.z6.web.core.microsoft.scloud":            {"https://acct.blob.core.microsoft.scloud"},
		"https://acct.queue.core.microsoft.scloud":             {"https://acct.blob.core.microsoft.scloud"},
		"https://onelake.blob.fabric.microsoft.com":            nil,
		"https://0a1b.z8c.blob.fabric.microsoft.com":           nil,
		"https://onelake.dfs.fabric.microsoft.com":             {"https://onelake.blob.fabric.microsoft.com"},
		"https://acct.table.cosmos.azure.com":                  {"https://acct.blob.core.windows.net"},
		"https://acct.afs.azure.net":                           {"https://acct.blob.core.windows.net"},
		"https://acct.blob.core.windows.com":                   {"https://acct.blob.core.windows.net"},
		"https://storage.azure.com":                            {"https://account.blob.core.windows.net"},
		"https://privatelink.blob.core.windows.net":            {"name of a storage account"},
		"https://web.core.contoso.com":                         nil,
		"https://core.contoso.com":                             nil,
		"https://files.contoso.com":                            nil,
		"https://dfs.contoso.com":                              nil,
		"https://acct.dfs.contoso.com":                         nil,
		"https://127.0.0.1:10000/devstoreaccount1":             nil,
		"https://azurite:10000/devstoreaccount1":               nil,
		"https://[::1]:10000/devstoreaccount1":                 nil,
		"https://files.contoso.com/docs":                       {"pass the container as its own argument"},
		"https://acct.blob.core.windows.net/docs":              {"pass the container as its own argument"},
		"https://acct.blob.core.windows.net/other/":            {"pass the container as its own argument"},
		"https://acct.blob.core.windows.net/docs/a.txt" + hush: {"pass the container as its own argument", "no query"},
		"http://acct.dfs.core.windows.net:0" + hush:            {"must begin with https://", "https://acct.blob.core.windows.net", "port", "no query"},
		"https://acct.blob.core.windows.net:99999":             {"port"},
		"https://acct.blob.core.windows.net:":                  {"port"},
		"https://acct.blob.core.windows.net:x":                 {"is not a URL"},
		"https://acct.blob.core.windows.net.":                  {"end with a dot"},
		"https://me:hush@acct.file.core.windows.net":           {"no user name", "https://acct.blob.core.windows.net"},
		"https://:443":                        {"must have a host"},
		"acct.blob.core.windows.net":          {"https://"},
		" https://acct.blob.core.windows.net": {"is not a URL"},
		"https://acct.blob.core.windows.net#": {"fragment"},
		"https://acct.blob.core.windows.net?": {"no query"},
	} {
		wantFault(t, address, "docs", faults...)
	}
}

// wantFault makes a set for that URL, which must have all those faults.
func wantFault(t *testing.T, address, container string, faults ...string) {
	t.Helper()
	_, err := blobtool.New(address, container, noCredential, nil)
	_, err2 := blobtool.NewAccount(address, noCredential, nil)
	if (err == nil) != (len(faults) == 0) || (err2 == nil) != (err == nil) && !strings.Contains(address, "contoso.com/docs") {
		t.Errorf("%s: got %v; as an account: %v; want the faults %q", address, err, err2, faults)
		return
	}
	for _, fault := range faults {
		wantKind(t, address, err, blobtool.ErrConfiguration)
		if text := fmt.Sprint(err); !strings.Contains(text, fault) || strings.Contains(text, "hush") {
			t.Errorf("%s: %v, want %q", address, err, fault)
		}
	}
}
