package mcpentra_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// In each era and with sessions, Entra's refusal is the answer of the call itself,
// the first time and each time.
func TestChallengeInTheCallItself(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		for _, protocol := range []string{"2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
			if mode.name == "sessions" && protocol == "2026-07-28" {
				continue // which has none
			}
			t.Run(mode.name+" "+protocol, func(t *testing.T) {
				w := newWorld(t, mode.opts...)
				addWhoami(w)
				token := strings.TrimPrefix(w.bearer(map[string]any{"xms_cc": []string{"cp1"}})["Authorization"], "Bearer ")
				header, body := w.begin(t, mode.name, token, protocol), callBody("whoami")
				if protocol == "2026-07-28" {
					header["Mcp-Method"], header["Mcp-Name"] = "tools/call", "whoami"
					body = strings.Replace(body, `"arguments"`, modernMeta+`,"arguments"`, 1)
				}
				w.tenant.RequireMFA(w.tenant.Storage())
				for range 3 {
					status, h, text := w.post(t, body, header)
					if status != http.StatusUnauthorized || !strings.Contains(h.Get("WWW-Authenticate"), `claims="`) || h.Get("Content-Type") != "application/json" ||
						!strings.Contains(text, `"id":7`) || !strings.Contains(text, "stronger_sign_in") || strings.Contains(text, "event:") {
						t.Errorf("got %d %v %s, want 401 and %q and stronger_sign_in and no event: and %q, application/json", status, h, text, `"id":7`, `claims="`)
					}
				}
			})
		}
	}
	w := newWorld(t, mcpentra.WithSessions())
	addWhoami(w)
	header := w.begin(t, "sessions", w.token(w.alice), "2025-11-25")
	w.tenant.Fail(entratest.EndpointToken, entratest.Fault{AADSTS: 50173, Times: 1})
	status, h, text := w.post(t, callBody("whoami"), header)
	if status != http.StatusUnauthorized || !strings.Contains(h.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(text, `"reason":"revoked"`) {
		t.Errorf("revoked: got %d %v %s, want 401 and %q and %q", status, h, text, `"reason":"revoked"`, `error="invalid_token"`)
	}
}

// A resumable stream begins with its first message, or after a while: then it is too
// late for a challenge, and the call gets words.
func TestPrimingEventIsHeldBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions())
	begun, end := make(chan struct{}, 1), make(chan struct{})
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "late"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		begun <- struct{}{}
		<-end
		cred, err := mcpentra.Credential(ctx)
		must(t, err)
		_, err = cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		return nil, nil, err
	})
	token := strings.TrimPrefix(w.bearer(map[string]any{"xms_cc": []string{"cp1"}})["Authorization"], "Bearer ")
	header := w.begin(t, "sessions", token, "2025-11-25")
	if _, _, body := w.post(t, listTools, header); !strings.HasPrefix(body, "event: prime\n") || !strings.Contains(body, "event: message\n") {
		t.Errorf("an answer: got %.300s, want %q at the start and %q", body, "event: prime\n", "event: message\n")
	}
	w.tenant.RequireMFA(w.tenant.Storage())
	w.server.PrimingDelay(time.Hour)
	var wg sync.WaitGroup
	wg.Go(func() {
		if status, _, body := w.post(t, callBody("late"), header); status != http.StatusUnauthorized {
			t.Errorf("in time: got %d %s, want 401", status, body)
		}
	})
	<-begun
	end <- struct{}{}
	wg.Wait()

	w.server.PrimingDelay(time.Millisecond)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(callBody("late")))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // returns with the event, while the tool waits
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "event: prime\n" || resp.StatusCode != http.StatusOK {
		t.Errorf("got %d %q %v, want 200, %q, nil", resp.StatusCode, line, err, "event: prime\n")
	}
	<-begun
	end <- struct{}{}
	if rest, err := io.ReadAll(lines); err != nil || !strings.Contains(string(rest), "AADSTS50076") {
		t.Errorf("too late: got %s %v, want AADSTS50076, nil", rest, err)
	}
}

// A client that loses its connection while nothing was said yet resumes the call.
func TestResumeSilentCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithSessions())
	w.server.PrimingDelay(time.Millisecond)
	h := addHold(w)
	header := w.begin(t, "sessions", w.token(w.alice), "2025-11-25")
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(callBody("hold")))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	must(t, err)
	lines := bufio.NewReader(resp.Body)
	_, err = lines.ReadString('\n')
	must(t, err)
	line, err := lines.ReadString('\n')
	must(t, err)
	id := eventID.FindStringSubmatch(line)
	h.wait(1)
	cancel()
	_ = resp.Body.Close()
	for range 300 { // what the user does meanwhile does not push out a call under way
		if status, _, body := w.post(t, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, header); status != http.StatusOK && status != http.StatusTooManyRequests {
			t.Fatalf("got %d %s, want 200 or 429", status, body)
		}
	}
	close(h.end)
	h.wait(0)
	header["Last-Event-ID"] = id[1]
	for {
		status, _, body := do(t, http.MethodGet, w.url, "", header)
		if status == http.StatusOK && strings.Contains(body, "held") {
			break
		}
		if status != http.StatusConflict && status != http.StatusTooManyRequests { // the server has not seen yet that its client is gone
			t.Fatalf("got %d %s, want 409 or 429", status, body)
		}
	}
}
