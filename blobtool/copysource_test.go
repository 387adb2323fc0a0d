package blobtool_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

// freshTokens makes the world's credential return another token each time, and returns those that
// it gave out.
func (w *world) freshTokens() func() []string {
	var mu sync.Mutex
	var given []string
	w.mu.Lock()
	defer w.mu.Unlock()
	w.credential = func(context.Context) (azcore.TokenCredential, error) {
		return tokenFunc(func(policy.TokenRequestOptions) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			token := tenant.Token(w.alice, w.client, tenant.Storage(), "user_impersonation")
			given = append(given, token)
			return token, nil
		}), nil
	}
	return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(given) }
}

// sourceTokens returns the tokens for sources in the requests so far.
func (w *world) sourceTokens() (tokens []string) {
	for _, r := range w.storage.Requests() {
		if token, ok := strings.CutPrefix(r.Header("x-ms-copy-source-authorization"), "Bearer "); ok {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// Each try of a copy has a fresh token for its source, and no other request has any.
func TestCopySourceTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		blocks bool
		fault  blobtest.Fault
		tokens int
	}{
		"one":                  {false, blobtest.Fault{}, 1},
		"one, throttled twice": {false, blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 503, Code: "ServerBusy", Times: 2}, 3},
		"one, cut":             {false, blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Drop: true, Times: 1}, 2},
		"one, challenged": {false, blobtest.Fault{Operation: blobtest.OpPutBlobFromURL, Status: 401, Code: "CannotVerifyCopySource", Times: 1,
			Challenge: `Bearer authorization_uri="https://login.microsoftonline.com/x/oauth2/authorize" resource_id="https://storage.azure.com"`}, 2},
		"blocks":            {true, blobtest.Fault{}, 3},
		"blocks, throttled": {true, blobtest.Fault{Operation: blobtest.OpPutBlockFromURL, Status: 503, Code: "ServerBusy", Times: 2}, 5},
	} {
		w := newWriteWorld(t, nil, nil)
		given := w.freshTokens()
		session := w.connect(t, "alice")
		w.putSource()
		if c.blocks {
			w.inBlocks()
		}
		w.storage.ForgetRequests()
		w.storage.Fail(c.fault)
		w.wrote(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": "a.txt"})
		tokens := w.sourceTokens()
		slices.Sort(tokens)
		if len(tokens) != c.tokens || len(slices.Compact(slices.Clone(tokens))) != len(tokens) {
			t.Errorf("%s: %d tokens for sources, %d different; want %d, all different", name, len(tokens), len(slices.Compact(tokens)), c.tokens)
		}
		for _, token := range tokens {
			if !slices.Contains(given(), token) {
				t.Errorf("%s: a token that is not the user's", name)
			}
		}
		for _, r := range w.storage.Requests() {
			copies := r.Operation == blobtest.OpPutBlobFromURL || r.Operation == blobtest.OpPutBlockFromURL
			if source := r.Header("x-ms-copy-source"); (source != "") != copies || copies && !strings.HasPrefix(source, w.storage.URL()+"/docs/source.txt") {
				t.Errorf("%s: %v has the source %q", name, r.Operation, source)
			}
			if (r.Header("x-ms-copy-source-authorization") != "") != copies {
				t.Errorf("%s: %v has a token for a source: %t", name, r.Operation, !copies)
			}
		}
	}
}

// hijack answers copies instead of Azure.
type hijack struct {
	next   http.RoundTripper
	answer func(*http.Request) *http.Response // nil: Azure answers
}

func (h *hijack) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut && h.answer != nil {
		if resp := h.answer(r); resp != nil {
			return resp, nil
		}
	}
	return h.next.RoundTrip(r)
}

