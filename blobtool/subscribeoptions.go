package blobtool

import (
	"context"
	"errors"
	"log/slog"
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
	// MaxPerUser is how many subscriptions a user may have in all sessions and streams. Further ones
	// are refused. MaxTotal is the number for all users. Beyond it, one of the user who has the most
	// ends for that of another who has fewer. They default to 64 and 1,000.
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
	total    int            // also of those that are only about to begin
	watched  int            // how many there are
	begun    uint64         // how many there ever were
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
	number   uint64 // that of an older one is smaller
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
	case p.total >= p.limits.MaxTotal && !p.mayTake(p.users[from.user]+1):
		return failuref(ErrThrottled, "This server has as many subscriptions to blobs as it can hold. Read the resource again when you need it, or try later.")
	}
	p.users[from.user]++
	p.total++
	return nil
}

// mayTake reports whether a user has more than n subscriptions. The caller holds the lock.
func (p *subscriptions) mayTake(n int) bool {
	for _, has := range p.users {
		if has > n {
			return true
		}
	}
	return false
}

// makeRoom ends the oldest subscriptions of the user who has the most, until there are no more than
// allowed: no user is refused because of another. The caller holds the lock.
func (p *subscriptions) makeRoom() {
	for p.watched > p.limits.MaxTotal {
		has, most := map[string]int{}, ""
		for key, w := range p.watches {
			if has[key.user] += len(w.subs); has[key.user] > has[most] {
				most = key.user
			}
		}
		var oldest *subscription
		for key, w := range p.watches {
			for x := range w.subs {
				if key.user == most && (oldest == nil || x.number < oldest.number) {
					oldest = x
				}
			}
		}
		if oldest.listen != nil {
			p.endStream(oldest, errRoomTaken)
			continue
		}
		p.remove(oldest)
		go p.roomTaken(oldest) // a slow client must not delay another user's message
	}
}

var errRoomTaken = failuref(ErrThrottled, "This server has as many subscriptions to blobs as it can hold, and yours are the most, so one ended to make room for another user. Subscribe again, to fewer blobs.")

// roomTaken tells a session that a subscription has ended, as far as the protocol can: by a last
// update.
func (p *subscriptions) roomTaken(x *subscription) {
	ctx := context.Background()
	p.set.logFailure(ctx, "a subscription to a blob ended", errRoomTaken, slog.String("user", x.user))
	p.send(ctx, []*subscription{x})
}

// release gives back what reserve counted. The caller holds the lock.
func (p *subscriptions) release(user string) {
	p.total--
	if p.users[user]--; p.users[user] == 0 {
		delete(p.users, user)
	}
}
