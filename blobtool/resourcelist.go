package blobtool

import (
	"context"
	"errors"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// resourcePageSize is how many resources a page of resources/list has at most.
const resourcePageSize = 100

// resourceLister is receiving middleware that appends the blobs that the caller may see to
// resources/list, page by page. The SDK only lists what was added to the server, which is
// the same for all callers; that comes first. Callers who may not list blobs with a tool
// of the set do not see their names here.
func (s *Set) resourceLister(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		list, ok := req.(*mcp.ListResourcesRequest)
		if !ok {
			return next(ctx, method, req)
		}
		tag := s.resourceTag()
		if !s.tellsBlobs(ctx) || !s.tellsContainers(ctx) {
			if list.Params != nil && strings.HasPrefix(list.Params.Cursor, tag) {
				return &mcp.ListResourcesResult{Resources: []*mcp.Resource{}, Cacheable: mcp.Cacheable{CacheScope: "private"}}, nil
			}
			return next(ctx, method, req)
		}
		if list.Params != nil && list.Params.Cursor != "" {
			if own, ok := strings.CutPrefix(list.Params.Cursor, tag); ok {
				return s.listResources(ctx, userOf(list.Extra), own)
			}
		}
		res, err := next(ctx, method, req)
		others, ok := res.(*mcp.ListResourcesResult)
		switch {
		case err != nil || !ok || others.NextCursor != "":
			return res, err
		case len(others.Resources) == 0:
			return s.listResources(ctx, userOf(list.Extra), "")
		}
		others.NextCursor = tag
		return others, nil
	}
}

// resourceTag is the prefix of this set's cursors: the server may have other resources.
func (s *Set) resourceTag() string {
	return "blob." + walk.Query("resources", s.serviceURL, s.container, s.allow) + "."
}

// listResources returns the page at a cursor, or the first one.
func (s *Set) listResources(ctx context.Context, user, cursorText string) (mcp.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	res, err := s.resourcePage(ctx, user, cursorText)
	if err != nil {
		return nil, s.resourceFailed(ctx, "blob resources could not be listed", err)
	}
	return res, nil
}

// resourcePlace is the position of a listing of resources: a position among the containers
// and one among the blobs of the next container.
type resourcePlace struct {
	Containers walk.Place `json:"c"`
	Container  string     `json:"n,omitempty"`
	Blobs      walk.Place `json:"b"`
}

// Valid implements [walk.Position].
func (p resourcePlace) Valid() bool {
	return p.Containers.Valid() && p.Blobs.Valid() && len(p.Container) <= 63
}

func (s *Set) resourcePage(ctx context.Context, user, cursorText string) (*mcp.ListResourcesResult, error) {
	var from resourcePlace
	if cursorText != "" {
		var err error
		if from, err = walk.Parse[resourcePlace](toolset.Resources(ctx), s.resourceTag(), cursorText); err != nil {
			return nil, err
		}
	}
	src, err := s.resourceContainers(ctx, "")
	if err != nil {
		return nil, err
	}
	l := resourceLoop{set: s, user: user, fetches: walk.MaxFetches, rows: walk.Rows[*mcp.Resource]{List: []*mcp.Resource{}}}
	containers := walk.New(src, from.Containers, servicePage, nil)
	for {
		before := containers.At
		c, ok, err := containers.Next(ctx)
		if err != nil {
			return nil, s.containersFailure(ctx, err)
		}
		if !ok {
			break
		}
		var at walk.Place
		if c.Name == from.Container {
			at = from.Blobs
		}
		rest, done, err := l.add(ctx, c.Name, at)
		if err != nil {
			return nil, err
		}
		if !done {
			return l.result(ctx, resourcePlace{before, c.Name, rest}, false), nil
		}
	}
	return l.result(ctx, resourcePlace{Containers: containers.At}, containers.Done()), nil
}

// resourceContainers lists the containers whose blobs are resources: those in the
// configuration or, without any, the account's containers with that prefix.
func (s *Set) resourceContainers(ctx context.Context, prefix string) (walk.Source[containerRow], error) {
	var named []string
	switch {
	case s.container != "":
		named = []string{s.container}
	case s.allow != nil:
		named = s.allow.containers()
	default:
		return s.containers(ctx, prefix)
	}
	list := make([]containerRow, len(named))
	for i, name := range named {
		list[i].Name = name
	}
	return walk.Source[containerRow]{
		Roots: 1,
		Name:  func(r containerRow) string { return r.Name },
		Fetch: func(context.Context, int, string, int) ([]containerRow, string, error) { return list, "", nil },
	}, nil
}

// resourceLoop fills a page with the blobs of successive containers.
type resourceLoop struct {
	set     *Set
	user    string
	fetches int
	rows    walk.Rows[*mcp.Resource]
}

// add appends a container's blobs, beginning at from. If the page is full, done is false
// and rest is where to continue.
func (l *resourceLoop) add(ctx context.Context, name string, from walk.Place) (rest walk.Place, done bool, err error) {
	containerName, roots, err := l.set.narrow(ctx, name, "")
	if errors.Is(err, ErrNotAllowed) { // all of it is closed to this caller
		return from, true, nil
	}
	if err != nil {
		return from, false, err
	}
	client, err := l.set.containerClient(ctx, containerName)
	if err != nil {
		return from, false, err
	}
	listing := blobListing{set: l.set, user: l.user, container: containerName, client: client, roots: roots}
	w := walk.New(listing.source(), from, resourcePageSize, nil)
	w.Fetches = l.fetches
	defer func() { l.fetches = w.Fetches }()
	for len(l.rows.List) < resourcePageSize {
		before := w.At
		e, ok, err := w.Next(ctx)
		if err != nil {
			failure := listFailure(ctx, names.Location{Container: containerName}, false, err)
			if l.set.container == "" && (errors.Is(failure, ErrPermission) || errors.Is(failure, ErrNotFound)) {
				return from, true, nil // the others may still have something for this caller
			}
			return from, false, failure
		}
		if !ok {
			break
		}
		if r := l.set.resourceOf(ctx, containerName, e); r != nil && !l.rows.Add(r) {
			return before, false, nil
		}
	}
	return w.At, w.Done(), nil
}

// resourceOf returns a blob's resource, or nil if it can't be read as one.
func (s *Set) resourceOf(ctx context.Context, containerName string, e entry) *mcp.Resource {
	at, err := s.locateBlob(ctx, containerName, e.name)
	if err != nil || e.folder {
		return nil
	}
	row := e.row()
	r := &mcp.Resource{URI: at.URI(), Name: e.name, MIMEType: row.Type, Size: value(row.Size)}
	if s.container == "" {
		r.Name = containerName + "/" + e.name
	}
	if row.Modified != "" {
		r.Annotations = &mcp.Annotations{LastModified: row.Modified}
	}
	return r
}

// result is the page so far.
func (l *resourceLoop) result(ctx context.Context, at resourcePlace, done bool) *mcp.ListResourcesResult {
	res := &mcp.ListResourcesResult{Resources: l.rows.List}
	res.CacheScope = "private" // it depends on the caller
	if !done {
		tag := l.set.resourceTag()
		res.NextCursor = tag + walk.Cursor(toolset.Resources(ctx), tag, at)
	}
	return res
}
