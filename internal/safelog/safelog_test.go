package safelog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// logged returns the line of a record.
func logged(message string, args ...any) string {
	var b bytes.Buffer
	slog.New(safelog.NewHandler(slog.NewJSONHandler(&b, nil))).Error(message, args...)
	return b.String()
}

// Whatever an error quotes, the log has none of its credentials.
func TestNoCredentials(t *testing.T) {
	t.Parallel()
	const sas = "https://user:SECRET-0@acct.blob.core.windows.net/docs/a.txt?sv=2025-01-05&se=2026&sig=SECRET%2Bsignature%3D&x=SECRET-1#SECRET-2"
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJTRUNSRVQifQ.SECRET-signature"
	get := &url.Error{Op: "Get", URL: sas, Err: errors.New("dial tcp 10.0.0.1:443: connection refused")}
	answer := &http.Response{
		StatusCode: 403, Header: http.Header{"X-Ms-Request-Id": {"request-7"}}, Body: io.NopCloser(strings.NewReader("<Error>SECRET-3</Error>")),
		Request: httptest.NewRequest(http.MethodGet, sas, nil),
	}
	azure := &azcore.ResponseError{StatusCode: 403, ErrorCode: "AuthorizationFailure", RawResponse: answer}
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
		"DPoP and a tab":       {err: errors.New("sent DPoP\tSECRETSECRET twice"), want: []string{"twice"}},
		"basic":                {err: errors.New("Authorization: Basic SECRETSECRET"), want: []string{"Authorization"}},
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
		text := safelog.Panic(row.panic)
		if row.err != nil {
			text = logged("m", "error", row.err)
			if !row.chain { // its text alone shows what to remove
				text += logged(row.err.Error(), "text", row.err.Error())
			}
		}
		for _, secret := range []string{"SECRET", "eyJhb"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: the log has %s: %s", name, secret, text)
			}
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", name, want, text)
			}
		}
	}
}

// Faults in the arguments of tools are logged without the arguments.
func TestNoArguments(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`validating "x": validating root: validating /properties/blob_path: type: [SECRET-9] has type "array", want "string"`: `validating /properties/blob_path: type: …"`,
		`validating root: unexpected additional properties ["SECRET-9"]`:                                                      `validating root: unexpected additional properties …"`,
		`validating root: required: missing properties: ["blob_path"]`:                                                        `validating root: required: missing properties: [\"blob_path\"]"`,
	} {
		if got := logged(text); strings.Contains(got, "SECRET") || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// fickle is another value each time that it is asked.
type fickle struct{ asked *int }

func (f fickle) LogValue() slog.Value {
	if *f.asked++; *f.asked > 1 {
		return slog.StringValue("sig=SECRET")
	}
	return slog.StringValue("harmless")
}

// What was found to be safe is what is logged.
func TestValuesAreAskedOnce(t *testing.T) {
	t.Parallel()
	for _, args := range [][]any{{"x", fickle{new(int)}}, {slog.Group("g", "x", fickle{new(int)})}} {
		if got := logged("m", args...); !strings.Contains(got, "harmless") {
			t.Errorf("got %s, want harmless", got)
		}
	}
}

// The handler keeps the groups and attributes of the logger.
func TestShape(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(safelog.NewHandler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	log.With("a", 1).WithGroup("g").Info("m", "b", true, slog.Group("h", "c", strings.Repeat("x", 2000)), "e", errors.New("é"), "n", nil)
	want := "level=INFO msg=m a=1 g.b=true g.h.c=\"" + strings.Repeat("x", safelog.MaxText) + "… (2000 bytes)\" g.e=é g.n=<nil>\n"
	if got := b.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkRecord(b *testing.B) {
	log := slog.New(safelog.NewHandler(slog.DiscardHandler))
	record := slog.NewRecord(time.Now(), slog.LevelInfo, "mcp request", 0)
	record.AddAttrs(slog.String("request_id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), slog.String("client", "127.0.0.1"), slog.String("method", "tools/call"),
		slog.String("tool", "read_blob"), slog.Group("caller", "user", "00000000-0000-0000-0000-000000000000", "app", "00000000-0000-0000-0000-000000000000"),
		slog.String("outcome", "ok"), slog.Duration("duration", time.Millisecond))
	b.ReportAllocs()
	for b.Loop() {
		_ = log.Handler().Handle(b.Context(), record)
	}
}
