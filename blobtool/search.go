package blobtool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// Bounds of a search, each with its default.
const (
	defaultResults, maxResults = 50, 200
	defaultBlobs, maxBlobs     = 1000, 10_000
	defaultBytes, maxBytes     = 64 << 20, 1 << 30
	leastBytes                 = 64 << 10
	defaultSeconds, maxSeconds = 20, 90
)

// firstSearchPage is how many names a search asks for first: enough for most. 20 pages
// of up to 5,000 are about 90,000 names in a call.
const firstSearchPage = 1000

type searchInput struct {
	Container  string         `json:"container" jsonschema:"Name of the container."`
	Prefix     string         `json:"prefix,omitempty" jsonschema:"Beginning of the names to search, such as reports/2026/. The narrower, the faster."`
	Name       string         `json:"name,omitempty" jsonschema:"Pattern for the whole name: * and ? stop at a slash, ** does not. **/*.csv is all CSV files, reports/2026-??/*.{txt,md} some texts. [a-z] and [!a-z] are one character, a backslash quotes."`
	Tags       []tagCondition `json:"tags,omitempty" jsonschema:"Conditions on the blobs' index tags, all of which must hold. This takes the role Storage Blob Data Owner."`
	Text       string         `json:"text,omitempty" jsonschema:"Regular expression (RE2) to look for in each line of the blobs that are text. ^ and $ are the ends of the line."`
	IgnoreCase bool           `json:"ignore_case,omitempty" jsonschema:"Whether upper and lower case are the same in name and text."`
	MaxResults int            `json:"max_results,omitempty" jsonschema:"How many results to return at most."`
	MaxBlobs   int            `json:"max_blobs,omitempty" jsonschema:"How many blobs to search for text at most."`
	MaxBytes   int            `json:"max_bytes,omitempty" jsonschema:"How many bytes to read for text, about."`
	MaxSeconds int            `json:"max_seconds,omitempty" jsonschema:"How long to search, in seconds."`
	Cursor     string         `json:"cursor,omitempty" jsonschema:"next_cursor of the last result, to go on there; prefix, name, tags, text and ignore_case must be the same."`
}

type searchOutput struct {
	Container string `json:"container" jsonschema:"Name of the container."`
	listed
	Blobs     []blobRow   `json:"blobs" jsonschema:"Blobs that match by name and tags, if no text was searched for."`
	Matches   []textMatch `json:"matches" jsonschema:"Lines that match, by blob and line, if text was searched for."`
	Examined  int         `json:"examined" jsonschema:"How many blobs were looked at by name."`
	Searched  int         `json:"searched" jsonschema:"How many blobs were searched for text."`
	Bytes     int64       `json:"bytes" jsonschema:"How many bytes of blobs were read."`
	Binary    int         `json:"binary" jsonschema:"How many blobs were passed over because they are no text."`
	Notes     []blobNote  `json:"notes" jsonschema:"Blobs that could not be searched, and why."`
	MoreNotes int         `json:"more_notes,omitempty" jsonschema:"How many more notes there would be."`
	Reason    string      `json:"reason,omitempty" jsonschema:"Why the search stopped before its end: results, blobs, bytes, time, or failure (see the last note)."`
	paging
}

// blobNote is what is to say about one blob.
type blobNote struct {
	Blob string `json:"blob" jsonschema:"Name of the blob."`
	Note string `json:"note" jsonschema:"What is the matter."`
}

// Reasons to stop.
const (
	reasonResults = "results"
	reasonBlobs   = "blobs"
	reasonBytes   = "bytes"
	reasonTime    = "time"
	reasonFailure = "failure"
)

// searchPlace is where a search goes on.
type searchPlace struct {
	At   place     `json:"p"`
	Text *textMark `json:"t,omitempty"` // within the next blob
}

func (p searchPlace) valid() bool { return p.At.valid() && (p.Text == nil || p.Text.valid()) }

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
	op.Default = mustJSON("=")
	const title = "Search blobs"
	addTool(s, srv, &mcp.Tool{
		Name: "search_blobs", Title: title,
		Description: fmt.Sprintf("Searches %s by name, by tags, or for text in the blobs, with the permissions of the signed-in user. "+
			"At least one of name, tags and text must be given; blobs must match all that are. A search that is cut short says why and how to go on. "+
			untrusted, s.where()),
		InputSchema: input,
		Annotations: readOnly(title),
	}, s.search)
}

// search handles a call of search_blobs.
func (s *Set) search(ctx context.Context, req *mcp.CallToolRequest, in searchInput) (searchOutput, error) {
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
		return searchOutput{}, listFailure(ctx, location{q.container, in.Prefix}, q.where != "", err)
	}
	return q.out, nil
}

// run searches as long as ctx lets it. If it has got nowhere by then for want of a core or
// of memory, the result says so, and where to begin is where it began.
func (q *searchQuery) run(ctx context.Context) error {
	names := q.set.worker(ctx, q.user)
	release, err := names.reserve(searchMemory)
	if err == nil {
		defer release()
		w := newWalk(q.source(), q.from.At, firstSearchPage)
		w.largest, w.worker = servicePage, names
		if q.text == nil {
			err = q.searchNames(ctx, w)
		} else {
			err = q.searchText(ctx, w)
		}
	}
	if errors.Is(err, errBusy) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		q.stop(reasonTime, q.from)
		q.note("", userTextOf(err))
		return nil
	}
	return err
}

