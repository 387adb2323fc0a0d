package entratest

import "net/http"

// Handler returns what the tenant serves, for fuzzing without a network in
// between, whose goroutines would disturb the measurement of coverage.
func (t *Tenant) Handler() http.Handler { return http.HandlerFunc(t.serveAuthority) }
