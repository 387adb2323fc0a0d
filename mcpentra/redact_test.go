package mcpentra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Whatever an error quotes, the log has no credential of it, and what tools say to
// their callers is theirs.
func TestLogHasNoCredentials(t *testing.T) {
	t.Parallel()
	const sas = "https://user:SECRET-0@acct.blob.core.windows.net/docs/a.txt?sv=2025-01-05&se=2026&sig=SECRET%2Bsignature%3D&x=SECRET-1#SECRET-2"
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.SECRET-signature"
	get := &url.Error{Op: "Get", URL: sas, Err: errors.New("dial tcp 10.0.0.1:443: connection refused")}
	answer := &http.Response{
		StatusCode: 403, Header: http.Header{"X-Ms-Request-Id": {"request-7"}}, Body: io.NopCloser(strings.NewReader("<Error>SECRET-3</Error>")),
		Request: &http.Request{Method: "GET", URL: must2(url.Parse(sas))},
	}
	azure := &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthorizationFailure", RawResponse: answer}
	for text, want := range map[string]string{
		`validating "arguments": validating root: validating /properties/blob_path: type: [SECRET-9] has type "array", want "string"`: `validating "arguments": validating root: validating /properties/blob_path: type: …`,
		`validating root: unexpected additional properties ["SECRET-9"]`:                                                              `validating root: unexpected additional properties …`,
		`validating root: required: missing properties: ["blob_path"]`:                                                                `validating root: required: missing properties: ["blob_path"]`,
	} {
		if got := mcpentra.Redacted(text); got != want {
			t.Errorf("redacted(%q) = %q, want %q", text, got, want)
		}
	}
	for name, row := range map[string]struct {
		err   error
		chain bool
		panic any
		want  []string
	}{
		"url.Error":            {err: get, want: []string{"acct.blob.core.windows.net/docs/a.txt", "connection refused"}},
		"wrapped":              {err: fmt.Errorf("one: %w", fmt.Errorf("two: %w", get)), want: []string{"one: two: Get", "docs/a.txt"}},
		"joined":               {err: errors.Join(errors.New("first"), fmt.Errorf("x: %w", errors.Join(get, azure))), chain: true, want: []string{"first", "docs/a.txt", "AuthorizationFailure", "request-7"}},
		"relative":             {err: &url.Error{Op: "Get", URL: "/x?y=SECRET", Err: errors.New("no host")}, chain: true, want: []string{"/x?…"}},
		"with odd letters":     {err: &url.Error{Op: "Get", URL: "https://h/é\"x?y=SECRET\"SECRET", Err: errors.New("no host")}, chain: true, want: []string{"no host"}},
		"Azure":                {err: fmt.Errorf("reading: %w", azure), chain: true, want: []string{"reading: Azure Blob Storage answered 403 AuthorizationFailure, request id request-7"}},
		"only text":            {err: fmt.Errorf("failed: %s", get), want: []string{"acct.blob", "connection refused"}}, //nolint:errorlint // that is the point
		"signature":            {err: errors.New("at /docs?sv=1&sig=SECRET&se=2"), want: []string{"&se=2"}},
		"encoded signature":    {err: errors.New("redirect=https%3A%2F%2Fh%3Fx%3D1%26sig%3DSECRET"), want: []string{"redirect="}},
		"code":                 {err: errors.New("callback /done?code=0.SECRET-code&state=7"), want: []string{"state=7"}},
		"form":                 {err: errors.New("POST grant_type=x&client_secret=SECRET&access_token=SECRET&refresh_token=SECRET&client_assertion=SECRET"), want: []string{"grant_type=x"}},
		"JSON":                 {err: errors.New(`answer {"access_token":"SECRET","client_secret" : "SECRET","expires_in":5}`), want: []string{`expires_in`}},
		"Bearer":               {err: errors.New("sent Authorization: Bearer SECRET-opaque~token/x+y="), want: []string{"Authorization"}},
		"bearer in JSON":       {err: errors.New(`{"Authorization":"bearer SECRETSECRET"}`), want: nil},
		"JWT":                  {err: errors.New("token " + jwt + " was refused"), want: []string{"was refused"}},
		"connection string":    {err: errors.New("AccountName=acct;AccountKey=SECRETSECRET==;EndpointSuffix=core.windows.net"), want: []string{"EndpointSuffix"}},
		"Redis":                {err: errors.New("dial redis://user:SECRET@cache:6379/0: refused"), want: []string{"cache:6379", "refused"}},
		"status code stays":    {err: errors.New("status_code=404 code=404: not found"), want: []string{"status_code=404 code=404"}},
		"cut in the middle":    {err: errors.New(strings.Repeat("x", 1000) + " " + strings.Repeat(jwt, 20)), want: []string{" bytes)"}},
		"panic with a text":    {panic: "token " + jwt + " and sig=SECRET", want: []string{"token eyJ…"}},
		"panic with an error":  {panic: fmt.Errorf("x: %w", get), want: []string{"fmt.wrapError", "docs/a.txt"}},
		"panic with a token":   {panic: azcore.AccessToken{Token: "SECRET-opaque"}, want: []string{"exported.AccessToken"}},
		"panic with a list":    {panic: []any{"SECRET"}, want: []string{"[]interface {}"}},
		"panic with a pointer": {panic: &struct{ Secret string }{"SECRET"}, want: []string{"struct"}},
		"panic with much":      {panic: strings.Repeat("y", 200_000), want: []string{"(200000 bytes)"}},
	} {
		var b bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&b, nil))
		text := mcpentra.PanicText(row.panic)
		if row.err != nil {
			mcpentra.Bounded(log.Handler()).Error("m", "error", row.err)
			text = b.String()
			if b.Reset(); !row.chain { // else nothing but the chain tells
				mcpentra.Bounded(log.Handler()).Error(row.err.Error(), "text", row.err.Error())
			}
		}
		for _, secret := range []string{"SECRET", "eyJhb"} {
			if strings.Contains(text, secret) || strings.Contains(b.String(), secret) {
				t.Errorf("%s: the log has %s: %s %s", name, secret, text, b.String())
			}
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", name, want, text)
			}
		}
	}
}

