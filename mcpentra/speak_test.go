package mcpentra_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// What is not a request that the server can serve is refused in JSON-RPC, with the
// id that it has, whether or not there are policies and sessions.
func TestRefusalsOfTheProtocol(t *testing.T) {
	t.Parallel()
	policies := newWorld(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{UserRoles: []string{"x"}}))
	for name, w := range map[string]*world{"stateless": newWorld(t), "sessions": withSessions(t), "policies": policies} {
		good := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
		with := func(more ...string) map[string]string {
			h := map[string]string{"Authorization": good["Authorization"]}
			for i := 0; i < len(more); i += 2 {
				h[more[i]] = more[i+1]
			}
			return h
		}
		for _, row := range []struct {
			name, body string
			header     map[string]string
			status     int
			id         string
			code       float64
			text       string
		}{
			{"unknown method", `{"jsonrpc":"2.0","id":"q-7","method":"vendor/method"}`, good, 200, `"q-7"`, -32601, `Method not found: \"vendor/method\"`},
			{"empty method", `{"jsonrpc":"2.0","id":3,"method":""}`, good, 200, "3", -32601, "Method not found"},
			{"method with quotes", `{"jsonrpc":"2.0","id":3,"method":"a\"b\n"}`, good, 200, "3", -32601, "Method not found"},
			{"long method", `{"jsonrpc":"2.0","id":3,"method":"` + strings.Repeat("m", 30_000) + `"}`, good, 200, "3", -32601, "bytes)"},
			{"not JSON", `{"jsonrpc":"2.0","id":5,`, good, 400, "5", -32700, "not JSON"},
			{"text", `hello`, good, 400, "null", -32700, "not JSON"},
			{"no body", ``, good, 400, "null", -32600, "no body"},
			{"blank body", " \n", good, 400, "null", -32600, "no body"},
			{"empty batch", `[]`, good, 400, "null", -32600, "empty"},
			{"no version", `{"id":5,"method":"ping"}`, good, 400, "5", -32600, "version tag"},
			{"id is a bool", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, good, 400, "null", -32600, ""},
			{"notification with id", `{"jsonrpc":"2.0","id":4,"method":"notifications/initialized"}`, good, 400, "4", -32600, "unexpected id"},
			{"no parameters", `{"jsonrpc":"2.0","id":4,"method":"tools/call"}`, good, 400, "4", -32600, "params"},
			{"protocol version", `{"jsonrpc":"2.0","id":4,"method":"tools/list"}`, with("Mcp-Protocol-Version", "1999-01-01"), 400, "4", -32600, "supported versions"},
			{"batch of a later protocol", `[{"jsonrpc":"2.0","id":4,"method":"tools/list"}]`, with("Mcp-Protocol-Version", "2025-11-25"), 400, "null", -32600, "batch"},
			{"event id in a POST", `{"jsonrpc":"2.0","id":4,"method":"tools/list"}`, with("Last-Event-ID", "x_1"), 400, "4", -32600, "Last-Event-ID"},
		} {
			status, h, body := w.post(t, row.body, row.header)
			if status != row.status || !strings.Contains(body, row.text) || len(body) > 2000 {
				t.Errorf("%s, %s: %d %.300s, want %d with %q", name, row.name, status, body, row.status, row.text)
			}
			isRefusal(t, name+", "+row.name, h, body, row.id, row.code)
		}
		// Notifications are answered by nothing, whoever knows them.
		for _, body := range []string{
			`{"jsonrpc":"2.0","method":"notifications/of_tomorrow"}`, `{"jsonrpc":"2.0","id":null,"method":"notifications/of_tomorrow","params":{"a":[1]}}`,
			`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","method":"vendor/unknown"}`,
			`[{"jsonrpc":"2.0","method":"notifications/of_tomorrow"},{"jsonrpc":"2.0","method":"notifications/x"}]`,
		} {
			for _, version := range []string{"", "2025-03-26", "2025-11-25", "2026-07-28"} {
				if version > "2025-03-26" && strings.HasPrefix(body, "[") || version == "2026-07-28" && strings.Contains(body, "initialized") {
					continue
				}
				header := with()
				if version != "" {
					header["Mcp-Protocol-Version"] = version
				}
				if status, h, answer := w.post(t, body, header); status != 202 || answer != "" || h.Get("Content-Type") != "" {
					t.Errorf("%s, %s of %q: %d %q %q, want 202 and nothing", name, body, version, status, h.Get("Content-Type"), answer)
				}
			}
		}
	}
}

// The id is found however late in the body it stands, where the body was read anyway.
func TestLateIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{UserRoles: []string{"x"}}))
	good := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	filler := strings.Repeat("x", 200_000)
	for body, want := range map[string]int{
		`{"jsonrpc":"2.0","method":"tools/call","params":{"name":"secure_ping","arguments":{"a":"` + filler + `"}},"id":"late"}`: 403,
		`{"jsonrpc":"2.0","method":"x/y","params":{"a":"` + filler + `"},"id":"late"}`:                                           200,
		`{"method":"ping","params":{"a":"` + filler + `"},"id":"late"}`:                                                          400,
	} {
		status, _, answer := w.post(t, body, good)
		if status != want || !strings.Contains(answer, `"id":"late"`) {
			t.Errorf("%d %.300s, want %d", status, answer, want)
		}
	}
}

