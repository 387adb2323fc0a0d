package blobtool_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// What a service lists beyond what it was asked for is not shown, and one that leads in
// circles is given up.
func TestHostileListing(t *testing.T) {
	t.Parallel()
	next := ""
	service := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		prefix, marker := r.URL.Query().Get("prefix"), r.URL.Query().Get("marker")
		if marker == "" {
			marker = next
		}
		var blobs strings.Builder
		for _, name := range []string{"secret/x", prefix + "a", "", prefix + strings.Repeat("x", 5000), "REPORTS/x"} {
			fmt.Fprintf(&blobs, "<Blob><Name>%s</Name><Properties></Properties></Blob>", name)
		}
		fmt.Fprintf(&blobs, "<Blob><Name Encoded=\"true\">%s%%FF</Name><Properties></Properties></Blob><BlobPrefix><Name>secret/</Name></BlobPrefix>", prefix)
		_, _ = fmt.Fprintf(rw, "<EnumerationResults ContainerName=\"docs\"><Blobs>%s</Blobs><NextMarker>%s</NextMarker></EnumerationResults>", blobs.String(), marker)
	}))
	defer service.Close()
	w := newWorld(t, nil)
	set, err := blobtool.NewAccount(service.URL, w.findCredential, &blobtool.Options{HTTPClient: service.Client(), Allow: []string{"docs/reports/"}})
	if err != nil {
		t.Fatal(err)
	}
	w.serveSet(t, set)
	session := w.connect(t, "alice")
	for _, folders := range []bool{false, true} {
		out := callFor[listOutput](t, session, "list_blobs", args{"container": "docs", "folders": folders})
		if rowNames(out.Blobs) != "reports/a" {
			t.Errorf("folders %v: got %.200s, want reports/a", folders, rowNames(out.Blobs))
		}
	}
	if uris, _ := listResources(t, session); strings.Join(uris, " ") != "blob://docs/reports/a" {
		t.Errorf("resources: got %.200q, want blob://docs/reports/a", uris)
	}
	if out := callFor[found](t, session, "search_blobs", args{"container": "docs", "name": "**"}); rowNames(out.Blobs) != "reports/a" {
		t.Errorf("search: got %.200s, want reports/a", rowNames(out.Blobs))
	}
	next = "again"
	w.refusal(t, session, "list_blobs", args{"container": "docs"}, blobtool.ErrUnavailable)
	next = strings.Repeat("m", 9000)
	w.refusal(t, session, "list_blobs", args{"container": "docs"}, blobtool.ErrUnavailable)
}
