package blobtest_test

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// send sends a request as alice with headers: name, value, name, value.
func send(t *testing.T, srv *blobtest.Server, method, path string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf(t, alice))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := srv.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// check compares a response with a status and a code; an empty code means success.
func check(t *testing.T, what string, got answer, status int, code string) {
	t.Helper()
	if got.status != status || got.header.Get("x-ms-error-code") != code {
		t.Errorf("%s: %d %s, want %d %s", what, got.status, got.header.Get("x-ms-error-code"), status, code)
	}
}

// newReadable starts a server on which alice may read everything.
func newReadable(t *testing.T, o blobtest.Options) *blobtest.Server {
	t.Helper()
	srv := newServerWith(t, o)
	srv.Put("docs", "a", []byte("0123456789"), "")
	srv.Grant(alice, "", "")
	return srv
}

// Unsupported operations are rejected: with 405 if Azure has them, with 400 otherwise.
func TestUnservedOperations(t *testing.T) {
	t.Parallel()
	srv := newReadable(t, blobtest.Options{})
	for request, want := range map[string]struct {
		status int
		code   string
	}{
		"GET /docs/a?comp=metadata":                  {405, "UnsupportedHttpVerb"},
		"HEAD /docs/a?comp=metadata":                 {405, "UnsupportedHttpVerb"},
		"GET /docs/a?comp=pagelist":                  {405, "UnsupportedHttpVerb"},
		"HEAD /docs/a?comp=tags":                     {405, "UnsupportedHttpVerb"},
		"GET /docs?restype=container&comp=acl":       {405, "UnsupportedHttpVerb"},
		"GET /docs?restype=container&comp=metadata":  {405, "UnsupportedHttpVerb"},
		"HEAD /docs?restype=container&comp=list":     {405, "UnsupportedHttpVerb"},
		"GET /?restype=service&comp=properties":      {405, "UnsupportedHttpVerb"},
		"GET /?restype=service&comp=stats":           {405, "UnsupportedHttpVerb"},
		"GET /?restype=account&comp=properties":      {405, "UnsupportedHttpVerb"},
		"PUT /docs/a":                                {403, "AuthorizationPermissionMismatch"},
		"PUT /docs/a?comp=page":                      {405, "UnsupportedHttpVerb"},
		"PUT /docs/a?comp=tier":                      {405, "UnsupportedHttpVerb"},
		"POST /docs/a":                               {405, "UnsupportedHttpVerb"},
		"PUT /docs/a?comp=nonsense":                  {405, "UnsupportedHttpVerb"},
		"OPTIONS /docs/a":                            {405, "UnsupportedHttpVerb"},
		"DELETE /docs?restype=container":             {405, "UnsupportedHttpVerb"},
		"GET /docs/a?comp=nonsense":                  {400, "InvalidQueryParameterValue"},
		"GET /docs?restype=container&comp=nonsense":  {400, "InvalidQueryParameterValue"},
		"GET /docs?restype=directory":                {400, "InvalidQueryParameterValue"},
		"GET /docs/a?restype=container":              {400, "InvalidQueryParameterValue"},
		"GET /?comp=nonsense":                        {400, "InvalidQueryParameterValue"},
		"GET /":                                      {400, "InvalidQueryParameterValue"},
		"GET /docs/a?comp=&comp=tags":                {400, "InvalidQueryParameterValue"},
		"GET /docs/a?x=1":                            {400, "UnsupportedQueryParameter"},
		"GET /docs/a?prefix=a":                       {400, "UnsupportedQueryParameter"},
		"GET /docs?restype=container&comp=list&x=y":  {400, "UnsupportedQueryParameter"},
		"GET /docs?restype=container&versionid=x":    {400, "UnsupportedQueryParameter"},
		"GET /?comp=list&include=metadata,x":         {400, "InvalidQueryParameterValue"},
		"GET /?comp=list&prefix=a&prefix=b":          {400, "InvalidQueryParameterValue"},
		"GET /?comp=list&marker=%zz":                 {400, "InvalidQueryParameterValue"},
		"GET /docs/a?timeout=soon":                   {400, "InvalidQueryParameterValue"},
		"GET /docs/a?snapshot=yesterday":             {400, "InvalidQueryParameterValue"},
		"GET /docs/a?versionid=1":                    {400, "InvalidQueryParameterValue"},
		"GET /docs/a?timeout=30":                     {200, ""},
		"GET /?comp=list&include=metadata,system":    {200, ""},
		"HEAD /docs/a":                               {200, ""},
		"GET /docs/a?snapshot=2026-01-02T03:04:05Z":  {404, "BlobNotFound"},
		"GET /docs/a?versionid=2026-01-02T03:04:05Z": {404, "BlobNotFound"},
		"GET /docs/a?versionid=2026-01-02T03:04:05Z&snapshot=2026-01-02T03:04:05Z": {400, "InvalidQueryParameterValue"},
	} {
		method, path, _ := strings.Cut(request, " ")
		check(t, request, send(t, srv, method, path), want.status, want.code)
	}
	// They are rejected after the token is checked and before the caller's role is.
	srv.Revoke(alice)
	check(t, "without a role", send(t, srv, http.MethodPut, "/docs/a?comp=page"), 405, "UnsupportedHttpVerb")
	check(t, "without a token", get(t, srv, "/docs/a?comp=metadata", ""), 401, "NoAuthenticationInformation")
}

