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

// A Fault is something that goes wrong with a request. Fields combine: a Fault
// with nothing but a Delay, for instance, answers late and correctly.
type Fault struct {
	// ClientID restricts the fault to requests with that client_id.
	ClientID string
	// UserID restricts the fault to requests for the user with that object id: those that
	// exchange the user's token, redeem the user's code, refresh token or device code, or bring a
	// token of the user's to Microsoft Graph. Use it to throttle one user and no other.
	UserID string
	// Skip is how many of these requests are served normally first.
	Skip int
	// Times is how many requests the fault hits. Defaults to all, until it is cleared.
	Times int

	// Delay passes before the answer, on the real clock, unless the client gives up.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// CutAfter closes the connection after that many bytes of the answer's body.
	CutAfter int64
	// StallAfter sends nothing after that many bytes of the answer's body, until
	// the client gives up.
	StallAfter int64
	// Trickle is how long the tenant pauses before each KiB of the answer's body.
	Trickle time.Duration

	// Status is answered instead of serving the request. Defaults to that of AADSTS,
	// else to 200 with a Body and to 429 with RetryAfter alone.
	Status int
	// AADSTS answers with Entra's error of that code: its error, suberror and status
	// where the tenant knows the code, else invalid_grant and 400.
	AADSTS int
	// Suberror and Claims are put into the error of AADSTS.
	Suberror, Claims string
	// Body is sent as is, with ContentType (default application/json): an error whose
	// members have unexpected types, for instance.
	Body, ContentType string
	// RetryAfter is sent as the header Retry-After, in whole seconds, rounded up.
	RetryAfter time.Duration
}

// faults holds the faults of each endpoint, in the order in which they were given.
type faults struct {
	mu sync.Mutex
	of map[Endpoint][]*Fault
}

// Fail sets the faults of an endpoint, in place of earlier ones; without any, it
// works again. A request gets the first fault that applies to it, and is recorded
// all the same. A zero Fault is ignored.
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

// take returns the fault that hits this request, and counts it.
func (fs *faults) take(e *exchange) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i, f := range fs.of[e.endpoint] {
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

// userID returns the object id of the user that a request claims to be for, unverified, or nothing.
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

// strike applies the fault that hits this request, if there is one, and reports
// whether that was the answer.
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
	if f.RetryAfter > 0 {
		e.response.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	switch {
	case f.AADSTS != 0:
		f.reject(e)
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

// A faultyWriter sends the body of an answer as its fault says.
type faultyWriter struct {
	http.ResponseWriter
	request *http.Request
	fault   Fault
	sent    int64
}

// Unwrap is for [http.ResponseController].
func (w *faultyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write sends p, or as much of it as the fault lets through.
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

// limit returns after how many bytes of the body the fault strikes, 0 for never,
// and whether the connection then stalls instead of breaking.
func (w *faultyWriter) limit() (bytes int64, stall bool) {
	cut, stalls := w.fault.CutAfter, w.fault.StallAfter
	if stalls > 0 && (cut == 0 || stalls < cut) {
		return stalls, true
	}
	return cut, false
}

// sleep waits that long. It returns false at once if the client gives up.
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
