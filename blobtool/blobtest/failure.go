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
}

// byteOrderMark precedes the XML of the real service; clients skip it.
const byteOrderMark = "\ufeff"

// fail answers with one of Azure's errors.
func (x *exchange) fail(status int, code, message, detail string) {
	h := x.w.Header()
	message += "\nRequestId:" + h.Get("x-ms-request-id") + "\nTime:" + x.opts.Now().UTC().Format(time.RFC3339Nano)
	writeError(x.w, x.r, status, code, message, detail)
}

// writeError writes the error with its code in the header and in the body, which
// a HEAD has not.
func writeError(w http.ResponseWriter, r *http.Request, status int, code, message, detail string) {
	h := w.Header()
	if code != "" {
		h.Set("x-ms-error-code", code)
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	body, err := xml.Marshal(errorBody{Code: code, Message: message, Detail: detail})
	if err != nil {
		panic("blobtest: encoding an error: " + err.Error()) // strings always encode
	}
	text := byteOrderMark + `<?xml version="1.0" encoding="utf-8"?>` + string(body)
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may be gone
}