// The same by a call: the line has the cause without credentials, and the caller
// reads what the tool said.
func TestFailedCallsLineHasNoCredentials(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := newWorld(t, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "own"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		return nil, nil, errors.New("see https://h/x?sig=SECRET")
	})
	mcp.AddTool(w.server.MCP(), &mcp.Tool{Name: "panics"}, func(context.Context, *mcp.CallToolRequest, any) (*mcp.CallToolResult, any, error) {
		panic(azcore.AccessToken{Token: "SECRET"})
	})
	header := map[string]string{"Authorization": "Bearer " + w.token(w.alice)}
	if _, _, body := w.post(t, callBody("own"), header); !strings.Contains(body, "see https://h/x?sig=SECRET") {
		t.Errorf("what the tool says is changed: %s", body)
	}
	if _, _, body := w.post(t, callBody("panics"), header); strings.Contains(body, "AccessToken") {
		t.Errorf("the caller reads the panic: %s", body)
	}
	if text := log.String(); strings.Contains(text, "SECRET") || !strings.Contains(text, "see https://h/x?…") || !strings.Contains(text, "exported.AccessToken") {
		t.Error(text)
	}
}

// A panic outside of MCP is one line at ERROR, with the request's id and a stack of
// bounded length.
func TestPanicOfTheHTTPLayer(t *testing.T) {
	t.Parallel()
	log := &lines{}
	w := newWorld(t, mcpentra.WithLogger(slog.New(slog.NewJSONHandler(log, nil))))
	front := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Body = panicking{}
		w.server.ServeHTTP(rw, r)
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, front+"/mcp", strings.NewReader("{}"))
	must(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token(w.alice))
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("answered %d", resp.StatusCode)
	}
	var event map[string]any
	if text := log.String(); strings.Count(text, "\n") != 1 || json.Unmarshal([]byte(text), &event) != nil {
		t.Fatalf("not one line: %s", text)
	}
	stack, _ := event["stack"].(string)
	if event["level"] != "ERROR" || event["msg"] != "mcp request" || event["outcome"] != "error" || event["request_id"] == "" ||
		!strings.Contains(stack, "panicking") || len(stack) > 9000 || strings.Contains(log.String(), "SECRET") {
		t.Errorf("%v", event)
	}
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("sig=SECRET" + strings.Repeat("x", 5000)) }
func (panicking) Close() error             { return nil }

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
