package entratest

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// A graphFault is an error of Microsoft Graph.
type graphFault struct {
	status  int
	code    string
	message string
	detail  graphDetail // none without a code
}

// A graphDetail is an element of an error's details.
type graphDetail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// badRequest is the fault of a request that breaks a rule.
func badRequest(format string, args ...any) *graphFault {
	return &graphFault{status: http.StatusBadRequest, code: "Request_BadRequest", message: fmt.Sprintf(format, args...)}
}

// refused is badRequest with a code of its own.
func refused(code, format string, args ...any) *graphFault {
	f := badRequest(format, args...)
	f.code = code
	return f
}

// with adds a detail.
func (f *graphFault) with(code, target string) *graphFault {
	f.detail = graphDetail{code, f.message, target}
	return f
}

func notFound(what string) *graphFault {
	return &graphFault{status: http.StatusNotFound, code: "Request_ResourceNotFound", message: fmt.Sprintf(
		"Resource '%s' does not exist or one of its queried reference-property objects are not present.", clip(what))}
}

func denied(message string) *graphFault {
	return &graphFault{status: http.StatusForbidden, code: "Authorization_RequestDenied", message: message}
}

func conflict(code, message string) *graphFault {
	return &graphFault{status: http.StatusConflict, code: code, message: message}
}

// sameKey is the fault of creating what exists.
func sameKey(message string) *graphFault {
	return conflict("Request_MultipleObjectsWithSameKeyValue", message)
}

// A graphErrorBody has the format of Microsoft Graph's errors.
type graphErrorBody struct {
	Error struct {
		Code       string          `json:"code"`
		Message    string          `json:"message"`
		Details    []graphDetail   `json:"details,omitempty"`
		InnerError graphInnerError `json:"innerError"`
	} `json:"error"`
}

type graphInnerError struct {
	Date            string `json:"date"`
	RequestID       string `json:"request-id"`
	ClientRequestID string `json:"client-request-id"`
}

func (e *exchange) failGraph(f *graphFault) {
	var body graphErrorBody
	body.Error.Code, body.Error.Message = f.code, f.message
	if f.detail.Code != "" {
		body.Error.Details = []graphDetail{f.detail}
	}
	body.Error.InnerError = graphInnerError{e.tenant.now().UTC().Format("2006-01-02T15:04:05"), e.traceID, e.correlationID}
	if f.status == http.StatusUnauthorized {
		e.response.Header().Set("WWW-Authenticate", `Bearer realm="", error="invalid_token"`)
	}
	e.tenant.options.Logger.Info("refused", "path", e.request.URL.Path, "status", f.status, "code", f.code)
	e.answer(f.status, body)
}

// A graphCall is a request to the directory. It holds the tenant's mu while it is served.
type graphCall struct {
	*exchange
	t      *Tenant // of the caller
	d      *Directory
	caller caller
	keys   []odata.Segment // in the path
	query  url.Values
	body   []byte
}

// A graphResult is the answer to a call: JSON, or nothing with status 204.
type graphResult struct {
	status int
	body   json.RawMessage
}

var noContent = graphResult{status: http.StatusNoContent}

// read merges the request's body into an entity.
func (c *graphCall) read(entity any) *graphFault {
	if kind, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return badRequest("A request with a body needs the header Content-Type: application/json.")
	}
	if len(c.body) == 0 {
		return refused("BadRequest", "Empty Payload. JSON content expected.")
	}
	if err := odata.Merge(entity, c.body); err != nil {
		return badRequest("Invalid value or property in the request: %v.", err)
	}
	return nil
}

// readBody reads the request's body, before the call takes any lock.
func (c *graphCall) readBody() *graphFault {
	var err error
	if c.body, err = io.ReadAll(c.request.Body); err != nil {
		return badRequest("The request's body can't be read: %d bytes is the limit.", maxBody)
	}
	return nil
}

