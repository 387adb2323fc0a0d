package clientdoc_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

func TestTLSVerifiesTheName(t *testing.T) {
	t.Parallel()
	n := newInternet(t, serveOwn)
	cert, err := theAuthority().leaf("other.example")
	if err != nil {
		t.Fatal(err)
	}
	n.server.TLS.GetCertificate = nil
	n.server.TLS.Certificates = append(n.server.TLS.Certificates[:0], *cert)
	if _, err := n.Document(t.Context(), clientURL); unavailable.fault(err) != "" {
		t.Error(unavailable.fault(err))
	}
	if got := n.requests.Load(); got != 0 {
		t.Errorf("%d requests to a server without the name's certificate, want none", got)
	}
}

// The next addresses are tried if one doesn't answer, but not all of many.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fail  int // of the first dials
		dials int
		want  want
	}{
		{0, 1, want{}}, {1, 2, want{}}, {3, 4, want{}}, {4, 4, unavailable},
	} {
		n := newInternet(t, serveOwn)
		n.set("client.example", "8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9")
		var count atomic.Int64
		n.Fetcher = clientdoc.New(&clientdoc.Options{Now: n.clock.Now, RootCAs: theAuthority().pool, Resolve: n.resolve,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if int(count.Add(1)) <= tt.fail {
					return nil, errors.New("refused")
				}
				return n.dial(ctx, network, address)
			}})
		_, err := n.Document(t.Context(), clientURL)
		if fault := tt.want.fault(err); fault != "" || int(count.Load()) != tt.dials {
			t.Errorf("the first %d dials fail: %s; %d dials, want %d", tt.fail, fault, count.Load(), tt.dials)
		}
	}
}

func TestNoProxyFromEnvironment(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the environment's proxy is asked for %s", r.URL)
	}))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	t.Setenv("https_proxy", proxy.URL)
	if _, err := newInternet(t, serveOwn).Document(t.Context(), clientURL); err != nil {
		t.Error(err)
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
		for _, name := range []string{"Cookie", "Authorization", "Referer", "Origin"} {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("%s: %s, want none", name, got)
			}
		}
		if got := r.Header.Get("Accept-Encoding"); got != "identity" {
			t.Errorf("Accept-Encoding: got %q, want identity", got)
		}
		if r.Method != http.MethodGet || r.ProtoMajor != 1 {
			t.Errorf("got %s by %s, want GET by HTTP/1.1", r.Method, r.Proto)
		}
		serveOwn(w, r)
	})
	for _, url := range []string{clientURL, clientURL + "?2"} {
		if _, err := n.Document(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	}
}

// answers are what a host may answer, and what becomes of it.
var answers = map[string]struct {
	handler http.HandlerFunc
	want    want
}{
	"json":                 {answer(200, "application/json", document(clientURL, nil)), want{}},
	"json, charset":        {answer(200, "application/json; charset=utf-8", document(clientURL, nil)), want{}},
	"json, capitals":       {answer(200, "Application/JSON", document(clientURL, nil)), want{}},
	"+json":                {answer(200, "application/oauth-client+json", document(clientURL, nil)), want{}},
	"text":                 {answer(200, "text/plain", document(clientURL, nil)), invalid("Content-Type")},
	"html":                 {answer(200, "text/html", document(clientURL, nil)), invalid("Content-Type")},
	"text/json":            {answer(200, "text/json", document(clientURL, nil)), invalid("Content-Type")},
	"image/svg+json":       {answer(200, "image/x+json", document(clientURL, nil)), invalid("Content-Type")},
	"jsonp":                {answer(200, "application/javascript", document(clientURL, nil)), invalid("Content-Type")},
	"malformed type":       {answer(200, "application/json; =", document(clientURL, nil)), invalid("Content-Type")},
	"201":                  {answer(201, "application/json", document(clientURL, nil)), invalid("answers 201")},
	"203":                  {answer(203, "application/json", document(clientURL, nil)), invalid("answers 203")},
	"206":                  {answer(206, "application/json", document(clientURL, nil)), invalid("answers 206")},
	"204":                  {answer(204, "application/json", ""), invalid("answers 204")},
	"400":                  {answer(400, "application/json", document(clientURL, nil)), invalid("answers 400")},
	"404":                  {answer(404, "application/json", document(clientURL, nil)), invalid("answers 404")},
	"429":                  {answer(429, "application/json", document(clientURL, nil)), unavailable},
	"500":                  {answer(500, "application/json", document(clientURL, nil)), unavailable},
	"503":                  {answer(503, "application/json", document(clientURL, nil)), unavailable},
	"301":                  {redirect(301, "/other"), invalid("redirect")},
	"302":                  {redirect(302, "/other"), invalid("redirect")},
	"303":                  {redirect(303, "/other"), invalid("redirect")},
	"307":                  {redirect(307, "/other"), invalid("redirect")},
	"308, elsewhere":       {redirect(308, "http://169.254.169.254/metadata"), invalid("redirect")},
	"304":                  {answer(304, "application/json", ""), invalid("redirect")},
	"refresh":              {answer(200, "application/json", document(clientURL, nil), "Refresh", "0; url=https://other.example/"), want{}},
	"5 KiB":                {answer(200, "application/json", padded(5<<10)), want{}},
	"5 KiB and a byte":     {answer(200, "application/json", padded(5<<10+1)), invalid("larger than 5120")},
	"gzip":                 {answer(200, "application/json", zipped(document(clientURL, nil)), "Content-Encoding", "gzip"), invalid("Content-Encoding")},
	"gzip bomb":            {answer(200, "application/json", zipped(strings.Repeat(" ", 10<<20)), "Content-Encoding", "gzip"), invalid("Content-Encoding")},
	"gzip, not said":       {answer(200, "application/json", zipped(document(clientURL, nil))), invalid("not JSON")},
	"identity":             {answer(200, "application/json", document(clientURL, nil), "Content-Encoding", "identity"), want{}},
	"empty":                {answer(200, "application/json", ""), invalid("not JSON")},
	"huge header":          {answer(200, "application/json", document(clientURL, nil), "X-Large", strings.Repeat("a", 32<<10)), unavailable},
	"header of 8 KiB":      {answer(200, "application/json", document(clientURL, nil), "X-Large", strings.Repeat("a", 8<<10)), want{}},
	"endless body":         {endless, invalid("larger than 5120")},
	"endless 1xx":          {endlessEarlyHints, unavailable},
	"shorter than it says": {answer(200, "application/json", document(clientURL, nil), "Content-Length", "2000"), unavailable},
	"reset":                {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, unavailable},
	"no HTTP":              {noHTTP, unavailable},
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t, tt.handler)
			_, err := n.Document(t.Context(), clientURL)
			if fault := tt.want.fault(err); fault != "" {
				t.Error(fault)
			}
			if got := n.requests.Load(); got != 1 {
				t.Errorf("%d requests, want 1", got)
			}
			if got := n.dials(); len(got) != 1 {
				t.Errorf("dialed %q, want one dial", got)
			}
		})
	}
}

