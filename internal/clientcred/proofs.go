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
	// sourceTimeout is how long a source is waited for while there is another
	// one behind it: a host without managed identity must not use up the exchange.
	sourceTimeout = 5 * time.Second
	// stayFor is how long a source that stood in for an earlier one is asked
	// first, before the earlier one gets another chance; probeFor is how long
	// that chance keeps others from trying it at the same time.
	stayFor  = 5 * time.Minute
	probeFor = 30 * time.Second
)

// Proofs are the sources of an app's proof, in the operator's order. They are
// safe for concurrent use.
type Proofs struct {
	sources []Source
	now     func() time.Time
	logger  *slog.Logger

	mu    sync.Mutex
	first int       // the source to begin with
	until time.Time // and until when, if it isn't the operator's first
}

// NewProofs returns the proofs of at least one source.
func NewProofs(sources []Source, env Environment) *Proofs {
	return &Proofs{sources: sources, now: env.Now, logger: env.Logger}
}

// Begin starts the search for a proof that one exchange needs.
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

// index is the current source: after the last one, the search goes on with
// those that stand before the one it began with.
func (s *Search) index() int { return (s.first + s.step) % len(s.proofs.sources) }

func (s *Search) source() Source { return s.proofs.sources[s.index()] }

// Next returns the proof to send. A source that has none is passed over, for
// this request. The error is an [*Error], or that of the end of ctx.
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

// Refused tells the search that Entra didn't accept the last proof, and whether
// a new one of the same source may help. It reports whether to go on with Next.
func (s *Search) Refused(ctx context.Context, rebuild bool, err error) bool {
	if s.source().Refused() && rebuild && !s.rebuilt {
		s.rebuilt = true
		return true
	}
	s.pass(ctx, err)
	return s.step < len(s.proofs.sources)
}

// Accepted tells the search that the proof was not what failed, if anything did.
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

// pass goes to the next source.
func (s *Search) pass(ctx context.Context, err error) {
	var fault *Error
	if !errors.As(err, &fault) {
		fault = &Error{Problem: "the server could not prove itself by its " + s.source().Kind(), Cause: err}
	}
	s.faults = append(s.faults, fault)
	if s.step < len(s.proofs.sources)-1 {
		s.proofs.logger.LogAttrs(ctx, slog.LevelWarn, "falling over to another proof of the app",
			slog.String("failed", s.source().Kind()), slog.String("reason", err.Error()))
	}
	s.step++
	s.rebuilt = false
}

// fault is the error of a search that is at its end.
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
	all.Problem = "none of the server's proofs of itself can be had: " + strings.Join(problems, "; ")
	all.Remedy = strings.Join(remedies, "; or: ")
	all.Cause = errors.Join(causes...)
	return all
}
