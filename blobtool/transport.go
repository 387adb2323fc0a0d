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

// maxErrorBody bounds what is read of an answer that is no success: the SDK reads
// such bodies whole.
const maxErrorBody = 64 << 10

// maxListing bounds what is read of a page of a listing, for the same reason: 5,000
// names of 1,024 characters and their properties are less.
const maxListing = 64 << 20

// transport sends the requests of all users' clients.
type transport struct {
	client *http.Client
	stall  time.Duration // how long nothing may arrive
}

// newTransport takes over a client but for redirects, which could lead anywhere,
// and cookies, which would be shared between users.
func newTransport(client *http.Client) *transport {
	own := http.Client{Transport: defaultRoundTripper()}
	if client != nil {
		own = *client
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transport{client: &own, stall: stallTimeout}
}

func defaultRoundTripper() http.RoundTripper {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
	}
}

// Do implements [policy.Transporter].
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	// Without this, Go asks for gzip by itself and unpacks a blob whose property
	// Content-Encoding is gzip: sizes and ranges would no longer be the blob's.
	req.Header.Set("Accept-Encoding", "identity")
	watch := newStallWatch(req.Context(), t.stall)
	resp, err := t.client.Do(req.WithContext(watch.ctx)) //nolint:contextcheck // derived from the request's
	if err != nil {
		return nil, watch.end(err)
	}
	watch.pause()
	if resp.StatusCode == http.StatusUnauthorized && breaksClient(resp.Header.Get("WWW-Authenticate")) {
		resp.Header.Del("WWW-Authenticate")
	}
	limit := int64(math.MaxInt64) // of a blob, which is read as far as it is wanted
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

// breaksClient says whether azblob (1.8.3) panics at a challenge: it takes the fourth of
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

// readListing reads all of a page, which takes long to parse: that begins with a core.
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

// stallTimeout is how long a connection may bring nothing, neither an answer nor
// more of its body. A call's own time-out is for those that make progress.
const stallTimeout = 20 * time.Second

// errStalled is the cause where it did.
var errStalled error = &stallError{}

type stallError struct{}

func (*stallError) Error() string { return "the storage service stopped sending" }

// NonRetriable tells azcore not to wait once more (errorinfo.NonRetriable).
func (*stallError) NonRetriable() {}

// stallWatch ends a request from which nothing comes.
type stallWatch struct {
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	after  time.Duration
}

// newStallWatch begins to wait.
func newStallWatch(parent context.Context, after time.Duration) *stallWatch {
	w := &stallWatch{after: after}
	w.ctx, w.cancel = context.WithCancelCause(parent)
	w.timer = time.AfterFunc(after, func() { w.cancel(errStalled) })
	return w
}

// pause stops the clock while nobody waits for the service.
func (w *stallWatch) pause() { w.timer.Stop() }

// resume starts it anew.
func (w *stallWatch) resume() { w.timer.Reset(w.after) }

// end is for a request that is over, with err. It returns what was the matter.
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
