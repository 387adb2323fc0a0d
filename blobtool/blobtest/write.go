package blobtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// A target is the blob that a request changes, while the server is locked.
type target struct {
	c   *container
	key string   // of h in the container
	h   *history // new if the container has none
	b   *storedBlob
	now time.Time

	keepsLease bool // the request is about the lease itself
}

// change lets f change the blob while the server is locked, so that conditions and change are one
// step, and then responds: with f's refusal, or with the status.
func (x *exchange) change(status int, f func(t *target) *refusal) {
	if r := x.changeLocked(f); r != nil {
		x.refuse(r)
		return
	}
	x.w.WriteHeader(status)
}

func (x *exchange) changeLocked(f func(t *target) *refusal) *refusal {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.containers[x.container]
	if c == nil {
		return containerNotFound
	}
	t := x.targetIn(c)
	x.settle(t.h)
	t.b = t.h.current
	if r := f(t); r != nil {
		return r
	}
	if !t.keepsLease && !t.h.lease.locked(t.now) {
		t.h.lease = nil // one that has expired can't be renewed after a change
	}
	c.keep(t.key, t.h)
	return nil
}

// targetIn finds the target: a blob, a directory, a generated blob, or nothing yet.
func (x *exchange) targetIn(c *container) *target {
	t := &target{c: c, key: x.blob, h: c.blobs[x.blob], now: x.opts.Now()}
	if directory := strings.TrimSuffix(x.blob, "/") + "/"; (t.h == nil || t.h.current == nil) && x.opts.HierarchicalNamespace {
		if h := c.blobs[directory]; h != nil && h.current != nil { // a file of that name may have been deleted
			t.key, t.h = directory, h
		}
	}
	if t.h == nil {
		t.h = &history{current: findGenerated(c.generated, x.blob)}
	}
	return t
}

// findTarget checks that the blob exists and meets the request's conditions.
func (x *exchange) findTarget(t *target) *refusal {
	if t.b == nil {
		return blobNotFound
	}
	return x.unmetWrite(plainConditions, t.b)
}

// modify checks a request that changes something about an existing blob.
func (x *exchange) modify(t *target) *refusal {
	if r := x.findTarget(t); r != nil {
		return r
	}
	if r := t.h.lease.mismatch(x.r.Header.Get("X-Ms-Lease-Id"), t.now); r != nil {
		return r
	}
	return x.immutable(t, toModify)
}

// overwrite checks a request that puts new content of that type under the name.
func (x *exchange) overwrite(t *target, kind blobKind) *refusal {
	if r := x.unmetWrite(plainConditions, t.b); r != nil {
		return r
	}
	if r := t.h.lease.mismatch(x.r.Header.Get("X-Ms-Lease-Id"), t.now); r != nil {
		return r
	}
	if r := x.immutable(t, toOverwrite); r != nil {
		return r
	}
	otherType := func(b *storedBlob) bool { return b.version != "" && b.kind != kind }
	if slices.ContainsFunc(t.h.previous, otherType) || t.b != nil && otherType(t.b) { // the code is unknown
		return invalidBlobType
	}
	return x.placeable(t)
}

// placeable checks that the name can be that of a file.
func (x *exchange) placeable(t *target) *refusal {
	if !x.opts.HierarchicalNamespace {
		return nil
	}
	if t.b != nil && t.b.directory || strings.HasSuffix(x.blob, "/") {
		return pathConflict
	}
	for i := range len(x.blob) {
		if h := t.c.blobs[x.blob[:i]]; x.blob[i] == '/' && h != nil && h.current != nil {
			return pathConflict
		}
	}
	return nil
}

// commit makes b the content of the target, and sets the headers that say so.
func (x *exchange) commit(t *target, b *storedBlob) {
	b.etag, b.created, b.modified = x.nextETag(), t.now.UTC(), t.now.UTC()
	if x.opts.HierarchicalNamespace {
		x.addDirectories(t.c, x.blob)
	}
	x.replace(t.h, b)
	x.stateOf(b)
}

// stateOf sets the headers that identify a blob's state.
func (x *exchange) stateOf(b *storedBlob) {
	h := x.w.Header()
	h.Set("ETag", b.etag)
	h.Set("Last-Modified", httpTime(b.modified))
	if b.version != "" {
		h.Set("x-ms-version-id", b.version)
	}
}

// putBlob answers Put Blob.
func (x *exchange) putBlob() {
	received, ok := x.receive(maxPut)
	if !ok {
		return
	}
	b, r := x.newBlob(received)
	if r != nil {
		x.refuse(r)
		return
	}
	x.confirm(received)
	x.change(http.StatusCreated, func(t *target) *refusal {
		if r := x.overwrite(t, b.kind); r != nil {
			return r
		}
		x.commit(t, b)
		return nil
	})
}

// newBlob returns the blob that Put Blob asks for. Whether Azure compares the content with
// x-ms-blob-content-md5 is unknown; here it does.
func (x *exchange) newBlob(received *body) (*storedBlob, *refusal) {
	p, r := x.given()
	if r != nil {
		return nil, r
	}
	b := &storedBlob{Properties: p, content: bytesOf(received.data), size: int64(len(received.data))}
	switch kind := x.r.Header.Get("X-Ms-Blob-Type"); {
	case kind == "":
		return nil, missingHeader("x-ms-blob-type")
	case kind == "AppendBlob" && b.size > 0, kind == "AppendBlob" && p.Tier != "":
		return nil, invalidValue("x-ms-blob-type")
	case kind == "AppendBlob":
		b.kind = appendBlob
	case kind != "BlockBlob": // page blobs are not supported here
		return nil, invalidValue("x-ms-blob-type")
	case p.MD5 != nil && string(p.MD5) != string(received.md5):
		return nil, md5Mismatch
	default:
		b.MD5 = received.md5
	}
	return b, nil
}