// entity answers with one entity. The context is the name of its set.
func (c *graphCall) entity(status int, set string, entity any) (graphResult, *graphFault) {
	context := odata.Member{Name: "@odata.context", Value: c.t.authorityHost + "/v1.0/$metadata#" + set + "/$entity"}
	body, err := odata.Render(entity, c.selected(), context)
	if err != nil {
		return graphResult{}, badRequest("%v.", err)
	}
	return graphResult{status, body}, nil
}

// selected returns the names in $select.
func (c *graphCall) selected() []string {
	if c.query.Get("$select") == "" {
		return nil
	}
	names := strings.Split(c.query.Get("$select"), ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// advanced are the parameters for which Graph needs the header ConsistencyLevel and $count=true.
var advanced = []string{"$orderby", "$search", "$count"}

// list answers with the entities that meet $filter, page by page.
func list[T any](c *graphCall, set string, entities []T, filterable ...string) (graphResult, *graphFault) {
	for name := range c.query {
		if !slices.Contains([]string{"$select", "$filter", "$top", "$skiptoken", "$count"}, name) {
			return graphResult{}, refused("Request_UnsupportedQuery", "The query parameter '%s' is not supported here.", clip(name))
		}
		if slices.Contains(advanced, name) && (c.query.Get("$count") != "true" || c.request.Header.Get("ConsistencyLevel") != "eventual") {
			return graphResult{}, refused("Request_UnsupportedQuery", "%s needs the header ConsistencyLevel: eventual and $count=true.", name)
		}
	}
	if text := c.query.Get("$filter"); text != "" {
		filter, err := odata.ParseFilter(text, filterable)
		if err != nil {
			return graphResult{}, refused("Request_UnsupportedQuery", "Invalid filter clause: %v.", err)
		}
		entities = slices.DeleteFunc(entities, func(entity T) bool { return !filter.Matches(asMap(entity)) })
	}
	members := []odata.Member{{Name: "@odata.context", Value: c.t.authorityHost + "/v1.0/$metadata#" + set}}
	if c.query.Has("$count") {
		members = append(members, odata.Member{Name: "@odata.count", Value: len(entities)})
	}
	page, next, f := paged(c, entities)
	if f != nil {
		return graphResult{}, f
	}
	if next != "" {
		members = append(members, odata.Member{Name: "@odata.nextLink", Value: next})
	}
	values := odata.List[json.RawMessage]{}
	for _, entity := range page {
		value, err := odata.Render(entity, c.selected())
		if err != nil {
			return graphResult{}, badRequest("%v.", err)
		}
		values = append(values, value)
	}
	body, err := odata.Render(struct {
		Value any `json:"value"`
	}{values}, nil, members...)
	must(err)
	return graphResult{http.StatusOK, body}, nil
}

// paged returns a page of the entities, and the address of the next.
func paged[T any](c *graphCall, entities []T) (page []T, next string, f *graphFault) {
	size, from := c.d.pageSize, 0
	if top := c.query.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 || n > 999 {
			return nil, "", badRequest("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", clip(top))
		}
		size = n
	}
	if token := c.query.Get("$skiptoken"); token != "" && !c.t.sealer.open("skiptoken", token, &from) {
		return nil, "", badRequest("The $skiptoken is invalid.")
	}
	from = min(from, len(entities))
	to := min(from+size, len(entities))
	if to < len(entities) {
		query := url.Values{}
		for name, values := range c.query {
			query[name] = values
		}
		query.Set("$skiptoken", c.t.sealer.seal("skiptoken", to))
		next = c.t.authorityHost + c.request.URL.EscapedPath() + "?" + query.Encode()
	}
	return entities[from:to], next, nil
}

// asMap returns an entity as encoding/json decodes it.
func asMap(entity any) map[string]any {
	encoded, err := json.Marshal(entity)
	must(err)
	var members map[string]any
	must(json.Unmarshal(encoded, &members))
	return members
}
