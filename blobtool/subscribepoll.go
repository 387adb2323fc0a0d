package blobtool

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

const (
	// pollTimeout limits a request for an ETag. It has no retries: the next one comes anyway.
	pollTimeout = 30 * time.Second
	// longestPause limits what Azure's Retry-After makes a watch wait.
	longestPause = time.Hour
	// maxTokenFailures is how often in a row there may be no token, if the credential does not say
	// that this is temporary.
	maxTokenFailures = 3
)

// watch adds a subscription to the user's watch of the blob. The caller holds the lock.
func (p *subscriptions) watch(x *subscription) {
	key := watchKey{x.user, x.at}
	w := p.watches[key]
	if w == nil {
		ctx, stop := context.WithCancel(context.Background()) // it outlives the message that began it
		w = &watch{of: p, key: key, subs: map[*subscription]struct{}{}, woke: make(chan struct{}, 1), stop: stop}
		p.watches[key] = w
		go w.run(ctx)
	}
	x.watch = w
	w.subs[x] = struct{}{}
	p.watched++
	w.wakeUp()
}

// unwatch removes a subscription from its watch, which ends without any, and from the count. The
// caller holds the lock.
func (p *subscriptions) unwatch(x *subscription) {
	w := x.watch
	delete(w.subs, x)
	p.watched--
	if len(w.subs) == 0 {
		delete(p.watches, w.key)
		w.stop()
	}
	p.release(x.user)
}

// remove ends a subscription. The caller holds the lock.
func (p *subscriptions) remove(x *subscription) {
	all := p.sessions[x.session]
	if all == nil || all.uris[x.uri] != x {
		return // replaced, or ended
	}
	delete(all.uris, x.uri)
	p.unwatch(x)
	if len(all.uris) == 0 && !all.waits {
		delete(p.sessions, x.session)
	}
}

// wakeUp makes the watch ask as often as at its beginning.
func (w *watch) wakeUp() {
	select {
	case w.woke <- struct{}{}:
	default:
	}
}

// run asks until the context ends.
func (w *watch) run(ctx context.Context) {
	limits := &w.of.limits
	interval, notBefore := limits.MinInterval, time.Time{}
	timer := time.NewTimer(varied(interval))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			var pause time.Duration
			interval, pause = w.poll(ctx, interval)
			notBefore = time.Now().Add(pause)
			timer.Reset(max(varied(interval), pause))
		case <-w.woke:
			if interval > limits.MinInterval {
				interval = limits.MinInterval
				timer.Reset(max(varied(interval), time.Until(notBefore)))
			}
		case <-ctx.Done():
			return
		}
	}
}

// varied changes an interval by up to a fifth, so that watches do not ask all at once.
func varied(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5+1) //nolint:gosec // no secret
}

// poll asks once and notifies the subscribers. It returns the next interval, and how long to wait at
// least.
func (w *watch) poll(ctx context.Context, interval time.Duration) (next, pause time.Duration) {
	x, client := w.pick()
	slower := min(interval*3/2, w.of.limits.MaxInterval)
	if x == nil {
		return slower, 0
	}
	etag, err := w.ask(ctx, client)
	if err == nil {
		if w.of.tell(ctx, w, x, etag) {
			return w.of.limits.MinInterval, 0
		}
		return slower, 0
	}
	if ctx.Err() != nil {
		return slower, 0
	}
	failure := fromAzure(ctx, w.key.at, err)
	switch {
	case failure.between, errors.Is(failure, ErrUnavailable), isTemporary(failure):
		return slower, 0
	case errors.Is(failure, ErrThrottled):
		return min(interval*2, max(w.of.limits.MaxInterval, interval)), min(failure.RetryAfter, longestPause)
	case errors.Is(failure, ErrCredential), errors.Is(failure, ErrWrongAudience):
		w.of.noToken(x, client, failure)
		return interval, 0
	}
	w.of.rightEnded(ctx, w, failure)
	return interval, 0
}

