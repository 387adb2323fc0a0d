package blobtest

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A history is every state of a blob that the account keeps.
type history struct {
	current   *storedBlob   // nil: deleted, or never committed
	previous  []*storedBlob // the versions before it, oldest first
	snapshots []*storedBlob // oldest first
	deleted   []*storedBlob // blobs, snapshots and versions kept by soft delete, oldest first

	staged   []stagedBlock // uncommitted blocks, in the order of their first arrival
	stagedAt time.Time     // of the last of them
	lease    *lease        // nil: available
}

// empty reports whether the history has no states.
func (h *history) empty() bool {
	return h.current == nil && len(h.previous)+len(h.snapshots)+len(h.deleted)+len(h.staged) == 0
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

// present returns the current state as a client sees it now: with its lease.
func (h *history) present(now time.Time) *storedBlob {
	if h.current == nil {
		return nil
	}
	b := *h.current
	b.LeaseState, b.LeaseDuration, b.leaseID = h.lease.state(now), h.lease.kind(now), h.lease.held(now)
	return &b
}

// settle drops what its time has ended: uncommitted blocks a week after the last of them, and
// soft-deleted states after the retention period.
func (s *Server) settle(h *history) {
	now := s.opts.Now()
	if len(h.staged) > 0 && !now.Before(h.stagedAt.Add(blockLifetime)) {
		h.staged = nil
	}
	h.deleted = slices.DeleteFunc(h.deleted, func(b *storedBlob) bool { return s.remaining(b) < 0 })
}

// remaining returns how long soft delete still keeps a deleted state.
func (s *Server) remaining(b *storedBlob) time.Duration {
	return b.deleted.AddDate(0, 0, s.opts.SoftDeleteDays).Sub(s.opts.Now()) - 1
}

// replace makes b the current state, with new content, and drops all uncommitted blocks.
func (s *Server) replace(h *history, b *storedBlob) {
	s.bury(h, b.kind)
	old := h.current
	h.current, h.staged = b, nil
	s.nameVersion(b)
	switch {
	case old == nil:
	case s.opts.Versioning:
		h.previous = append(h.previous, old)
	case s.keepsOverwritten(old, b):
		s.keepDeleted(h, old, s.nextID())
	}
}

// keepsOverwritten reports whether soft delete keeps a state that is overwritten. Whether it keeps
// one that is overwritten by another type is unknown.
func (s *Server) keepsOverwritten(old, b *storedBlob) bool {
	return s.opts.SoftDeleteDays > 0 && !s.opts.HierarchicalNamespace && old.Tier != "Archive" && old.kind == b.kind
}

// bury turns the soft-deleted blob of a name that is written again into a soft-deleted snapshot.
// One of another type is gone for good.
func (s *Server) bury(h *history, kind blobKind) {
	if s.opts.HierarchicalNamespace { // deleted files have IDs of their own
		return
	}
	h.deleted = slices.DeleteFunc(h.deleted, func(b *storedBlob) bool { return b.snapshot == "" && b.kind != kind })
	for i, b := range h.deleted {
		if b.snapshot == "" && b.version == "" {
			buried := *b
			buried.snapshot = s.nextID()
			h.deleted[i] = &buried
		}
	}
}

// amend makes b, with the old content and new metadata, the current state. It is a new version if
// versioning is on; soft delete keeps no old metadata.
func (s *Server) amend(h *history, b *storedBlob) {
	if s.opts.Versioning {
		h.previous = append(h.previous, h.current)
		s.nameVersion(b)
	}
	h.current = b
}

// nameVersion gives the new current state its version ID. A policy holds for a version, not for
// the next.
func (s *Server) nameVersion(b *storedBlob) {
	if s.opts.Versioning {
		b.version = s.nextID()
		b.immutableUntil, b.held = time.Time{}, false
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
	if s.opts.HierarchicalNamespace {
		s.serial++
		kept.deletionID = strconv.FormatUint(132_000_000_000_000_000+s.serial, 10)
	}
	h.deleted = append(h.deleted, &kept)
}

// remove deletes the current state and all snapshots, as far as the account allows it.
func (s *Server) remove(h *history) {
	s.removeSnapshots(h)
	switch {
	case h.current == nil:
	case s.opts.Versioning:
		h.previous = append(h.previous, h.current)
	case s.opts.SoftDeleteDays > 0:
		s.keepDeleted(h, h.current, "")
	}
	h.current, h.lease, h.staged = nil, nil, nil
}

// removeSnapshots deletes all snapshots.
func (s *Server) removeSnapshots(h *history) {
	if s.opts.SoftDeleteDays > 0 {
		for _, b := range h.snapshots {
			s.keepDeleted(h, b, "")
		}
	}
	h.snapshots = nil
}

// takeSnapshot adds a snapshot of the current state. With versioning, that state also becomes a
// previous version.
func (s *Server) takeSnapshot(h *history) *storedBlob {
	taken := *h.current
	taken.snapshot, taken.version, taken.immutableUntil, taken.held = s.nextID(), "", time.Time{}, false
	h.snapshots = append(h.snapshots, &taken)
	if s.opts.Versioning {
		b := *h.current
		s.amend(h, &b)
	}
	return &taken
}

// Snapshot creates a snapshot of a blob and returns its ID, the value of x-ms-snapshot. It panics
// if the blob does not exist.
func (s *Server) Snapshot(container, blob string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.takeSnapshot(s.mustFind(container, blob)).snapshot
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

// Delete deletes a blob and its snapshots, whatever lease or policy it has. With
// [Options.Versioning], the current state becomes a version. Otherwise, with
// [Options.SoftDeleteDays], the blob and its snapshots are kept and listed with include=deleted.
// It does nothing if the blob does not exist.
func (s *Server) Delete(container, blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil || c.blobs[blob] == nil || c.blobs[blob].current == nil {
		return
	}
	s.remove(c.blobs[blob])
	c.keep(blob, c.blobs[blob])
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
