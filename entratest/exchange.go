package entratest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// maxBody limits a request's body. Entra's tokens are far smaller.
const maxBody = 1 << 20

// An exchange is one request and its answer.
type exchange struct {
	tenant        *Tenant
	endpoint      Endpoint
	request       *http.Request
	response      http.ResponseWriter
	form          url.Values
	shared        bool // sent to /organizations or /common
	traceID       string
	correlationID string
}

// begin reads and records a request, and applies the endpoint's fault. It returns nil if it has
// answered the request.
func (t *Tenant) begin(w http.ResponseWriter, r *http.Request, endpoint Endpoint) *exchange {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	parseErr := r.ParseForm()
	w = t.recorder.add(&Request{
		Time: t.now(), Endpoint: endpoint,
		Method: r.Method, Path: r.URL.Path, Form: r.Form, Header: r.Header.Clone(),
	}, w)
	e := &exchange{tenant: t, endpoint: endpoint, request: r, response: w, form: r.Form, traceID: newGUID()}
	e.correlationID = e.chosenID()
	w.Header().Set("X-Entratest", notice)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("x-ms-request-id", e.traceID)
	if t.strike(e) {
		return nil
	}
	if parseErr != nil {
		e.reject(reject(9002313, "Invalid request. Request is malformed or invalid."))
		return nil
	}
	return e
}

// chosenID returns the client's correlation ID, or else a new one.
func (e *exchange) chosenID() string {
	for _, id := range []string{e.request.Header.Get("client-request-id"), e.form.Get("client-request-id")} {
		if isGUID(id) {
			if e.request.Header.Get("return-client-request-id") == "true" {
				e.response.Header().Set("client-request-id", id)
			}
			return id
		}
	}
	return newGUID()
}

func (e *exchange) answer(status int, body any) {
	encoded, err := json.Marshal(body)
	must(err)
	e.response.Header().Set("Content-Type", "application/json; charset=utf-8")
	if e.endpoint == EndpointDiscovery || e.endpoint == EndpointKeys {
		e.response.Header().Set("Cache-Control", "max-age=86400, private")
		e.response.Header().Set("Access-Control-Allow-Origin", "*")
	} else {
		e.response.Header().Set("Cache-Control", "no-store, no-cache")
		e.response.Header().Set("Pragma", "no-cache")
	}
	e.response.WriteHeader(status)
	_, _ = e.response.Write(encoded) // an error means that the client has disconnected
}

func (e *exchange) reject(r *rejection) {
	e.recordRefusal(r.code, r.message)
	e.tenant.options.Logger.Info("rejected", "client", clip(e.clientID()), "error", r.kind, "aadsts", r.code)
	e.answer(r.status, errorBody{
		Error:         r.kind,
		Description:   e.describe(r),
		Codes:         []int{r.code},
		Timestamp:     e.timestamp(),
		TraceID:       e.traceID,
		CorrelationID: e.correlationID,
		URI:           e.errorURI(r),
		Suberror:      r.suberror,
		Claims:        r.claims,
	})
}

func (e *exchange) describe(r *rejection) string { return r.Error() + " " + e.ids() }

// ids returns the IDs with which support finds a request.
func (e *exchange) ids() string {
	return fmt.Sprintf("Trace ID: %s Correlation ID: %s Timestamp: %s", e.traceID, e.correlationID, e.timestamp())
}

func (e *exchange) timestamp() string { return e.tenant.now().UTC().Format("2006-01-02 15:04:05Z") }

// errorURI returns the link to a page about an error, or "" if Entra has none.
func (e *exchange) errorURI(r *rejection) string {
	if !hasPage(r.code) {
		return ""
	}
	return fmt.Sprintf("%s/error?code=%d", e.tenant.authorityHost, r.code)
}

// unknownTenant is the rejection for a tenant that does not exist. Reports show two errors with
// the same code: one for metadata and one for all other endpoints.
func (e *exchange) unknownTenant(segment string) *rejection {
	r := reject(90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", clip(segment)))
	if e.endpoint == EndpointDiscovery || e.endpoint == EndpointKeys {
		r.kind = "invalid_tenant"
	}
	return r
}