// isTemporary reports whether a credential's error says so, as obo's do.
func isTemporary(err error) bool {
	e, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && e.Temporary()
}

// ask returns the blob's ETag, which is empty if there is no blob.
func (w *watch) ask(ctx context.Context, client *blob.Client) (etag azcore.ETag, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	defer recovered(&err) // a credential is the program's
	now, err := w.of.set.look(policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1}), w.key.at, client)
	return now.etag, err
}

// pick returns the subscription whose token is good for the longest time, and its client. It ends
// streams whose tokens have expired.
func (w *watch) pick() (best *subscription, client *blob.Client) {
	p := w.of
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for x := range w.subs {
		switch expired := !x.expires.IsZero() && !now.Before(x.expires); {
		case expired && x.listen != nil:
			p.endStream(x, failuref(ErrCredential, "The token that began this stream has expired. Sign in again, and begin another stream."))
		case expired, x.paused:
		case best == nil, x.expires.IsZero(), !best.expires.IsZero() && x.expires.After(best.expires):
			best, client = x, x.client
		}
	}
	return best, client
}

// tell sends an update to those of the watch's sessions that know another ETag, and reports whether
// there are any.
func (p *subscriptions) tell(ctx context.Context, w *watch, by *subscription, etag azcore.ETag) bool {
	p.mu.Lock()
	by.failures = 0
	var news []*subscription
	for x := range w.subs {
		if x.told != etag && (x.listen == nil || x.listen.acked) {
			x.told = etag
			news = append(news, x)
		}
	}
	p.mu.Unlock()
	p.send(ctx, news)
	return len(news) > 0
}

// send sends an update to the sessions of these subscriptions and to no others: the SDK's
// ResourceUpdated is for all that subscribe to the URI.
func (p *subscriptions) send(ctx context.Context, news []*subscription) {
	type place struct {
		server *mcp.Server
		uri    string
	}
	to := map[place][]*mcp.ServerSession{}
	for _, x := range news {
		at := place{x.server, x.uri}
		to[at] = append(to[at], x.session)
	}
	for at, sessions := range to {
		params := &mcp.ResourceUpdatedNotificationParams{URI: at.uri, Meta: toolset.Address(sessions)}
		_ = at.server.ResourceUpdated(ctx, params) // it logs what fails
	}
}

// noToken notes that there was no token for a subscription. After some times in a row its stream
// ends. In a session it pauses until there is a newer token.
func (p *subscriptions) noToken(x *subscription, client *blob.Client, failure *Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x.client != client {
		return // it has a newer one
	}
	if x.failures++; x.failures < maxTokenFailures && !errors.Is(failure, ErrWrongAudience) {
		return
	}
	x.paused = true
	if x.listen != nil {
		p.endStream(x, failure)
	}
}

// rightEnded ends all subscriptions of a watch. Streams fail with the reason. A session has no
// message for that: it gets a last update, so that its client reads the blob and learns the reason.
func (p *subscriptions) rightEnded(ctx context.Context, w *watch, failure *Error) {
	p.mu.Lock()
	var last []*subscription
	for x := range w.subs {
		if x.listen != nil {
			p.endStream(x, failure)
			continue
		}
		p.remove(x)
		last = append(last, x)
	}
	p.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // the watch has stopped
	if len(last) > 0 {
		p.set.logFailure(ctx, "subscriptions to a blob ended", failure, slog.String("user", w.key.user))
	}
	p.send(ctx, last)
}

// An endedError is why a stream ends.
type endedError struct{ cause error }

// Error implements error.
func (e *endedError) Error() string { return e.cause.Error() }

// endStream ends a stream: all its subscriptions. The caller holds the lock.
func (p *subscriptions) endStream(x *subscription, why error) {
	p.remove(x)
	x.listen.end(&endedError{why})
}
