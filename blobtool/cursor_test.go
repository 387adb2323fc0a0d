package blobtool_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
)

func encodeCursor(query string, at blobtool.SearchPlace) string { return walk.Cursor(nil, query, at) }

func decodeCursor(query, text string) (blobtool.SearchPlace, error) {
	return walk.Parse[blobtool.SearchPlace](nil, query, text)
}

func TestCursor(t *testing.T) {
	t.Parallel()
	at := blobtool.SearchPlace{At: walk.Place{Root: 1, Marker: "2!76!abc", After: "日本 <&>", Same: 2}, Text: &blobtool.TextMark{Offset: 10, Line: 3, Charset: "utf-8", ETag: `"0x1"`}}
	text := encodeCursor("query", at)
	if got, err := decodeCursor("query", text); err != nil || got.At != at.At || *got.Text != *at.Text {
		t.Errorf("got %+v, %v; want %v, Text %v, nil", got, err, at.At, *at.Text)
	}
	plain := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]string{
		"empty":           "",
		"no base64":       "!!!",
		"padded":          text + "=",
		"standard":        base64.StdEncoding.EncodeToString([]byte(`{"v":1,"q":"query","at":{"p":{"a":"??>>","s":1}}}`)),
		"no JSON":         plain("x"),
		"another type":    plain(`[]`),
		"version":         plain(`{"v":2,"q":"query","at":{"p":{}}}`),
		"another query":   encodeCursor("other", at),
		"spaces":          plain(`{"v":1, "q":"query","at":{"p":{}}}`),
		"unknown field":   plain(`{"v":1,"q":"query","at":{"p":{}},"x":1}`),
		"case":            plain(`{"V":1,"q":"query","at":{"p":{}}}`),
		"twice":           plain(`{"v":1,"q":"query","q":"query","at":{"p":{}}}`),
		"more":            plain(`{"v":1,"q":"query","at":{"p":{}}}{}`),
		"negative root":   plain(`{"v":1,"q":"query","at":{"p":{"r":-1}}}`),
		"same of none":    plain(`{"v":1,"q":"query","at":{"p":{"s":1}}}`),
		"negative byte":   plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":-1,"l":1}}}`),
		"line 0":          plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":0,"l":0}}}`),
		"no charset":      plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":5,"l":1}}}`),
		"unknown charset": plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":5,"l":1,"c":"utf-9"}}}`),
		"charset at 0":    plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":0,"l":1,"c":"utf-9"}}}`),
		"huge marker":     encodeCursor("query", blobtool.SearchPlace{At: walk.Place{Marker: strings.Repeat("m", 9000)}}),
		"huge":            strings.Repeat("e", 40_000),
		"trailing bits":   text[:len(text)-1] + "_",
		"one character":   "e",
		"line breaks":     text[:8] + "\n" + text[8:],
		"not UTF-8 name":  plain("{\"v\":1,\"q\":\"query\",\"at\":{\"p\":{\"a\":\"\xff\",\"s\":1}}}"),
	} {
		_, err := decodeCursor("query", c)
		if err == nil {
			t.Errorf("%s: accepted, want an error", name)
			continue
		}
		if !errors.Is(err, blobtool.ErrInvalidArgument) {
			t.Errorf("%s: got %v, want an invalid argument", name, err)
		}
	}
}

// FuzzCursor: what is accepted is spelled in one way, and within bounds.
func FuzzCursor(f *testing.F) {
	f.Add(encodeCursor("q", blobtool.SearchPlace{}))
	f.Add(encodeCursor("q", blobtool.SearchPlace{At: walk.Place{Root: 3, Marker: "m", After: "a", Same: 1}, Text: &blobtool.TextMark{Offset: 1, Line: 1, Charset: "utf-16le"}}))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"v":1,"q":"q","at":{"p":{"r":1e3}}}`)))
	f.Fuzz(func(t *testing.T, text string) {
		at, err := decodeCursor("q", text)
		if err != nil {
			return
		}
		if again := encodeCursor("q", at); again != text {
			t.Fatalf("%s is also spelt %s, want one spelling", text, again)
		}
		if at.At.Root < 0 || at.At.Same < 0 || at.Text != nil && (at.Text.Offset < 0 || at.Text.Line < 1) {
			t.Fatalf("got %+v, want a place that can be", at)
		}
	})
}

// Cursors are not sealed. A search that goes on with one that a caller has changed fails or
// finds something, and takes nobody else's search with it.
func TestSearchForgedCursor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.connect(t, "alice")
	text := strings.Repeat("a needle\n", 3)
	w.storage.Put("docs", "a.txt", []byte(text), "text/plain")
	w.storage.Put("docs", "b.gz", []byte(pack(t, "gzip", text)), "text/plain")
	w.storage.Put("docs", "c.zst", []byte(pack(t, "zstd", text)), "text/plain")
	for _, blob := range []string{"a.txt", "b.gz", "c.zst"} {
		a := args{"text": "needle", "prefix": blob, "max_results": 1}
		var out struct {
			NextCursor string `json:"next_cursor"`
		}
		call(t, session, "search_blobs", a, &out)
		cursor, err := base64.RawURLEncoding.DecodeString(out.NextCursor)
		if err != nil {
			t.Fatal(err)
		}
		mark := regexp.MustCompile(`"t":\{.*?\}`)
		if !mark.Match(cursor) {
			t.Fatalf("%s: no mark in %s, want one", blob, cursor)
		}
		for _, charset := range []string{"utf-8", "utf-9", "utf-16", "utf-16le", "iso-2022-jp", "replacement", "x-user-defined"} {
			for _, at := range []string{`"o":1,"l":2`, `"o":27,"l":1`, `"o":5000,"l":1`, `"o":9223372036854775806,"l":9`} {
				for _, packed := range []string{"", `,"p":true`} {
					a["cursor"] = base64.RawURLEncoding.EncodeToString(mark.ReplaceAll(cursor, []byte(`"t":{`+at+`,"c":"`+charset+`"`+packed+`}`)))
					if _, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "search_blobs", Arguments: a}); err != nil {
						t.Errorf("%s, %s, %s%s: got %v, want nil", blob, charset, at, packed, err)
					}
				}
			}
		}
	}
}
