package blobtool

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// Defaults of [SubscriptionOptions].
const (
	DefaultUserSubscriptions  = 64
	DefaultTotalSubscriptions = 1000
	DefaultMinInterval        = 5 * time.Second
	DefaultMaxInterval        = time.Minute
)

// SubscriptionOptions lets callers subscribe to blobs that they may read. Azure Storage tells
// nobody about changes, so the set asks for each blob's ETag, once for each user and blob, with
// that user's token: one Get Blob Properties, which is billed and does not count as an access.
type SubscriptionOptions struct {
	// MaxPerUser is how many subscriptions a user may have in all sessions and streams, and
	// MaxTotal is the number for all users. Further ones are refused. They default to 64 and 1,000.
	MaxPerUser, MaxTotal int

	// MinInterval is the time between two requests for a blob that has just changed. While nothing
	// changes, the time grows by half at each request, up to MaxInterval. Each is varied by up to
	// a fifth. Throttling makes it longer, to what Azure asks for (at most an hour). They default
	// to 5 seconds and a minute; the least is a second.
	MinInterval, MaxInterval time.Duration
}

// subscriptions are those to the blobs of a set.
type subscriptions struct {
	set      *Set
	limits   SubscriptionOptions
	now      func() time.Time
	mu       sync.Mutex
	watches  map[watchKey]*watch
	sessions map[*mcp.ServerSession]*subscribed
	users    map[string]int // each one's number of subscriptions
	total    int
}

// subscribed is what a session subscribes to, by URI as its client spells it.
type subscribed struct {
	uris  map[string]*subscription
	waits bool // the session's end is awaited, and ends them
}

// A subscription is one of a session or stream. It is guarded by the lock of subscriptions.
type subscription struct {
	*subscriber
	uri      string
	at       names.Location
	watch    *watch
	client   *blob.Client
	told     azcore.ETag // of what its client knows; empty if there is no blob
	failures int         // how often in a row there was no token
	paused   bool        // until the session has a newer token
}

// A subscriber is the message that subscribes.
type subscriber struct {
	server  *mcp.Server
	session *mcp.ServerSession
	user    string
	expires time.Time // its token; zero if that is not known
	listen  *listen   // nil for resources/subscribe
}

// A listen is a stream of subscriptions/listen.
type listen struct {
	end   context.CancelCauseFunc
	acked bool // its client knows that it has begun
}

// A watchKey is a user and a blob. Users share no watch: nobody may learn what another user sees, or
// when.
type watchKey struct {
	user string
	at   names.Location
}

// A watch asks for the ETag of one blob, with the rights of one user. It is guarded by the lock of
// subscriptions.
type watch struct {
	of   *subscriptions
	key  watchKey
	subs map[*subscription]struct{}
	woke chan struct{} // someone is interested again
	stop context.CancelFunc
}

func newSubscriptions(s *Set, o SubscriptionOptions, now func() time.Time) (*subscriptions, []error) {
	var errs []error
	number := func(field string, v *int64, byDefault, least int64, what string) {
		if *v == 0 {
			*v = byDefault
		}
		if *v < least {
			errs = append(errs, configurationError("Options.Subscriptions."+field, errors.New("is less than "+what+"; leave it at 0 for the default")))
		}
	}
	perUser, total := int64(o.MaxPerUser), int64(o.MaxTotal)
	number("MaxPerUser", &perUser, DefaultUserSubscriptions, 1, "1")
	number("MaxTotal", &total, DefaultTotalSubscriptions, 1, "1")
	o.MaxPerUser, o.MaxTotal = int(perUser), int(total)
	number("MinInterval", (*int64)(&o.MinInterval), int64(DefaultMinInterval), int64(time.Second), "a second")
	number("MaxInterval", (*int64)(&o.MaxInterval), int64(max(DefaultMaxInterval, o.MinInterval)), int64(o.MinInterval), "MinInterval")
	return &subscriptions{
		set: s, limits: o, now: now,
		watches: map[watchKey]*watch{}, sessions: map[*mcp.ServerSession]*subscribed{}, users: map[string]int{},
	}, errs
}

// reserve counts a subscription before it exists, so that the limits hold for concurrent calls.
// One that replaces another is let in.
func (p *subscriptions) reserve(from *subscriber, uri string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	again := false
	if all := p.sessions[from.session]; all != nil {
		again = all.uris[uri] != nil
	}
	switch {
	case again:
	case p.users[from.user] >= p.limits.MaxPerUser:
		return failuref(ErrThrottled, "You have %d subscriptions to blobs, the most that this server allows a user. Unsubscribe from others first.", p.limits.MaxPerUser)
	case p.total >= p.limits.MaxTotal:
		return failuref(ErrThrottled, "This server has as many subscriptions to blobs as it can hold. Read the resource again when you need it, or try later.")
	}
	p.users[from.user]++
	p.total++
	return nil
}

// release gives back what reserve counted. The caller holds the lock.
func (p *subscriptions) release(user string) {
	p.total--
	if p.users[user]--; p.users[user] == 0 {
		delete(p.users, user)
	}
}
