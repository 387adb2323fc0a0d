package calls

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// A Cost is what answering one request costs, in a run in which all handlers
// took turns.
type Cost struct {
	Name string
	// Ratio is the time against that of the first handler just before and after.
	Ratio spread
	// Grown is the same against that of the second handler, in the same round.
	Grown spread
	// Added is what the first handler does not use, in verifications of an RSA-2048
	// signature.
	Added spread
	// Time is the median: CPU time of the process, garbage collection included.
	Time time.Duration
	// Allocs and Bytes are allocated by one request.
	Allocs, Bytes uint64
}

// chunk is how long the first handler runs before the next has its turn, which
// answers as many requests: long enough for several garbage collections, or the
// times would be with or without one.
const chunk = 40 * time.Millisecond

// Direct measures the handlers on one request, without network or client: each
// is called directly, and writes to memory. All are warm.
//
// unit is the work that costs are compared with: the verification of a signature.
func Direct(ctx context.Context, e Entra, handlers []Handler, req Request, unit func(), rounds int) ([]Cost, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	deadlines, err := newDeadlines(ctx)
	if err != nil {
		return nil, err
	}
	turns := make([]*turn, len(handlers))
	for i, h := range handlers {
		handler, err := h.New(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		turns[i] = newTurn(ctx, h.Name, handler, req)
		turns[i].answer.deadlines = deadlines
		if err := turns[i].warm(ctx); err != nil {
			return nil, err
		}
	}
	base, grown := turns[0], turns[1]
	base.calibrate(ctx)
	for _, t := range turns {
		t.n = base.n
	}
	for range rounds {
		before := base.run(ctx)
		for _, i := range rand.Perm(len(turns)) { //nolint:gosec // G404: an order, no secret
			took := turns[i].run(ctx)
			after := base.run(ctx)
			turns[i].times = append(turns[i].times, took)
			turns[i].ratios = append(turns[i].ratios, 2*took/(before+after))
			turns[i].added = append(turns[i].added, took-(before+after)/2)
			before = after
		}
		cost := timed(unit)
		for _, t := range turns {
			last := len(t.times) - 1
			t.added[last] /= cost
			t.grown = append(t.grown, t.times[last]/grown.times[last])
		}
	}
	costs := make([]Cost, len(turns))
	for i, t := range turns {
		costs[i] = t.cost(ctx)
	}
	return costs, nil
}

// A turn calls one handler with one request, again and again.
type turn struct {
	name    string
	handler http.Handler
	request *http.Request
	want    []byte
	body    body
	answer  answer

	n                           int       // of requests in a chunk
	times, ratios, grown, added []float64 // by round: times of one request in nanoseconds, and what is in a [Cost]
}

func newTurn(ctx context.Context, name string, h http.Handler, r Request) *turn {
	t := &turn{name: name, handler: h, want: []byte(r.Want), answer: answer{header: http.Header{}}}
	t.body.text = r.Body
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, resourceURL, nil)
	if err != nil {
		panic(err) // a constant
	}
	req.Header, req.ContentLength, req.RequestURI, req.RemoteAddr = r.Header, int64(len(r.Body)), "/mcp", "192.0.2.1:50000"
	t.request = req
	return t
}

// once has the handler answer, as a server would: the request's context ends
// with the answer, and headers are nobody else's.
func (t *turn) once(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := t.request.WithContext(ctx)
	t.body.Reset(t.body.text)
	r.Body = &t.body
	clear(t.answer.header)
	t.answer.status, t.answer.body = 0, t.answer.body[:0]
	t.handler.ServeHTTP(&t.answer, r)
}

// Once has the handler answer the request.
func Once(ctx context.Context, h http.Handler, r Request) (status int, body string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTurn(ctx, "", h, r)
	if t.answer.deadlines, err = newDeadlines(ctx); err != nil {
		return 0, "", err
	}
	t.once(ctx)
	return t.answer.status, string(t.answer.body), nil
}

// try is once, judged.
func (t *turn) try(ctx context.Context) error {
	t.once(ctx)
	if t.answer.status != http.StatusOK || !bytes.Contains(t.answer.body, t.want) {
		return fmt.Errorf("%s: %d %.300s", t.name, t.answer.status, t.answer.body)
	}
	return nil
}

func (t *turn) warm(ctx context.Context) error {
	for range 10 {
		if err := t.try(ctx); err != nil {
			return err
		}
	}
	return nil
}

// calibrate finds how many requests fill a chunk.
func (t *turn) calibrate(ctx context.Context) {
	for t.n = 1; t.run(ctx)*float64(t.n) < float64(chunk); t.n *= 2 {
	}
}

// run returns the CPU time of one request, in nanoseconds.
func (t *turn) run(ctx context.Context) float64 {
	start := bench.CPUTime()
	for range t.n {
		t.once(ctx)
	}
	return float64((bench.CPUTime() - start).Nanoseconds()) / float64(t.n)
}

// timed returns the CPU time of the unit, in nanoseconds.
func timed(unit func()) float64 {
	const n = 200
	start := bench.CPUTime()
	for range n {
		unit()
	}
	return float64((bench.CPUTime() - start).Nanoseconds()) / n
}

func (t *turn) cost(ctx context.Context) Cost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	t.run(ctx)
	runtime.ReadMemStats(&after)
	n := uint64(t.n) //nolint:gosec // G115: at least 1
	return Cost{
		Name: t.name, Ratio: spreadOf(t.ratios), Grown: spreadOf(t.grown), Added: spreadOf(t.added),
		Time:   time.Duration(spreadOf(t.times).median),
		Allocs: (after.Mallocs - before.Mallocs) / n,
		Bytes:  (after.TotalAlloc - before.TotalAlloc) / n,
	}
}

// quantile is of sorted values.
func quantile(s []float64, q float64) float64 { return s[int(q*float64(len(s)-1)+0.5)] }

// A body is a request's body that can be sent again.
type body struct {
	strings.Reader
	text string
}

// Close implements [io.Closer].
func (*body) Close() error { return nil }

var _ io.ReadCloser = (*body)(nil)

// A deadlines is a pipe whose deadlines cost what a connection's do.
type deadlines struct{ in, out *os.File }

func newDeadlines(ctx context.Context) (*deadlines, error) {
	in, out, err := os.Pipe()
	context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
	return &deadlines{in, out}, err
}

// SetReadDeadline is for [http.ResponseController].
func (d *deadlines) SetReadDeadline(t time.Time) error { return d.in.SetReadDeadline(t) }

// SetWriteDeadline is for [http.ResponseController].
func (d *deadlines) SetWriteDeadline(t time.Time) error { return d.out.SetWriteDeadline(t) }

// An answer is a response in memory, used again and again.
type answer struct {
	*deadlines
	header http.Header
	status int
	body   []byte
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements [http.ResponseWriter].
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body = append(a.body, p...)
	return len(p), nil
}

// Flush implements [http.Flusher].
func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }
