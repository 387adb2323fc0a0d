package entratest

import "net/http"

// Handler returns the tenant's handler, for fuzzing without a network, whose goroutines would
// disturb the coverage measurement.
func (t *Tenant) Handler() http.Handler { return http.HandlerFunc(t.serveAuthority) }
