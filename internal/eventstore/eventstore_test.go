package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/eventstore"
)

const (
	userBytes = 640 << 10
	allBytes  = 16 << 20
	answers   = 1024
)

// A store in which each session belongs to a user.
type store struct {
	*eventstore.Store
	finished func() // of the last opened stream
}

func newStore() *store {
	s := &store{}
	s.Store = eventstore.New(eventstore.Options{UserBytes: userBytes, AllBytes: allBytes, Begin: func(_ context.Context, finished func()) eventstore.Audience {
		s.finished = finished
		return nil
	}})
	return s
}

func (s *store) append(t *testing.T, session, stream string, data []byte) {
	t.Helper()
	if err := s.Append(t.Context(), session, stream, data); err != nil {
		t.Fatal(err)
	}
}

func (s *store) open(t *testing.T, session, stream string) {
	t.Helper()
	if err := s.Open(t.Context(), session, stream); err != nil {
		t.Fatal(err)
	}
}

// answer appends a call's answer on its own stream, which then ends.
func (s *store) answer(t *testing.T, session, stream string, data []byte) {
	t.Helper()
	s.open(t, session, stream)
	s.append(t, session, stream, data)
	s.finished()
}

func (s *store) replay(ctx context.Context, session, stream string, after int) (string, error) {
	var all []string
	for data, err := range s.After(ctx, session, stream, after) {
		if err != nil {
			return "", err
		}
		all = append(all, string(data))
	}
	return strings.Join(all, " "), nil
}

// A user's answers are limited in number and bytes, and evict only that user's own.
func TestUserBounds(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStore()
	s.answer(t, "bob", "1", []byte("for Bob"))
	for i := range 5 * answers {
		s.answer(t, "alice", fmt.Sprint(i), []byte("small"))
	}
	if streams, _ := s.Kept("alice"); streams != answers {
		t.Errorf("%d answers are kept, want %d", streams, answers)
	}
	if got, err := s.replay(ctx, "alice", fmt.Sprint(5*answers-1), -1); err != nil || got != "small" {
		t.Errorf("the latest: got %q, %v; want small, nil", got, err)
	}
	if _, err := s.replay(ctx, "alice", "0", -1); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("the first: %v, want %v", err, mcp.ErrEventsPurged)
	}
	for i := range 100 {
		s.answer(t, "alice", fmt.Sprint("large", i), make([]byte, 64<<10))
	}
	if _, bytes := s.Kept("alice"); bytes > userBytes || bytes < userBytes/2 {
		t.Errorf("%d bytes are kept, want at most %d", bytes, userBytes)
	}
	s.answer(t, "alice", "huge", make([]byte, 2*userBytes))
	if _, bytes := s.Kept("alice"); bytes > userBytes {
		t.Errorf("%d bytes are kept, want at most %d", bytes, userBytes)
	}
	if got, err := s.replay(ctx, "bob", "1", -1); err != nil || got != "for Bob" {
		t.Errorf("another user's: got %q, %v; want \"for Bob\", nil", got, err)
	}
	for _, session := range []string{"alice", "bob"} {
		if err := s.SessionClosed(ctx, session); err != nil {
			t.Fatal(err)
		}
		if streams, bytes := s.Kept(session); streams+bytes != 0 {
			t.Errorf("%d streams and %d bytes are kept of %s's session, which is closed; want 0", streams, bytes, session)
		}
	}
	if err := s.Append(ctx, "alice", "1", []byte("late")); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("append to a closed session: %v, want %v", err, mcp.ErrEventsPurged)
	}
}

