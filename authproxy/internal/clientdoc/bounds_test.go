package clientdoc_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

// everywhere answers for every host without a network.
type everywhere func(*http.Request) (status int, body string)

func (f everywhere) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := f(r)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func TestAThousandDocuments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := clientdoc.New(&clientdoc.Options{UnsafeClient: &http.Client{
			Transport: everywhere(func(r *http.Request) (int, string) { return 200, document(r.URL.String(), nil) }),
		}})
		for i := range 1500 {
			if _, err := f.Document(t.Context(), fmt.Sprintf("https://client-%d.example/a", i)); err != nil {
				t.Fatal(err)
			}
			if i == 499 {
				if synctest.Wait(); f.Documents() != 500 {
					t.Errorf("after 500 documents %d are kept, want all", f.Documents())
				}
			}
		}
		if synctest.Wait(); f.Documents() < 900 || f.Documents() > 1000 {
			t.Errorf("after 1,500 documents %d are kept, want about 1,000 and no more", f.Documents())
		}
	})
}

// The table of hosts is bounded, and however many hosts a stranger names, others are fetched from.
func TestTenThousandHosts(t *testing.T) {
	t.Parallel()
	f := clientdoc.New(&clientdoc.Options{UnsafeClient: &http.Client{
		Transport: everywhere(func(*http.Request) (int, string) { return 404, "" }),
	}})
	for i := range 12_000 {
		_, err := f.Document(t.Context(), fmt.Sprintf("https://client-%d.example/a", i))
		if invalid("404").fault(err) != "" {
			t.Fatalf("host %d: %s", i, invalid("404").fault(err))
		}
	}
	if n := f.Hosts(); n != 10_000 {
		t.Errorf("%d hosts are remembered, want 10,000", n)
	}
}
