package blobtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// firstSearchPage is how many names a search asks for first: enough for most. 20 pages
// of up to 5,000 are about 90,000 names in a call.
const firstSearchPage = 1000

// searchMemory is what a search holds, with the pages of names and the connections.
const searchMemory = 8 << 20

// registerSearch adds the tool search_blobs.
func (s *Set) registerSearch(srv *mcp.Server) {
	input := schemaFor[searchInput]()
	setBounds(input, "max_results", 1, maxResults)
	setDefault(input, "max_results", defaultResults)
	setBounds(input, "max_blobs", 1, maxBlobs)
	setDefault(input, "max_blobs", defaultBlobs)
	setBounds(input, "max_bytes", leastBytes, maxBytes)
	setDefault(input, "max_bytes", defaultBytes)
	setBounds(input, "max_seconds", 1, maxSeconds)
	setDefault(input, "max_seconds", defaultSeconds)
	op := input.Properties["tags"].Items.Properties["op"]
	choices(op, tagOperators...)
	op.Default = json.RawMessage(`"="`)
	const title = "Search blobs"
	addTool(s, srv, &mcp.Tool{
		Name: "search_blobs", Title: title,
		Description: fmt.Sprintf("Searches %s by blob name, by tags, or for text in the blobs, with the permissions of the signed-in user. "+
			"Give at least one of name, tags and text; blobs must match all that are given. If the search stops early, the result says why and how to continue. gzip and zstd are unpacked. "+
			untrusted, s.where()),
		InputSchema: input,
		Annotations: readOnly(title),
	}, s.search)
}

// search handles a call of search_blobs.
func (s *Set) search(ctx context.Context, req *mcp.CallToolRequest, in searchInput) (searchOutput, error) {
	ctx, span := s.tell.Start(ctx, telemetry.SpanSearch)
	returned := false
	defer span.EndUnless(&returned)
	out, err := s.find(ctx, req, in)
	returned = true
	if err != nil {
		span.Fail(kindName(err))
	}
	span.End()
	return out, err
}

func (s *Set) find(ctx context.Context, req *mcp.CallToolRequest, in searchInput) (searchOutput, error) {
	q, err := s.parseWithCore(ctx, s.worker(ctx, userID(req)), in)
	if err != nil {
		return searchOutput{}, err
	}
	q.out.Blobs, q.out.Matches, q.out.Notes = []blobRow{}, []textMatch{}, []blobNote{}
	if q.impossible {
		return q.out, nil
	}
	client, err := s.containerClient(ctx, q.container)
	if err != nil {
		return searchOutput{}, err
	}
	q.client, q.user, q.progress = client, userID(req), newProgress(req)
	within, cancel := context.WithTimeout(ctx, min(q.duration, s.timeout*3/4))
	defer cancel()
	if err := q.run(within); err != nil {
		return searchOutput{}, listFailure(ctx, names.Location{Container: q.container, Blob: in.Prefix}, q.where != "", err)
	}
	return q.out, nil
}

// run searches as long as ctx lets it. If it has got nowhere by then for want of a core or
// of memory, the result says so, and where to begin is where it began.
func (q *searchQuery) run(ctx context.Context) error {
	lister := q.set.worker(ctx, q.user)
	release, err := lister.Reserve(searchMemory)
	if err == nil {
		defer release()
		w := walk.New(q.source(), q.from.At, firstSearchPage, lister)
		w.Largest = servicePage
		if q.text == nil {
			err = q.searchNames(ctx, w)
		} else {
			err = q.searchText(ctx, w)
		}
	}
	if errors.Is(err, work.ErrBusy) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		q.stop(reasonTime, q.from)
		q.note("", errorOf(err).UserText())
		return nil
	}
	return err
}

// searchNames collects blobs that match by name and tags.
func (q *searchQuery) searchNames(ctx context.Context, w *walk.Walk[entry]) error {
	r := walk.Rows[blobRow]{List: q.out.Blobs}
	defer func() { q.out.Blobs = r.List }()
	if err := w.Worker.Begin(); err != nil {
		return err
	}
	defer w.Worker.End()
	for {
		before := w.At
		e, ok, err := w.Next(ctx)
		found := false
		if err == nil && ok {
			found, err = q.wanted(w.Worker, e)
		}
		if err != nil {
			if q.out.Examined > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				if ok { // not matched to its end
					w.At = before
				}
				q.stop(reasonTime, searchPlace{At: w.At})
				return nil
			}
			return err
		}
		if !ok {
			if !w.Done() {
				q.stop(reasonBlobs, searchPlace{At: w.At})
			}
			return nil
		}
		q.out.Examined++
		q.progress.report(ctx, q.out.Examined, func() string {
			return fmt.Sprintf("%d blobs examined, %d found", q.out.Examined, len(r.List))
		})
		if !found {
			continue
		}
		if len(r.List) == q.MaxResults || !r.Add(e.row()) {
			q.out.Examined--
			q.stop(reasonResults, searchPlace{At: before})
			return nil
		}
	}
}
