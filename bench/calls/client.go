package calls

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Once sends the request once, on a connection of its own.
func (p *Process) Once(ctx context.Context, req Request) (status int, body string, err error) {
	c, err := p.dial(ctx)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = c.conn.Close() }()
	status, data, err := c.once(&req)
	return status, string(data), err
}

// ask sends the requests in turn, from the one given, on one connection, until the
// time and until so many are answered. It judges each answer. It is a client that
// costs little: the server's work is what counts, and both are on one machine.
func (p *Process) ask(ctx context.Context, reqs []Request, first int, until time.Time, least int) (answered int, err error) {
	c, err := p.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.conn.Close() }()
	for answered <= least || time.Now().Before(until) {
		req := &reqs[(first+answered)%len(reqs)]
		status, body, err := c.once(req)
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
	body bytes.Buffer
}

func (p *Process) dial(ctx context.Context) (*client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, in: bufio.NewReader(conn)}, nil
}

// maxAnswer is how long an answer may take.
const maxAnswer = 10 * time.Second

// once sends the request and returns the answer. The body is good until the next.
func (c *client) once(r *Request) (status int, body []byte, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(maxAnswer)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(r.wire); err != nil {
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