// searchQuery is a search on its way.
type searchQuery struct {
	set       *Set
	policy    *toolset.ResourcePolicy
	user      string
	container string
	roots     []string
	name      *namePattern // nil: any
	where     string       // condition on tags, empty: none
	text      *expression
	searchInput

	fingerprint string
	from        searchPlace
	duration    time.Duration
	impossible  bool // prefix and name contradict each other

	client   *container.Client
	progress *progress
	out      searchOutput
}

// parseWithCore checks the arguments, whose expressions take a while to compile: with a
// core, unless the time is up, for then the result says so and where to begin.
func (s *Set) parseWithCore(ctx context.Context, w *worker, in searchInput) (*searchQuery, error) {
	_ = w.begin()
	defer w.end()
	return s.parseSearch(ctx, in)
}

// parseSearch checks the arguments.
func (s *Set) parseSearch(ctx context.Context, in searchInput) (*searchQuery, error) {
	q := &searchQuery{set: s, policy: toolset.Resources(ctx), searchInput: in, duration: time.Duration(in.MaxSeconds) * time.Second}
	var errName, errTags, errText error
	if in.Name != "" {
		q.name, errName = parseNamePattern(in.Name, in.IgnoreCase)
	}
	if len(in.Tags) > 0 {
		q.where, errTags = whereTags(in.Tags)
	}
	if in.Text != "" {
		q.text, errText = compileText(in.Text, in.IgnoreCase)
	}
	for _, err := range []error{errName, errTags, errText} {
		if err != nil {
			return nil, err
		}
	}
	if in.Name == "" && len(in.Tags) == 0 && in.Text == "" {
		return nil, failuref(ErrInvalidArgument, "give name, tags or text to search for; list_blobs lists all")
	}
	if err := q.narrow(ctx); err != nil {
		return nil, err
	}
	q.fingerprint = queryOf("search_blobs", s.serviceURL, q.container, q.roots, in.Name, q.where, in.Text, in.IgnoreCase)
	if in.Cursor != "" {
		var err error
		if q.from, err = cursorFrom[searchPlace](q.policy, q.fingerprint, in.Cursor); err != nil {
			return nil, err
		}
	}
	q.out.Container, q.out.listed = q.container, s.listed(q.container, in.Prefix, q.roots)
	return q, nil
}

// narrow settles where to look: below the prefix and what the pattern begins with, as
// far as that is allowed.
func (q *searchQuery) narrow(ctx context.Context) (err error) {
	prefix := q.Prefix
	if q.name != nil {
		switch {
		case strings.HasPrefix(q.name.prefix, prefix):
			prefix = q.name.prefix
		case !strings.HasPrefix(prefix, q.name.prefix):
			q.impossible = true
		}
	}
	q.container, q.roots, err = q.set.narrow(ctx, q.Container, prefix)
	return err
}

// source lists what may match.
func (q *searchQuery) source() source[entry] {
	if q.where != "" {
		return q.taggedSource()
	}
	listing := blobListing{set: q.set, user: q.user, container: q.container, client: q.client, roots: q.roots}
	return listing.source()
}

// wanted reports whether an entry is a blob whose name matches.
func (q *searchQuery) wanted(w *worker, e entry) (bool, error) {
	if e.folder || q.name == nil {
		return !e.folder, nil
	}
	return q.name.match(w, e.name)
}

// stop ends the search before its end.
func (q *searchQuery) stop(reason string, at searchPlace) {
	q.out.Reason = reason
	q.out.Truncated, q.out.NextCursor = true, cursorFor(q.policy, q.fingerprint, at)
}

// searchNames collects blobs that match by name and tags.
func (q *searchQuery) searchNames(ctx context.Context, w *walk[entry]) error {
	r := rows[blobRow]{list: q.out.Blobs}
	defer func() { q.out.Blobs = r.list }()
	if err := w.worker.begin(); err != nil {
		return err
	}
	defer w.worker.end()
	for {
		before := w.at
		e, ok, err := w.nextEntry(ctx)
		found := false
		if err == nil && ok {
			found, err = q.wanted(w.worker, e)
		}
		if err != nil {
			if q.out.Examined > 0 && errors.Is(ctx.Err(), context.DeadlineExceeded) {
				if ok { // not matched to its end
					w.at = before
				}
				q.stop(reasonTime, searchPlace{At: w.at})
				return nil
			}
			return err
		}
		if !ok {
			if !w.done() {
				q.stop(reasonBlobs, searchPlace{At: w.at})
			}
			return nil
		}
		q.out.Examined++
		q.progress.report(ctx, q.out.Examined, func() string {
			return fmt.Sprintf("%d blobs looked at, %d found", q.out.Examined, len(r.list))
		})
		if !found {
			continue
		}
		if len(r.list) == q.MaxResults || !r.add(e.row()) {
			q.out.Examined--
			q.stop(reasonResults, searchPlace{At: before})
			return nil
		}
	}
}
