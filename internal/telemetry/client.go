package telemetry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// Client returns a copy of the HTTP client, which may be nil, that makes a client span with that
// name for each request: method, host, status and kind of error. address returns the host to
// show: those of some tenants have names. The span ends with the body. Nothing is added to the
// request: the trace does not leave the process. Without a tracer provider, Client returns c.
func (t *Telemetry) Client(c *http.Client, name string, address func(host string) string) *http.Client {
	if !t.Traces() {
		return c
	}
	own := *cmp.Or(c, &http.Client{})
	if own.Transport == nil {
		own.Transport = http.DefaultTransport
	}
	own.Transport = &transport{t, own.Transport, name, address}
	return &own
}

type transport struct {
	telemetry *Telemetry
	next      http.RoundTripper
	name      string
	address   func(string) string
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := t.telemetry.Start(req.Context(), t.name, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(HTTPMethod.String(method(req.Method)), ServerAddress.String(t.address(req.URL.Hostname()))))
	returned := false
	defer span.EndUnless(&returned)
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	returned = true
	if err != nil {
		span.Fail(FailureOf(err))
		span.End()
		return resp, err
	}
	span.Answered(resp.StatusCode)
	if resp.Body == nil { // net/http takes that from a transport
		span.End()
		return resp, nil
	}
	resp.Body = &endingBody{ReadCloser: resp.Body, span: span}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport below.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
		return m
	}
	return Other
}

// Answered sets the status of an HTTP answer; those from 400 on are failures.
func (s Span) Answered(status int) {
	if !s.Recording() {
		return
	}
	s.Set(HTTPStatus.Int(status))
	if status >= http.StatusBadRequest {
		s.Fail(strconv.Itoa(status))
	}
}

// FailureOf returns the kind of an error without an HTTP answer: timeout, canceled, tls, dns or
// connection.
func FailureOf(err error) string {
	var timeout net.Error
	_, distrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case distrusted:
		return "tls"
	case unresolved:
		return "dns"
	}
	return "connection"
}

// endingBody ends a span with the body.
type endingBody struct {
	io.ReadCloser
	span Span
	once sync.Once
}

// Read implements [io.Reader].
func (b *endingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.end(io.EOF)
	return err
}

func (b *endingBody) end(err error) {
	b.once.Do(func() {
		if !errors.Is(err, io.EOF) {
			b.span.Fail(FailureOf(err))
		}
		b.span.End()
	})
}
