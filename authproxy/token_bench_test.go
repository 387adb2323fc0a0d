package authproxy_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// BenchmarkRefresh is the proxy's own part of a refresh, with a client secret towards Entra.
// Entra's answer is the same each time, so its access token is verified once.
func BenchmarkRefresh(b *testing.B) {
	for name, secret := range map[string]string{"public": "", "confidential": shared} {
		b.Run(name, func(b *testing.B) {
			entra := &echo{}
			w := newWorld(b, setup{options: func(_ *world, o *authproxy.Options) {
				entra.next, o.Logger = o.HTTPClient.Transport, slog.New(slog.DiscardHandler)
				o.HTTPClient = &http.Client{Transport: entra}
				o.Clients[0].Secret = secret
			}})
			form := changed(w.codeForm(), "client_secret="+secret)
			token := w.good("code", w.post("/token", form, nil)).get("refresh_token")
			b.ReportAllocs()
			for b.Loop() {
				body := changed(refreshForm(token), "client_secret="+secret).Encode()
				r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/token", strings.NewReader(body))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				answer := httptest.NewRecorder()
				w.proxy.ServeHTTP(answer, r)
				_, rest, ok := strings.Cut(answer.Body.String(), `"refresh_token":"`)
				if token, _, _ = strings.Cut(rest, `"`); !ok {
					b.Fatal(answer.Body)
				}
			}
		})
	}
}

// echo repeats the first answer.
type echo struct {
	next http.RoundTripper
	body []byte
}

func (e *echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if e.body == nil {
		answer, err := e.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		defer func() { _ = answer.Body.Close() }()
		if e.body, err = io.ReadAll(answer.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, Body: io.NopCloser(bytes.NewReader(e.body)),
	}, nil
}