func answer(status int, kind, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func redirect(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/app.json" {
			serveOwn(w, r)
			return
		}
		w.Header().Set("Location", to)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, document(clientURL, nil))
	}
}

func padded(size int) string {
	d := document(clientURL, nil)
	return d + strings.Repeat(" ", size-len(d))
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	_ = w.Close()
	return b.String()
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte(strings.Repeat(" ", 1<<10))
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func endlessEarlyHints(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Large", strings.Repeat("a", 1<<10))
	for range 100 {
		if r.Context().Err() != nil {
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
	}
	serveOwn(w, r)
}

func noHTTP(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
	_ = conn.Close()
}

// A client of the operator's fetches with the same care.
func TestUnsafeClient(t *testing.T) {
	t.Parallel()
	for name, tt := range answers {
		if name == "huge header" || name == "endless 1xx" { // the bounds of the operator's transport
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newInternet(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Cookie") != "" {
					t.Error("the request has a cookie, want none")
				}
				http.SetCookie(w, &http.Cookie{Name: "c", Value: "v"})
				tt.handler(w, r)
			})
			client := n.server.Client()
			client.Transport.(*http.Transport).DialContext = n.dial
			client.Transport.(*http.Transport).TLSClientConfig.RootCAs = theAuthority().pool
			client.Jar, _ = cookiejar.New(nil)
			f := clientdoc.New(&clientdoc.Options{UnsafeClient: client, Now: n.clock.Now})
			for range 2 {
				_, err := f.Document(t.Context(), clientURL)
				if fault := tt.want.fault(err); fault != "" {
					t.Error(fault)
				}
			}
			if client.Jar == nil || client.CheckRedirect != nil {
				t.Error("the operator's client has changed")
			}
			if _, err := f.Document(t.Context(), "https://127.0.0.1/a"); badURL.fault(err) != "" {
				t.Error(badURL.fault(err))
			}
		})
	}
}

// With the real resolver and dialer: this machine is refused, unless that is asked for.
func TestLoopback(t *testing.T) {
	t.Parallel()
	n := newInternet(t, serveOwn)
	_, port, err := net.SplitHostPort(n.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		url      string
		loopback bool
		want     want
	}{
		{"https://127.0.0.1:" + port + "/a", true, want{}},
		{"https://localhost:" + port + "/a", true, want{}},
		{"https://127.0.0.1:" + port + "/a", false, badURL},
		{"https://localhost:" + port + "/a", false, badURL},
		{"http://127.0.0.1:" + port + "/a", true, badURL},
		{"https://10.0.0.1:" + port + "/a", true, badURL},
		{"https://169.254.169.254/a", true, badURL},
		{"https://0.0.0.0:" + port + "/a", true, badURL},
		{"https://a.localhost:" + port + "/a", true, badURL},
		{"https://[fe80::1%25lo]:" + port + "/a", true, badURL},
	} {
		f := clientdoc.New(&clientdoc.Options{UnsafeLoopback: tt.loopback, RootCAs: theAuthority().pool})
		_, err := f.Document(t.Context(), tt.url)
		if fault := tt.want.fault(err); fault != "" {
			t.Errorf("Document(%q) with loopback %v: %s", tt.url, tt.loopback, fault)
		}
	}
	private := newInternet(t, serveOwn)
	private.set("client.example", "10.0.0.1")
	f := clientdoc.New(&clientdoc.Options{UnsafeLoopback: true, Resolve: private.resolve, Dial: private.dial, RootCAs: theAuthority().pool})
	if _, err := f.Document(t.Context(), clientURL); unavailable.fault(err) != "" {
		t.Errorf("a private address with loopback: %s", unavailable.fault(err))
	}
}
