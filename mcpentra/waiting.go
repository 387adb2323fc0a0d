package mcpentra

import (
	"slices"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxWaiting is how many consents a user's sessions are told of.
const maxWaiting = 16

// waiting are the consents that sessions have asked their user for, by elicitation.
// They end with their session.
type waiting struct {
	mu     sync.Mutex
	byID   map[string]*wait
	byUser map[string][]*wait // oldest first
}

type wait struct {
	id, user string
	session  *mcp.ServerSession
	until    time.Time
}

// add returns the new elicitation's id. A user's oldest makes room for one too many:
// its client is told nothing, and tries by itself.
func (w *waiting) add(user string, session *mcp.ServerSession) string {
	now := time.Now()
	x := &wait{newID(), user, session, now.Add(stateLife)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(user, func(old *wait) bool { return !now.Before(old.until) })
	if all := w.byUser[user]; len(all) >= maxWaiting {
		oldest := all[0]
		w.remove(user, func(old *wait) bool { return old == oldest })
	}
	if w.byID == nil {
		w.byID, w.byUser = map[string]*wait{}, map[string][]*wait{}
	}
	w.byID[x.id] = x
	w.byUser[user] = append(w.byUser[user], x)
	return x.id
}

// take returns the session, once, or nil.
func (w *waiting) take(id string) *mcp.ServerSession {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.byID[id]
	if x == nil {
		return nil
	}
	w.remove(x.user, func(old *wait) bool { return old == x })
	return x.session
}

// drop forgets what a session waits for that has ended.
func (w *waiting) drop(user string, session *mcp.ServerSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(user, func(old *wait) bool { return old.session == session })
}

func (w *waiting) remove(user string, which func(*wait) bool) {
	left := slices.DeleteFunc(w.byUser[user], func(x *wait) bool {
		gone := which(x)
		if gone {
			delete(w.byID, x.id)
		}
		return gone
	})
	if len(left) > 0 {
		w.byUser[user] = left
	} else {
		delete(w.byUser, user)
	}
}
