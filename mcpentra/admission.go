package mcpentra

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// admission rejects malformed requests, and those of users over their limits.
type admission struct {
	users    *users
	limits   Limits
	refuser  *refuser
	sessions bool // the server has them
}

// limit is the stage that counts the request of a user. Its messages are counted later,
// when the body is there.
func (a *admission) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		places := 0
		if r.Method == http.MethodGet { // a stream
			places = 1
		}
		if wait := a.users.admit(&c.leased, c.caller.UserID(), places); wait > 0 {
			a.refuse(w, r, c.leased.user, wait, a.tooMany())
			return
		}
		c.lease = &c.leased
		defer c.lease.close()
		next.ServeHTTP(w, r)
	})
}

// formed rejects requests by their method and headers, before reading their body.
func (a *admission) formed(next http.Handler) http.Handler {
	methods := []string{http.MethodPost}
	if a.sessions {
		methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	}
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contentType := strings.Join(r.Header.Values("Content-Type"), ", ")
		switch post := r.Method == http.MethodPost; {
		case !slices.Contains(methods, r.Method):
			w.Header().Set("Allow", allow)
			a.refuser.reject(w, r, rejection{http.StatusMethodNotAllowed, codeBadRequest, "http_method_not_allowed", "The HTTP method must be " + allow})
			return
		case post && !strings.EqualFold(mediaType(contentType), "application/json"):
			a.refuser.reject(w, r, rejection{http.StatusUnsupportedMediaType, codeBadRequest, "content_type_not_json",
				fmt.Sprintf("The Content-Type must be application/json, and is %q", safelog.Cut(contentType, safelog.MaxName))})
			return
		case r.Method != http.MethodDelete && !acceptsType(r.Header.Values("Accept"), "text", "event-stream"):
			a.refuser.reject(w, r, rejection{http.StatusNotAcceptable, codeBadRequest, "accept_not_event_stream",
				"Answers are event streams: the Accept header must allow text/event-stream, best as \"application/json, text/event-stream\""})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mediaType returns the media type without its parameters.
func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.TrimSpace(s)
}

// acceptsType reports whether the Accept headers allow the media type (RFC 9110
// section 12.5.1): the most specific range that matches it decides, and without
// the header everything is allowed.
func acceptsType(headers []string, major, minor string) bool {
	best, allowed, any := -1, false, false
	for _, header := range headers {
		for one := range strings.SplitSeq(header, ",") {
			name := mediaType(one)
			if name == "" {
				continue
			}
			any = true
			major2, minor2, _ := strings.Cut(name, "/")
			specific := -1
			switch {
			case name == "*" || name == "*/*": // old clients send a bare star
				specific = 0
			case strings.EqualFold(major2, major) && minor2 == "*":
				specific = 1
			case strings.EqualFold(major2, major) && strings.EqualFold(minor2, minor):
				specific = 2
			}
			if specific < 0 || specific < best {
				continue
			}
			allowed = quality(one) > 0 || specific == best && allowed
			best = specific
		}
	}
	return allowed || !any
}

// quality is the q parameter of a range; one that can't be read is 1.
func quality(mediaRange string) float64 {
	_, parameters, _ := strings.Cut(mediaRange, ";")
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return q
			}
		}
	}
	return 1
}

// readBody is the stage that reads the whole body of a POST, and rejects bodies that are
// too large, too slow or cut off. A session keeps the request that began it, so that one
// must be small.
func (a *admission) readBody(next http.Handler) http.Handler {
	whole := edge.BodyLimits{Bytes: a.limits.BodyBytes, Timeout: a.limits.BodyTimeout}
	begin := whole
	if a.sessions {
		begin.Bytes = min(begin.Bytes, maxInitialize)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		c, limits := callOf(r.Context()), &whole
		if r.Header.Get(sessionHeader) == "" {
			limits = &begin
		}
		why := c.body.Receive(w, r, *limits, c.lease)
		c.read(edge.BodyOf(r)) // even a partial body: it may contain the id
		switch {
		case why == nil:
			next.ServeHTTP(w, r)
			return
		case why.Status == http.StatusTooManyRequests, why.Status == http.StatusServiceUnavailable: // the lease's
			a.refuse(w, r, c.lease.user, time.Second, rejectionOf(why))
		default:
			a.refuser.reject(w, r, rejectionOf(why))
		}
		c.body.Abandon(w)
	})
}

