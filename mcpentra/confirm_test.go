package mcpentra_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
)

// writing is an option with blobtool's tools that write, for Alice. All servers of it have one key
// for questions.
func writing(t testing.TB, w *world) mcpentra.Option {
	t.Helper()
	w.blobs.GrantContributor(w.alice.ObjectID, "docs", "")
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, &blobtool.Options{
		HTTPClient: w.blobs.HTTPClient(), Tools: []string{"write_blob", "edit_blob", "delete_blob", "stat_blob"},
		Write: &blobtool.WriteOptions{Allow: []string{"docs"}, StateKeys: [][]byte{stateKey('q')}},
	})
	must(t, err)
	return mcpentra.WithTools(set)
}

// A thinker is a person with a client that shows pages and forms, and what was shown, by kind.
type thinker struct {
	page person
	form func(*mcp.ElicitParams) *mcp.ElicitResult

	mu    sync.Mutex
	shown []string
}

func (p *thinker) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.shown)
}

func ticks(*mcp.ElicitParams) *mcp.ElicitResult {
	return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}
}

func (w *world) connectThinker(t testing.TB, token, protocol string, p *thinker, byHand bool) *mcp.ClientSession {
	t.Helper()
	o := &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}, Form: &mcp.FormElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			p.mu.Lock()
			p.shown = append(p.shown, req.Params.Mode)
			p.mu.Unlock()
			if req.Params.Mode == "url" {
				return &mcp.ElicitResult{Action: p.page(ctx, req.Params.URL)}, nil
			}
			return p.form(req.Params), nil
		},
	}
	if byHand {
		o.MultiRoundTrip = &mcp.MultiRoundTripOptions{Disabled: true}
	}
	transport := &http.Transport{}
	s, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, o).Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint: w.url, HTTPClient: &http.Client{Transport: withToken{token, transport}}, MaxRetries: -1,
	}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
	must(t, err)
	t.Cleanup(func() {
		_ = s.Close()
		transport.CloseIdleConnections()
	})
	return s
}

var hello = map[string]any{"blob_path": "hello.txt", "old_text": "Hello", "new_text": "Good day"}

// actionsIn returns the actions of the lines of tool calls, with the outcomes of the calls.
func actionsIn(log string) (all []string) {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `msg="mcp request"`) && strings.Contains(line, "method=tools/call") {
			outcome := strings.Trim(between(line, " outcome=", " "), "\n")
			all = append(all, outcome+": "+between(line, ` actions="[`, `]"`))
		}
	}
	return all
}

// A destructive call asks its user through mcpentra, in both kinds of protocol, and its line says
// what it did.
func TestConfirmation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, protocol string
		opts           []mcpentra.Option
		form           func(*mcp.ElicitParams) *mcp.ElicitResult
		shown          int
		want           string
		lines          []string
	}{
		{"2026-07-28", "2026-07-28", nil, ticks, 1, `"outcome":"done"`, []string{"input: asked edit docs", "ok: done edit docs"}},
		{"declined", "2026-07-28", nil, func(*mcp.ElicitParams) *mcp.ElicitResult { return &mcp.ElicitResult{Action: "decline"} }, 1, "did not agree", []string{"input: asked edit docs", "error: refused edit docs"}},
		{"session", "2025-11-25", []mcpentra.Option{mcpentra.WithSessions()}, ticks, 1, `"outcome":"done"`, []string{"ok: done edit docs"}},
		{"declined in a session", "2025-11-25", []mcpentra.Option{mcpentra.WithSessions()}, func(*mcp.ElicitParams) *mcp.ElicitResult { return &mcp.ElicitResult{Action: "cancel"} }, 1, "did not agree", []string{"error: refused edit docs"}},
		{"modern client, server with sessions", "2026-07-28", []mcpentra.Option{mcpentra.WithSessions()}, ticks, 1, `"outcome":"done"`, nil},
		{"older without sessions", "2025-11-25", nil, ticks, 0, `"outcome":"done"`, []string{"ok: done edit docs"}}, // an edit, and nobody to ask
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.options = append(c.opts, writing(t, w))
			w.rebuild(t)
			p := &thinker{form: c.form}
			s := w.connectThinker(t, w.token(w.alice), c.protocol, p, false)
			before := len(w.log.String())
			_, text := call(t, s, "edit_blob", hello)
			if !strings.Contains(text, c.want) || len(p.seen()) != c.shown {
				t.Errorf("got %s after %q, want %s after %d questions", text, p.seen(), c.want, c.shown)
			}
			if got := actionsIn(w.log.String()[before:]); c.lines != nil && !slices.Equal(got, c.lines) {
				t.Errorf("the lines have the actions %q, want %q", got, c.lines)
			}
		})
	}
}

