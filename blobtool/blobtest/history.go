package blobtest

import (
	"fmt"
	"slices"
	"time"
)

// A history is every state of a blob that the account keeps.
type history struct {
	current   *storedBlob   // nil: deleted
	previous  []*storedBlob // the versions before it, oldest first
	snapshots []*storedBlob // oldest first
	deleted   []*storedBlob // blobs and snapshots kept by soft delete, oldest first
}

// empty reports whether the history has no states.
func (h *history) empty() bool {
	return h.current == nil && len(h.previous)+len(h.snapshots)+len(h.deleted) == 0
}

// version returns the state with the version ID, and whether it is the current one.
func (h *history) version(id string) (b *storedBlob, current bool) {
	if h.current != nil && h.current.version == id {
		return h.current, true
	}
	if i := slices.IndexFunc(h.previous, func(b *storedBlob) bool { return b.version == id }); i >= 0 {
		return h.previous[i], false
	}
	return nil, false
}

// snapshot returns the snapshot with the ID.
func (h *history) snapshot(id string) *storedBlob {
	if i := slices.IndexFunc(h.snapshots, func(b *storedBlob) bool { return b.snapshot == id }); i >= 0 {
		return h.snapshots[i]
	}
	return nil
}

// replace makes b the current state. The old state becomes a version if versioning is on.
// Otherwise, if soft delete is on, it is kept as a deleted snapshot.
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

// keepDeleted soft-deletes a state. If snapshot is not empty, the state becomes the snapshot with
// that ID.
func (s *Server) keepDeleted(h *history, b *storedBlob, snapshot string) {
	kept := *b
	kept.deleted = s.opts.Now().UTC()
	if snapshot != "" {
		kept.snapshot = snapshot
	}
	h.deleted = append(h.deleted, &kept)
}

// Snapshot creates a snapshot of a blob and returns its ID, the value of x-ms-snapshot. It panics
// if the blob does not exist.
func (s *Server) Snapshot(container, blob string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mustFind(container, blob)
	taken := *h.current
	taken.snapshot, taken.version, taken.LeaseState, taken.LeaseDuration = s.nextID(), "", "", ""
	h.snapshots = append(h.snapshots, &taken)
	return taken.snapshot
}

// Versions returns a blob's version IDs, oldest first. Unless the blob is deleted, the last one is
// the current version. It returns none without [Options.Versioning].
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

// Delete deletes a blob and its snapshots. With [Options.Versioning], the current state becomes a
// version. Otherwise, with [Options.SoftDeleteDays], the blob and its snapshots are kept and
// listed with include=deleted. It does nothing if the blob does not exist.
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

// nextID returns a new time, in steps of 100 ns, as the ID of a version or snapshot.
func (s *Server) nextID() string {
	t := s.opts.Now().UTC().Truncate(100 * time.Nanosecond)
	if !t.After(s.lastID) {
		t = s.lastID.Add(100 * time.Nanosecond)
	}
	s.lastID = t
	return t.Format("2006-01-02T15:04:05.0000000Z")
}
