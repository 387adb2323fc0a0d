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

// resourceLister is receiving middleware that answers resources/list with the blobs
// that the caller may see, page by page: the SDK lists only what is added when the
// server is made, which is the same for everybody. What it lists comes first. Who may
// not list blobs by any tool of the set is not told their names here.
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

// resourceTag begins the cursors of this set's resources: a server may have several
// sets, and resources of its own.
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

// resourcePlace is where a listing of resources goes on: in the blobs of a container,
// which comes next in the containers.
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

// resourceContainers lists the containers whose blobs are resources: those that the
// configuration names or, if it does not, those of the account that begin with prefix.
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

// resourceLoop fills a page with the blobs of one container after the other.
type resourceLoop struct {
	set     *Set
	user    string
	fetches int
	rows    walk.Rows[*mcp.Resource]
}

// add takes the blobs of a container from there on, and returns where to go on if
// there was no room for all.
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

// resourceOf describes a blob as a resource, or returns nil for what can't be read as
// one.
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
	res.CacheScope = "private" // what one caller may see is not for the next
	if !done {
		tag := l.set.resourceTag()
		res.NextCursor = tag + walk.Cursor(toolset.Resources(ctx), tag, at)
	}
	return res
}
