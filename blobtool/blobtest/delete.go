package blobtest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deleteBlob answers Delete Blob, of a blob, its snapshots, one snapshot or one version.
func (x *exchange) deleteBlob() {
	q := x.r.URL.Query()
	scope := strings.ToLower(x.r.Header.Get("X-Ms-Delete-Snapshots"))
	if !slices.Contains([]string{"", "include", "only"}, scope) || scope != "" && (q.Has("snapshot") || q.Has("versionid")) {
		x.invalidHeader("X-Ms-Delete-Snapshots")
		return
	}
	permanent := x.opts.SoftDeleteDays == 0
	x.change(http.StatusAccepted, func(t *target) *refusal {
		var r *refusal
		switch {
		case q.Has("snapshot"):
			r = x.deleteSnapshot(t, q.Get("snapshot"))
		case q.Has("versionid"):
			r = x.deleteVersion(t, q.Get("versionid"))
		case t.b == nil && len(t.h.staged) > 0: // has no condition that could fail
			t.h.staged, permanent = nil, true
		default:
			// What Azure says where the current version stays as a previous one is unknown; here it
			// promises nothing.
			permanent = permanent || x.opts.Versioning && scope != "only"
			r = x.deleteCurrent(t, scope)
		}
		x.w.Header().Set("x-ms-delete-type-permanent", strconv.FormatBool(permanent))
		return r
	})
}

// deleteCurrent deletes the blob. Whether Azure answers If-Match for no blob with 404 or 412 is
// unknown; Azurite has 412, so this has 404.
func (x *exchange) deleteCurrent(t *target, scope string) *refusal {
	if r := x.findTarget(t); r != nil {
		return r
	}
	if r := t.h.lease.mismatch(x.r.Header.Get("X-Ms-Lease-Id"), t.now); r != nil {
		return r
	}
	if r := x.immutable(t, toDelete); r != nil {
		return r
	}
	switch {
	case scope == "only":
		x.removeSnapshots(t.h)
		return nil
	case len(t.h.snapshots) > 0 && scope == "":
		return &refusal{http.StatusConflict, "SnapshotsPresent", "This operation is not permitted because the blob has snapshots."}
	case t.b.directory && t.c.hasBelow(t.key):
		return &refusal{http.StatusConflict, "DirectoryIsNotEmpty", "This operation is not permitted on a non-empty directory."}
	}
	x.remove(t.h)
	return nil
}

// hasBelow reports whether a directory has anything in it.
func (c *container) hasBelow(directory string) bool {
	for name, h := range c.blobs {
		if name != directory && strings.HasPrefix(name, directory) && h.current != nil {
			return true
		}
	}
	return false
}

func (x *exchange) deleteSnapshot(t *target, id string) *refusal {
	b := t.h.snapshot(id)
	if b == nil {
		return blobNotFound
	}
	if r := x.unmetWrite(plainConditions, b); r != nil {
		return r
	}
	if r := x.immutableVersion(t, b); r != nil {
		return r
	}
	t.keepsLease = true
	t.h.snapshots = without(t.h.snapshots, b)
	if x.opts.SoftDeleteDays > 0 {
		x.keepDeleted(t.h, b, "")
	}
	return nil
}

// deleteVersion deletes a previous version. What Azure answers for the current one is unknown;
// here it is not allowed.
func (x *exchange) deleteVersion(t *target, id string) *refusal {
	b, current := t.h.version(id)
	switch {
	case b == nil:
		return blobNotFound
	case current:
		return &refusal{http.StatusForbidden, "OperationNotAllowedOnRootBlob", "The specified operation is not allowed on the root blob."}
	}
	if r := x.unmetWrite(plainConditions, b); r != nil {
		return r
	}
	if r := x.immutableVersion(t, b); r != nil {
		return r
	}
	t.keepsLease = true
	t.h.previous = without(t.h.previous, b)
	if x.opts.SoftDeleteDays > 0 {
		x.keepDeleted(t.h, b, "")
	}
	return nil
}

