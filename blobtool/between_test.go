package blobtool_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// A middlebox answers in the place of the storage service.
type middlebox struct {
	status int
	header http.Header // besides the content's type
}

func (m middlebox) RoundTrip(r *http.Request) (*http.Response, error) {
	const page = "<html>Blocked by your organization's proxy</html>"
	header := http.Header{"Content-Type": {"text/html"}}
	maps.Copy(header, m.header)
	return &http.Response{
		StatusCode: m.status, Status: http.StatusText(m.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: header, Body: io.NopCloser(strings.NewReader(page)), ContentLength: int64(len(page)),
	}, nil
}

// What a proxy or firewall refuses is not told as a missing role, by any tool.
func TestRefusalsByAProxy(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 404, 407} {
		w := newWorld(t, func(o *blobtool.Options) { o.HTTPClient = &http.Client{Transport: middlebox{status, nil}} })
		s := w.connect(t, "alice")
		for tool, a := range map[string]args{
			"read_blob_with_token": {"blob_path": "a.txt"}, "read_blob": {"blob_path": "a.txt"}, "stat_blob": {"blob_path": "a.txt"},
			"list_blobs": {}, "search_blobs": {"text": "x"},
		} {
			res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
			if err != nil {
				t.Fatal(err)
			}
			text := res.Content[0].(*mcp.TextContent).Text
			if !res.IsError || !strings.Contains(text, "proxy or firewall") || strings.Contains(text, "role") || strings.Contains(text, "Blocked") {
				t.Errorf("%d, %s: got %s, want \"proxy or firewall\", no role, and nothing of the page", status, tool, text)
			}
		}
	}
}

// What is said of a listing speaks of no blob, whatever Azure answers.
func TestListingsSpeakOfNoBlob(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "Strange", "AuthorizationPermissionMismatch", "PublicAccessNotPermitted", "AuthorizationFailure", "BlobNotFound", "ContainerNotFound",
		"ResourceNotFound", "ConditionNotMet", "InvalidUri", "InvalidResourceName", "AccountIsDisabled", "AuthenticationFailed"} {
		for _, status := range []int{400, 401, 403, 404, 409, 412} {
			box := middlebox{status, http.Header{"X-Ms-Request-Id": {"1-2-3"}, "X-Ms-Error-Code": {code}}}
			s := newWorld(t, func(o *blobtool.Options) { o.HTTPClient = &http.Client{Transport: box} }).connect(t, "alice")
			for tool, a := range map[string]args{"list_blobs": {"prefix": "x/"}, "search_blobs": {"text": "x"}} {
				res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: a})
				if err != nil {
					t.Fatal(err)
				}
				text := res.Content[0].(*mcp.TextContent).Text
				if !res.IsError || strings.Contains(text, `""`) || strings.Contains(text, "Blob \"") || strings.Contains(text, "blob name") || strings.Contains(text, "may not read") {
					t.Errorf("%d %s, %s: got %s, want an error that names no blob", status, code, tool, text)
				}
			}
		}
	}
}
