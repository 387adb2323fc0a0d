package mcpentra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// guard decides about a request before it is dispatched, and lets later refusals
// become its answer. It belongs inside readBody.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := requestBody(r)
		if body == nil {
			next.ServeHTTP(w, r)
			return
		}
		arrivalOf(r.Context()).size = sizeOf(body)
		d, err := s.foresee(r, body)
		switch {
		case err != nil:
			s.reject(w, r, refusalOf(http.StatusBadRequest, "The request can't be read: "+err.Error(), body))
		case d != nil:
			s.refuse(w, r, d, func(r *http.Request, status int, e *entraauth.Error) { s.auditRefusal(r, status, e, d.targets) })
		case isBatch(body): // one refusal must not hide the results of others
			next.ServeHTTP(w, r)
		default:
			again := r.WithContext(r.Context())
			again.Body = wholeBody{bytes.NewReader(body), body}
			a := &answer{w: w, r: again, delay: s.primingDelay}
			defer a.finish()
			arrivalOf(r.Context()).answer = a
			next.ServeHTTP(a, r)
		}
	})
}

// foresee decides by what the body seems to say. It is right for all requests but
// those made to deceive it, which the receiving middleware judges by what the SDK
// has read.
func (s *Server) foresee(r *http.Request, body []byte) (*denial, error) {
	if s.access.isFree() {
		return nil, nil
	}
	targets, err := targetsOf(r.Header, body)
	if err == nil {
		err = checkTargets(targets)
	}
	if err != nil {
		return nil, err
	}
	d := s.access.decide(entraauth.FromContext(r.Context()), targets)
	if d == nil {
		s.access.noteUse(r.Context(), targets...) // before the client can know of its stream
		d = s.mayAnswer(r, body)
	}
	return d, nil
}

var (
	errNotJSON    = errors.New("it is no JSON-RPC message")
	errParameters = errors.New("a parameter is of the wrong type")
)

// namedInHeaders is the protocol version from which on the headers name what a
// request uses. The SDK refuses one whose headers differ from its body.
const namedInHeaders = "2026-07-28"

// targetsOf returns what the request seems to use.
func targetsOf(h http.Header, body []byte) ([]target, error) {
	if name := h.Get("Mcp-Name"); name != "" && h.Get("Mcp-Protocol-Version") >= namedInHeaders {
		switch method := h.Get("Mcp-Method"); method {
		case "tools/call", "prompts/get", "resources/read":
			a := asked{Name: name, URI: name}
			return a.targets(method), nil
		}
	}
	return targetsIn(body)
}

// targetsIn returns what the JSON-RPC message or batch uses.
func targetsIn(body []byte) ([]target, error) {
	type message struct {
		Method string `json:"method"`
		Params asked  `json:"params"`
	}
	messages := make([]message, 1)
	var err error
	if isBatch(body) {
		err = json.Unmarshal(body, &messages)
	} else {
		err = json.Unmarshal(body, &messages[0])
	}
	// A wrong type ends nothing: all the rest is decoded.
	_, wrongType := errors.AsType[*json.UnmarshalTypeError](err)
	if err != nil && !wrongType {
		return nil, errNotJSON
	}
	var all []target
	for i := range messages {
		all = append(all, messages[i].Params.targets(messages[i].Method)...)
	}
	if wrongType && len(all) > 0 {
		return nil, errParameters
	}
	return all, nil
}

// refuseLate makes the denial the answer to the context's request, and reports
// false if it is too late. The line in the log is observe's.
func (s *Server) refuseLate(ctx context.Context, d *denial) bool {
	return answerTo(ctx).refuse(func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, d, func(*http.Request, int, *entraauth.Error) {})
	})
}

// refuse answers a request with the denial.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, d *denial, log func(*http.Request, int, *entraauth.Error)) {
	s.verifier.Refuse(w, r, &entraauth.BearerCheck{
		Policy: d.needs, ResourceMetadata: s.metadataURL, WriteBody: mcpauth.WriteBody, OnRefusal: log,
	}, d.refusal)
}
