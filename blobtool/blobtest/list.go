package blobtest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// maxResults is the maximum number of entries in a page of a listing.
const maxResults = 5000

// knownIncludes are the supported values of include, and permissions, which blobs here never have.
var knownIncludes = []string{"snapshots", "versions", "deleted", "deletedwithversions", "metadata", "tags",
	"uncommittedblobs", "copy", "immutabilitypolicy", "legalhold", "permissions"}

// rows returns the rows of a listing for a name: snapshots and versions, oldest
// first, then the blob.
func (h *history) rows(in included, now time.Time) []row {
	var rows []row
	add := func(blobs []*storedBlob, want func(*storedBlob) bool) {
		for _, b := range blobs {
			if want(b) {
				rows = append(rows, row{storedBlob: b})
			}
		}
	}
	if in.onlyDeleted {
		add(h.deleted, func(b *storedBlob) bool { return b.snapshot == "" })
		return rows
	}
	all := func(*storedBlob) bool { return true }
	if in.snapshots {
		add(h.snapshots, all)
	}
	if in.deleted {
		add(h.deleted, func(b *storedBlob) bool { return b.snapshot != "" && in.snapshots })
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.snapshot, b.snapshot) })
	if in.versions {
		versions := len(rows)
		add(h.previous, all)
		if in.deleted {
			add(h.deleted, func(b *storedBlob) bool { return b.snapshot == "" && b.version != "" })
		}
		slices.SortFunc(rows[versions:], func(a, b row) int { return cmp.Compare(a.version, b.version) })
	}
	switch {
	case h.current != nil:
		rows = append(rows, row{storedBlob: h.present(now), current: h.current.version != ""})
	case in.uncommitted && len(h.staged) > 0: // it has no ETag yet
		rows = append(rows, row{storedBlob: &storedBlob{content: bytesOf(nil), created: h.stagedAt, modified: h.stagedAt}})
	case in.deletedWithVersions && !in.versions && len(h.previous) > 0:
		rows = append(rows, row{storedBlob: h.previous[len(h.previous)-1], versionsOnly: true})
	case in.deleted:
		add(h.deleted, func(b *storedBlob) bool { return b.snapshot == "" && b.version == "" })
	}
	return rows
}

// A marker is where a page ended.
type marker struct {
	Name   string `json:"n"`
	Rows   int    `json:"r,omitempty"` // number of rows of that name already sent
	Folder bool   `json:"f,omitempty"` // Name is a virtual directory
}

// Markers are opaque to clients.
func (m marker) String() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic("blobtest: encoding a marker: " + err.Error()) // always encodes
	}
	return base64.URLEncoding.EncodeToString(text)
}

func parseMarker(s string) (marker, bool) {
	var m marker
	if s == "" {
		return m, true
	}
	text, err := base64.URLEncoding.DecodeString(s)
	return m, err == nil && json.Unmarshal(text, &m) == nil
}

// pageOf parses maxresults and marker, or responds with 400 and returns false.
func (x *exchange) pageOf(q url.Values) (limit int, m marker, ok bool) {
	limit = maxResults
	if v := q.Get("maxresults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			x.fail(http.StatusBadRequest, "OutOfRangeQueryParameterValue",
				"One of the query parameters specified in the request URI is outside the permissible range.", "")
			return 0, m, false
		}
		limit = min(n, maxResults)
	}
	if m, ok = parseMarker(q.Get("marker")); !ok {
		x.invalidQuery()
	}
	return limit, m, ok
}

// listBlobs answers List Blobs, flat or, with a delimiter, by hierarchy.
func (x *exchange) listBlobs() {
	q := x.r.URL.Query()
	in, ok := parseInclude(q.Get("include"))
	if !ok {
		x.invalidQuery()
		return
	}
	switch only := q.Get("showonly"); {
	case !q.Has("showonly"):
	case only != "deleted" || !x.opts.HierarchicalNamespace: // what Azure does without a hierarchical namespace is unknown
		x.invalidParameter("showonly")
		return
	default:
		in.onlyDeleted = true
	}
	// With a hierarchical namespace, whether include=deleted lists deleted files is unknown.
	in.deleted = in.deleted && !x.opts.HierarchicalNamespace
	c, ok := x.findContainer()
	if !ok {
		return
	}
	limit, from, ok := x.pageOf(q)
	if !ok {
		return
	}
	page := &listing{
		ServiceEndpoint: x.URL() + "/", ContainerName: x.container,
		Prefix: q.Get("prefix"), Marker: q.Get("marker"), MaxResults: q.Get("maxresults"), Delimiter: q.Get("delimiter"),
	}
	in.tagCount = x.countsTags(q.Get("prefix"))
	page.fill(x.Server, c, in, from, limit)
	x.writeXML(page)
}

