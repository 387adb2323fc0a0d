package entratest

import "net/http"

// recordRefusal adds the error to the request's record.
func (e *exchange) recordRefusal(r *rejection) {
	for w := e.response; w != nil; {
		switch at := w.(type) {
		case *statusWriter:
			at.recorder.mu.Lock()
			defer at.recorder.mu.Unlock()
			at.entry.AADSTS, at.entry.Refusal = r.code, r.message
			return
		case interface{ Unwrap() http.ResponseWriter }: // a fault's
			w = at.Unwrap()
		default:
			return
		}
	}
}
