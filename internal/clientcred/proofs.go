package clientcred

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	// sourceTimeout bounds a source if there is another one after it, so that a host
	// without managed identity doesn't use up the exchange's time.
	sourceTimeout = 5 * time.Second
	// stayFor is how long a working source is used before an exchange tries the earlier
	// ones again. For probeFor no other exchange tries them.
	stayFor  = 5 * time.Minute
	probeFor = 30 * time.Second
)

// Proofs gets proofs from sources, in the operator's order. It is safe for concurrent use.
type Proofs struct {
	sources []Source
	now     func() time.Time
	logger  *slog.Logger

	mu    sync.Mutex
	first int       // the source to start with
	until time.Time // until when, if it isn't the operator's first
}

// NewProofs returns the proofs of one or more sources.
func NewProofs(sources []Source, env Environment) *Proofs {
	return &Proofs{sources: sources, now: env.Now, logger: env.Logger}
}

// Expires returns when the credential in use ends and the operator must have replaced it; ok is
// false if that isn't known, or the credential renews itself.
func (p *Proofs) Expires() (end time.Time, ok bool) {
	p.mu.Lock()
	first := p.first
	p.mu.Unlock()
	if first >= len(p.sources) {
		return time.Time{}, false
	}
	source, ok := p.sources[first].(interface{ Expires() time.Time })
	if !ok {
		return time.Time{}, false
	}
	return source.Expires(), true
}

// Begin starts the search for a proof for one exchange.
func (p *Proofs) Begin() *Search {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); p.first != 0 && !now.Before(p.until) {
		p.until = now.Add(probeFor)
		return &Search{proofs: p}
	}
	return &Search{proofs: p, first: p.first}
}

// A Search goes through the sources for one exchange. It is for one goroutine.
type Search struct {
	proofs  *Proofs
	first   int
	step    int // how many sources have failed
	rebuilt bool
	faults  []*Error
}

// index is the index of the current source. After the last source, the search continues
// with those before the first one tried.
func (s *Search) index() int { return (s.first + s.step) % len(s.proofs.sources) }

func (s *Search) source() Source { return s.proofs.sources[s.index()] }

// Next returns the proof to send. It skips sources that have none. The error is an
// [*Error], or ctx's.
func (s *Search) Next(ctx context.Context) (Proof, error) {
	for s.step < len(s.proofs.sources) {
		proof, err := s.ask(ctx)
		if err == nil {
			return proof, nil
		}
		if ctx.Err() != nil {
			return Proof{}, err
		}
		s.pass(ctx, err)
	}
	return Proof{}, s.fault()
}

func (s *Search) ask(ctx context.Context) (Proof, error) {
	if s.step < len(s.proofs.sources)-1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, sourceTimeout)
		defer cancel()
	}
	return s.source().Credential(ctx)
}

// Refused tells the search that Entra rejected the last proof, and whether a new one of
// the same source may help. It reports whether to call Next.
func (s *Search) Refused(ctx context.Context, rebuild bool, err error) bool {
	if s.source().Refused() && rebuild && !s.rebuilt {
		s.rebuilt = true
		return true
	}
	s.pass(ctx, err)
	return s.step < len(s.proofs.sources)
}

// Accepted tells the search that Entra accepted the proof, even if the exchange failed.
func (s *Search) Accepted() {
	p := s.proofs
	if len(p.sources) == 1 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := s.index(); i != p.first || s.step > 0 {
		p.first, p.until = i, p.now().Add(stayFor)
	}
}

// pass moves on to the next source.
func (s *Search) pass(ctx context.Context, err error) {
	var fault *Error
	if !errors.As(err, &fault) {
		fault = &Error{Problem: "the server could not get its " + s.source().Kind(), Cause: err}
	}
	s.faults = append(s.faults, fault)
	if s.step < len(s.proofs.sources)-1 {
		s.proofs.logger.LogAttrs(ctx, slog.LevelWarn, "trying the next client credential",
			slog.String("failed", s.source().Kind()), slog.String("reason", err.Error()))
	}
	s.step++
	s.rebuilt = false
}

// fault is the error when no source is left.
func (s *Search) fault() error {
	if len(s.faults) == 1 {
		return s.faults[0]
	}
	all := &Error{Permanent: true}
	var problems, remedies []string
	var causes []error
	for _, f := range s.faults {
		all.Permanent = all.Permanent && f.Permanent
		problems = append(problems, f.Problem)
		if f.Remedy != "" {
			remedies = append(remedies, f.Remedy)
		}
		causes = append(causes, f)
	}
	all.Problem = "the server could not get any of its client credentials: " + strings.Join(problems, "; ")
	all.Remedy = strings.Join(remedies, "; or: ")
	all.Cause = errors.Join(causes...)
	return all
}
