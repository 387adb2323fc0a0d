package entratest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A Fault makes something go wrong with a request. Fields combine: a Fault with only a Delay, for
// instance, answers late but correctly.
type Fault struct {
	// ClientID restricts the fault to requests with that client_id.
	ClientID string
	// Method restricts the fault to requests with that HTTP method, such as PATCH.
	Method string
	// UserID restricts the fault to requests for the user with that object ID: exchanges of the
	// user's token, redemptions of the user's code, refresh token or device code, and requests to
	// Microsoft Graph with the user's token. Use it to throttle only that user.
	UserID string
	// Skip is how many matching requests are served normally first.
	Skip int
	// Times is how many requests the fault affects. Defaults to all until it is cleared.
	Times int

	// Delay is how long to wait before answering, on the real clock, unless the client gives up.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// LoseAnswer serves the request, so that it takes effect, and then closes the connection without
	// an answer.
	LoseAnswer bool
	// CutAfter closes the connection after that many bytes of the answer's body.
	CutAfter int64
	// StallAfter stops sending after that many bytes of the body, until the client gives up.
	StallAfter int64
	// Trickle is the pause before each KiB of the body.
	Trickle time.Duration

	// Status is the response's status; the request is not served. Defaults to the status of
	// AADSTS, or else to 200 with a Body and 429 with only RetryAfter.
	Status int
	// AADSTS responds with Entra's error with that code: with its error, suberror and status if
	// the tenant knows the code, and otherwise with invalid_grant and 400.
	AADSTS int
	// GraphCode responds with Microsoft Graph's error with that code, such as
	// Directory_QuotaExceeded, and Status, by default 403. A fault of EndpointGraph with only a
	// Status or RetryAfter has Graph's error for that status.
	GraphCode string
	// Suberror and Claims are members of the AADSTS error.
	Suberror, Claims string
	// Body is sent unchanged with ContentType (default application/json), for instance an error
	// whose members have unexpected types.
	Body, ContentType string
	// RetryAfter is the Retry-After header, rounded up to whole seconds.
	RetryAfter time.Duration
}

// faults holds each endpoint's faults in the given order.
type faults struct {
	mu sync.Mutex
	of map[Endpoint][]*Fault
}

// Fail replaces the endpoint's faults; without any, it works again. A request gets the first fault
// that matches, and is recorded anyway. A zero Fault is ignored.
func (t *Tenant) Fail(endpoint Endpoint, faults ...Fault) {
	t.faults.mu.Lock()
	defer t.faults.mu.Unlock()
	if t.faults.of == nil {
		t.faults.of = map[Endpoint][]*Fault{}
	}
	t.faults.of[endpoint] = nil
	for _, f := range faults {
		if f != (Fault{}) {
			t.faults.of[endpoint] = append(t.faults.of[endpoint], &f)
		}
	}
}

// take returns the fault for this request, and counts it.
func (fs *faults) take(e *exchange) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.of[e.endpoint] {
		if f.Method != "" && f.Method != e.request.Method {
			continue
		}
		if f.ClientID != "" && !strings.EqualFold(f.ClientID, e.clientID()) || f.UserID != "" && !strings.EqualFold(f.UserID, e.userID()) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		hit := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				fs.of[e.endpoint] = slices.Delete(fs.of[e.endpoint], i, i+1)
			}
		}
		return hit, true
	}
	return Fault{}, false
}

// userID returns the object ID of a request's user, unverified, or "".
func (e *exchange) userID() string {
	bearer, _ := strings.CutPrefix(e.request.Header.Get("Authorization"), "Bearer ")
	for _, token := range []string{e.form.Get("assertion"), bearer} {
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err == nil {
			objectID, _ := claims["oid"].(string)
			return objectID
		}
	}
	for purpose, text := range map[string]string{"code": e.form.Get("code"), "refresh": e.form.Get("refresh_token")} {
		if g, r := e.tenant.openGrant(purpose, text); r == nil {
			return g.User
		}
	}
	code := e.form.Get("device_code")
	if d := e.tenant.devices.find(func(d *deviceCode) bool { return d.code == code }); d != nil && d.grant != nil {
		return d.grant.User
	}
	return ""
}

