package mcpentra

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
)

// newEvents returns the store of what can be replayed.
func newEvents(s *subscriptions) *eventstore.Store {
	return eventstore.New(eventstore.Options{
		Begin: func(ctx context.Context, finished func()) eventstore.Audience {
			c := callOf(ctx)
			if c == nil {
				return nil
			}
			if c.lease != nil {
				c.lease.afterwards(finished)
			}
			return c.usage
		},
		Keep: func(session string, event []byte) bool {
			uri, isNews := newsOf(event)
			return !isNews || s.admitsSession(session, uri)
		},
	})
}

// Admits implements [eventstore.Audience].
func (u *usage) Admits(ctx context.Context) bool {
	var caller *entraauth.Identity
	if c := callOf(ctx); c != nil {
		caller = c.caller
	}
	return u.decide(caller) == nil
}

// newsOf returns the resource of which an event has news.
func newsOf(event []byte) (uri string, ok bool) {
	const method = "notifications/resources/updated"
	if !bytes.Contains(event, []byte(method)) {
		return "", false
	}
	var news struct {
		Method string `json:"method"`
		Params struct {
			URI string `json:"uri"`
		} `json:"params"`
	}
	err := json.Unmarshal(event, &news)
	return news.Params.URI, err == nil && news.Method == method
}

// replays returns the stage that rejects a caller who may not have a call's answer: a
// client can resume the stream of a call with another token. Without this stage the
// answer would be empty; the refusal says what is missing.
func replays(events *eventstore.Store, f *refuser) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if events == nil || r.Method != http.MethodGet {
				next.ServeHTTP(w, r)
				return
			}
			stream, _, _ := strings.Cut(r.Header.Get("Last-Event-ID"), "_")
			if u, ok := events.Audience(r.Header.Get(sessionHeader), stream).(*usage); ok {
				if d := u.decide(callOf(r.Context()).caller); d != nil {
					f.refuse(w, r, d)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}