// An unknown method of 2026-07-28 is 404, by its own rule.
func TestUnknownMethodOfTheModernProtocol(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status, h, body := w.post(t, `{"jsonrpc":"2.0","id":"q-7","method":"vendor/method","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
		map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "vendor/method"})
	if status != 404 {
		t.Errorf("got %d %s, want 404", status, body)
	}
	isRefusal(t, "unknown method", h, body, `"q-7"`, -32601)
}

// One unknown method does not take the rest of a batch with it; and methods that a
// program has added are known.
func TestBatchWithUnknownMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type params struct{ mcp.ParamsBase }
	type result struct {
		mcp.ResultBase
		Found string `json:"found"`
	}
	must(t, mcp.AddReceivingCustomMethod(w.server.MCP(), "acme/search", func(context.Context, *mcp.ServerSession, *params) (*result, error) {
		return &result{Found: "it"}, nil
	}))
	good := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	message := func(id, method string) string {
		if id == "" {
			return `{"jsonrpc":"2.0","method":"` + method + `"}`
		}
		return `{"jsonrpc":"2.0","id":` + id + `,"method":"` + method + `"}`
	}
	for name, row := range map[string]struct {
		batch []string
		want  []string // parts of the answer
		not   string
	}{
		"a call among others": {[]string{message("1", "tools/list"), message("9007199254740993", "x/y"), message(`"c"`, "acme/search")},
			[]string{`"id":1,"result"`, `"id":9007199254740993`, `"code":-32601`, `"id":"c","result":{"found":"it"`}, ""},
		"two of them":            {[]string{message("1", "x/1"), message("2", "x/2"), message("3", "tools/list"), message("4", "x/1")}, []string{`"id":1,`, `"id":2,`, `"id":3,"result"`, `"id":4,`}, ""},
		"a notification":         {[]string{message("", "x/y"), message("2", "tools/list")}, []string{`"id":2,"result"`}, "-32601"},
		"nothing else":           {[]string{message("1", "x/y"), message("", "x/z")}, []string{`"id":1,`, "-32601"}, "result"},
		"notifications that are": {[]string{message("1", "x/y"), message("", "notifications/initialized")}, []string{`"id":1,`, "-32601"}, "result"},
	} {
		status, _, body := w.post(t, "["+strings.Join(row.batch, ", ")+"]", good)
		if status != 200 || row.not != "" && strings.Contains(body, row.not) {
			t.Errorf("%s: got %d %s, want 200 and no %q", name, status, body, row.not)
		}
		for _, part := range row.want {
			if !strings.Contains(body, part) {
				t.Errorf("%s: %s, want %s in it", name, body, part)
			}
		}
	}
	var many []string
	for i := range 10 {
		many = append(many, message(fmt.Sprint(i), fmt.Sprint("x/", i)))
	}
	status, h, body := w.post(t, "["+strings.Join(append(many, message("99", "tools/list")), ",")+"]", good)
	if status != 400 {
		t.Errorf("a batch of unknown methods: got %d %s, want 400", status, body)
	}
	isRefusal(t, "a batch of unknown methods", h, body, "null", -32601)
	if status, _, body := w.post(t, message("7", "acme/search"), good); status != 200 || !strings.Contains(body, `"found":"it"`) {
		t.Errorf("a method of the program's own: got %d %s, want 200 and %q", status, body, `"found":"it"`)
	}
}

// A session of another user, one that has ended and one that never was are the
// same answer, by every HTTP method: nobody learns which there are.
func TestSessionsOfOthersAreUnknown(t *testing.T) {
	t.Parallel()
	w := withSessions(t)
	_, h, _ := w.post(t, initialize, map[string]string{"Authorization": "Bearer " + w.token(w.alice)})
	alices := h.Get("Mcp-Session-Id")
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		body := ""
		if method == http.MethodPost {
			body = pingWithID
		}
		answers := map[string]bool{}
		for _, session := range []string{alices, "unknown", alices + "x", strings.Repeat("s", 10_000)} {
			status, h, answer := do(t, method, w.url, body, map[string]string{"Authorization": "Bearer " + w.token(w.bob), "Mcp-Session-Id": session})
			if status != http.StatusNotFound || !strings.HasPrefix(h.Get("Content-Type"), "application/json") {
				t.Errorf("%s in session %.40s: got %d %s, want 404, application/json at the start", method, session, status, answer)
			}
			answers[answer] = true
		}
		if len(answers) != 1 {
			t.Errorf("%s: got %v, want one answer in all sessions", method, answers)
		}
		if method == http.MethodPost && !strings.Contains(h.Get("Mcp-Session-Id"), alices) {
			t.Error("no session was begun, want one")
		}
	}
	if status, _, body := w.post(t, pingWithID, map[string]string{"Authorization": "Bearer " + w.token(w.alice), "Mcp-Session-Id": alices}); status != 200 {
		t.Errorf("Alice in her own: got %d %s, want 200", status, body)
	}
}