// without returns a list without one state.
func without(list []*storedBlob, b *storedBlob) []*storedBlob {
	return slices.DeleteFunc(list, func(other *storedBlob) bool { return other == b })
}

// undeleteBlob answers Undelete Blob.
func (x *exchange) undeleteBlob() {
	source := x.r.Header.Get("X-Ms-Undelete-Source")
	if source != "" && !x.opts.HierarchicalNamespace {
		x.unsupportedHeader("X-Ms-Undelete-Source")
		return
	}
	x.change(http.StatusOK, func(t *target) *refusal {
		if x.opts.HierarchicalNamespace {
			return x.undeleteFile(t, source)
		}
		return x.undelete(t)
	})
}

// undelete restores the blob and all its snapshots, or deleted versions. It succeeds without
// changes where nothing is deleted: with versions it does not bring a deleted blob back.
func (x *exchange) undelete(t *target) *refusal {
	h := t.h
	if h.current == nil && len(h.previous)+len(h.deleted) == 0 {
		return blobNotFound
	}
	last := -1
	for i, b := range h.deleted {
		if b.snapshot == "" && b.version == "" {
			last = i
		}
	}
	if h.current == nil && last < 0 && !x.opts.Versioning { // only of a name that was staged onto
		return blobNotFound
	}
	for i, b := range h.deleted {
		restored := *b
		restored.deleted = time.Time{}
		switch {
		case b.snapshot != "":
			h.snapshots = append(h.snapshots, &restored)
		case b.version != "":
			h.previous = append(h.previous, &restored)
		case i == last && h.current == nil:
			h.current = &restored
		}
	}
	h.deleted = nil
	slices.SortFunc(h.snapshots, func(a, b *storedBlob) int { return strings.Compare(a.snapshot, b.snapshot) })
	slices.SortFunc(h.previous, func(a, b *storedBlob) int { return strings.Compare(a.version, b.version) })
	return nil
}

// undeleteFile restores one deleted file or directory by its deletion ID. The codes of all its
// refusals are unknown.
func (x *exchange) undeleteFile(t *target, source string) *refusal {
	path, query, _ := strings.Cut(source, "?")
	q, err := url.ParseQuery(query)
	if path, unescaped := url.PathUnescape(strings.TrimPrefix(path, "/")); err != nil || unescaped != nil ||
		path != "" && path != x.blob && path != x.container+"/"+x.blob {
		return invalidValue("x-ms-undelete-source")
	}
	key, h, i := t.c.deletedFile(x.blob, q.Get("deletionid"))
	switch {
	case h == nil:
		return blobNotFound
	case t.b != nil:
		return blobExists
	case !t.c.hasParent(x.blob):
		return &refusal{http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist."}
	}
	restored := *h.deleted[i]
	restored.deleted, restored.deletionID = time.Time{}, ""
	h.deleted = slices.Delete(h.deleted, i, i+1)
	h.current = &restored
	t.key, t.h = key, h
	return nil
}

// deletedFile returns where the deleted file or directory with the ID is, or no history.
func (c *container) deletedFile(name, id string) (key string, h *history, i int) {
	for _, key := range []string{name, strings.TrimSuffix(name, "/") + "/"} {
		if h := c.blobs[key]; h != nil && id != "" {
			if i := slices.IndexFunc(h.deleted, func(b *storedBlob) bool { return b.deletionID == id && b.snapshot == "" }); i >= 0 {
				return key, h, i
			}
		}
	}
	return "", nil, 0
}

// hasParent reports whether the directory that a file or directory was in exists.
func (c *container) hasParent(name string) bool {
	i := strings.LastIndexByte(strings.TrimSuffix(name, "/"), '/')
	if i < 0 {
		return true
	}
	h := c.blobs[name[:i+1]]
	return h != nil && h.current != nil
}