// fill adds up to limit entries to the listing, starting at the marker.
func (l *listing) fill(s *Server, c *container, in included, from marker, limit int) {
	w := s.walkNames(c)
	w.leap(func(name string) bool { return name >= l.Prefix && from.passed(name) })
	last := marker{}
	for name, ok := w.name(); ok && strings.HasPrefix(name, l.Prefix); name, ok = w.name() {
		rows := s.rowsOf(c, name, in)
		if len(rows) == 0 || rows[0].directory && name == l.Prefix {
			w.step(name)
			continue
		}
		if len(l.Blobs) == limit {
			l.NextMarker = last.String()
			return
		}
		if folder, ok := l.folderOf(name); ok {
			l.Blobs = append(l.Blobs, newListedPrefix(folder, name, rows, in, s.opts))
			last = marker{Name: folder, Folder: true}
			w.leap(last.passed)
			continue
		}
		if name == from.Name && !from.Folder {
			rows = rows[min(from.Rows, len(rows)):]
			last = from
		} else {
			last = marker{Name: name}
		}
		if room := limit - len(l.Blobs); len(rows) > room {
			rows = rows[:room]
			l.NextMarker = marker{Name: name, Rows: last.Rows + room}.String()
		}
		for _, r := range rows {
			l.Blobs = append(l.Blobs, newListedBlob(r.listedName(name), r, in, s.opts))
		}
		if l.NextMarker != "" {
			return
		}
		last.Rows += len(rows)
		w.step(name)
	}
}

// passed reports whether a listing that continues at the marker includes name.
func (m marker) passed(name string) bool {
	if m.Folder {
		return name > m.Name && !strings.HasPrefix(name, m.Name)
	}
	return name >= m.Name
}

// folderOf returns the virtual directory that hides the name in the listing.
func (l *listing) folderOf(name string) (string, bool) {
	if l.Delimiter == "" {
		return "", false
	}
	dir, _, ok := strings.Cut(name[len(l.Prefix):], l.Delimiter)
	return l.Prefix + dir + l.Delimiter, ok
}

// walkNames returns a walk through the names of a container.
func (s *Server) walkNames(c *container) *walk {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := c.names()
	lists := []nameList{{len(names), func(i int) string { return names[i] }}}
	for _, g := range c.generated {
		lists = append(lists, g.names())
	}
	return newWalk(lists...)
}

// rowsOf returns the rows of a listing for a name.
func (s *Server) rowsOf(c *container, name string, in included) []row {
	s.mu.Lock()
	h, runs := c.blobs[name], c.generated
	if h != nil {
		defer s.mu.Unlock()
		s.settle(h)
		return h.rows(in, s.opts.Now())
	}
	s.mu.Unlock()
	if b := findGenerated(runs, name); b != nil {
		return []row{{storedBlob: b}}
	}
	return nil
}

// nameList is a list of names in byte order, without duplicates.
type nameList struct {
	n  int
	at func(i int) string
}

// A walk iterates over several lists as if they were one, starting at a name, and can skip names.
// Its cost depends on the names that it visits, not on the size of the lists.
type walk struct {
	lists []nameList
	next  []int // of each list
}

func newWalk(lists ...nameList) *walk {
	return &walk{lists: lists, next: make([]int, len(lists))}
}

// leap skips to the first name for which reached is true. reached must be false for all names
// before that and true for all after.
func (w *walk) leap(reached func(name string) bool) {
	for i, l := range w.lists {
		from := w.next[i]
		w.next[i] = from + sort.Search(l.n-from, func(k int) bool { return reached(l.at(from + k)) })
	}
}

// name returns the next name, or false at the end.
func (w *walk) name() (string, bool) {
	first, found := "", false
	for i, l := range w.lists {
		if w.next[i] < l.n {
			if name := l.at(w.next[i]); !found || name < first {
				first, found = name, true
			}
		}
	}
	return first, found
}

// step advances past the next name in each list that has it.
func (w *walk) step(name string) {
	for i, l := range w.lists {
		if w.next[i] < l.n && l.at(w.next[i]) == name {
			w.next[i]++
		}
	}
}
