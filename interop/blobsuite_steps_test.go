//go:build unix

package interop_test

import (
	"bytes"
	"compress/gzip"
	"fmt"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// stockTools fills a container for the tools.
func stockTools(p *place) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("packed\n")); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	stock := []struct {
		name string
		data []byte
		p    blobtest.Properties
	}{
		{"readme.txt", []byte("Documents of Contoso.\n"), blobtest.Properties{
			ContentType: "text/plain", ContentLanguage: "en", Metadata: map[string]string{"author": "alice"}, Tags: map[string]string{"project": "x", "rank": "10"},
		}},
		{"empty.txt", nil, blobtest.Properties{ContentType: "text/plain"}},
		{"reports/2025/a.csv", []byte("a,b\n1,2\n"), blobtest.Properties{ContentType: "text/csv", Tags: map[string]string{"project": "y"}}},
		{"reports/2026/b.csv", []byte("a,b\n3,4\n"), blobtest.Properties{ContentType: "text/csv", Tags: map[string]string{"project": "x"}}},
		{"reports/notes.md", []byte("# Notes\n"), blobtest.Properties{ContentType: "text/markdown"}},
		{"legacy/お知らせ.txt", []byte("\x82\xa8\x92\x6d\x82\xe7\x82\xb9\n"), blobtest.Properties{ContentType: "text/plain; charset=shift_jis"}},
		{"packed.txt.gz", packed.Bytes(), blobtest.Properties{ContentType: "text/plain", ContentEncoding: "gzip"}},
		{"picture.png", []byte("\x89PNG\r\n\x1a\n\x00\x00"), blobtest.Properties{ContentType: "image/png"}},
		{"archived.txt", []byte("cold\n"), blobtest.Properties{ContentType: "text/plain", Tier: "Archive"}},
		{"big.log", bigText()[:1<<20], blobtest.Properties{ContentType: "text/plain"}},
		{"binary.txt", bytes.Repeat([]byte{0, 1, 2, 255}, 100), blobtest.Properties{ContentType: "text/plain"}},
	}
	for _, s := range stock {
		if err := p.stock.put(p.ctx, p.container, s.name, s.data, s.p); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return p.put(oddNames...)
}

