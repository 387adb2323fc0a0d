package blobtest

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Fault is something that goes wrong with a request. Fields combine: a Fault
// with nothing but a Delay, for instance, answers late and correctly. What Azure
// does under load and behind a firewall is
//
//	Fault{Status: 503, Code: "ServerBusy", RetryAfter: 10 * time.Second}
//	Fault{Status: 429, Code: "TooManyRequests"}
//	Fault{Status: 403, Code: "AuthorizationFailure"}
type Fault struct {
	// Operation restricts the fault to requests of that kind.
	Operation Operation
	// Blob restricts the fault to requests for the blob of that name.
	Blob string
	// Skip is how many matching requests are served normally first.
	Skip int
	// Times is how many requests the fault affects. Defaults to all until it is cleared.
	Times int

	// Served lets the service serve the request first, and change what it changes; then the answer
	// is lost: the connection closes with Drop, or Status is sent instead.
	Served bool
	// CutUpload closes the connection after that many bytes of the request's body.
	CutUpload int64

	// Delay is how long to wait before answering, on the real clock, unless the client gives up or
	// the server closes. The request's body is received first.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// CutAfter closes the connection after that many bytes of the answer's body.
	CutAfter int64
	// StallAfter stops sending after that many bytes of the body, until the client gives up.
	StallAfter int64
	// Trickle is the pause before each KiB of the body.
	Trickle time.Duration

	// Status is the response's status. Unless Served, the request is not served, and its token is
	// not checked.
	// Defaults to 200 with a Body and to 429 with only RetryAfter.
	Status int
	// Code is Azure's error code, such as "ServerBusy", sent with Status.
	Code string
	// Challenge is the WWW-Authenticate header of a response with Status, such as a hostile
	// endpoint may send.
	Challenge string
	// Body is sent unchanged instead of Azure's XML, with ContentType (default application/xml).
	Body, ContentType string
	// RetryAfter is the Retry-After header, rounded up to whole seconds.
	RetryAfter time.Duration
}

// Fail replaces the server's faults; without any, it works again. A request gets the first fault
// that matches, and is recorded anyway. A zero Fault is ignored. It panics if a Fault has a Code
// or a Challenge but no Status, or is Served with neither Drop nor a status.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, f := range faults {
		if f.status() == 0 && f.Code+f.Challenge != "" {
			panic("blobtest: Fail: Fault.Code and Fault.Challenge need Fault.Status")
		}
		if f.Served && !f.Drop && f.status() == 0 {
			panic("blobtest: Fail: Fault.Served needs Drop or Status: what becomes of the answer")
		}
		if f != (Fault{}) {
			s.faults = append(s.faults, &f)
		}
	}
}

// OnRequest sets a function that is called with every request before anything else happens to it,
// faults too; nil removes it. It is the place for what others do between two requests of a client:
// it may call the server's methods, and may send requests of its own, for which it is called again.
// It is called by many goroutines at once.
func (s *Server) OnRequest(f func(Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onRequest = f
}

// announce calls the function of OnRequest.
func (x *exchange) announce() {
	x.mu.Lock()
	f, entry := x.onRequest, *x.entry
	x.mu.Unlock()
	if f != nil {
		f(entry)
	}
}

// takeFault returns the fault for this request, and counts it.
func (x *exchange) takeFault() (Fault, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, f := range x.faults {
		if f.Operation != "" && f.Operation != x.operation || f.Blob != "" && f.Blob != x.blob {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				x.faults = slices.Delete(x.faults, i, i+1)
			}
		}
		return hit, true
	}
	return Fault{}, false
}

// strike serves the request with the fault for it, if there is one.
func (x *exchange) strike(serve func()) {
	f, ok := x.takeFault()
	if !ok {
		serve()
		return
	}
	if f.Delay > 0 {
		x.receiveEarly()
		if !sleep(x.r, f.Delay) {
			return
		}
	}
	if f.CutUpload > 0 {
		x.r.Body = &cutBody{x.r.Body, f.CutUpload}
	}
	if w := x.w; f.Served {
		x.w = lostAnswer{http.Header{}}
		serve()
		x.w = w
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.CutAfter > 0 || f.StallAfter > 0 || f.Trickle > 0 {
		x.w = &faultyWriter{ResponseWriter: x.w, r: x.r, fault: f}
	}
	if f.status() == 0 {
		serve()
		return
	}
	drain(x.r)
	f.respond(x.w, x.r)
}

// A lostAnswer is an answer that nobody gets.
type lostAnswer struct{ header http.Header }

func (a lostAnswer) Header() http.Header         { return a.header }
func (a lostAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (a lostAnswer) WriteHeader(int)             {}

// A cutBody is a request's body that ends the connection after left bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

// Read reads what is left.
func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		panic(http.ErrAbortHandler)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// status returns the status to send, or 0 to serve the request.
func (f Fault) status() int {
	switch {
	case f.Status != 0:
		return f.Status
	case f.Body != "":
		return http.StatusOK
	case f.RetryAfter > 0:
		return http.StatusTooManyRequests
	}
	return 0
}

func (f Fault) respond(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if f.Challenge != "" {
		h.Set("WWW-Authenticate", f.Challenge)
	}
	if f.Body == "" {
		writeError(w, r, f.status(), errorBody{Code: f.Code, Message: http.StatusText(f.status())})
		return
	}
	if f.Code != "" {
		h.Set("x-ms-error-code", f.Code)
	}
	h.Set("Content-Type", cmp.Or(f.ContentType, "application/xml"))
	w.WriteHeader(f.status())
	_, _ = w.Write([]byte(f.Body)) // the client may be gone
}

// A faultyWriter writes the body of a response according to a fault.
type faultyWriter struct {
	http.ResponseWriter
	r     *http.Request
	fault Fault
	sent  int64
}

// Unwrap supports [http.ResponseController].
func (w *faultyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes p, or as much of it as the fault allows.
func (w *faultyWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		piece := p[done:]
		if w.fault.Trickle > 0 {
			piece = piece[:min(len(piece), 1024)]
			if !sleep(w.r, w.fault.Trickle) {
				panic(http.ErrAbortHandler)
			}
		}
		limit, stall := w.limit()
		broken := limit > 0 && w.sent+int64(len(piece)) > limit
		if broken {
			piece = piece[:limit-w.sent]
		}
		w.sent += int64(len(piece))
		n, err := w.ResponseWriter.Write(piece)
		if broken || w.fault.Trickle > 0 {
			_ = http.NewResponseController(w.ResponseWriter).Flush() // the client sees what was sent so far
		}
		if broken {
			if stall {
				<-w.r.Context().Done()
			}
			panic(http.ErrAbortHandler)
		}
		if done += n; err != nil {
			return done, err
		}
	}
	return len(p), nil
}

// limit returns after how many bytes of the body the fault happens, or 0 for never, and whether
// the connection then stalls instead of closing.
func (w *faultyWriter) limit() (bytes int64, stall bool) {
	cut, stalls := w.fault.CutAfter, w.fault.StallAfter
	if stalls > 0 && (cut == 0 || stalls < cut) {
		return stalls, true
	}
	return cut, false
}

// receiveEarly reads the request's body, for the handler to read later: net/http notices that the
// client gives up only once the body has been read.
func (x *exchange) receiveEarly() {
	body, err := io.ReadAll(x.r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	x.r.Body = io.NopCloser(bytes.NewReader(body))
}

// sleep waits for d. It returns false at once if the client gives up or the server closes.
func sleep(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
