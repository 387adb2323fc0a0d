package blobtest

import (
	"fmt"
	"slices"
	"time"
)

// A history is all states of a blob that an account keeps.
type history struct {
	current   *storedBlob   // nil: deleted
	previous  []*storedBlob // the versions before it, oldest first
	snapshots []*storedBlob // oldest first
	deleted   []*storedBlob // what soft delete keeps: blobs and snapshots, oldest first
}

// empty reports whether nothing is left.
func (h *history) empty() bool {
	return h.current == nil && len(h.previous)+len(h.snapshots)+len(h.deleted) == 0
}

// version returns the state with that version id, and whether it is the present one.
func (h *history) version(id string) (b *storedBlob, current bool) {
	if h.current != nil && h.current.version == id {
		return h.current, true
	}
	if i := slices.IndexFunc(h.previous, func(b *storedBlob) bool { return b.version == id }); i >= 0 {
		return h.previous[i], false
	}
	return nil, false
}

// snapshot returns the snapshot of that time.
func (h *history) snapshot(id string) *storedBlob {
	if i := slices.IndexFunc(h.snapshots, func(b *storedBlob) bool { return b.snapshot == id }); i >= 0 {
		return h.snapshots[i]
	}
	return nil
}

// replace makes b the present state. What was there before becomes a version
// if versioning is on; else soft delete, if on, keeps it as a deleted snapshot.
func (s *Server) replace(h *history, b *storedBlob) {
	old := h.current
	h.current = b
	if s.opts.Versioning {
		b.version = s.nextID()
	}
	switch {
	case old == nil:
	case s.opts.Versioning:
		h.previous = append(h.previous, old)
	case s.opts.SoftDeleteDays > 0:
		s.keepDeleted(h, old, s.nextID())
	}
}

// keepDeleted soft-deletes a state, as the snapshot of that time unless empty.
func (s *Server) keepDeleted(h *history, b *storedBlob, snapshot string) {
	kept := *b
	kept.deleted = s.opts.Now().UTC()
	if snapshot != "" {
		kept.snapshot = snapshot
	}
	h.deleted = append(h.deleted, &kept)
}

// Snapshot takes a snapshot of a blob and returns its id, the value of
// x-ms-snapshot. It panics if there is no such blob.
func (s *Server) Snapshot(container, blob string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mustFind(container, blob)
	taken := *h.current
	taken.snapshot, taken.version, taken.LeaseState, taken.LeaseDuration = s.nextID(), "", "", ""
	h.snapshots = append(h.snapshots, &taken)
	return taken.snapshot
}

// Versions returns the version ids of a blob, oldest first; the last is that of
// the present one if the blob is not deleted. It is empty without
// [Options.Versioning].
func (s *Server) Versions(container, blob string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil || c.blobs[blob] == nil {
		return nil
	}
	var ids []string
	h := c.blobs[blob]
	for _, b := range h.previous {
		ids = append(ids, b.version)
	}
	if h.current != nil && h.current.version != "" {
		ids = append(ids, h.current.version)
	}
	return ids
}

// Delete deletes a blob with its snapshots. With [Options.Versioning], its
// present state becomes a version; otherwise, with [Options.SoftDeleteDays], blob and
// snapshots are kept and listed with include=deleted. It does nothing if there is no
// such blob.
func (s *Server) Delete(container, blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil || c.blobs[blob] == nil || c.blobs[blob].current == nil {
		return
	}
	h := c.blobs[blob]
	if s.opts.SoftDeleteDays > 0 {
		for _, b := range h.snapshots {
			s.keepDeleted(h, b, "")
		}
	}
	switch {
	case s.opts.Versioning:
		h.previous = append(h.previous, h.current)
	case s.opts.SoftDeleteDays > 0:
		s.keepDeleted(h, h.current, "")
	}
	h.current, h.snapshots = nil, nil
	if h.empty() {
		delete(c.blobs, blob)
		c.sorted = nil
	}
}

// mustFind returns the history of a blob that is not deleted.
func (s *Server) mustFind(container, blob string) *history {
	c := s.containers[container]
	if c == nil || c.blobs[blob] == nil || c.blobs[blob].current == nil {
		panic(fmt.Sprintf("blobtest: there is no blob %q in container %q", blob, container))
	}
	return c.blobs[blob]
}

// nextID returns a new time that names a version or snapshot, in steps of 100 ns.
func (s *Server) nextID() string {
	t := s.opts.Now().UTC().Truncate(100 * time.Nanosecond)
	if !t.After(s.lastID) {
		t = s.lastID.Add(100 * time.Nanosecond)
	}
	s.lastID = t
	return t.Format("2006-01-02T15:04:05.0000000Z")
}
