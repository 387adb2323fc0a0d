package blobtest

import (
	"encoding/xml"
	"net/http"
)

// setMetadata answers Set Blob Metadata, which replaces all of it.
func (x *exchange) setMetadata() {
	metadata, r := x.givenMetadata()
	if r != nil {
		x.refuse(r)
		return
	}
	x.change(http.StatusOK, func(t *target) *refusal {
		if r := x.modify(t); r != nil {
			return r
		}
		b := *t.b
		b.Metadata, b.etag, b.modified = metadata, x.nextETag(), t.now.UTC()
		x.amend(t.h, &b)
		x.stateOf(&b)
		return nil
	})
}

// setHeaders answers Set Blob Properties, which replaces all headers and makes no version.
func (x *exchange) setHeaders() {
	p, r := x.givenHeaders()
	if r != nil {
		x.refuse(r)
		return
	}
	x.change(http.StatusOK, func(t *target) *refusal {
		if r := x.modify(t); r != nil {
			return r
		}
		b := *t.b
		p.Metadata, p.Tags, p.Tier, p.ArchiveStatus, p.RehydratePriority = b.Metadata, b.Tags, b.Tier, b.ArchiveStatus, b.RehydratePriority
		b.Properties, b.etag, b.modified = p, x.nextETag(), t.now.UTC()
		t.h.current = &b
		x.stateOf(&b)
		return nil
	})
}

// setTags answers Set Blob Tags, which replaces all tags of the blob or of one version, and changes
// neither ETag nor Last-Modified.
func (x *exchange) setTags() {
	received, ok := x.receive(maxTagsOfXML)
	if !ok {
		return
	}
	var given struct {
		XMLName xml.Name    `xml:"Tags"`
		Tags    []listedTag `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal(received.data, &given); err != nil {
		x.refuse(invalidXML)
		return
	}
	tags, r := checkTags(given.Tags)
	if r != nil {
		x.refuse(r)
		return
	}
	version := x.r.URL.Query().Get("versionid")
	x.change(http.StatusNoContent, func(t *target) *refusal {
		b, current := t.b, true
		if version != "" {
			b, current = t.h.version(version)
		}
		if b == nil {
			return blobNotFound
		}
		if r := x.unmetWrite(tagsConditions, b); r != nil {
			return r
		}
		if r := t.h.lease.mismatch(x.r.Header.Get("X-Ms-Lease-Id"), t.now); r != nil && current {
			return r
		}
		if r := x.immutable(t, toModify); r != nil {
			return r
		}
		tagged := *b
		tagged.Tags = tags
		if current {
			t.h.current = &tagged
			return nil
		}
		for i := range t.h.previous {
			if t.h.previous[i] == b {
				t.h.previous[i] = &tagged
			}
		}
		return nil
	})
}

// snapshotBlob answers Snapshot Blob. It needs no lease ID, but one that is given must be right.
func (x *exchange) snapshotBlob() {
	metadata, r := x.givenMetadata()
	if r != nil {
		x.refuse(r)
		return
	}
	x.change(http.StatusCreated, func(t *target) *refusal {
		if r := x.findTarget(t); r != nil {
			return r
		}
		if id := x.r.Header.Get("X-Ms-Lease-Id"); id != "" {
			if r := t.h.lease.mismatch(id, t.now); r != nil {
				return r
			}
		}
		switch r := x.immutable(t, toModify); {
		case r != nil:
			return r
		case t.b.Tier == "Archive":
			return blobArchived
		}
		t.keepsLease = true
		taken := x.takeSnapshot(t.h)
		if metadata != nil { // instead of the blob's; the snapshot then has an ETag of its own
			taken.Metadata, taken.etag, taken.modified = metadata, x.nextETag(), t.now.UTC()
		}
		x.stateOf(taken)
		x.w.Header().Set("x-ms-snapshot", taken.snapshot)
		if v := t.h.current.version; v != "" {
			x.w.Header().Set("x-ms-version-id", v)
		}
		return nil
	})
}