// Calls in progress and open streams are evicted last, starting with the oldest event of the
// largest. The indices of the remaining events don't change.
func TestOpenStreams(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := newStore()
	s.open(t, "alice", "")
	s.open(t, "alice", "call")
	s.append(t, "alice", "call", nil) // primes it
	s.append(t, "alice", "call", []byte("progress"))
	for i := range 3 * answers {
		s.answer(t, "alice", fmt.Sprint(i), make([]byte, 512))
	}
	if got, err := s.replay(ctx, "alice", "call", 0); err != nil || got != "progress" {
		t.Errorf("a call under way: got %q, %v; want progress, nil", got, err)
	}
	for i := range 40 {
		s.append(t, "alice", "", []byte(fmt.Sprint(i, strings.Repeat("x", 64<<10))))
	}
	if _, err := s.replay(ctx, "alice", "", 0); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("the first of a stream that has sent much: %v, want %v", err, mcp.ErrEventsPurged)
	}
	if got, err := s.replay(ctx, "alice", "", 37); err != nil || !strings.HasPrefix(got, "38x") {
		t.Errorf("the latest: got %.10q, %v; want the large one, nil", got, err)
	}
	if got, err := s.replay(ctx, "alice", "call", 0); err != nil || got != "progress" {
		t.Errorf("the call beside it: got %q, %v; want progress, nil", got, err)
	}
	// A new stream of the session gets the remaining events, numbered from the beginning.
	got, err := s.replay(ctx, "alice", "", -1)
	if n := strings.Count(got, " ") + 1; err != nil || n < 5 || n > 10 {
		t.Errorf("%d are left, %v; want 5 to 10", n, err)
	}
	if rest, err := s.replay(ctx, "alice", "", 0); err != nil || strings.Count(rest, " ") != strings.Count(got, " ")-1 {
		t.Errorf("after the first: %d, %v; want %d", strings.Count(rest, " ")+1, err, strings.Count(got, " "))
	}
}

// If the process has no more room, the user with the most bytes loses events.
func TestAllBytes(t *testing.T) {
	t.Parallel()
	s := newStore()
	s.answer(t, "modest", "1", []byte("little"))
	for i := range 60 {
		for j := range 9 {
			s.answer(t, fmt.Sprint("user", i), fmt.Sprint(j), make([]byte, 64<<10))
		}
	}
	all := 0
	for i := range 60 {
		_, bytes := s.Kept(fmt.Sprint("user", i))
		all += bytes
	}
	if all > allBytes || all < allBytes/2 {
		t.Errorf("%d bytes are kept for all, want at most %d", all, allBytes)
	}
	if got, err := s.replay(t.Context(), "modest", "1", -1); err != nil || got != "little" {
		t.Errorf("of the user with the least: got %q, %v; want little, nil", got, err)
	}
}

type callerKey struct{}

// onlyOf is an audience of one.
type onlyOf string

func (o onlyOf) Admits(ctx context.Context) bool { return ctx.Value(callerKey{}) == string(o) }

// An answer is replayed only to its audience, and missed events of a session are deleted when they
// may no longer be sent.
func TestAudience(t *testing.T) {
	t.Parallel()
	keep := ""
	s := &store{Store: eventstore.New(eventstore.Options{
		Begin: func(context.Context, func()) eventstore.Audience { return onlyOf("strong") },
		Keep:  func(_ string, event []byte) bool { return strings.HasPrefix(string(event), keep) },
	})}
	as := func(caller string) context.Context { return context.WithValue(t.Context(), callerKey{}, caller) }
	s.open(t, "a", "call")
	s.append(t, "a", "call", []byte("secret"))
	if got, err := s.replay(as("weak"), "a", "call", -1); got != "" || !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("to another: %q, %v; want %v", got, err, mcp.ErrEventsPurged)
	}
	if got, err := s.replay(as("strong"), "a", "call", -1); got != "secret" || err != nil {
		t.Errorf("to the audience: got %q, %v; want secret, nil", got, err)
	}
	s.open(t, "a", "")
	for _, event := range []string{"all 1", "board 2", "all 3", "board 4"} {
		s.append(t, "a", "", []byte(event))
	}
	keep = "all"
	if got, err := s.replay(as("weak"), "a", "", 1); got != "all 3" || err != nil {
		t.Errorf("missed events: %q, %v; want all 3", got, err)
	}
	keep = ""
	if got, err := s.replay(as("weak"), "a", "", -1); got != "all 1 board 2 all 3" || err != nil {
		t.Errorf("what is left: %q, %v; want all but board 4", got, err)
	}
}