// The source's token goes to Azure and nowhere else: it is in no log, ours or the SDK's, no span,
// no error, no result, and no redirect. This test sets the SDK's log for the whole process, so it
// does not run beside others.
func TestCopySourceSecrecy(t *testing.T) { //nolint:paralleltest // see above
	var mu sync.Mutex
	var sdk strings.Builder
	azlog.SetListener(func(event azlog.Event, text string) {
		mu.Lock()
		defer mu.Unlock()
		sdk.WriteString(string(event) + ": " + text + "\n")
	})
	defer azlog.SetListener(nil)
	var elsewhere []string
	decoy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		elsewhere = append(elsewhere, fmt.Sprint(r.Method, r.URL, r.Header))
	}))
	defer decoy.Close()
	r := telemetrytest.New()
	h := &hijack{}
	w := newWorldOn(t, nil, func(o *blobtool.Options) {
		o.DownloadDir = ""
		o.TracerProvider, o.MeterProvider = r.TracerProvider(), r.MeterProvider()
		h.next = o.HTTPClient.Transport
		o.HTTPClient = &http.Client{Transport: h}
		o.Write = &blobtool.WriteOptions{Allow: []string{"docs"}, UserPerMinute: -1, TotalPerMinute: -1, Confirm: yes}
	})
	w.storage.GrantContributor(w.alice.ObjectID, "docs", "")
	given := w.freshTokens()
	session := w.connect(t, "alice")
	w.putSource()
	var shown []string
	sdkLog := "" // without answers that repeat the token, which the SDK logs like all bodies of errors
	for n, status := range []int{0, 307, 403, 500, 0, 301, 302, 303, 307, 308, 400, 403, 500} {
		if repeats := n > 3; repeats && sdkLog == "" {
			mu.Lock()
			sdkLog = sdk.String()
			mu.Unlock()
		}
		h.answer = nil
		if status != 0 {
			h.answer = func(r *http.Request) *http.Response {
				var token []string
				for name, values := range r.Header {
					if strings.EqualFold(name, "x-ms-copy-source-authorization") {
						token = append(token, values...)
					}
				}
				if len(token) != 1 {
					t.Errorf("status %d: the copy has %d tokens for its source, want 1", status, len(token))
				}
				repeated := ""
				if sdkLog != "" {
					repeated = strings.Join(token, "")
				}
				rec := httptest.NewRecorder()
				rec.Header().Set("Location", decoy.URL+"/"+repeated)
				rec.Header().Set("X-Ms-Request-Id", "1")
				rec.WriteHeader(status)
				_, _ = rec.WriteString(repeated)
				resp := rec.Result()
				resp.Request = r
				return resp
			}
		}
		out := w.write(t, session, "copy_blob", args{"source_path": "source.txt", "blob_path": fmt.Sprintf("%d.txt", n)})
		shown = append(shown, fmt.Sprintf("%+v", out))
		if (out.Outcome == "done") != (status == 0) {
			t.Errorf("status %d: got %+v", status, out)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(elsewhere) != 0 {
		t.Errorf("%d requests went elsewhere, want none", len(elsewhere))
	}
	if !strings.Contains(sdkLog, "x-ms-copy-source-authorization: REDACTED") && !strings.Contains(sdkLog, "X-Ms-Copy-Source-Authorization: REDACTED") {
		t.Error("the SDK's log does not show the request, so this test shows nothing")
	}
	w.mu.Lock()
	for _, cause := range w.causes {
		shown = append(shown, cause.Error())
	}
	w.mu.Unlock()
	tokens := given()
	if len(tokens) < 18 {
		t.Errorf("%d tokens were given out, want two for each copy", len(tokens))
	}
	for _, token := range tokens {
		signature := token[strings.LastIndexByte(token, '.')+1:]
		for what, text := range map[string]string{"a result or error": strings.Join(shown, "\n"), "our log": w.logs.String(), "the SDK's log": sdkLog, "a span": fmt.Sprintf("%+v", r.Spans())} {
			if strings.Contains(text, signature) {
				t.Errorf("a token is in %s", what)
			}
		}
	}
	if n := len(r.Named(telemetry.SpanStorage)); n == 0 {
		t.Error("there are no spans, so this test shows nothing of them")
	}
	for _, fault := range r.Faults("eyJ", "source.txt", w.alice.ObjectID) {
		t.Error(fault)
	}
	wantSeries(t, r, telemetry.StorageDuration, "mcpentra.operation=put_blob_from_url,mcpentra.status=2xx", 2)
}