// toolSteps is the table of what is done with the tools.
var toolSteps = []toolStep{
	{"list_containers", pages("list_containers", map[string]any{"prefix": "tool", "page_size": 1}), []string{`"name":"tools"`}},
	{"list_blobs of all", pages("list_blobs", with(map[string]any{"page_size": 7})), []string{`"name":"reports/2025/a.csv"`, `"name":"emoji 😀🏳️‍🌈.txt"`}},
	{"list_blobs of one level", pages("list_blobs", with(map[string]any{"folders": true})), []string{`"folder":true,"name":"reports/"`}},
	{"list_blobs in a folder", pages("list_blobs", with(map[string]any{"prefix": "reports/", "folders": true, "page_size": 1})),
		[]string{`"name":"reports/2025/"`, `"name":"reports/2026/"`, `"name":"reports/notes.md"`}},
	{"list_blobs with metadata and tags", pages("list_blobs", with(map[string]any{"prefix": "readme", "include": []string{"metadata", "tags"}})),
		[]string{`"metadata":{"author":"alice"}`, `"tags":{"project":"x","rank":"10"}`}},
	{"list_blobs of nothing", pages("list_blobs", with(map[string]any{"prefix": "none/"})), []string{`"blobs":[]`}},
	{"list_blobs of no container", pages("list_blobs", map[string]any{"container": "none"}), []string{"not found"}},

	{"search_blobs by name", pages("search_blobs", with(map[string]any{"name": "**/*.csv"})), []string{"reports/2025/a.csv", "reports/2026/b.csv"}},
	{"search_blobs by name, a few at a time", pages("search_blobs", with(map[string]any{"name": "**/*.csv", "max_results": 1})), []string{"reports/2025/a.csv", "reports/2026/b.csv"}},
	{"search_blobs by tags", pages("search_blobs", with(map[string]any{"tags": []map[string]any{{"key": "project", "value": "x"}}})),
		[]string{`"name":"readme.txt"`, `"name":"reports/2026/b.csv"`}},
	{"search_blobs by tags and prefix", pages("search_blobs", with(map[string]any{"prefix": "reports/", "tags": []map[string]any{{"key": "project", "value": "x"}}})),
		[]string{`"name":"reports/2026/b.csv"`}},
	{"search_blobs by text", pages("search_blobs", with(map[string]any{"text": `^[13],\d$`})), []string{`"text":"1,2"`, `"text":"3,4"`}},
	{"search_blobs by text in any charset", pages("search_blobs", with(map[string]any{"prefix": "legacy/", "text": "お知"})), []string{`"text":"お知らせ"`}},
	{"search_blobs in a big blob", pages("search_blobs", with(map[string]any{"prefix": "big", "text": `^000[01]5000 `, "max_results": 1})), []string{"00005000 the quick", "00015000 the quick"}},

	{"stat_blob", call("stat_blob", with(map[string]any{"blob_path": "readme.txt"})),
		[]string{`"size":22`, `"content_language":"en"`, `"metadata":{"author":"alice"}`, `"tags":{"project":"x","rank":"10"}`, `"tier":"Hot"`}},
	{"stat_blob of an empty blob", call("stat_blob", with(map[string]any{"blob_path": "empty.txt"})), []string{`"size":0`}},
	{"stat_blob of an archived blob", call("stat_blob", with(map[string]any{"blob_path": "archived.txt"})), []string{`"tier":"Archive"`}},
	{"stat_blob of nothing", call("stat_blob", with(map[string]any{"blob_path": "none.txt"})), []string{"not found"}},
	{"stat_blob in no container", call("stat_blob", map[string]any{"container": "none", "blob_path": "a"}), []string{"not found"}},

	{"read_blob", call("read_blob", with(map[string]any{"blob_path": "readme.txt"})), []string{`"text":"Documents of Contoso.\n"`}},
	{"read_blob of an empty blob", call("read_blob", with(map[string]any{"blob_path": "empty.txt"})), []string{`"text":""`}},
	{"read_blob in Shift_JIS", call("read_blob", with(map[string]any{"blob_path": "legacy/お知らせ.txt"})), []string{`"text":"お知らせ\n"`}},
	{"read_blob that is packed", call("read_blob", with(map[string]any{"blob_path": "packed.txt.gz"})), []string{`"text":"packed\n"`, `"unpacked":"gzip"`}},
	{"read_blob of an image", call("read_blob", with(map[string]any{"blob_path": "picture.png"})), []string{`"kind":"image"`}},
	{"read_blob of binary called .txt", call("read_blob", with(map[string]any{"blob_path": "binary.txt"})), []string{`"kind":"binary"`}},
	{"read_blob from an offset", call("read_blob", with(map[string]any{"blob_path": "big.log", "offset": 1 << 19, "length": 100})), []string{`"offset":524288`}},
	{"read_blob by lines", call("read_blob", with(map[string]any{"blob_path": "big.log", "lines": "1000-1001"})), []string{"00000999 the quick", "00001000 the quick"}},
	{"read_blob of the tail", call("read_blob", with(map[string]any{"blob_path": "big.log", "tail_lines": 2})), nil},
	{"read_blob at the end", call("read_blob", with(map[string]any{"blob_path": "readme.txt", "offset": 22})), nil},
	{"read_blob beyond the end", call("read_blob", with(map[string]any{"blob_path": "readme.txt", "offset": 23})), nil},
	{"read_blob of a changed blob", call("read_blob", with(map[string]any{"blob_path": "readme.txt", "etag": "0x1"})), []string{"changed"}},
	{"read_blob of an archived blob", call("read_blob", with(map[string]any{"blob_path": "archived.txt"})), []string{"rchive"}},
	{"read_blob of nothing", call("read_blob", with(map[string]any{"blob_path": "none.txt"})), []string{"not found"}},
	{"read_blob in pages", readPages("big.log", 100_000), []string{"00000000 the quick", "00018000 the quick"}},
	{"read_blob of every name", readNamesByTool, nil},

	{"read a resource", readResource("blob://tools/readme.txt"), []string{"Documents of Contoso."}},
	{"read a resource of a name in Japanese", readResource("blob://tools/legacy/%E3%81%8A%E7%9F%A5%E3%82%89%E3%81%9B.txt"), []string{"お知らせ"}},
	{"read a resource that is not there", readResource("blob://tools/none.txt"), []string{"not found"}},
	{"list resources", listResources, []string{"blob://tools/readme.txt", "blob://tools/legacy/%E3%81%8A%E7%9F%A5%E3%82%89%E3%81%9B.txt"}},
	{"complete a container", complete("container", "to", nil), []string{`"values":["tools"]`}},
	{"complete a path", complete("path", "rep", map[string]string{"container": "tools"}), []string{"reports/"}},
	{"complete a path in a folder", complete("path", "reports/20", map[string]string{"container": "tools"}), []string{"reports/2025/", "reports/2026/"}},
}

// readNamesByTool reads each of the odd names.
func readNamesByTool(c *toolClient) (string, error) {
	var all string
	for _, name := range oddNames {
		answer, err := c.call("read_blob", with(map[string]any{"blob_path": name}))
		if err != nil {
			return "", err
		}
		object, ok := answer.(map[string]any)
		if !ok || object["text"] != name+"\n" {
			return "", fmt.Errorf("%q: %v", name, answer)
		}
		all += neutral(answer) + "\n"
	}
	return all, nil
}
