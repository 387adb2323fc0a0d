package calls

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// A Rate is what one entrant did with one request under load.
type Rate struct {
	// PerSecond are requests answered, the median of the rounds.
	PerSecond float64
	// CPU is what the server's process used for each, the median.
	CPU time.Duration
	// Ratio is CPU against that of the second entrant in the same round, the median.
	Ratio float64
}

// Connections are how many clients ask at once.
const Connections = 8

// warmUp is how long each entrant is asked before it is measured: virtual machines
// compile what is used.
const warmUp = 2 * time.Second

// Load has the entrants answer the request, each in a process of its own and
// while the others rest: rounds times in turn, each time for that long.
func Load(ctx context.Context, b *bench.Bed, entrants []Entrant, req Request, rounds int, each time.Duration) ([]Rate, error) {
	ctx, cancel := context.WithCancel(ctx)
	started := make([]*Process, 0, len(entrants))
	defer func() {
		cancel()
		for _, p := range started {
			p.Wait()
		}
	}()
	for i := range entrants {
		p, err := Start(ctx, b, &entrants[i])
		if err != nil {
			return nil, err
		}
		started = append(started, p)
		if _, err := p.load(ctx, req, min(warmUp, each)); err != nil {
			return nil, fmt.Errorf("%s: %w", entrants[i].Name, err)
		}
	}
	all := make([][]Rate, len(entrants))
	for range rounds {
		for i, p := range started {
			r, err := p.load(ctx, req, each)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", entrants[i].Name, err)
			}
			all[i] = append(all[i], r)
		}
		base := float64(all[1][len(all[1])-1].CPU)
		for i := range all {
			last := &all[i][len(all[i])-1]
			last.Ratio = float64(last.CPU) / base
		}
	}
	rates := make([]Rate, len(entrants))
	for i := range rates {
		rates[i] = Rate{
			PerSecond: median(all[i], func(r Rate) float64 { return r.PerSecond }),
			CPU:       time.Duration(median(all[i], func(r Rate) float64 { return float64(r.CPU) })),
			Ratio:     median(all[i], func(r Rate) float64 { return r.Ratio }),
		}
	}
	return rates, nil
}

func median(all []Rate, of func(Rate) float64) float64 {
	values := make([]float64, len(all))
	for i, r := range all {
		values[i] = of(r)
	}
	slices.Sort(values)
	return quantile(values, 0.5)
}

// load asks the process for that long on all connections.
func (p *Process) load(ctx context.Context, req Request, each time.Duration) (Rate, error) {
	before, err := p.cpuTime()
	if err != nil {
		return Rate{}, err
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	answered := 0
	start := time.Now()
	for range Connections {
		running.Go(func() {
			n, err := p.ask(ctx, req, start.Add(each))
			mu.Lock()
			defer mu.Unlock()
			answered += n
			if err != nil {
				faults = append(faults, err)
			}
		})
	}
	running.Wait()
	took := time.Since(start)
	after, err := p.cpuTime()
	if err := errors.Join(append(faults, err)...); err != nil {
		return Rate{}, err
	}
	return Rate{PerSecond: float64(answered) / took.Seconds(), CPU: (after - before) / time.Duration(answered)}, nil
}

// Once sends the request once, on a connection of its own.
func (p *Process) Once(ctx context.Context, req Request) (status int, body string, err error) {
	c, err := p.dial(ctx, req, time.Now().Add(10*time.Second))
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = c.conn.Close() }()
	status, data, err := c.once()
	return status, string(data), err
}

// ask sends the request again and again until the time, on one connection, and
// judges each answer. It is a client that costs little: the server's work is what
// counts, and both are on one machine.
func (p *Process) ask(ctx context.Context, req Request, until time.Time) (answered int, err error) {
	c, err := p.dial(ctx, req, until.Add(10*time.Second))
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.conn.Close() }()
	for answered == 0 || time.Now().Before(until) {
		status, body, err := c.once()
		if err != nil {
			return answered, err
		}
		if status != http.StatusOK || !bytes.Contains(body, []byte(req.Want)) {
			return answered, fmt.Errorf("answer %d %.300s", status, body)
		}
		answered++
	}
	return answered, nil
}

// A client is one connection, kept.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body bytes.Buffer
}

func (p *Process) dial(ctx context.Context, req Request, deadline time.Time) (*client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &client{conn: conn, in: bufio.NewReader(conn), out: req.wire(p.Address)}, nil
}

// once sends the request and returns the answer. The body is good until the next.
func (c *client) once() (status int, body []byte, err error) {
	if _, err := c.conn.Write(c.out); err != nil {
		return 0, nil, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, nil, err
	}
	c.body.Reset()
	_, err = io.Copy(&c.body, resp.Body)
	if e := resp.Body.Close(); err == nil {
		err = e
	}
	return resp.StatusCode, c.body.Bytes(), err
}

// wire is the request as it is sent.
func (r *Request) wire(host string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /mcp HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", host, len(r.Body))
	_ = r.Header.Write(&b) // to memory
	b.WriteString("\r\n" + r.Body)
	return b.Bytes()
}
