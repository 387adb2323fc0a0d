package blobtool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

const (
	// askTime is how long a user may take to answer in a session.
	askTime = 5 * time.Minute
	// awakeEvery is how often the client hears of a call that waits for its user. Gateways cut a
	// stream that is quiet for 30 seconds.
	awakeEvery = 20 * time.Second
	// maxAsking limits the questions that wait for one user, in sessions.
	maxAsking = 4
)

// mustAskError is the error of a call that must ask its user first.
type mustAskError struct{ Question }

// Error implements error.
func (*mustAskError) Error() string { return "blobtool: the user must be asked first" }

// questionIn returns the question for the user with which a run ended, or nil.
func questionIn(err error) *Question {
	if ask, ok := errors.AsType[*mustAskError](err); ok {
		return &ask.Question
	}
	return nil
}

// An asker asks users, and knows what they have answered.
type asker struct {
	states questionStates
	time   time.Duration // that they have in a session
	awake  time.Duration // how often a client hears of a call that waits

	mu      sync.Mutex
	waiting map[string]int // users' questions in sessions
}

func newAsker(states *seal.Sealer, now func() time.Time) *asker {
	return &asker{states: questionStates{sealer: states, now: now}, time: askTime, awake: awakeEvery, waiting: map[string]int{}}
}

// accept returns why an answer does not let a call do what the question says. A yes is used up.
func (a *asker) accept(x *answer, q *Question) error {
	if x.err != nil {
		return x.err
	}
	if string(x.question) != string(q.hash()) {
		return failuref(ErrNotConfirmed, "The blob, or what this call would do to it, has changed since the user was asked, so the answer does not apply. Nothing was changed by this call. Read the blob, then call again: the user is asked again.")
	}
	if x.state == "" {
		return nil
	}
	return a.states.used.take(q.User, x.state, x.made, a.states.now())
}

// inSession asks the user in the call's session, and waits for the answer. Meanwhile the call holds
// nothing: its first run is over.
func (a *asker) inSession(ctx context.Context, req *mcp.CallToolRequest, q *Question) *answer {
	answered, ok := a.begin(q.User)
	if !ok {
		return &answer{err: failuref(ErrThrottled, "The user already has %d questions to answer. Nothing was changed. Call again when they are answered.", maxAsking)}
	}
	defer answered()
	ctx, cancel := context.WithTimeout(ctx, a.time)
	defer cancel()
	defer a.keepAwake(ctx, req)()
	response, err := req.Session.Elicit(ctx, q.elicitation())
	switch {
	case err == nil:
		return &answer{question: q.hash(), err: said(response)}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = &Error{Kind: ErrNotConfirmed, text: fmt.Sprintf("The user did not answer within %v. Nothing was changed. Do not try again unless the user asks for it.", a.time), cause: err}
	default: // also an answer that is not of the form
		err = &Error{Kind: ErrNotConfirmed, text: "The client sent no valid answer from the user. Nothing was changed. Do not try again unless the user asks for it.", cause: err}
	}
	return &answer{question: q.hash(), err: err}
}

// begin counts a question of a user until it is answered, and reports false if there are too many.
func (a *asker) begin(user string) (answered func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.waiting[user] >= maxAsking {
		return nil, false
	}
	a.waiting[user]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.waiting[user]--; a.waiting[user] == 0 {
			delete(a.waiting, user)
		}
	}, true
}

// keepAwake sends something to the client now and then until it is stopped: progress, which also
// keeps the client waiting, if it asked for that, and otherwise pings.
func (a *asker) keepAwake(ctx context.Context, req *mcp.CallToolRequest) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(a.awake)
		defer tick.Stop()
		for n := 1.0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if token := req.Params.GetProgressToken(); token != nil {
				_ = req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: n, Message: "waiting for the user's answer"})
			} else {
				_ = req.Session.Ping(ctx, nil) // a client that is gone ends the call's context
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
