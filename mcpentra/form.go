package mcpentra

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// A form is what an HTTP request must look like before its body is read.
type form struct{ methods []string }

func newForm(sessions bool) form {
	if sessions {
		return form{[]string{http.MethodGet, http.MethodPost, http.MethodDelete}}
	}
	return form{[]string{http.MethodPost}}
}

// check refuses requests by their method and headers, as JSON-RPC errors that
// say what to send, and gives the SDK the two headers in the spelling that it knows.
func (f form) check(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contentType := r.Header.Get("Content-Type")
		switch post := r.Method == http.MethodPost; {
		case !slices.Contains(f.methods, r.Method):
			w.Header().Set("Allow", strings.Join(f.methods, ", "))
			mcpauth.WriteError(w, r, http.StatusMethodNotAllowed, codeBadRequest,
				"The HTTP method must be "+strings.Join(f.methods, ", ")+", and is "+cut(r.Method, maxLoggedName))
			return
		case post && !strings.EqualFold(mediaType(contentType), "application/json"):
			mcpauth.WriteError(w, r, http.StatusUnsupportedMediaType, codeBadRequest,
				fmt.Sprintf("The Content-Type must be application/json, and is %q", cut(contentType, maxLoggedName)))
			return
		case r.Method != http.MethodDelete && !accepts(r.Header.Values("Accept"), "text", "event-stream"):
			mcpauth.WriteError(w, r, http.StatusNotAcceptable, codeBadRequest,
				"Answers are event streams: the Accept header must allow text/event-stream, best as \"application/json, text/event-stream\"")
			return
		}
		r = r.Clone(r.Context())
		r.Header.Set("Accept", "application/json, text/event-stream")
		if contentType != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		next.ServeHTTP(w, r)
	})
}

// mediaType returns the media type without its parameters.
func mediaType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.TrimSpace(s)
}

// accepts reports whether the Accept headers allow the media type (RFC 9110
// section 12.5.1): the most specific range that matches it decides, and without
// the header everything is allowed.
func accepts(headers []string, major, minor string) bool {
	ranges := strings.Split(strings.Join(headers, ","), ",")
	best, allowed, any := -1, false, false
	for _, one := range ranges {
		name := mediaType(one)
		if name == "" {
			continue
		}
		any = true
		major2, minor2, _ := strings.Cut(name, "/")
		specific := -1
		switch {
		case name == "*" || name == "*/*": // a bare star is old clients' way to write it
			specific = 0
		case strings.EqualFold(major2, major) && minor2 == "*":
			specific = 1
		case strings.EqualFold(major2, major) && strings.EqualFold(minor2, minor):
			specific = 2
		}
		if specific < 0 || specific < best {
			continue
		}
		allowed = weight(one) > 0 || specific == best && allowed
		best = specific
	}
	return allowed || !any
}

// weight is the q parameter of a range; one that can't be read is 1.
func weight(mediaRange string) float64 {
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
