package mcpentra

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/safelog"
)

// formed refuses requests by their method and headers, before their body is read.
func (s *Server) formed(next http.Handler) http.Handler {
	methods := []string{http.MethodPost}
	if s.log.sessions {
		methods = []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	}
	allow := strings.Join(methods, ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contentType := strings.Join(r.Header.Values("Content-Type"), ", ")
		switch post := r.Method == http.MethodPost; {
		case !slices.Contains(methods, r.Method):
			w.Header().Set("Allow", allow)
			s.reject(w, r, rejection{http.StatusMethodNotAllowed, codeBadRequest, "http_method_not_allowed", "The HTTP method must be " + allow})
			return
		case post && !strings.EqualFold(mediaType(contentType), "application/json"):
			s.reject(w, r, rejection{http.StatusUnsupportedMediaType, codeBadRequest, "content_type_not_json",
				fmt.Sprintf("The Content-Type must be application/json, and is %q", safelog.Cut(contentType, safelog.MaxName))})
			return
		case r.Method != http.MethodDelete && !accepts(r.Header.Values("Accept"), "text", "event-stream"):
			s.reject(w, r, rejection{http.StatusNotAcceptable, codeBadRequest, "accept_not_event_stream",
				"Answers are event streams: the Accept header must allow text/event-stream, best as \"application/json, text/event-stream\""})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// spellHeaders writes the headers that formed has let pass in the one spelling that the
// SDK knows. The headers must be a copy of the client's.
func spellHeaders(r *http.Request) {
	r.Header.Set("Accept", "application/json, text/event-stream")
	if r.Method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
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
