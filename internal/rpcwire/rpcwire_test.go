package rpcwire_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/rpcwire"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`:                    `ping 1`,
		`{"method":"tools\/call","id":"a"}`:                           `tools/call "a"`,
		`{"m\u0065thod":"x","id":null}`:                               `x `,
		`{"id":1,"id":null,"method":"x","method":"y"}`:                `y `,
		`{"id":1,"result":{"method":"x"}}`:                            ` 1`,
		" \r\n[ {\"method\":\"x\"} , {\"id\":2,\"method\":\"y\"},7 ]": `x ; y 2;  `,
		`[]`:                 ``,
		`[[{"method":"x"}]]`: ` `,
		``:                   ` `,
	} {
		var all []string
		for message := range rpcwire.Messages([]byte(body)) {
			method, id := rpcwire.Envelope([]byte(body), message)
			all = append(all, method+" "+string(id))
		}
		if got := strings.Join(all, "; "); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
		if got, want := rpcwire.IsBatch([]byte(body)), strings.HasPrefix(strings.TrimSpace(body), "["); got != want {
			t.Errorf("IsBatch(%s) = %v, want %v", body, got, want)
		}
	}
}

// Ids elsewhere than in a request come back too, and texts that look like ours stay.
func TestIDs(t *testing.T) {
	t.Parallel()
	ids := rpcwire.NewIDs()
	for body, hidden := range map[string]int{
		`{"id":1e3,"method":"x","params":{"_meta":{"progressToken":0.5}}}`:                    2,
		`{"method":"notifications/cancelled","params":{"requestId":9007199254740993}}`:        1, //nolint:misspell // the protocol's spelling
		`{"method":"notifications/progress","params":{"progressToken":"\u0061"}}`:             1,
		`{"method":"x","params":{"requestId":9007199254740993,"progressToken":1.5,"id":1.5}}`: 0,
		`{"id":9007199254740993,"result":{}}`:                                                 0,
		`{"params":{"_meta":{"progressToken":0.5}},"params":{"_meta":{}},"method":"x"}`:       1,
		`[{"id":1.5,"method":"x"},{"id":2,"method":"x"},{"id":2.5,"method":"x"}]`:             2,
		`{"id":` + strings.Repeat("1", 2000) + `,"method":"x"}`:                               0,
		`{"id":{"a":1.5},"method":"x"}`:                                                       0,
	} {
		got := hide(ids, body)
		if n := strings.Count(string(got), `."`); n != hidden {
			t.Errorf("%.80s: %d ids are hidden, want %d: %.200s", body, n, hidden, got)
		}
		if back := string(ids.Restore(got)); hidden > 0 && !strings.Contains(body, "requestId") && back != body {
			t.Errorf("%s came back as %s", body, back)
		}
	}
	if escaped := `{"method":"x","params":{"_m\u0065ta":{"progress\u0054oken":0.5}}}`; len(hide(ids, escaped)) == len(escaped) {
		t.Errorf("%s: the token is not hidden, want it hidden", escaped)
	}
	text := hide(ids, `{"id":1.5,"method":"x"}`)
	mark := strings.TrimPrefix(strings.Split(string(text), ".")[0], `{"id":"`)
	mark = mark[:len(mark)-len("312e35")]
	for in, want := range map[string]string{
		`{"error":"duplicate id ` + mark + `312e35."}`:   `{"error":"duplicate id 1.5"}`,
		`{"error":"` + mark + `zz."}`:                    `{"error":"` + mark + `zz."}`,
		`{"error":"` + mark:                              `{"error":"` + mark,
		`{"id":"` + mark + `226122.","x":"id"}`:          `{"id":"a","x":"id"}`,
		`{"error":"the id ` + mark + `226122. is used"}`: `{"error":"the id a is used"}`,
	} {
		if got := string(ids.Restore([]byte(in))); got != want {
			t.Errorf("Restore(%s) = %s, want %s", in, got, want)
		}
	}
}