// Consent and confirmation work one after the other in one call.
func TestConsentThenConfirmation(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	w.options = append(w.options, writing(t, w))
	w.rebuild(t)
	p := &thinker{page: w.consents(t, w.alice), form: ticks}
	s := w.connectThinker(t, w.token(w.alice), "2026-07-28", p, false)
	if _, text := call(t, s, "edit_blob", hello); !strings.Contains(text, `"outcome":"done"`) || !slices.Equal(p.seen(), []string{"url", "form"}) {
		t.Errorf("got %s after %q, want it done after a page and a form", text, p.seen())
	}
}

// A consent that is missing after the user has agreed does not lose the user's yes, and the two
// states are not taken for each other.
func TestConfirmationThenConsent(t *testing.T) {
	t.Parallel()
	w := consentWorld(t)
	w.options = append(w.options, writing(t, w))
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.rebuild(t)
	p := &thinker{}
	do := func(state, key string, answer *mcp.ElicitResult) *mcp.CallToolResult {
		t.Helper()
		s := w.connectThinker(t, w.token(w.alice), "2026-07-28", p, true)
		params := &mcp.CallToolParams{Name: "edit_blob", Arguments: hello, RequestState: state}
		if answer != nil {
			params.InputResponses = mcp.InputResponseMap{key: answer}
		}
		r, err := s.CallTool(t.Context(), params)
		must(t, err)
		return r
	}
	asked := do("", "", nil)
	if !asked.NeedsInput() || asked.InputRequests["confirm"] == nil || !strings.HasPrefix(asked.RequestState, "blobtool1.") {
		t.Fatalf("got %+v, want a question", asked)
	}
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	w.useExchanger(t, &obo.Options{RedirectURL: "https://mcp.example.com/consent/done"}) // a replica that has no token yet
	missing := do(asked.RequestState, "confirm", ticks(nil))
	page, _ := missing.InputRequests["consent"].(*mcp.ElicitParams)
	if page == nil || !strings.HasPrefix(missing.RequestState, "mcpentra1.") || len(missing.RequestState) > 4096 {
		t.Fatalf("got %+v, want a page", missing)
	}
	if page == nil || w.consents(t, w.alice)(t.Context(), page.URL) != "accept" {
		t.Fatal("the user did not consent")
	}
	done := do(missing.RequestState, "consent", &mcp.ElicitResult{Action: "accept"})
	if text, _ := json.Marshal(done); !strings.Contains(string(text), `"outcome":"done"`) {
		t.Errorf("got %s, want it done without a second question", text)
	}
	// Each state is good for its own stage only.
	s := w.connectThinker(t, w.token(w.alice), "2026-07-28", p, true)
	_, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "edit_blob", Arguments: hello, RequestState: "mcpentra1." + strings.TrimPrefix(asked.RequestState, "blobtool1.")})
	if err == nil || !strings.Contains(err.Error(), "request state is not from this server") {
		t.Errorf("a question's state as one of consent: got %v, want it refused", err)
	}
	own := do("blobtool1."+strings.TrimPrefix(missing.RequestState, "mcpentra1."), "confirm", ticks(nil))
	if text, _ := json.Marshal(own); !strings.Contains(string(text), "not one that this server made") {
		t.Errorf("a state of consent as a question's: got %s, want it refused", text)
	}
}
