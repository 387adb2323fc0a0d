//go:build unix

package interop_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
)

// A cut is where a proxy cuts the connection of a request that writes.
type cut string

const (
	cutNever  cut = "never"
	cutBefore cut = "before the commit" // the service never sees the request
	cutWithin cut = "in mid-body"       // it sees half of the body
	cutAfter  cut = "after the commit"  // it has answered
	overtaken cut = "overtaken"         // it is not cut: another does something first
)

var errCut = errors.New("cut")

// A cutter is a proxy before a Blob service that cuts connections.
type cutter struct {
	*httptest.Server
	next *httputil.ReverseProxy

	mu      sync.Mutex
	planned []cut  // for the next requests that write
	writes  int    // requests that write
	then    func() // after a connection is cut
}

// newCutter starts a proxy before the service at that origin.
func newCutter(origin *url.URL, transport http.RoundTripper) *cutter {
	c := &cutter{}
	c.next = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(origin) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Context().Value(cutKey{}) == cutAfter {
				c.after()
				return errCut
			}
			return nil
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	c.Server = httptest.NewTLSServer(c)
	return c
}

// plan sets the cuts of the next requests that write; later ones pass.
func (c *cutter) plan(cuts ...cut) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.planned, c.writes = cuts, 0
}

// onCut has another do something right before the client notices the next cut. The function that it
// returns says how that went.
func (c *cutter) onCut(do func() error) (failed func() error) {
	err := errors.New("no connection was cut")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.then = func() { err = do() }
	return func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.then = nil
		return err
	}
}

func (c *cutter) after() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.then != nil {
		c.then()
		c.then = nil
	}
}

// seen returns how many requests that write have come since plan.
func (c *cutter) seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// ServeHTTP implements [http.Handler].
func (c *cutter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	how := c.take(r)
	if how == overtaken {
		c.after()
	}
	if how == cutBefore {
		_, _ = io.Copy(io.Discard, r.Body)
		c.after()
		panic(http.ErrAbortHandler)
	}
	if how == cutWithin {
		r.Body = &half{r.Body, r.ContentLength / 2}
	}
	c.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), cutKey{}, how)))
}

type cutKey struct{}

// take returns the cut of a request.
func (c *cutter) take(r *http.Request) cut {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method != http.MethodPut && r.Method != http.MethodDelete {
		return cutNever
	}
	c.writes++
	if len(c.planned) == 0 {
		return cutNever
	}
	how := c.planned[0]
	c.planned = c.planned[1:]
	return how
}

// half is a body whose sender is gone after so many bytes.
type half struct {
	io.ReadCloser
	left int64
}

func (h *half) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errCut
	}
	n, err := h.ReadCloser.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}
