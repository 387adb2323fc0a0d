package entratest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A Fault is something that goes wrong at an endpoint. Fields combine; a
// fault with nothing but a Delay answers late and rightly.
type Fault struct {
	// Times is how many requests it hits; 0 means all until it is cleared.
	Times int
	// ClientID restricts the fault to requests with that client_id.
	ClientID string
	// UserID restricts the fault to requests for the user with that object id: those that
	// exchange the user's token, redeem the user's code, refresh token or device code, or bring a
	// token of the user's to Microsoft Graph. Use it to throttle one user and no other.
	UserID string

	// Delay passes before the answer, on the real clock.
	Delay time.Duration
	// Drop closes the connection without an answer.
	Drop bool
	// CutAfter ends the right answer after so many bytes of its body, and closes
	// the connection.
	CutAfter int

	// AADSTS answers with Entra's error of that code: its error, suberror and status
	// where the tenant knows the code, else invalid_grant and 400.
	AADSTS int
	// Suberror and Claims are put into the error of AADSTS.
	Suberror, Claims string

	// Status is the HTTP status. Defaults to that of AADSTS, else to 200 with a
	// Body and 429 with RetryAfter alone.
	Status int
	// Body is sent as it stands, with ContentType (default application/json): an error whose
	// members have types that nobody expects, for instance.
	Body, ContentType string
	// RetryAfter is sent as the header Retry-After, in whole seconds.
	RetryAfter time.Duration
}

// faults holds the faults of each endpoint, in the order in which they were given.
type faults struct {
	mu sync.Mutex
	of map[Endpoint][]*Fault
}

// Fail makes the endpoint fail from now on, and replaces earlier faults. A request gets the first
// of the faults that applies to it. Without faults, or with the zero Fault, the endpoint works
// again. Requests are recorded all the same.
func (t *Tenant) Fail(endpoint Endpoint, failures ...Fault) {
	t.faults.mu.Lock()
	defer t.faults.mu.Unlock()
	if t.faults.of == nil {
		t.faults.of = map[Endpoint][]*Fault{}
	}
	t.faults.of[endpoint] = nil
	for _, f := range failures {
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
		met := *f
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				fs.of[e.endpoint] = slices.Delete(fs.of[e.endpoint], i, i+1)
			}
		}
		return met, true
	}
	return Fault{}, false
}

// userID returns the object id of the user whom a request claims to be for, unverified, or nothing.
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

// strike applies the fault of the endpoint, if there is one, and reports
// whether that was the answer.
func (t *Tenant) strike(e *exchange) bool {
	f, ok := t.faults.take(e)
	if !ok {
		return false
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-e.request.Context().Done(): // the client has gone, or the tenant is closing
			return true
		}
	}
	if f.RetryAfter > 0 {
		e.response.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.CutAfter > 0:
		e.response = &cutWriter{ResponseWriter: e.response, left: f.CutAfter}
		return false
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
	if f.ContentType == "" {
		f.ContentType = "application/json; charset=utf-8"
	}
	switch {
	case f.Status != 0:
	case f.Body != "":
		f.Status = http.StatusOK
	default:
		f.Status = http.StatusTooManyRequests
	}
	w.Header().Set("Content-Type", f.ContentType)
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body)) // an error here is the client's going away
}

// A cutWriter breaks the connection after so many bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
}

// Write writes what is left, and panics with http.ErrAbortHandler when nothing is.
func (w *cutWriter) Write(p []byte) (int, error) {
	if len(p) < w.left {
		w.left -= len(p)
		return w.ResponseWriter.Write(p)
	}
	_, _ = w.ResponseWriter.Write(p[:w.left])
	if flusher, ok := w.ResponseWriter.(http.Flusher); ok {
		flusher.Flush() // so that the client sees what there is
	}
	panic(http.ErrAbortHandler)
}
