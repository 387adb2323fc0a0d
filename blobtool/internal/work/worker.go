// Package work shares the cores, memory and storage requests of a process among its calls,
// fairly between users, and checks deadlines during work.
package work

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Limits on what all calls of the process use together.
const (
	// maxMemory is the memory for content that is read, unpacked, decoded and searched,
	// as far as calls know in advance. One user may hold a quarter of it.
	maxMemory = 256 << 20
	// Quantum is the work after which a core is yielded, at most 10 milliseconds. The
	// unit is one instruction of an expression for one byte.
	Quantum = 1 << 20
	// LineSlots are the requests for content that searches and scans may have under way
	// at a time, and UserSlots those of one user: as many as one search overlaps.
	LineSlots = 256
	UserSlots = 32
	// A range of more than BulkBytes takes BulkSlots of the line, so that one user has
	// four such transfers.
	BulkSlots = 8
	BulkBytes = 1 << 20
)

// Work for a byte, in the same measure as Quantum.
const (
	Unpacking = 4
	Decoding  = 8
	Policy    = 16 // a byte of a URI
)

// Shares are what calls use. A call takes them in the order memory, window, part of the
// line, core. While it waits for one, it holds none of the later ones, so that no two calls
// wait for each other.
type Shares struct {
	Memory  *Share
	Windows *Share // memory for unpacking in searches, which hold some of Memory already
	Line    *Share // concurrent requests to Azure Storage
	Cores   *Share
}

// NewShares returns shares of that size. An eighth of the memory is for windows.
func NewShares(cores, memory, line int64) *Shares {
	windows := memory / 8
	return &Shares{
		Memory: NewShare(memory-windows, memory/4), Windows: NewShare(windows, windows/2),
		Line: NewShare(line, min(UserSlots, line)), Cores: NewShare(cores, cores),
	}
}

// Process returns the shares of the process: half of its cores, so that other requests
// are answered meanwhile, and a quarter of its memory if GOMEMLIMIT says how much it has.
var Process = sync.OnceValue(func() *Shares {
	memory := int64(maxMemory)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		memory = max(min(memory, limit/4), 1<<20)
	}
	return NewShares(max(1, int64(runtime.GOMAXPROCS(0)/2)), memory, LineSlots)
})

// Worker is the share of one goroutine of a call. It holds a core while it computes,
// releases it while it waits for the network, and yields it from time to time. A nil Worker
// holds nothing and never waits.
type Worker struct {
	Context context.Context // of the call: the worker lives no longer
	shares  *Shares
	user    string
	busy    bool  // holds a core
	spent   int64 // since it last checked the time
}

// New returns a worker for a call of that user.
func New(ctx context.Context, shares *Shares, user string) *Worker {
	return &Worker{Context: ctx, shares: shares, user: user}
}

// ErrBusy is the cause if a call waited too long for its share.
var ErrBusy = errors.New("no core, memory or connection was free in time")

// wait takes n of a share. If the call's time ends first, the error says what the call
// waited for.
func (w *Worker) wait(s *Share, n int64) error {
	err := s.Take(w.Context, w.user, n)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &fault.Error{
		Kind: fault.ErrThrottled, Cause: errors.Join(ErrBusy, err),
		Text: "This server is busy: the call timed out waiting for other calls. Wait a little, then call again, with fewer calls at once.",
	}
}

// Begin takes a core.
func (w *Worker) Begin() error {
	if w == nil || w.busy {
		return nil
	}
	if err := w.wait(w.shares.Cores, 1); err != nil {
		return err
	}
	w.busy = true
	return nil
}

// End releases the core, if the worker holds one, and reports whether it did.
func (w *Worker) End() bool {
	if w == nil || !w.busy {
		return false
	}
	w.busy = false
	w.shares.Cores.Give(w.user, 1)
	return true
}

// Resume takes a core again if wasBusy, the result of End.
func (w *Worker) Resume(wasBusy bool) error {
	if !wasBusy {
		return nil
	}
	return w.Begin()
}

// Step records completed work and checks the time.
func (w *Worker) Step(work int64) error {
	if w == nil {
		return nil
	}
	if w.spent += work; w.spent < Quantum {
		return w.Context.Err()
	}
	w.spent = 0
	if err := w.Context.Err(); err != nil || !w.busy || !w.shares.Cores.Wanted() {
		return err
	}
	return w.Resume(w.End())
}

// Reserve waits for n bytes of memory, or for the most that one user can hold. They are
// returned by release or at the end of the call.
func (w *Worker) Reserve(n int64) (release func(), err error) {
	if w.unshared() {
		return func() {}, nil
	}
	return w.reserve(w.shares.Memory, n)
}

// ReserveWindow is like Reserve, for unpacking in a search, which already holds memory.
func (w *Worker) ReserveWindow(n int64) (release func(), err error) {
	if w.unshared() {
		return func() {}, nil
	}
	return w.reserve(w.shares.Windows, n)
}

// TryWindow is like ReserveWindow, but returns nil instead of waiting.
func (w *Worker) TryWindow(n int64) (release func()) {
	if w.unshared() {
		return func() {}
	}
	if n = min(n, w.shares.Windows.most); !w.shares.Windows.TryTake(w.user, n) {
		return nil
	}
	return w.returning(w.shares.Windows, n)
}

// unshared reports whether nothing is reserved: nothing would ever return it.
func (w *Worker) unshared() bool { return w == nil || w.Context.Done() == nil }

func (w *Worker) reserve(s *Share, n int64) (release func(), err error) {
	n = min(n, s.most)
	if err := w.wait(s, n); err != nil {
		return nil, err
	}
	return w.returning(s, n), nil
}

// returning returns a function that gives n back, once, and at the end of the call.
func (w *Worker) returning(s *Share, n int64) func() {
	release := sync.OnceFunc(func() { s.Give(w.user, n) })
	context.AfterFunc(w.Context, release)
	return release
}

// Slots is a range's part of the line.
type Slots struct{ n int64 }

// Claim waits for the part of the line that a range of count bytes takes.
func (w *Worker) Claim(s *Slots, count int64) error {
	if w == nil {
		return nil
	}
	n := int64(1)
	if count > BulkBytes {
		n = min(BulkSlots, w.shares.Line.most)
	}
	if err := w.wait(w.shares.Line, n); err != nil {
		return err
	}
	s.n = n
	return nil
}

// Unclaim returns it.
func (w *Worker) Unclaim(s *Slots) {
	if s.n > 0 {
		w.shares.Line.Give(w.user, s.n)
		s.n = 0
	}
}

// LineWanted reports whether s is a part of the line for which others wait.
func (w *Worker) LineWanted(s *Slots) bool { return s.n > 0 && w.shares.Line.Wanted() }

type parser struct{}

// WithParser returns a context for a request whose answer w parses, with a core.
func WithParser(ctx context.Context, w *Worker) context.Context {
	return context.WithValue(ctx, parser{}, w)
}

// ParserOf returns the worker that parses a request's answer, or nil.
func ParserOf(ctx context.Context) *Worker {
	w, _ := ctx.Value(parser{}).(*Worker)
	return w
}
