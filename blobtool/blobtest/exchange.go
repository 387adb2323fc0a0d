package blobtest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// An exchange is a request and the data for its response.
type exchange struct {
	*Server
	w         http.ResponseWriter
	r         *http.Request
	container string
	blob      string
	operation Operation
	ours      bool   // the path is in this account
	caller    string // object ID
	entry     *Request
}

// commonHeaders sets the headers of every response.
func (x *exchange) commonHeaders() {
	x.mu.Lock()
	x.serial++
	id := fmt.Sprintf("%08x-001e-0000-0000-%012x", x.serial, x.serial)
	x.mu.Unlock()
	h := x.w.Header()
	h.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
	h.Set("x-ms-request-id", id)
	if v := x.r.Header.Get("x-ms-version"); v != "" {
		h.Set("x-ms-version", v)
	}
	if v := x.r.Header.Get("x-ms-client-request-id"); v != "" && len(v) <= 1024 {
		h.Set("x-ms-client-request-id", v)
	}
}

// findContainer returns the container, or responds with 404 and returns false.
func (x *exchange) findContainer() (*container, bool) {
	x.mu.Lock()
	c := x.containers[x.container]
	x.mu.Unlock()
	if c == nil {
		x.fail(http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.", "")
	}
	return c, c != nil
}

// findBlob returns the requested state of the blob and whether it is the current one, or responds
// with 404 and returns false.
func (x *exchange) findBlob() (b *storedBlob, current, ok bool) {
	c, ok := x.findContainer()
	if !ok {
		return nil, false, false
	}
	q := x.r.URL.Query()
	x.mu.Lock()
	h, runs := x.historyOf(c, x.blob), c.generated
	if h != nil {
		x.settle(h)
	}
	switch {
	case h == nil:
	case q.Has("versionid"):
		b, current = h.version(q.Get("versionid"))
	case q.Has("snapshot"):
		b = h.snapshot(q.Get("snapshot"))
	default:
		b, current = h.present(x.opts.Now()), true
	}
	x.mu.Unlock()
	if h == nil && !q.Has("versionid") && !q.Has("snapshot") {
		b, current = findGenerated(runs, x.blob), true
	}
	if b == nil {
		x.fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.", "")
	}
	return b, current, b != nil
}

// fail responds with one of Azure's errors.
func (x *exchange) fail(status int, code, message, detail string) {
	x.failWith(status, errorBody{Code: code, Message: message, Detail: detail})
}

// failWith is fail for an error with more members.
func (x *exchange) failWith(status int, body errorBody) {
	drain(x.r)
	body.Message += "\nRequestId:" + x.w.Header().Get("x-ms-request-id") + "\nTime:" + x.opts.Now().UTC().Format(time.RFC3339Nano)
	writeError(x.w, x.r, status, body)
}

// errorBody is the XML of Azure's errors.
type errorBody struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	Detail  string `xml:"AuthenticationErrorDetail,omitempty"`

	// The invalid header or parameter.
	HeaderName  string `xml:",omitempty"`
	HeaderValue string `xml:",omitempty"`
	QueryName   string `xml:"QueryParameterName,omitempty"`
	QueryValue  string `xml:"QueryParameterValue,omitempty"`
}

// byteOrderMark precedes the XML, as in Azure; clients skip it.
const byteOrderMark = "\ufeff"

// writeError writes the error with its code in the header and, unless the method is
// HEAD, in the body.
func writeError(w http.ResponseWriter, r *http.Request, status int, answer errorBody) {
	h := w.Header()
	if answer.Code != "" {
		h.Set("x-ms-error-code", answer.Code)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	body, err := xml.Marshal(answer)
	if err != nil {
		panic("blobtest: encoding an error: " + err.Error()) // strings always encode
	}
	text := byteOrderMark + `<?xml version="1.0" encoding="utf-8"?>` + string(body)
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may be gone
}

// invalidHeader responds that a header's value is invalid.
func (x *exchange) invalidHeader(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "InvalidHeaderValue", Message: "The value for one of the HTTP headers is not in the correct format.",
		HeaderName: strings.ToLower(name), HeaderValue: strings.Join(x.r.Header.Values(name), ","),
	})
}

// invalidParameter responds that a parameter's value is invalid.
func (x *exchange) invalidParameter(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "InvalidQueryParameterValue", Message: "Value for one of the query parameters specified in the request URI is invalid.",
		QueryName: name, QueryValue: strings.Join(x.r.URL.Query()[name], ","),
	})
}

// invalidQuery responds that a query parameter is invalid.
func (x *exchange) invalidQuery() {
	x.fail(http.StatusBadRequest, "InvalidQueryParameterValue",
		"Value for one of the query parameters specified in the request URI is invalid.", "")
}
