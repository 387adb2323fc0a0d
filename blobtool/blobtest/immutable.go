package blobtest

import (
	"net/http"
	"time"
)

// Immutability: by time or by legal hold, of a whole container or of one version of a blob.

// SetRetention gives a container a time-based policy: for that long after its creation, a blob
// can't be deleted; it can't be overwritten or modified at all, also later. Zero removes the
// policy. It adds the container if it does not exist.
func (s *Server) SetRetention(container string, period time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addContainer(container).retention = period
}

// SetLegalHold puts a legal hold on the current version of a blob or, if blob is empty, on the
// container, or clears it. A hold on a blob takes [Options.Versioning]. It panics if the blob does
// not exist.
func (s *Server) SetLegalHold(container, blob string, hold bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if blob == "" {
		s.addContainer(container).held = hold
		return
	}
	s.setPolicy(container, blob, func(b *storedBlob) { b.held = hold })
}

// SetImmutableUntil gives the current version of a blob a time-based policy; a zero time removes
// it. It takes [Options.Versioning], and panics if the blob does not exist.
func (s *Server) SetImmutableUntil(container, blob string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setPolicy(container, blob, func(b *storedBlob) { b.immutableUntil = until })
}

func (s *Server) setPolicy(container, blob string, set func(*storedBlob)) {
	if !s.opts.Versioning {
		panic("blobtest: immutability of a version takes Options.Versioning")
	}
	h := s.mustFind(container, blob)
	b := *h.current
	set(&b)
	h.current = &b
}

// An intent is what a request is about to do to a blob.
type intent int

const (
	toOverwrite intent = iota
	toModify           // metadata, headers, tags, more content, or a snapshot
	toDelete
)

var (
	immutableByPolicy = &refusal{http.StatusConflict, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy."}
	immutableByHold   = &refusal{http.StatusConflict, "BlobImmutableDueToLegalHold", "This operation is not permitted as the blob is immutable due to one or more legal holds."}
)

// immutable checks the policies of the container and of the target's current version. Whether
// tags, snapshots and, after a policy's end, metadata can be changed is unknown; here they can't.
func (x *exchange) immutable(t *target, what intent) *refusal {
	if t.b == nil {
		return nil
	}
	switch c := t.c; {
	case c.held:
		return immutableByHold
	case c.retention > 0 && (what != toDelete || t.now.Before(t.b.created.Add(c.retention))):
		return immutableByPolicy
	case what != toModify: // the old version stays
		return nil
	case t.b.held:
		return immutableByHold
	case !t.b.immutableUntil.IsZero():
		return immutableByPolicy
	}
	return nil
}

// immutableVersion checks whether a version may be deleted.
func (x *exchange) immutableVersion(t *target, b *storedBlob) *refusal {
	switch {
	case b.held, t.c.held:
		return immutableByHold
	case t.now.Before(b.immutableUntil), t.c.retention > 0 && t.now.Before(b.created.Add(t.c.retention)):
		return immutableByPolicy
	}
	return nil
}
