package blobtest

import "net/http"

// Handler serves the server's requests, for a test that sees when that ends.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Holds parses the value of x-ms-if-tags and evaluates it.
func Holds(text string, tags map[string]string) (bool, error) {
	p, err := parsePredicate(text)
	if err != nil {
		return false, err
	}
	return p(tags), nil
}

// ParseWhere parses the expression of Find Blobs by Tags and returns its
// conditions, one after the other.
func ParseWhere(text string) (conditions []string, err error) {
	w, err := parseWhere(text)
	for _, c := range w {
		conditions = append(conditions, c.key, c.operator, c.value)
	}
	return conditions, err
}