// withoutBatches is the first protocol version that has no JSON-RPC batches.
const withoutBatches = "2025-06-18"

// countMessages is the stage that bounds JSON-RPC batches (protocol 2025-03-26 and older), and
// counts each message against its user's limits before any runs: calls take a place,
// notifications and answers don't.
func (a *admission) countMessages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callOf(r.Context())
		if c.data == nil {
			next.ServeHTTP(w, r)
			return
		}
		n := len(c.messages)
		if c.isBatch {
			switch version := r.Header.Get("Mcp-Protocol-Version"); {
			case version >= withoutBatches:
				a.badRequest(w, r, "Protocol "+withoutBatches+" and later have no batches: send each message in a request of its own")
				return
			case n == 0:
				a.badRequest(w, r, "The batch is empty: send at least one message")
				return
			case n > maxBatch:
				a.badRequest(w, r, fmt.Sprintf("The batch is too large: send at most %d messages in one", maxBatch))
				return
			}
		}
		calls := 0
		for i := range c.messages {
			if c.messages[i].IsCall() {
				calls++
			}
		}
		if wait := c.lease.settle(n-1, calls); wait > 0 {
			a.refuse(w, r, c.lease.user, wait, a.tooMany())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *admission) badRequest(w http.ResponseWriter, r *http.Request, message string) {
	a.refuser.reject(w, r, rejection{http.StatusBadRequest, codeBadRequest, "invalid_request", message})
}

// begin is a stage of servers with sessions, where a call continues after its client
// hangs up, and counts until it ends.
func (a *admission) begin(m *rpcMessage) error {
	if !a.sessions || m.call == nil || m.call.lease == nil || strings.HasPrefix(m.method, "notifications/") { // not by HTTP, or short
		return nil
	}
	if !m.call.lease.begin() {
		m.reason = "too_many_requests"
		return &jsonrpc.Error{Code: codeBusy, Message: a.limits.busy()}
	}
	m.counted = true
	return nil
}

// end is the other half of begin.
func (a *admission) end(m *rpcMessage) {
	if m.counted {
		m.call.lease.end()
	}
}

func (a *admission) tooMany() rejection {
	return rejection{http.StatusTooManyRequests, codeBusy, "too_many_requests", a.limits.busy()}
}

// refuse answers 429, or 503. The log has one line a second for each user.
func (a *admission) refuse(w http.ResponseWriter, r *http.Request, u *user, wait time.Duration, why rejection) {
	w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
	w.Header().Set("Cache-Control", "no-store")
	if !a.users.mayWarn(u) {
		a.refuser.rejectUnlogged(w, r, why)
		return
	}
	a.refuser.reject(w, r, why, slog.Duration("retry_after", wait))
}

// maxInitialize bounds the request that begins a session, in bytes: the session keeps
// its parameters.
const maxInitialize = 64 << 10

// keptOf bounds messages of which a session, subscription or stream keeps parameters or
// the id, by method; in bytes.
var keptOf = map[string]int{
	"initialize":                maxInitialize,
	"notifications/initialized": 8 << 10,
	"logging/setLevel":          8 << 10,
	"resources/subscribe":       8 << 10,
	"subscriptions/listen":      maxInitialize,
}

// smallIfKept is the stage that rejects large messages of which parts are kept.
func smallIfKept(m *rpcMessage) error {
	most, kept := keptOf[m.method]
	if !kept || m.call == nil || m.call.isSmall(most) {
		return nil
	}
	e := &jsonrpc.Error{Code: jsonrpc.CodeInvalidRequest,
		Message: fmt.Sprintf("The request is too large: send at most %d bytes and %d JSON values for %s", most, maxValues, m.method)}
	m.refuseFor("body_too_large", func(w http.ResponseWriter, r *http.Request) {
		mcpauth.WriteRefusal(w, r, http.StatusRequestEntityTooLarge, int(e.Code), "body_too_large", e.Message)
	})
	return e
}
