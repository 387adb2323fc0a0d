package blobtool_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

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
		t.Errorf("got %+v, %v", got, err)
	}
	plain := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]string{
		"empty":          "",
		"no base64":      "!!!",
		"padded":         text + "=",
		"standard":       base64.StdEncoding.EncodeToString([]byte(`{"v":1,"q":"query","at":{"p":{"a":"??>>","s":1}}}`)),
		"no JSON":        plain("x"),
		"another type":   plain(`[]`),
		"version":        plain(`{"v":2,"q":"query","at":{"p":{}}}`),
		"another query":  encodeCursor("other", at),
		"spaces":         plain(`{"v":1, "q":"query","at":{"p":{}}}`),
		"unknown field":  plain(`{"v":1,"q":"query","at":{"p":{}},"x":1}`),
		"case":           plain(`{"V":1,"q":"query","at":{"p":{}}}`),
		"twice":          plain(`{"v":1,"q":"query","q":"query","at":{"p":{}}}`),
		"more":           plain(`{"v":1,"q":"query","at":{"p":{}}}{}`),
		"negative root":  plain(`{"v":1,"q":"query","at":{"p":{"r":-1}}}`),
		"same of none":   plain(`{"v":1,"q":"query","at":{"p":{"s":1}}}`),
		"negative byte":  plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":-1,"l":1}}}`),
		"line 0":         plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":0,"l":0}}}`),
		"no charset":     plain(`{"v":1,"q":"query","at":{"p":{},"t":{"o":5,"l":1}}}`),
		"huge marker":    encodeCursor("query", blobtool.SearchPlace{At: walk.Place{Marker: strings.Repeat("m", 9000)}}),
		"huge":           strings.Repeat("e", 40_000),
		"trailing bits":  text[:len(text)-1] + "_",
		"one character":  "e",
		"line breaks":    text[:8] + "\n" + text[8:],
		"not UTF-8 name": plain("{\"v\":1,\"q\":\"query\",\"at\":{\"p\":{\"a\":\"\xff\",\"s\":1}}}"),
	} {
		_, err := decodeCursor("query", c)
		if err == nil {
			t.Errorf("%s: accepted", name)
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
			t.Fatalf("%s is also spelt %s", text, again)
		}
		if at.At.Root < 0 || at.At.Same < 0 || at.Text != nil && (at.Text.Offset < 0 || at.Text.Line < 1) {
			t.Fatalf("got %+v", at)
		}
	})
}
