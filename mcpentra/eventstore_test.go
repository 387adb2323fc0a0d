package mcpentra_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

func replay(e mcpentra.Events, session, stream string, after int) (string, error) {
	var all []string
	for data, err := range e.After(context.Background(), session, stream, after) {
		if err != nil {
			return "", err
		}
		all = append(all, string(data))
	}
	return strings.Join(all, " "), nil
}

// What a user has is bounded in count and in bytes, and pushes out that user's own.
func TestEventsAreBoundedForEachUser(t *testing.T) {
	ctx := context.Background()
	e := mcpentra.NewEvents()
	e.Answer("bob", "b", "1", []byte("for Bob"))
	for i := range 5 * mcpentra.MaxAnswers {
		e.Answer("alice", "a", fmt.Sprint(i), []byte("small"))
	}
	if streams, _, _ := e.Sizes("alice"); streams != mcpentra.MaxAnswers {
		t.Errorf("%d answers are kept", streams)
	}
	if got, err := replay(e, "a", fmt.Sprint(5*mcpentra.MaxAnswers-1), -1); err != nil || got != "small" {
		t.Errorf("the latest: %q %v", got, err)
	}
	if _, err := replay(e, "a", "0", -1); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("the first: %v", err)
	}
	for i := range 100 {
		e.Answer("alice", "a", fmt.Sprint("large", i), make([]byte, 64<<10))
	}
	if _, bytes, _ := e.Sizes("alice"); bytes > mcpentra.MaxUserEvents || bytes < mcpentra.MaxUserEvents/2 {
		t.Errorf("%d bytes are kept", bytes)
	}
	e.Answer("alice", "a", "huge", make([]byte, 2*mcpentra.MaxUserEvents))
	if _, bytes, _ := e.Sizes("alice"); bytes > mcpentra.MaxUserEvents {
		t.Errorf("%d bytes are kept", bytes)
	}
	if got, err := replay(e, "b", "1", -1); err != nil || got != "for Bob" {
		t.Errorf("another user's: %q %v", got, err)
	}
	must(t, e.SessionClosed(ctx, "a"))
	must(t, e.SessionClosed(ctx, "b"))
	if streams, bytes, all := e.Sizes("alice"); streams+bytes+all != 0 {
		t.Errorf("of sessions that are over %d streams and %d of %d bytes are kept", streams, bytes, all)
	}
	if err := e.Append(ctx, "a", "1", []byte("late")); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("to a session that is over: %v", err)
	}
}

// Calls under way and streams come last, and lose their oldest events first; the
// indices of the rest stay.
func TestEventsOfOpenStreams(t *testing.T) {
	e := mcpentra.NewEvents()
	ctx := context.Background()
	for _, stream := range []string{"", "call"} {
		e.OpenFor("alice", "a", stream)
	}
	must(t, e.Append(ctx, "a", "call", nil)) // primes it
	must(t, e.Append(ctx, "a", "call", []byte("progress")))
	for i := range 3 * mcpentra.MaxAnswers {
		e.Answer("alice", "a", fmt.Sprint(i), make([]byte, 512))
	}
	if got, err := replay(e, "a", "call", 0); err != nil || got != "progress" {
		t.Errorf("a call under way: %q %v", got, err)
	}
	for i := range 40 {
		must(t, e.Append(ctx, "a", "", []byte(fmt.Sprint(i, strings.Repeat("x", 64<<10)))))
	}
	if _, err := replay(e, "a", "", 0); !errors.Is(err, mcp.ErrEventsPurged) {
		t.Errorf("the first of a stream that has sent much: %v", err)
	}
	if got, err := replay(e, "a", "", 37); err != nil || !strings.HasPrefix(got, "38x") {
		t.Errorf("the latest: %.10q %v", got, err)
	}
	if got, err := replay(e, "a", "call", 0); err != nil || got != "progress" {
		t.Errorf("the call beside it: %q %v", got, err)
	}
	// A stream that is opened anew has what is left, from the beginning.
	got, err := replay(e, "a", "", -1)
	if n := strings.Count(got, " ") + 1; err != nil || n < 5 || n > 10 {
		t.Errorf("%d are left, %v", n, err)
	}
	if rest, err := replay(e, "a", "", 0); err != nil || strings.Count(rest, " ") != strings.Count(got, " ")-1 {
		t.Errorf("numbered anew: %v", err)
	}
}

// When the process has no more room, whoever has most gives it.
func TestEventsAreBoundedForAll(t *testing.T) {
	e := mcpentra.NewEvents()
	e.Answer("modest", "m", "1", []byte("little"))
	for i := range 60 {
		user := fmt.Sprint("user", i)
		for j := range 9 {
			e.Answer(user, user, fmt.Sprint(j), make([]byte, 64<<10))
		}
	}
	if _, _, all := e.Sizes("modest"); all > mcpentra.MaxAllEvents || all < mcpentra.MaxAllEvents/2 {
		t.Errorf("%d bytes are kept in all", all)
	}
	if got, err := replay(e, "m", "1", -1); err != nil || got != "little" {
		t.Errorf("of whoever has little: %q %v", got, err)
	}
}
