package clientdoc_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
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

// The table of hosts is bounded, and room comes back with time.
func TestTenThousandHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := clientdoc.New(&clientdoc.Options{UnsafeClient: &http.Client{
			Transport: everywhere(func(*http.Request) (int, string) { return 404, "" }),
		}})
		fetch := func(i int) error {
			_, err := f.Document(t.Context(), fmt.Sprintf("https://client-%d.example/a", i))
			return err
		}
		for i := range 10_000 {
			if err := fetch(i); invalid("404").fault(err) != "" {
				t.Fatal(invalid("404").fault(err))
			}
		}
		busy := want{clientdoc.ErrBusy, http.StatusServiceUnavailable, oauth.TemporarilyUnavailable, "at once"}
		if err := fetch(10_000); busy.fault(err) != "" {
			t.Errorf("another host: %s", busy.fault(err))
		}
		if err := fetch(0); invalid("404").fault(err) != "" {
			t.Errorf("a known host: %s", invalid("404").fault(err))
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		if err := fetch(10_000); invalid("404").fault(err) != "" {
			t.Errorf("a minute later: %s", invalid("404").fault(err))
		}
	})
}
