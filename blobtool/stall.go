package blobtool

import (
	"context"
	"errors"
	"io"
	"time"
)

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
