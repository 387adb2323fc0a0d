package blobtool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// maxErrorBody limits the body of an error, which the SDK reads whole.
const maxErrorBody = 64 << 10

// maxListing limits a page of a listing, which the SDK also reads whole: 5,000 names of
// 1,024 characters and their properties are smaller.
const maxListing = 64 << 20

// transport sends the requests of all users' clients.
type transport struct {
	client *http.Client
	stall  time.Duration // longest time without data
	tell   *setTelemetry
}

// newTransport copies a client without its redirects, which could lead anywhere, and
// without its cookies, which users would share.
func newTransport(client *http.Client, tell *setTelemetry) *transport {
	own := http.Client{Transport: defaultRoundTripper()}
	if client != nil {
		own = *client
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{client: &own, stall: stallTimeout, tell: tell}
}

func defaultRoundTripper() http.RoundTripper {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, // a stallWatch limits the wait for an answer
		IdleConnTimeout:     90 * time.Second,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 64,
	}
}

// Do implements [policy.Transporter]. The Azure SDK calls it for each try.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	if t.tell.Telemetry == nil {
		return t.send(req)
	}
	ctx, call := t.tell.begin(req)
	returned := false
	defer call.span.EndUnless(&returned)
	resp, err := t.send(req.WithContext(ctx))
	returned = true
	return call.answered(ctx, resp, err)
}

func (t *transport) send(req *http.Request) (*http.Response, error) {
	// Otherwise Go requests gzip and unpacks blobs with the property Content-Encoding
	// gzip, so that sizes and ranges would not be the blob's.
	req.Header.Set("Accept-Encoding", "identity")
	watch := newStallWatch(req.Context(), t.stall)
	if copySourceOf(req.Header) != "" {
		watch.pause() // the answer comes when all is copied: the call's time limits it
	}
	resp, err := t.client.Do(req.WithContext(watch.ctx)) //nolint:contextcheck // derived from the request's
	if err != nil {
		return nil, watch.end(err)
	}
	watch.pause()
	if isUnsigned(req.Method, resp) {
		_ = resp.Body.Close()
		return nil, watch.end(errUnsigned)
	}
	if resp.StatusCode == http.StatusUnauthorized && breaksClient(resp.Header.Get("WWW-Authenticate")) {
		resp.Header.Del("WWW-Authenticate")
	}
	limit := int64(math.MaxInt64) // blobs are streamed
	if resp.StatusCode >= http.StatusMultipleChoices {
		limit = maxErrorBody
	} else if req.URL.Query().Has("comp") {
		limit = maxListing
	}
	resp.Body = &watchedBody{io.LimitReader(resp.Body, limit), resp.Body, watch}
	if limit == maxListing {
		if err := readListing(req.Context(), resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// isUnsigned reports whether an answer says that a write is done, or under way, but is not Azure's:
// all of those have a request ID.
func isUnsigned(method string, resp *http.Response) bool {
	return (method == http.MethodPut || method == http.MethodDelete) && resp.StatusCode < http.StatusMultipleChoices && resp.Header.Get("x-ms-request-id") == ""
}

// errUnsigned is the cause then. The write may have been carried out.
var errUnsigned = errors.New("something between this server and the storage service answered: the answer has no x-ms-request-id")

// breaksClient reports whether azblob (1.8.3) panics at a challenge: it takes the fourth of
// the parts between slashes of authorization_uri if there are three. A panic in one of our
// goroutines would end the process.
func breaksClient(challenge string) bool {
	for field := range strings.SplitSeq(strings.ReplaceAll(challenge, "Bearer ", ""), " ") {
		if uri, ok := strings.CutPrefix(field, "authorization_uri="); ok && strings.Count(uri, "/") == 2 {
			return true
		}
	}
	return false
}

// readListing reads a page of a listing and takes a core, because parsing it is slow.
func readListing(ctx context.Context, resp *http.Response) error {
	page, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	resp.Body = io.NopCloser(bytes.NewReader(page))
	if err != nil {
		return err
	}
	return work.ParserOf(ctx).Begin()
}

// stallTimeout is how long a connection may deliver nothing, neither an answer nor more of
// its body. Connections that make progress are limited by the call's timeout.
const stallTimeout = 20 * time.Second

// errStalled is the cause if a connection exceeded that.
var errStalled error = &stallError{}

type stallError struct{}

func (*stallError) Error() string { return "the storage service stopped sending" }

// NonRetriable tells azcore not to retry (errorinfo.NonRetriable).
func (*stallError) NonRetriable() {}

// stallWatch cancels a request that delivers nothing.
type stallWatch struct {
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

// newStallWatch returns a watch that is running.
func newStallWatch(parent context.Context, after time.Duration) *stallWatch {
	w := &stallWatch{after: after}
	w.ctx, w.cancel = context.WithCancelCause(parent)
	w.timer = time.AfterFunc(after, func() { w.cancel(errStalled) })
	return w
}

// pause stops the watch while nobody waits for the service.
func (w *stallWatch) pause() { w.timer.Stop() }

// resume restarts it.
func (w *stallWatch) resume() { w.timer.Reset(w.after) }

// end stops the watch of a request that ended with err. It returns errStalled if that is
// the reason, and otherwise err.
func (w *stallWatch) end(err error) error {
	w.timer.Stop()
	if err != nil && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	w.cancel(nil)
	return err
}

// watchedBody is an answer's body under a watch.
type watchedBody struct {
	io.Reader
	body  io.Closer
	watch *stallWatch
}

// Read implements [io.Reader].
func (b *watchedBody) Read(p []byte) (int, error) {
	b.watch.resume()
	n, err := b.Reader.Read(p)
	b.watch.pause()
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.watch.end(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *watchedBody) Close() error {
	err := b.body.Close()
	_ = b.watch.end(nil)
	return err
}
