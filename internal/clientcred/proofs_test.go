package clientcred_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
)

type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{time.Unix(1_800_000_000, 0)} }
func (c *clock) Now() time.Time          { return c.now }
func logTo(w *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }
func (c *clock) advance(d time.Duration) { c.now = c.now.Add(d) }

// next returns the secret that an exchange is to send.
func next(t *testing.T, s *clientcred.Search) string {
	t.Helper()
	p, err := s.Next(t.Context())
	if err != nil {
		t.Fatalf("Next() = %v, want a proof", err)
	}
	return show(p)
}

// TestStandIn: the source that works is asked first for a while, then one exchange tries
// the operator's first again.
func TestStandIn(t *testing.T) {
	t.Parallel()
	clock := newClock()
	first, second := &source{kind: "first", fails: errors.New("no identity here")}, &source{kind: "second"}
	all, log := proofs(clock, first, second)

	search := all.Begin()
	if got := next(t, search); got != "second" {
		t.Errorf("Next() = %q, want %q", got, "second")
	}
	search.Accepted()
	if !strings.Contains(log.String(), "failed=first") {
		t.Errorf("the log is %q, want the source that failed", log)
	}

	clock.advance(5*time.Minute - time.Second)
	first.fails = nil
	if got := next(t, all.Begin()); got != "second" || first.asked != 1 {
		t.Errorf("within 5 minutes: Next() = %q, the first was asked %d times; want %q, 1", got, first.asked, "second")
	}
	clock.advance(time.Second)
	probe := all.Begin()
	if got := next(t, all.Begin()); got != "second" {
		t.Errorf("beside the probe: Next() = %q, want %q", got, "second")
	}
	if got := next(t, probe); got != "first" {
		t.Errorf("the probe: Next() = %q, want %q", got, "first")
	}
	probe.Accepted()
	if got := next(t, all.Begin()); got != "first" {
		t.Errorf("after the probe: Next() = %q, want %q", got, "first")
	}
}

// TestRefusedProof: a refused proof is made anew once if that may help.
func TestRefusedProof(t *testing.T) {
	t.Parallel()
	refusal := errors.New("refused")
	for name, c := range map[string]struct {
		renew, outdated bool
		want            string // the secrets that are sent
	}{
		"outdated":            {true, true, "first first second"},
		"wrong":               {true, false, "first second"},
		"no other to be made": {false, true, "first second"},
	} {
		all, _ := proofs(newClock(), &source{kind: "first", renew: c.renew}, &source{kind: "second"})
		search := all.Begin()
		sent := []string{next(t, search)}
		for search.Refused(t.Context(), c.outdated, refusal) {
			sent = append(sent, next(t, search))
		}
		if got := strings.Join(sent, " "); got != c.want {
			t.Errorf("%s: sent %q, want %q", name, got, c.want)
		}
	}
}

// TestNoProof: the error of all sources names each, and is permanent only if all are.
func TestNoProof(t *testing.T) {
	t.Parallel()
	permanent := &clientcred.Error{Permanent: true, Problem: "the file is gone", Remedy: "restore it", Cause: errors.New("ENOENT")}
	passing := &clientcred.Error{Problem: "the endpoint is busy", Remedy: "wait"}
	for name, c := range map[string]struct {
		fails     []error
		permanent bool
		says      []string
	}{
		"one":                {[]error{permanent}, true, []string{"the file is gone", "restore it"}},
		"all permanent":      {[]error{permanent, permanent}, true, []string{"the file is gone; the file is gone"}},
		"one passes":         {[]error{permanent, passing}, false, []string{"the file is gone; the endpoint is busy", "restore it; or: wait"}},
		"of an unknown type": {[]error{errors.New("boom")}, false, []string{"source0"}},
	} {
		var sources []*source
		for i, err := range c.fails {
			sources = append(sources, &source{kind: "source" + string(rune('0'+i)), fails: err})
		}
		all, _ := proofs(newClock(), sources...)
		_, err := all.Begin().Next(t.Context())
		got, ok := errors.AsType[*clientcred.Error](err)
		if !ok || got.Permanent != c.permanent {
			t.Errorf("%s: Next() = %+v, want a *clientcred.Error with Permanent %v", name, err, c.permanent)
			continue
		}
		for _, want := range c.says {
			if text := got.Problem + ". " + got.Remedy; !strings.Contains(text, want) {
				t.Errorf("%s: got %q, want it to contain %q", name, text, want)
			}
		}
	}
}

// hangs is a source that answers when its context ends.
type hangs struct{ source }

func (*hangs) Credential(ctx context.Context) (clientcred.Proof, error) {
	<-ctx.Done()
	return clientcred.Proof{}, ctx.Err()
}

// TestHangingSource: a source with another one behind it has 5 seconds; an exchange whose
// own time is over asks no other.
func TestHangingSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		second := &source{kind: "second"}
		var log bytes.Buffer
		all := clientcred.NewProofs([]clientcred.Source{&hangs{source{kind: "first"}}, second},
			clientcred.Environment{Now: time.Now, Logger: logTo(&log)})
		began := time.Now()
		got := next(t, all.Begin())
		if waited := time.Since(began); got != "second" || waited != 5*time.Second {
			t.Errorf("Next() = %q after %v, want %q after 5s", got, waited, "second")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := all.Begin().Next(ctx); !errors.Is(err, context.DeadlineExceeded) || second.asked != 1 {
			t.Errorf("Next() = %v, the second was asked %d times; want %v, 1", err, second.asked, context.DeadlineExceeded)
		}
	})
}
