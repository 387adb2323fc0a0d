package rpcwire_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

// FuzzIDs: whatever the id, it comes back, and nothing else of the answer changes.
func FuzzIDs(f *testing.F) {
	for _, id := range []string{
		`""`, `0`, `-0`, `1`, `9007199254740992`, `9007199254740993`, `-9007199254740993`, `18446744073709551616`, `1.5`, `1.0`, `1e3`, `-0.25`,
		`"x"`, `"1"`, `"a\"b\\"`, `"\u00e9"`, `"é"`, `"\ud800"`, `"<&>"`, `"a\/b"`, `"` + strings.Repeat("x", 5000) + `"`,
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		body := `{"jsonrpc":"2.0","id":` + id + `,"method":"x"}`
		if !json.Valid([]byte(body)) || !json.Valid([]byte(id)) || strings.ContainsAny(id[:1], "{[ntf \t\r\n") {
			return
		}
		ids := rpcwire.NewIDs()
		hidden := string(hide(ids, body))
		answer := strings.Replace(hidden, `,"method":"x"}`, `,"result":{}}`, 1)
		restored := string(ids.Restore([]byte(answer)))
		if want := `{"jsonrpc":"2.0","id":` + id + `,"result":{}}`; !json.Valid([]byte(hidden)) || restored != want {
			t.Fatalf("id %q: hidden %s, restored %s, want %s", id, hidden, restored, want)
		}
	})
}

func BenchmarkIDs(b *testing.B) {
	for name, body := range map[string]string{
		"small":  `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_blob","arguments":{"blob_path":"a/b.txt"},"_meta":{"progressToken":7}}}`,
		"large":  `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":{"text":"` + strings.Repeat("word ", 20_000) + `"}}}`,
		"hidden": `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"x","arguments":{}}}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			body := []byte(body)
			ids := rpcwire.NewIDs()
			for b.Loop() {
				_ = ids.Hide(body, rpcwire.Parse(nil, body, 1))
			}
		})
	}
}

func hide(ids *rpcwire.IDs, body string) []byte {
	return ids.Hide([]byte(body), rpcwire.Parse(nil, []byte(body), 100))
}
