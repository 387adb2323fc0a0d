package telemetry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry/telemetrytest"
)

// answering is a transport.
type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// failing is a body that breaks off.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestClient(t *testing.T) {
	t.Parallel()
	status := func(code int, body io.Reader) answering {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: io.NopCloser(body)}, nil
		}
	}
	fault := func(err error) answering { return func(*http.Request) (*http.Response, error) { return nil, err } }
	for name, row := range map[string]struct {
		next      answering
		errorType string // "" for none
		status    string
	}{
		"ok":             {status(200, strings.NewReader("x")), "", "200"},
		"refused":        {status(404, strings.NewReader("hidden")), "404", "404"},
		"body times out": {status(200, failing{context.DeadlineExceeded}), "timeout", "200"},
		"body breaks":    {status(200, failing{errors.New("hidden")}), "connection", "200"},
		"canceled":       {fault(context.Canceled), "canceled", ""},
		"timeout":        {fault(&net.OpError{Err: context.DeadlineExceeded}), "timeout", ""},
		"no such host":   {fault(&net.DNSError{Name: "hidden"}), "dns", ""},
		"distrusted":     {fault(&tls.CertificateVerificationError{Err: errors.New("hidden")}), "tls", ""},
		"refused by it":  {fault(errors.New("hidden")), "connection", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := telemetrytest.New()
			var sent http.Header
			client := telemetry.New(r.TracerProvider(), nil).Client(&http.Client{Transport: answering(func(req *http.Request) (*http.Response, error) {
				sent = req.Header
				return row.next(req)
			})}, telemetry.SpanEntra, func(string) string { return "shown" })
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hidden.example/hidden?hidden=1", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			spans := r.Spans()
			if len(spans) != 1 || spans[0].Kind != trace.SpanKindClient || spans[0].Attributes[telemetry.ErrorType] != row.errorType ||
				spans[0].Attributes[telemetry.HTTPStatus] != row.status || !spans[0].Has(telemetry.ServerAddress, "shown") {
				t.Errorf("spans: %+v; want one client's with error.type %q and status %q", spans, row.errorType, row.status)
			}
			if len(sent) != 0 {
				t.Errorf("sent headers %v, want none", sent)
			}
			for _, fault := range r.Faults("hidden", "example") {
				t.Error(fault)
			}
		})
	}
}

// net/http takes an answer without a body from a transport.
func TestClientWithoutBody(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	client := telemetry.New(r.TracerProvider(), nil).Client(&http.Client{Transport: answering(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNoContent}, nil
	})}, telemetry.SpanEntra, func(string) string { return "shown" })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hidden.example", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if spans := r.Spans(); len(body) != 0 || err != nil || len(spans) != 1 || spans[0].Attributes[telemetry.HTTPStatus] != "204" {
		t.Errorf("body %q, %v and spans %+v; want none, and one span with status 204", body, err, spans)
	}
}

func TestClientWithoutProvider(t *testing.T) {
	t.Parallel()
	given := &http.Client{}
	if got := telemetry.New(nil, telemetrytest.New().MeterProvider()).Client(given, "any", nil); got != given {
		t.Error("Client made another client, want the given one")
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	told := telemetry.New(nil, r.MeterProvider())
	tally, stop := telemetry.NewTally(told, telemetry.Verifications, telemetry.Result.String("hit"))
	again, _ := telemetry.NewTally(told, telemetry.Verifications, telemetry.Result.String("hit"))
	if got := r.Series(telemetry.Verifications.Name)["mcpentra.result=hit"]; got != 0 {
		t.Errorf("at the start it is %v, want 0", got)
	}
	tally.Add(2)
	again.Add(3)
	if got := r.Series(telemetry.Verifications.Name)["mcpentra.result=hit"]; got != 5 {
		t.Errorf("it is %v, want 5: both count", got)
	}
	stop()
	if got := r.Series(telemetry.Verifications.Name)["mcpentra.result=hit"]; got != 3 {
		t.Errorf("after stop it is %v, want 3: the other's", got)
	}
	none, _ := telemetry.NewTally(nil, telemetry.Verifications)
	none.Add(1)
}

// Work for several callers is in the trace of the one that waits for it; the others have links.
func TestCauses(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	told := telemetry.New(r.TracerProvider(), nil)
	caller, span := told.Start(t.Context(), "caller")
	defer span.End()
	ctx, work := told.Start(telemetry.Follow(context.Background(), caller), "work")
	work.End()
	if telemetry.Cause(ctx).SpanID() != work.Context().SpanID() {
		t.Error("the context has not the work's span")
	}
	_, ahead := told.StartLinked(caller, "ahead", telemetry.Cause(caller))
	ahead.End()
	var shared telemetry.Work
	shared.SetSpan(work)
	told.Waited(caller, "wait", time.Now(), &shared)
	got := map[string]telemetrytest.Span{}
	for _, s := range r.Spans() {
		got[s.Name] = s
	}
	is := func(a, b trace.SpanContext) bool { return a.SpanID() == b.SpanID() }
	if s := got["work"]; !is(s.Parent, span.Context()) || len(s.Links) != 0 {
		t.Errorf("work: %+v; want it below the caller", s)
	}
	if s := got["ahead"]; s.Parent.IsValid() || len(s.Links) != 1 || !is(s.Links[0].SpanContext, span.Context()) {
		t.Errorf("ahead: %+v; want a root with a link to the caller", s)
	}
	if s := got["wait"]; !is(s.Parent, span.Context()) || len(s.Links) != 1 || !is(s.Links[0].SpanContext, work.Context()) {
		t.Errorf("wait: %+v; want it below the caller with a link to the work", s)
	}
}

// The span of a request whose transport panics ends, as a failure, once.
func TestClientPanics(t *testing.T) {
	t.Parallel()
	r := telemetrytest.New()
	client := telemetry.New(r.TracerProvider(), nil).Client(&http.Client{Transport: answering(func(*http.Request) (*http.Response, error) {
		panic("hidden")
	})}, telemetry.SpanEntra, func(string) string { return "shown" })
	func() {
		defer func() { _ = recover() }()
		if resp, err := client.Get("https://hidden.example/"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	if spans := r.Spans(); len(spans) != 1 || !spans[0].Ended || spans[0].Attributes[telemetry.ErrorType] != telemetry.Internal {
		t.Errorf("spans: %+v; want one that ended as internal", spans)
	}
	for _, fault := range r.Faults("hidden") {
		t.Error(fault)
	}
}
