package authproxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What the proxy itself takes for the requests of a browser, without Entra, the network and TLS.
func BenchmarkAuthorize(b *testing.B) {
	p := newOfflineProxy(b)
	query := request().Encode()
	shown := httptest.NewRecorder()
	p.ServeHTTP(shown, newQuery("/authorize", query))
	_, fields := (&page{body: shown.Body.String()}).form()
	fields.Set("decision", "approve")
	form := fields.Encode()
	jar := cookiesOf(shown)

	b.Run("consent page", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.ServeHTTP(httptest.NewRecorder(), newQuery("/authorize", query))
		}
	})
	var approved string
	b.Run("approve", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/consent", strings.NewReader(form))
			r.Header.Set("Content-Type", formType)
			r.Header.Set("Cookie", jar)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				b.Fatalf("status %d", w.Code)
			}
			approved = cookiesOf(w)
		}
	})
	b.Run("approved before", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := newQuery("/authorize", query)
			r.Header.Set("Cookie", approved)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Code != http.StatusFound {
				b.Fatalf("status %d", w.Code)
			}
		}
	})
}

func newQuery(path, query string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.URL.RawQuery = query
	return r
}

// cookiesOf returns the header Cookie of a browser that got the answer.
func cookiesOf(w *httptest.ResponseRecorder) string {
	var pairs []string
	for _, line := range w.Header().Values("Set-Cookie") {
		pair, _, _ := strings.Cut(line, ";")
		pairs = append(pairs, pair)
	}
	return strings.Join(pairs, "; ")
}
