package blobtool_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// FuzzWriteTags: a blob's tag is replaced by another, or refused before Azure is asked. The
// condition on the old one is always a valid one, and met.
func FuzzWriteTags(f *testing.F) {
	for _, s := range [][4]string{{"state", "draft", "state", "final"}, {"a", "", "b", "+-.:=_/ "}, {"a'", "x", "a", "x"}, {"a", `' OR "b" = '`, "a", "x"}, {"", "x", "é", "x"}} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	w := newWriteWorld(f, nil, nil)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(f, "alice")
	w.storage.Put("docs", "a.txt", []byte("x"), "")
	etag := statOf(f, session, "a.txt").ETag
	f.Fuzz(func(t *testing.T, key, value, newKey, newValue string) {
		if !utf8.ValidString(key + value + newKey + newValue) {
			return // JSON has no such strings
		}
		old, next := map[string]string{key: value}, map[string]string{newKey: newValue}
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Tags = old })
		w.storage.ForgetRequests()
		out := w.write(t, session, "set_tags", args{"blob_path": "a.txt", "if_match": etag, "old_tags": old, "tags": next})
		switch asked := len(w.storage.Requests()) > 0; {
		case out.Outcome == "done" && maps.Equal(statOf(t, session, "a.txt").Tags, next):
		case out.Outcome == "refused" && out.Reason == "invalid_argument" && !asked:
		default:
			t.Errorf("%q to %q: got %+v; asked %t", old, next, out, asked)
		}
	})
}

// FuzzWriteMetadata: an entry is set as it is given, and nothing else changes, or it is refused.
func FuzzWriteMetadata(f *testing.F) {
	for _, s := range [][3]string{{"a", "1", "b"}, {"KEEP", "2", "keep"}, {"_a1", "~ ~", ""}, {"MCPENTRA_write", "x", "a"}, {"a\r\nx-ms-lease-id", "x", "a"}, {"a", "x\r\nb: c", "a"}} {
		f.Add(s[0], s[1], s[2])
	}
	w := newWriteWorld(f, nil, nil)
	session := w.connect(f, "alice")
	f.Fuzz(func(t *testing.T, name, value, drop string) {
		if !utf8.ValidString(name+value+drop) || strings.Contains(name+drop, "mcpentra_write") {
			return // JSON has no such strings, and a result may repeat the name that others must not have
		}
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		w.storage.Update("docs", "a.txt", func(p *blobtest.Properties) { p.Metadata = map[string]string{"keep": "1"} })
		before := statOf(t, session, "a.txt")
		out := w.write(t, session, "set_metadata", args{"blob_path": "a.txt", "if_match": before.ETag, "set": args{name: value}, "remove": []string{drop}})
		after := statOf(t, session, "a.txt")
		want := map[string]string{"keep": "1"}
		delete(want, strings.ToLower(drop))
		want[strings.ToLower(name)] = value
		switch {
		case out.Outcome == "done" && maps.Equal(after.Metadata, want) && after.ETag == out.ETag:
		case out.Outcome == "refused" && (out.Reason == "invalid_argument" || out.Reason == "too_large") && after.ETag == before.ETag:
		default:
			t.Errorf("set %q to %q, remove %q: got %+v with %v", name, value, drop, out, after.Metadata)
		}
	})
}

// FuzzWriteArguments: whatever the arguments are, a call has one of three outcomes or breaks the
// tool's schema, and only done changes anything.
func FuzzWriteArguments(f *testing.F) {
	tools := []string{"write_blob", "edit_blob", "append_blob", "delete_blob", "set_metadata", "set_tags"}
	for i, a := range []string{
		`{"blob_path":"a.txt","text":"x"}`, `{"blob_path":"a.txt","old_text":"x","new_text":"y"}`, `{"blob_path":"b.log","base64":"eA==","create":true,"metadata":{"a":"1"}}`,
		`{"blob_path":"a.txt","if_match":"0x1","delete_snapshots":true}`, `{"blob_path":"a.txt","if_match":"0x1","set":{"a":"1"},"remove":["b"]}`, `{"blob_path":"a.txt","if_match":"0x1","old_tags":{},"tags":{"a":"1"}}`,
	} {
		f.Add(byte(i), []byte(a))
	}
	w := newWriteWorld(f, nil, nil)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	session := w.connect(f, "alice")
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		var a args
		if json.Unmarshal(text, &a) != nil || a == nil {
			return // arguments are an object
		}
		w.storage.Put("docs", "a.txt", []byte("x"), "")
		before := statOf(t, session, "a.txt").ETag
		tool := tools[int(which)%len(tools)]
		res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
		if err != nil {
			t.Fatalf("%s %s: %v", tool, text, err)
		}
		outcome := ""
		if structured, ok := res.StructuredContent.(map[string]any); ok {
			outcome, _ = structured["outcome"].(string)
		}
		if res.IsError == (outcome == "done") || outcome == "unknown" || bytes.Contains([]byte(res.Content[0].(*mcp.TextContent).Text), []byte("internal error")) {
			t.Errorf("%s %s: isError %t, %v", tool, text, res.IsError, res.Content[0])
		}
		if outcome != "done" && statOf(t, session, "a.txt").ETag != before {
			t.Errorf("%s %s: %q, but the blob changed", tool, text, outcome)
		}
	})
}
