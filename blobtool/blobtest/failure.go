package blobtest

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"time"
)

// errorBody is the XML of Azure's errors.
type errorBody struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	Detail  string `xml:"AuthenticationErrorDetail,omitempty"`

	// Of what is wrong with a header or a parameter.
	HeaderName  string `xml:",omitempty"`
	HeaderValue string `xml:",omitempty"`
	QueryName   string `xml:"QueryParameterName,omitempty"`
	QueryValue  string `xml:"QueryParameterValue,omitempty"`
}

// byteOrderMark precedes the XML of the real service; clients skip it.
const byteOrderMark = "\ufeff"

// fail answers with one of Azure's errors.
func (x *exchange) fail(status int, code, message, detail string) {
	x.failWith(status, errorBody{Code: code, Message: message, Detail: detail})
}

// failWith is fail for an error that says more.
func (x *exchange) failWith(status int, body errorBody) {
	body.Message += "\nRequestId:" + x.w.Header().Get("x-ms-request-id") + "\nTime:" + x.opts.Now().UTC().Format(time.RFC3339Nano)
	writeError(x.w, x.r, status, body)
}

// writeError writes the error with its code in the header and in the body, which
// a HEAD has not.
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
