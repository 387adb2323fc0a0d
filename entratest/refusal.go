package entratest

import "net/http"

// recordRefusal adds an error to the request's record: its AADSTS code, or 0 for Microsoft Graph's,
// and its text.
func (e *exchange) recordRefusal(code int, text string) {
	for w := e.response; w != nil; {
		switch at := w.(type) {
		case *statusWriter:
			at.recorder.mu.Lock()
			defer at.recorder.mu.Unlock()
			at.entry.AADSTS, at.entry.Refusal = code, text
			return
		case interface{ Unwrap() http.ResponseWriter }: // a fault's
			w = at.Unwrap()
		default:
			return
		}
	}
}
