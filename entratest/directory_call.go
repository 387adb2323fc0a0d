package entratest

import (
	"encoding/json"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// A graphRoute is a request that the directory serves. In a pattern, {} is a key.
type graphRoute struct {
	method, pattern string
	needs           privilege // permissions only: a handler checks roles
	serve           func(*graphCall) (graphResult, *graphFault)
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

// require returns a fault if the caller may not take a step that concerns the app, which may be nil.
func (c *graphCall) require(p privilege, app *App) *graphFault {
	if c.caller.may(p, app) {
		return nil
	}
	return denied("Insufficient privileges to complete the operation.")
}

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

// readSome reads the members of the request's body that the struct has, and ignores others.
func (c *graphCall) readSome(into any) *graphFault {
	if err := json.Unmarshal(c.body, into); err != nil {
		return badRequest("Invalid value or property in the request.")
	}
	return nil
}

// A typed entity has a type that is narrower than its set's.
type typed interface{ odataType() string }

// typeOf returns the member @odata.type of such an entity.
func typeOf(entity any) []odata.Member {
	if e, ok := entity.(typed); ok && e.odataType() != "" {
		return []odata.Member{{Name: "@odata.type", Value: "#" + e.odataType()}}
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
	body, err := odata.Render(entity, c.selected(), append([]odata.Member{context}, typeOf(entity)...)...)
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
		value, err := odata.Render(entity, c.selected(), typeOf(entity)...)
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
		query := maps.Clone(c.query)
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

// createsIfMissing reports whether the request is an upsert.
func (c *graphCall) createsIfMissing() bool {
	return strings.EqualFold(c.request.Header.Get("Prefer"), "create-if-missing")
}

// copied returns a copy of an entity that shares no memory with it.
func copied[T any](entity T) T {
	encoded, err := json.Marshal(entity)
	must(err)
	var fresh T
	must(json.Unmarshal(encoded, &fresh))
	return fresh
}
