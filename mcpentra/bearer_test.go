package mcpentra_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A caller without the verifier's scope is asked for all that the operation needs, as far as
// the request can be read within its limits; otherwise for the verifier's scopes alone.
func TestFirstChallenge(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t, mcpentra.WithToolPolicy("note_read", entraauth.Policy{UserRoles: []string{"Reader"}}))
	const modern = "2026-07-28"
	body := callBody("file_write")
	for name, row := range map[string]struct {
		method, body string
		header       map[string]string
		asks         string
	}{
		"the body":                       {body: body, asks: "Files.ReadWrite"},
		"the headers":                    {body: body, header: map[string]string{"Mcp-Protocol-Version": modern, "Mcp-Method": "tools/call", "Mcp-Name": "file_write"}, asks: "Files.ReadWrite"},
		"another content type":           {body: body, header: map[string]string{"Content-Type": "text/plain"}, asks: "Files.ReadWrite"},
		"nothing under a policy":         {body: rpc(1, "tools/list", "{}")},
		"an unknown tool":                {body: callBody("nothing")},
		"no JSON":                        {body: "file_write"},
		"cut off":                        {body: body[:len(body)-1]},
		"wrong type":                     {body: rpc(1, "tools/call", `{"name":["file_write"]}`)},
		"no body":                        {},
		"64 KiB":                         {body: body + strings.Repeat(" ", 64<<10-len(body)), asks: "Files.ReadWrite"},
		"more than 64 KiB":               {body: body + strings.Repeat(" ", 64<<10-len(body)+1)},
		"a stream":                       {method: http.MethodGet, body: body},
		"a method that the server lacks": {method: http.MethodPut, body: body},
		"too many resources":             {body: rpc(1, "subscriptions/listen", `{"notifications":{"resourceSubscriptions":["file://index"`+strings.Repeat(`,"file://index"`, 1000)+`]}}`)},
	} {
		header := w.bearer(map[string]any{"scp": "other"})
		maps.Copy(header, row.header)
		method := row.method
		if method == "" {
			method = http.MethodPost
		}
		status, answer, text := do(t, method, w.url, row.body, header)
		if got := strings.Join(w.challenged(t, answer.Get("WWW-Authenticate")), " "); status != 403 || got != row.asks || !strings.Contains(text, `"reason":"scope_missing"`) {
			t.Errorf("%s: %d, the challenge asks for %q, want 403, %q\n%s", name, status, got, row.asks, text)
		}
	}
	if log := w.log.String(); !strings.Contains(log, "method=tools/call tool=file_write") {
		t.Errorf("the log doesn't name the tool of a refused request:\n%s", log)
	}
	// Chunked, so that nobody knows how long it is.
	for size, asks := range map[int]string{64 << 10: "Files.ReadWrite", 64<<10 + 1: "", 1 << 20: ""} {
		long := io.MultiReader(strings.NewReader(body), strings.NewReader(strings.Repeat(" ", size-len(body))))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, long)
		must(t, err)
		r.Header.Set("Authorization", w.bearer(map[string]any{"scp": "other"})["Authorization"])
		answer, err := connections.RoundTrip(r)
		must(t, err)
		_ = answer.Body.Close()
		if got := strings.Join(w.challenged(t, answer.Header.Get("WWW-Authenticate")), " "); answer.StatusCode != 403 || got != asks {
			t.Errorf("%d bytes in chunks: %d, the challenge asks for %q, want 403, %q", size, answer.StatusCode, got, asks)
		}
	}
	// What no scope can help is said first.
	status, answer, text := w.post(t, callBody("note_read"), w.bearer(map[string]any{"scp": "other"}))
	if challenge := answer.Get("WWW-Authenticate"); status != 403 || strings.Contains(challenge, " scope=") || !strings.Contains(text, "user_role_missing") {
		t.Errorf("a missing role: %d %s\n%s\nwant 403 user_role_missing without scope", status, challenge, text)
	}
	status, answer, text = w.post(t, callBody("note_read"), w.bearer(map[string]any{"scp": "other", "roles": []string{"Reader"}}))
	if got := strings.Join(w.challenged(t, answer.Get("WWW-Authenticate")), " "); status != 403 || got != "Notes.Read" {
		t.Errorf("with the role: %d, the challenge asks for %q, want 403, Notes.Read\n%s", status, got, text)
	}
}

// A client that reads nothing before it has sent everything gets its challenge, too.
func TestFirstChallengeAfterTheBody(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t)
	const size = 8 << 20 // more than sockets buffer
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/mcp"))
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		w.bearer(map[string]any{"scp": "other"})["Authorization"], size, strings.Repeat(" ", size))
	must(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	_ = answer.Body.Close()
	if got := w.challenged(t, answer.Header.Get("WWW-Authenticate")); answer.StatusCode != http.StatusForbidden || len(got) > 0 {
		t.Errorf("got %d, the challenge asks for %q, want 403 for the verifier's scope alone", answer.StatusCode, got)
	}
}

// A client without the scope has limits of the size of a user's, apart from the user's own:
// beyond them its bodies are not read, and it takes nothing from others.
func TestFirstChallengeWithinLimits(t *testing.T) {
	t.Parallel()
	w := hierarchyWorld(t, mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 0.001, Burst: 3}))
	bare, good := w.bearer(map[string]any{"scp": "other"}), w.withScopes("Files.Manage")
	for i := range 10 {
		asks := ""
		if i < 3 {
			asks = "Files.ReadWrite"
		}
		status, answer, body := w.post(t, callBody("file_write"), bare)
		if got := strings.Join(w.challenged(t, answer.Get("WWW-Authenticate")), " "); status != 403 || got != asks {
			t.Errorf("request %d: %d, the challenge asks for %q, want 403, %q\n%s", i, status, got, asks, body)
		}
	}
	for i := range 4 {
		want := 200
		if i == 3 {
			want = 429
		}
		if status, _, body := w.post(t, callBody("file_write"), good); status != want {
			t.Errorf("request %d with the scope: %d, want %d\n%s", i, status, want, body)
		}
	}
}