func TestNames(t *testing.T) {
	t.Parallel()
	srv := newReadable(t, blobtest.Options{})
	for name, code := range map[string]string{
		"docs": "ContainerNotFound", "d0c": "ContainerNotFound", "1-a-b": "ContainerNotFound", strings.Repeat("a", 63): "ContainerNotFound",
		"$root": "ContainerNotFound", "$web": "ContainerNotFound", "$logs": "ContainerNotFound",
		"No_Docs": "InvalidResourceName", "no_docs": "InvalidResourceName", "Docs": "InvalidResourceName", "-docs": "InvalidResourceName", "docs-": "InvalidResourceName",
		"do--cs": "InvalidResourceName", "do.cs": "InvalidResourceName", "do cs": "InvalidResourceName", "döcs": "InvalidResourceName", "$docs": "InvalidResourceName",
		"$ROOT": "InvalidResourceName", "docs?": "InvalidResourceName",
		"do": "OutOfRangeInput", "D": "OutOfRangeInput", strings.Repeat("a", 64): "OutOfRangeInput",
	} {
		status := http.StatusBadRequest
		switch {
		case name == "docs":
			status, code = http.StatusOK, ""
		case code == "ContainerNotFound":
			status = http.StatusNotFound
		}
		escaped := url.PathEscape(name)
		check(t, name, send(t, srv, http.MethodGet, "/"+escaped+"?restype=container"), status, code)
		check(t, "list "+name, send(t, srv, http.MethodGet, "/"+escaped+"?restype=container&comp=list"), status, code)
		check(t, "a in "+name, send(t, srv, http.MethodHead, "/"+escaped+"/a"), status, code)
	}
	srv.Put("No_Docs", "a", nil, "") // stored, but unreachable
	check(t, "put there by Go", send(t, srv, http.MethodGet, "/No_Docs/a"), 400, "InvalidResourceName")

	srv.Put("docs", "x/y z/100%/a%2Fb", nil, "")
	for name, want := range map[string]struct {
		status int
		code   string
	}{
		"x/y%20z/100%25/a%252Fb":        {200, ""},
		strings.Repeat("ü", 1024):       {404, "BlobNotFound"},
		strings.Repeat("ü", 1025):       {400, "OutOfRangeInput"},
		strings.Repeat("a/", 253) + "a": {404, "BlobNotFound"},
		strings.Repeat("a/", 254) + "a": {400, "InvalidUri"},
		"%ff":                           {400, "InvalidUri"},
		"a%00":                          {400, "InvalidUri"},
		"a/../a":                        {400, "InvalidUri"},
		"a%2F..%2Fa":                    {400, "InvalidUri"},
		"./a":                           {400, "InvalidUri"},
		"a..b/...":                      {404, "BlobNotFound"},
	} {
		check(t, "blob "+name, send(t, srv, http.MethodGet, "/docs/"+name), want.status, want.code)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	srv := newReadable(t, blobtest.Options{})
	const list = "/docs?restype=container&comp=list"
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		status       int
		code         string
	}{
		"usual":                     {"GET", "/docs/a", []string{"x-ms-version", "2021-08-06", "x-ms-date", "now", "x-ms-useragent", "x"}, 200, ""},
		"oldest version":            {"GET", "/docs/a", []string{"x-ms-version", "2017-11-09"}, 200, ""},
		"older version":             {"GET", "/docs/a", []string{"x-ms-version", "2017-07-29"}, 403, "AuthenticationFailed"},
		"no version":                {"GET", "/docs/a", []string{"x-ms-version", "latest"}, 400, "InvalidHeaderValue"},
		"version of another time":   {"GET", "/docs/a", []string{"x-ms-version", "2999-01-01"}, 400, "InvalidHeaderValue"},
		"two versions":              {"GET", "/docs/a", []string{"x-ms-version", "2021-08-06", "x-ms-version", "2021-08-07"}, 400, "InvalidHeaderValue"},
		"own key":                   {"GET", "/docs/a", []string{"x-ms-encryption-key", "x"}, 400, "UnsupportedHeader"},
		"structured body":           {"GET", "/docs/a", []string{"x-ms-structured-body", "XSM/1.0; properties=crc64"}, 400, "UnsupportedHeader"},
		"source condition":          {"GET", "/docs/a", []string{"x-ms-source-if-match", "*"}, 400, "UnsupportedHeader"},
		"copy source":               {"HEAD", "/docs/a", []string{"x-ms-copy-source", "https://x"}, 400, "UnsupportedHeader"},
		"If-Range":                  {"GET", "/docs/a", []string{"If-Range", `"x"`}, 400, "UnsupportedHeader"},
		"range of properties":       {"HEAD", "/docs/a", []string{"x-ms-range", "bytes=0-1"}, 400, "UnsupportedHeader"},
		"condition of a listing":    {"GET", list, []string{"If-None-Match", "*"}, 400, "ConditionHeadersNotSupported"},
		"tags of a listing":         {"GET", list, []string{"x-ms-if-tags", "a = 'b'"}, 400, "ConditionHeadersNotSupported"},
		"condition of the account":  {"GET", "/?comp=list", []string{"If-Modified-Since", "Sun, 29 Nov 2026 00:00:00 GMT"}, 400, "ConditionHeadersNotSupported"},
		"condition of a container":  {"HEAD", "/docs?restype=container", []string{"If-Match", "*"}, 400, "ConditionHeadersNotSupported"},
		"lease of a container":      {"HEAD", "/docs?restype=container", []string{"x-ms-lease-id", "11111111-2222-3333-4444-555555555555"}, 412, "LeaseNotPresentWithContainerOperation"},
		"lease of a listing":        {"GET", list, []string{"x-ms-lease-id", "11111111-2222-3333-4444-555555555555"}, 400, "UnsupportedHeader"},
		"MD5 without a range":       {"GET", "/docs/a", []string{"x-ms-range-get-content-md5", "true"}, 400, "InvalidHeaderValue"},
		"MD5 of properties":         {"HEAD", "/docs/a", []string{"x-ms-range-get-content-md5", "true"}, 400, "UnsupportedHeader"},
		"CRC without a range":       {"GET", "/docs/a", []string{"x-ms-range-get-content-crc64", "True"}, 400, "InvalidHeaderValue"},
		"MD5 and CRC":               {"GET", "/docs/a", []string{"x-ms-range-get-content-md5", "true", "x-ms-range-get-content-crc64", "true", "Range", "bytes=0-1"}, 400, "InvalidHeaderValue"},
		"MD5 perhaps":               {"GET", "/docs/a", []string{"x-ms-range-get-content-md5", "maybe", "Range", "bytes=0-1"}, 400, "InvalidHeaderValue"},
		"no MD5":                    {"GET", "/docs/a", []string{"x-ms-range-get-content-md5", "false"}, 200, ""},
		"MD5 of a range":            {"GET", "/docs/a", []string{"x-ms-range-get-content-md5", "true", "Range", "bytes=0-1"}, 206, ""},
		"x-ms-range wins":           {"GET", "/docs/a", []string{"x-ms-range", "bytes=0-1", "Range", "bytes=5-"}, 206, ""},
		"a suffix":                  {"GET", "/docs/a", []string{"Range", "bytes=-5"}, 400, "InvalidHeaderValue"},
		"two ranges":                {"GET", "/docs/a", []string{"Range", "bytes=0-1,3-4"}, 400, "InvalidHeaderValue"},
		"a range backwards":         {"GET", "/docs/a", []string{"x-ms-range", "bytes=5-4"}, 400, "InvalidHeaderValue"},
		"another unit":              {"GET", "/docs/a", []string{"Range", "items=0-1"}, 400, "InvalidHeaderValue"},
		"no number":                 {"GET", "/docs/a", []string{"x-ms-range", "bytes=a-b"}, 400, "InvalidHeaderValue"},
		"a range of a negative end": {"GET", "/docs/a", []string{"x-ms-range", "bytes=0--1"}, 400, "InvalidHeaderValue"},
		"a number beyond numbers":   {"GET", "/docs/a", []string{"x-ms-range", "bytes=0-99999999999999999999"}, 400, "InvalidHeaderValue"},
		"a range beyond the end":    {"GET", "/docs/a", []string{"Range", "bytes=10-"}, 416, "InvalidRange"},
	} {
		got := send(t, srv, c.method, c.path, c.headers...)
		check(t, name, got, c.status, c.code)
		if c.code == "InvalidHeaderValue" && !strings.Contains(got.body, "<HeaderName>"+strings.ToLower(c.headers[0])+"</HeaderName>") && name != "MD5 and CRC" {
			t.Errorf("%s: got %s, want the header's name in it", name, got.body)
		}
	}
	if got := send(t, srv, "GET", "/docs/a", "x-ms-version", "latest"); got.header.Get("x-ms-version") != "" {
		t.Errorf("an invalid version is given back: got %q, want no x-ms-version", got.header.Get("x-ms-version"))
	}
	if got := send(t, srv, "GET", "/docs/a", "x-ms-client-request-id", strings.Repeat("x", 1025)); got.status != 200 || got.header.Get("x-ms-client-request-id") != "" {
		t.Errorf("a request id of 1025 bytes: got %d, %d bytes back; want 200, no x-ms-client-request-id", got.status, len(got.header.Get("x-ms-client-request-id")))
	}
}

