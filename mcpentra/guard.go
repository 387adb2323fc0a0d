package mcpentra

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entraauth/mcpauth"
)

// guard decides about a request before it is dispatched, and lets later refusals
// become its answer.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			s.refuseBody(w, r, err)
			return
		}
		again := func() *http.Request { // with its body from the beginning
			r := r.WithContext(r.Context())
			r.Body = io.NopCloser(bytes.NewReader(body))
			return r
		}
		d, err := s.foresee(r, body)
		if err != nil {
			mcpauth.WriteError(w, again(), http.StatusBadRequest, codeInvalid, "The request can't be read: "+err.Error())
			return
		}
		if d != nil {
			s.refuse(w, again(), d)
			return
		}
		inner := again()
		id := requestID(r)
		inner.Header = r.Header.Clone()
		inner.Header.Set(requestIDHeader, id)
		if isBatch(body) { // one refusal must not hide the results of others
			next.ServeHTTP(w, inner)
			return
		}
		a := &answer{ResponseWriter: w, write: func(w http.ResponseWriter, d *denial) { s.refuse(w, again(), d) }}
		s.answers.Store(id, a)
		defer s.answers.Delete(id)
		next.ServeHTTP(a, inner)
	})
}

// answerTo returns the answer that the request will get, or nil if it can't be
// changed.
func (s *Server) answerTo(req mcp.Request) *answer {
	extra := req.GetExtra()
	if extra == nil {
		return nil
	}
	a, _ := s.answers.Load(extra.Header.Get(requestIDHeader))
	found, _ := a.(*answer)
	return found
}

// foresee decides by what the body seems to say. It is right for all requests but
// those made to deceive it, which the receiving middleware judges by what the SDK
// has read.
func (s *Server) foresee(r *http.Request, body []byte) (*denial, error) {
	if s.access.isFree() && s.challenges.isEmpty() {
		return nil, nil
	}
	targets, err := targetsIn(body)
	if err != nil {
		return nil, err
	}
	return s.decide(entraauth.FromContext(r.Context()), targets), nil
}

// decide is the one decision about a request.
func (s *Server) decide(id *entraauth.Identity, targets []target) *denial {
	if d := s.access.decide(id, targets); d != nil {
		return d
	}
	return s.challenges.due(id, targets)
}

var (
	errNotJSON    = errors.New("it is no JSON-RPC message")
	errParameters = errors.New("a parameter is of the wrong type")
)

// targetsIn returns what the JSON-RPC message or batch uses.
func targetsIn(body []byte) ([]target, error) {
	type message struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	messages := make([]message, 1)
	var err error
	if isBatch(body) {
		err = json.Unmarshal(body, &messages)
	} else {
		err = json.Unmarshal(body, &messages[0])
	}
	if err != nil {
		return nil, errNotJSON
	}
	var all []target
	for _, m := range messages {
		if !uses(m.Method) || len(m.Params) == 0 {
			continue
		}
		var a asked
		if err := json.Unmarshal(m.Params, &a); err != nil {
			return nil, errParameters
		}
		all = append(all, a.targets(m.Method)...)
	}
	return all, nil
}

func isBatch(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// The JSON-RPC codes of requests that are refused unread.
const (
	codeInvalid  = -32600 // invalid request
	codeTooLarge = -32005 // mcpauth's next
)

func (s *Server) refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	r = r.WithContext(r.Context())
	r.Body = http.NoBody
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.log.WarnContext(r.Context(), "request refused", "status", http.StatusRequestEntityTooLarge, "limit", tooLarge.Limit)
		mcpauth.WriteError(w, r, http.StatusRequestEntityTooLarge, codeTooLarge, "The request's body is larger than 4 MiB.")
		return
	}
	mcpauth.WriteError(w, r, http.StatusBadRequest, codeInvalid, "The request's body could not be read.")
}

// refuse answers a request with the denial.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, d *denial) {
	s.verifier.Refuse(w, r, &entraauth.Guard{
		Policy: d.needs, ResourceMetadata: s.metadataURL, WriteBody: mcpauth.WriteBody,
		OnRefusal: func(r *http.Request, status int, e *entraauth.Error) { s.auditRefusal(r, status, e, d.targets) },
	}, d.refusal)
}
