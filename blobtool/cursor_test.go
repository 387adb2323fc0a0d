package blobtool_test

import (
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

func TestCursor(t *testing.T) {
	at := blobtool.SearchPlace{At: blobtool.Place{Root: 1, Marker: "2!76!abc", After: "日本 <&>", Same: 2}, Text: &blobtool.TextMark{Offset: 10, Line: 3, Charset: "utf-8", ETag: `"0x1"`}}
	text := blobtool.EncodeCursor("query", at)
	if got, err := blobtool.DecodeCursor("query", text); err != nil || got.At != at.At || *got.Text != *at.Text {
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
		"another query":  blobtool.EncodeCursor("other", at),
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
		"huge marker":    blobtool.EncodeCursor("query", blobtool.SearchPlace{At: blobtool.Place{Marker: strings.Repeat("m", 9000)}}),
		"huge":           strings.Repeat("e", 40_000),
		"trailing bits":  text[:len(text)-1] + "_",
		"one character":  "e",
		"line breaks":    text[:8] + "\n" + text[8:],
		"not UTF-8 name": plain("{\"v\":1,\"q\":\"query\",\"at\":{\"p\":{\"a\":\"\xff\",\"s\":1}}}"),
	} {
		_, err := blobtool.DecodeCursor("query", c)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantKind(t, name, err, blobtool.ErrInvalidArgument)
	}
}

// FuzzCursor: what is accepted is spelled in one way, and within bounds.
func FuzzCursor(f *testing.F) {
	f.Add(blobtool.EncodeCursor("q", blobtool.SearchPlace{}))
	f.Add(blobtool.EncodeCursor("q", blobtool.SearchPlace{At: blobtool.Place{Root: 3, Marker: "m", After: "a", Same: 1}, Text: &blobtool.TextMark{Offset: 1, Line: 1, Charset: "utf-16le"}}))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"v":1,"q":"q","at":{"p":{"r":1e3}}}`)))
	f.Fuzz(func(t *testing.T, text string) {
		at, err := blobtool.DecodeCursor("q", text)
		if err != nil {
			return
		}
		if again := blobtool.EncodeCursor("q", at); again != text {
			t.Fatalf("%s is also spelt %s", text, again)
		}
		if at.At.Root < 0 || at.At.Same < 0 || at.Text != nil && (at.Text.Offset < 0 || at.Text.Line < 1) {
			t.Fatalf("got %+v", at)
		}
	})
}

// However a list is cut into pages, by the service and by the caller, and even if the
// service cuts it otherwise the next time, each entry is seen once.
func TestWalk(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		roots := make([][]string, r.IntN(3)+1)
		var want []string
		for i := range roots {
			for j := range r.IntN(6) {
				for range r.IntN(3) + 1 { // as versions of one name
					roots[i] = append(roots[i], strconv.Itoa(i)+"/"+strconv.Itoa(j))
				}
			}
			want = append(want, roots[i]...)
		}
		paged := func() [][][]string {
			var all [][][]string
			for _, names := range roots {
				pages := [][]string{}
				for rest := names; ; {
					n := r.IntN(len(rest) + 1)
					pages = append(pages, rest[:n])
					if rest = rest[n:]; len(rest) == 0 {
						break
					}
				}
				all = append(all, pages)
			}
			return all
		}
		pages := paged()
		var got []string
		var at blobtool.Place
		for calls, done := 0, false; !done; calls++ {
			if at.Marker == "" && r.IntN(4) == 0 {
				pages = paged() // a marker is of the pages that it came with
			}
			var seen []string
			var err error
			if seen, at, done, err = blobtool.Walk(pages, at, r.IntN(4)+1); err != nil || calls > 1000 {
				t.Fatalf("%v after %d calls", err, calls)
			}
			got = append(got, seen...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in pages %q: got %q", want, pages, got)
		}
	}
}

// A walk through pages without end stops, and says so.
func TestWalkOfEmptyPages(t *testing.T) {
	pages := make([][]string, 100)
	pages[99] = []string{"a"}
	var at blobtool.Place
	calls := 0
	for done := false; !done; calls++ {
		var seen []string
		var err error
		if seen, at, done, err = blobtool.Walk([][][]string{pages}, at, 10); err != nil || (len(seen) == 1) != done {
			t.Fatalf("%q, done %v, %v", seen, done, err)
		}
	}
	if calls != 100/blobtool.MaxFetches {
		t.Errorf("%d calls", calls)
	}
}
