package blobtool

import (
	"context"
	"errors"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Bounds of what all calls in the process use together.
const (
	// maxWorkBytes is the memory for content that is being read, unpacked, decoded and
	// searched, as far as calls can tell beforehand. One user may hold a quarter of it.
	maxWorkBytes = 256 << 20
	// quantum is the work after which a core is handed over to whoever waits for one,
	// in instructions of an expression for a byte: 10 milliseconds at most.
	quantum = 1 << 20
	// lineSlots are the requests for content that searches and scans may have under way
	// at a time, and userSlots those of one user: as many as one search overlaps. A range
	// of more than bulkBytes takes bulkSlots of them, so that one user has four such
	// transfers, and hands them over after turnBytes to whoever waits for some.
	lineSlots = 256
	userSlots = maxOverlap
	bulkSlots = 8
	bulkBytes = 1 << 20
	turnBytes = 8 << 20
)

// Work for a byte, in the same measure.
const (
	unpackWork = 4
	decodeWork = 8
)

// shares are what calls work with: the cores, the memory, and the line, which is the
// concurrent requests to Azure Storage. A call that waits for part of the line holds no
// core, and one that waits for memory holds no part of the line.
type shares struct {
	cores, memory, line *share
}

func newShares(cores, memory, line int64) *shares {
	return &shares{newShare(cores, cores), newShare(memory, memory/4), newShare(line, min(userSlots, line))}
}

// processShares are those of the process: half of its cores, so that requests are
// answered meanwhile, and a quarter of its memory, if GOMEMLIMIT says how much it has.
var processShares = sync.OnceValue(func() *shares {
	memory := int64(maxWorkBytes)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		memory = max(min(memory, limit/4), 1<<20)
	}
	return newShares(max(1, int64(runtime.GOMAXPROCS(0)/2)), memory, lineSlots)
})

// worker is how one goroutine of a call computes: it holds a core while it does, gives it
// back while it waits for the network, and hands it over from time to time. So the time
// is looked at wherever work is done. A nil worker holds nothing and never waits.
type worker struct {
	ctx    context.Context // of the call, in which the worker begins and ends
	shares *shares
	user   string
	busy   bool  // holds a core
	spent  int64 // since it looked at the time
}

// worker returns a worker for a call of that user.
func (s *Set) worker(ctx context.Context, user string) *worker {
	return &worker{ctx: ctx, shares: s.shares, user: user}
}

// longestWrite is how long memory is reserved for an answer that its client does not read.
const longestWrite = 10 * time.Second

// bound bounds the time of a call. What it returns for a context ends when the answer has
// been sent, which is when the SDK ends that of the request: encoding the answer takes
// more memory than making it. returned says that the call has returned.
func (s *Set) bound(request context.Context) (ctx context.Context, returned func()) {
	ctx, cancel := context.WithTimeout(request, s.timeout)
	if request.Done() == nil {
		return ctx, cancel
	}
	context.AfterFunc(request, cancel)
	return ctx, func() {
		t := time.AfterFunc(longestWrite, cancel)
		context.AfterFunc(ctx, func() { t.Stop() })
	}
}

// errBusy is the cause where a call has waited too long for its share.
var errBusy = errors.New("no core, memory or connection was free in time")

// busyFailure turns the end of the call's time into an error that says what it waited for.
func busyFailure(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{
		Kind: ErrThrottled, cause: errors.Join(errBusy, err),
		text: "This server is busy: the call waited for other calls and its time ran out. Wait a little, then call again, and not many times at once.",
	}
}

// begin takes a core.
func (w *worker) begin() error {
	if w == nil || w.busy {
		return nil
	}
	if err := w.shares.cores.take(w.ctx, w.user, 1); err != nil {
		return busyFailure(err)
	}
	w.busy = true
	return nil
}

// end gives the core back, if the worker has one, and reports that.
func (w *worker) end() bool {
	if w == nil || !w.busy {
		return false
	}
	w.busy = false
	w.shares.cores.give(w.user, 1)
	return true
}

// resume takes a core again if there was one before the wait that is over.
func (w *worker) resume(wasBusy bool) error {
	if !wasBusy {
		return nil
	}
	return w.begin()
}

type parser struct{}

// withParser returns a context for a request whose answer is parsed with a core.
func withParser(ctx context.Context, w *worker) context.Context {
	return context.WithValue(ctx, parser{}, w)
}

// parserOf returns the worker of a request's answer, or nil.
func parserOf(ctx context.Context) *worker {
	w, _ := ctx.Value(parser{}).(*worker)
	return w
}

// beginParsing takes the core, which the caller of [withParser] gives back.
func beginParsing(ctx context.Context) error { return parserOf(ctx).begin() }

// step says that so much work was done, and looks at the time.
func (w *worker) step(work int64) error {
	if w == nil {
		return nil
	}
	if w.spent += work; w.spent < quantum {
		return w.ctx.Err()
	}
	w.spent = 0
	if err := w.ctx.Err(); err != nil || !w.busy || !w.shares.cores.wanted() {
		return err
	}
	return w.resume(w.end())
}

// reserve waits for n bytes of memory, or for as much as one user may hold. release
// gives them back, as does the end of the call.
func (w *worker) reserve(n int64) (release func(), err error) {
	if w == nil || w.ctx.Done() == nil { // it would never be given back
		return func() {}, nil
	}
	n = min(n, w.shares.memory.most)
	if err := w.shares.memory.take(w.ctx, w.user, n); err != nil {
		return nil, busyFailure(err)
	}
	release = sync.OnceFunc(func() { w.shares.memory.give(w.user, n) })
	context.AfterFunc(w.ctx, release)
	return release, nil
}
