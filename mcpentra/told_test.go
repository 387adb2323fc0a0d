package mcpentra_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What the SDK refuses before any middleware sees it has its one line too, and an
// error that says what is wrong in few words.
func TestRefusedBySDKIsOneLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("A", 100_000)
	for _, mode := range modes {
		log := &lines{}
		w := newWorld(t, append(mode.opts, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))))...)
		session := ""
		if mode.opts != nil {
			_, header, _ := w.post(t, initialize, map[string]string{"Authorization": "Bearer " + w.token(w.alice)})
			session = header.Get("Mcp-Session-Id")
		}
		for _, row := range []struct {
			name, body string
			header     map[string]string
			begun      bool // in a session, where there are some
			status     int
			code       int
			lines      int
			served     bool
		}{
			{"params of another type", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, nil, true, 200, -32602, 1, false},
			{"long params of another type", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"` + long + `"}`, nil, true, 200, -32602, 1, false},
			{"params is a list", `{"jsonrpc":"2.0","id":"a<b","method":"tools/list","params":[]}`, nil, true, 200, -32602, 1, false},
			{"no params", `{"jsonrpc":"2.0","id":1,"method":"tools/call"}`, nil, true, 400, -32600, 1, false},
			{"unknown method", `{"jsonrpc":"2.0","id":1,"method":"nothing"}`, nil, true, 200, -32601, 1, false},
			{"unknown notification", `{"jsonrpc":"2.0","method":"notifications/nothing"}`, nil, true, 202, 0, 1, false},
			{"notification", `{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil, true, 202, 0, 1, true},
			{"notification of another type", `{"jsonrpc":"2.0","method":"notifications/progress","params":7}`, nil, true, 202, 0, 1, false},
			{"notification with a parameter of another type", `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":{}}}`, nil, true, 202, 0, 1, false},                             //nolint:misspell // the protocol's spelling
			{"notifications", `[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}]`, nil, true, 202, 0, 2, true}, //nolint:misspell // the protocol's spelling
			{"notification in a batch that is refused", `[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":1,"method":"tools/call"}]`, nil, true, 400, 0, 1, false},
			{"answer", `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, true, 202, 0, 0, true},
			{"not JSON", `{"jsonrpc":`, nil, true, 400, -32700, 1, false},
			{"empty", ``, nil, true, 400, -32600, 1, false},
			{"id of a notification", `{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}`, nil, true, 400, -32600, 1, false},
			{"version unknown", `{"jsonrpc":"2.0","id":1,"method":"ping"}`, map[string]string{"Mcp-Protocol-Version": "1999-01-01"}, true, 400, -32600, 1, false},
			{"before initialize", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil, false, 200, 0, 1, true}, // stateless there is nothing before
			{"batch", `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}},{"jsonrpc":"2.0","id":2,"method":"ping"},{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"nothing"}},` +
				`{"jsonrpc":"2.0","id":4,"method":"nothing"},{"jsonrpc":"2.0","method":"notifications/nothing"},{"jsonrpc":"2.0","id":5,"method":"tools/list","params":7}]`, nil, true, 200, 0, 6, false},
			{"batch of unknown methods", `[{"jsonrpc":"2.0","id":1,"method":"nothing"},{"jsonrpc":"2.0","id":2,"method":"nothing"}]`, nil, true, 200, 0, 2, false},
			{"modern: unknown method", `{"jsonrpc":"2.0","id":1,"method":"nothing","params":{` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "nothing"}, false, 404, -32601, 1, false},
			{"modern: name in header differs", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x",` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "y"}, false, 400, 0, 1, false},
			{"modern: params of another type", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5,` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}, false, 400, 0, 1, false},
			{"modern: no _meta", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}, false, 400, 0, 1, false},
			{"modern: method removed", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{` + modernMeta + `}}`, map[string]string{"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "ping"}, false, 404, 0, 1, false},
			{"served", `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, nil, true, 200, 0, 1, true},
			{"failed in the middleware", `{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"note://nothing"}}`, nil, true, 200, 0, 1, true},
		} {
			header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
			maps.Copy(header, row.header)
			if row.begun && session != "" {
				header["Mcp-Session-Id"] = session
			}
			before := len(log.String())
			status, answered, body := w.post(t, row.body, header)
			id := answered.Get("X-Request-Id")
			if status == 202 && session != "" { // the middleware is at it
				w.post(t, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, header)
			}
			var events []map[string]any
			for line := range strings.Lines(log.String()[before:]) {
				var event map[string]any
				must(t, json.Unmarshal([]byte(line), &event))
				if event["msg"] == "mcp request" && event["request_id"] == id {
					events = append(events, event)
				}
				if len(line) > 3000 {
					t.Errorf("%s: %s: a line of %d bytes, want at most 3000", mode.name, row.name, len(line))
				}
			}
			if len(events) != row.lines {
				t.Errorf("%s: %s: %d lines, want %d (answer %d %.300s):\n%.1500s", mode.name, row.name, len(events), row.lines, status, body, log.String()[before:])
				continue
			}
			refused := slices.DeleteFunc(slices.Clone(events), func(e map[string]any) bool { return e["outcome"] != "refused" })
			if len(refused) == 0 && !row.served {
				t.Errorf("%s: %s: no line of a refusal: %v", mode.name, row.name, events)
			}
			for _, event := range refused {
				for key, want := range map[string]any{"level": "WARN", "http_method": "POST", "path": "/mcp"} {
					if event[key] != want && event["status"] != 202. {
						t.Errorf("%s: %s: %s is %v, want %v", mode.name, row.name, key, event[key], want)
					}
				}
				if caller, _ := event["caller"].(map[string]any); event["reason"] == "" || caller["client"] != w.client.ClientID || event["method"] == nil && row.body[:min(1, len(row.body))] == "{" && json.Valid([]byte(row.body)) {
					t.Errorf("%s: %s: the line lacks something: %v", mode.name, row.name, event)
				}
			}
			if strings.Contains(log.String()[before:], "AAAA") || strings.Contains(body, "AAAA") {
				t.Errorf("%s: %s: the parameters are quoted: %.300s", mode.name, row.name, body)
			}
			if row.code != 0 && mode.opts == nil && !strings.Contains(body, fmt.Sprintf(`"code":%d`, row.code)) || strings.Contains(body, `"code":0`) {
				t.Errorf("%s: %s: got %.300s, want code %d", mode.name, row.name, body, row.code)
			}
			if status != row.status && (mode.opts == nil || row.begun) {
				t.Errorf("%s: %s: %d, want %d", mode.name, row.name, status, row.status)
			}
		}
		if session != "" {
			do(t, "DELETE", w.url, "", map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Mcp-Session-Id": session})
		}
	}
}
