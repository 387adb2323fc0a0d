package upload_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/upload"
)

var owner = upload.Owner{User: "alice", Container: "docs", Blob: "a.txt"}

// pieces adds pieces to a new upload and returns each state and the blocks.
func pieces(o upload.Owner, s upload.Settings, content ...string) (states []upload.State, blocks []upload.Block) {
	u := upload.Begin(o, s, time.Now())
	for _, c := range content {
		next, id := u.With(o, []byte(c), true)
		u = next
		states, blocks = append(states, u), append(blocks, upload.Block{ID: id, Size: int64(len(c))})
	}
	return states, blocks
}

func TestState(t *testing.T) {
	t.Parallel()
	settings := upload.Settings{ETag: `"0x1"`, ContentType: "text/plain", Metadata: map[string]string{}, Tags: map[string]string{"a": "b"}, DropTags: true}
	states, _ := pieces(owner, settings, "one", "two", string(make([]byte, 100)))
	last := states[2]
	parsed, err := upload.Parse(last.Encode())
	if err != nil || !reflect.DeepEqual(parsed, last) {
		t.Errorf("Parse = %+v, %v; want %+v", parsed, err, last)
	}
	if sum := md5.Sum(append([]byte("onetwo"), make([]byte, 100)...)); !bytes.Equal(parsed.Sum(), sum[:]) || parsed.Size != 106 || parsed.Pieces != 3 {
		t.Errorf("got %+v, sum %x; want the sum %x", parsed, parsed.Sum(), sum)
	}
	if got := len(last.Encode()); got > 500 {
		t.Errorf("a state has %d bytes; models have to copy it", got)
	}
	if marker := last.Marker(); len(marker) != 26 || marker != states[0].Marker() {
		t.Errorf("the markers are %s and %s, want one of 26 characters", states[0].Marker(), marker)
	}
}

func TestParseRejects(t *testing.T) {
	t.Parallel()
	states, _ := pieces(owner, upload.Settings{}, "one")
	for name, change := range map[string]func(map[string]any){
		"id":       func(m map[string]any) { m["i"] = "AAAA" },
		"hash":     func(m map[string]any) { m["l"] = "" },
		"md5":      func(m map[string]any) { m["h"] = "AAAA" },
		"size":     func(m map[string]any) { m["z"] = 4 },
		"negative": func(m map[string]any) { m["z"] = -3 },
		"pieces":   func(m map[string]any) { m["n"] = 0 },
		"more":     func(m map[string]any) { m["n"] = 4 },
		"unknown":  func(m map[string]any) { m["q"] = 4 },
		"time":     func(m map[string]any) { m["b"] = "x" },
	} {
		var m map[string]any
		if err := json.Unmarshal(states[0].Encode(), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := upload.Parse(text); !errors.Is(err, upload.ErrMalformed) {
			t.Errorf("%s: Parse(%s) = %v, want %v", name, text, err, upload.ErrMalformed)
		}
	}
	if _, err := upload.Parse(append(states[0].Encode(), "{}"...)); !errors.Is(err, upload.ErrMalformed) {
		t.Errorf("Parse with more after it = %v", err)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	states, blocks := pieces(owner, upload.Settings{}, "one", "two", "three")
	last := states[2]
	_, fork := states[0].With(owner, []byte("TWO"), true)
	_, again := states[0].With(owner, []byte("two"), true)
	if again != blocks[1].ID || fork == again {
		t.Errorf("a repeated piece has the ID %s, another one %s; the first was %s", again, fork, blocks[1].ID)
	}
	for _, b := range append(blocks, upload.Block{ID: fork}) {
		if len(b.ID) != len(fork) || len(b.ID) > 88 { // 64 bytes in base64
			t.Errorf("the ID %s has %d characters", b.ID, len(b.ID))
		}
	}
	bob := owner
	bob.User = "bob"
	_, bobs := pieces(bob, upload.Settings{}, "one", "two", "three")
	_, otherETag := pieces(owner, upload.Settings{ETag: `"0x1"`}, "one", "two", "three")
	forked := upload.Block{ID: fork, Size: 3}
	foreign := upload.Block{ID: base64.StdEncoding.EncodeToString([]byte("x")), Size: 1}
	larger := slices.Clone(blocks)
	larger[1].Size++
	for name, c := range map[string]struct {
		staged            []upload.Block
		complete, foreign bool
	}{
		"as staged":       {blocks, true, false},
		"in disorder":     {[]upload.Block{blocks[2], blocks[0], blocks[1]}, true, false},
		"with a fork":     {[]upload.Block{blocks[0], forked, blocks[1], blocks[2]}, true, false},
		"with another's":  {append(slices.Clone(blocks), foreign), true, true},
		"with Bob's":      {append(slices.Clone(blocks), bobs...), true, true},
		"only the fork":   {[]upload.Block{blocks[0], forked, blocks[2]}, false, false},
		"one missing":     {blocks[:2], false, false},
		"first missing":   {blocks[1:], false, false},
		"one larger":      {larger, false, false},
		"nothing":         {nil, false, false},
		"for other ETags": {otherETag, false, false},
		"Bob's":           {bobs, false, true},
	} {
		ids, complete := last.Blocks(owner, c.staged)
		if complete != c.complete || owner.Foreign(c.staged) != c.foreign {
			t.Errorf("%s: complete %t, foreign %t; want %t, %t", name, complete, owner.Foreign(c.staged), c.complete, c.foreign)
		}
		if complete && !slices.Equal(ids, []string{blocks[0].ID, blocks[1].ID, blocks[2].ID}) {
			t.Errorf("%s: the IDs are %q", name, ids)
		}
	}
}

func FuzzParse(f *testing.F) {
	states, _ := pieces(owner, upload.Settings{Metadata: map[string]string{"a": "b"}}, "one")
	f.Add(states[0].Encode(), []byte("two"))
	f.Add([]byte(`{"i":""}`), []byte{})
	f.Fuzz(func(t *testing.T, text, piece []byte) {
		u, err := upload.Parse(text)
		if err != nil {
			return
		}
		next, id := u.With(owner, piece, true)
		if len(piece) > 0 {
			if _, err := upload.Parse(next.Encode()); err != nil && next.Pieces != 0 && next.Size > 0 {
				t.Errorf("Parse of the next state = %v", err)
			}
		}
		_, complete := next.Blocks(owner, []upload.Block{{ID: id, Size: int64(len(piece))}})
		if complete && next.Pieces != 1 {
			t.Errorf("one block is all of %d", next.Pieces)
		}
	})
}

func FuzzBlocks(f *testing.F) {
	states, blocks := pieces(owner, upload.Settings{}, "one", "two")
	f.Add(blocks[0].ID, int64(3))
	f.Add("AAAA", int64(-1))
	f.Fuzz(func(t *testing.T, id string, size int64) {
		staged := []upload.Block{blocks[1], {ID: id, Size: size}}
		_, complete := states[1].Blocks(owner, staged)
		if complete != (id == blocks[0].ID && size == 3) {
			raw, _ := base64.StdEncoding.DecodeString(id)
			if want, _ := base64.StdEncoding.DecodeString(blocks[0].ID); !bytes.Equal(raw, want) || size != 3 {
				t.Errorf("Blocks with %q of %d bytes: complete %t", id, size, complete)
			}
		}
		owner.Foreign(staged)
	})
}