// strike applies the fault for this request, if there is one, and reports whether it answered the
// request.
func (t *Tenant) strike(e *exchange) bool {
	f, ok := t.faults.take(e)
	if !ok {
		return false
	}
	if f.Delay > 0 && !sleep(e.request, f.Delay) {
		return true
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	if f.CutAfter > 0 || f.StallAfter > 0 || f.Trickle > 0 {
		e.response = &faultyWriter{ResponseWriter: e.response, request: e.request, fault: f}
	}
	if f.LoseAnswer {
		e.response = lostAnswer{e.response}
	}
	if f.RetryAfter > 0 {
		e.response.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	switch {
	case f.AADSTS != 0:
		f.reject(e)
	case f.GraphCode != "" || e.endpoint == EndpointGraph && f.Body == "" && (f.Status != 0 || f.RetryAfter > 0):
		f.failGraph(e)
	case f.Body != "" || f.Status != 0 || f.RetryAfter > 0:
		f.respond(e.response)
	default:
		return false
	}
	return true
}

func (f Fault) reject(e *exchange) {
	r := reject(f.AADSTS, "Made by a fault of the test.")
	if f.Suberror != "" {
		r.suberror = f.Suberror
	}
	if f.Status != 0 {
		r.status = f.Status
	}
	r.claims = f.Claims
	e.reject(r)
}

// failGraph answers with an error of Microsoft Graph.
func (f Fault) failGraph(e *exchange) {
	if f.Status == 0 && f.GraphCode != "" {
		f.Status = http.StatusForbidden
	}
	status := cmp.Or(f.Status, http.StatusTooManyRequests)
	byStatus := map[int]string{
		http.StatusUnauthorized: "InvalidAuthenticationToken", http.StatusForbidden: "Authorization_RequestDenied",
		http.StatusNotFound: "Request_ResourceNotFound", http.StatusConflict: "Directory_ConcurrencyViolation",
		http.StatusTooManyRequests: "TooManyRequests", http.StatusServiceUnavailable: "serviceNotAvailable",
	}
	e.failGraph(&graphFault{status: status, code: cmp.Or(f.GraphCode, byStatus[status], "UnknownError"), message: "Made by a fault of the test."})
}

// A lostAnswer closes the connection when the answer begins.
type lostAnswer struct{ http.ResponseWriter }

// Unwrap supports [http.ResponseController].
func (w lostAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader closes the connection.
func (lostAnswer) WriteHeader(int) { panic(http.ErrAbortHandler) }

// Write closes the connection.
func (lostAnswer) Write([]byte) (int, error) { panic(http.ErrAbortHandler) }

func (f Fault) respond(w http.ResponseWriter) {
	if f.Status == 0 {
		f.Status = http.StatusTooManyRequests
		if f.Body != "" {
			f.Status = http.StatusOK
		}
	}
	w.Header().Set("Content-Type", cmp.Or(f.ContentType, "application/json; charset=utf-8"))
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body)) // the client may be gone
}

// A faultyWriter writes the body of a response according to a fault.
type faultyWriter struct {
	http.ResponseWriter
	request *http.Request
	fault   Fault
	sent    int64
}

// Unwrap supports [http.ResponseController].
func (w *faultyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes p, or as much of it as the fault allows.
func (w *faultyWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		piece := p[done:]
		if w.fault.Trickle > 0 {
			piece = piece[:min(len(piece), 1024)]
			if !sleep(w.request, w.fault.Trickle) {
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
				<-w.request.Context().Done()
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

// sleep waits for d. It returns false at once if the client gives up.
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