// A range's CRC64 equals the one that azblob computes for uploads.
func TestRangeCRC64(t *testing.T) {
	t.Parallel()
	srv := newReadable(t, blobtest.Options{})
	srv.PutSized("docs", "big", 9<<20)
	got := send(t, srv, http.MethodGet, "/docs/big", "x-ms-range", "bytes=100-4194403", "x-ms-range-get-content-crc64", "true")
	sum := crc64.Checksum([]byte(got.body), crc64.MakeTable(0x9A6C9329AC4BC9B5))
	want := base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, sum))
	if crc := got.header.Get("x-ms-content-crc64"); got.status != 206 || len(got.body) != 4<<20 || crc != want || got.header.Get("Content-MD5") != "" {
		t.Errorf("%d, %d bytes, CRC64 %q, want %s", got.status, len(got.body), crc, want)
	}
	srv.Put("docs", "hello", []byte("Hello World"), "") // whose CRC64 Azure's answers to Put Blob have shown
	if crc := send(t, srv, http.MethodGet, "/docs/hello", "Range", "bytes=0-", "x-ms-range-get-content-crc64", "true").header.Get("x-ms-content-crc64"); crc != "YeJLfssylmU=" {
		t.Errorf("the CRC64 of Hello World is %q, want YeJLfssylmU=", crc)
	}
	check(t, "more than 4 MiB", send(t, srv, http.MethodGet, "/docs/big", "x-ms-range", "bytes=100-4194404", "x-ms-range-get-content-crc64", "true"), 400, "OutOfRangeInput")
}
