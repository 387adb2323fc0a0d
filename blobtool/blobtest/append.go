package blobtest

import (
	"net/http"
	"strconv"
)

// A blobKind is the type of a blob. Page blobs are not supported.
type blobKind bool

const (
	blockBlob  blobKind = false
	appendBlob blobKind = true
)

func (k blobKind) String() string {
	if k == appendBlob {
		return "AppendBlob"
	}
	return "BlockBlob"
}

// PutAppend stores a copy of data as an append blob that counts as appended in that many blocks;
// Azure allows 50,000. It replaces a blob with the same name, like [Server.Put].
func (s *Server) PutAppend(container, blob string, data []byte, contentType string, blocks int) {
	content := join(nil)
	if len(data) > 0 {
		content.add(block{size: int64(len(data)), ReaderAt: bytesOf(append([]byte(nil), data...))})
	}
	s.put(container, blob, &storedBlob{
		Properties: Properties{ContentType: contentType},
		content:    content, size: content.size(), kind: appendBlob, appended: blocks,
	})
}

// Append appends to an append blob, as another writer would. It panics if there is none.
func (s *Server) Append(container, blob string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mustFind(container, blob)
	if h.current.kind != appendBlob {
		panic("blobtest: Append needs an append blob")
	}
	h.current = s.longer(h.current, append([]byte(nil), data...))
}

// longer returns the append blob with another block. Appending makes no version, and soft delete
// keeps no shorter content.
func (s *Server) longer(b *storedBlob, data []byte) *storedBlob {
	longer := *b
	content, ok := b.content.(*joinedBlocks)
	if !ok {
		content = join(nil)
	}
	content = content.with(block{size: int64(len(data)), ReaderAt: bytesOf(data)})
	longer.content, longer.size, longer.appended = content, content.size(), b.appended+1
	longer.MD5 = nil
	longer.etag, longer.modified = s.nextETag(), s.opts.Now().UTC()
	return &longer
}

// appendBlock answers Append Block.
func (x *exchange) appendBlock() {
	h := x.r.Header
	limits := map[string]int64{"X-Ms-Blob-Condition-Maxsize": -1, "X-Ms-Blob-Condition-Appendpos": -1}
	for name := range limits {
		v := h.Get(name)
		n, err := strconv.ParseInt(v, 10, 64)
		switch {
		case v == "":
		case err != nil || n < 0:
			x.invalidHeader(name)
			return
		default:
			limits[name] = n
		}
	}
	received, ok := x.receive(maxAppend)
	switch {
	case !ok:
		return
	case len(received.data) == 0:
		x.refuse(invalidValue("content-length"))
		return
	}
	x.confirm(received)
	x.change(http.StatusCreated, func(t *target) *refusal {
		if t.b != nil && t.b.kind != appendBlob {
			return invalidBlobType
		}
		if r := x.modify(t); r != nil {
			return r
		}
		size, added := t.b.size, int64(len(received.data))
		switch most, at := limits["X-Ms-Blob-Condition-Maxsize"], limits["X-Ms-Blob-Condition-Appendpos"]; {
		case at >= 0 && at != size:
			return &refusal{http.StatusPreconditionFailed, "AppendPositionConditionNotMet", "The append position condition specified was not met."}
		case most >= 0 && size+added > most:
			return &refusal{http.StatusPreconditionFailed, "MaxBlobSizeConditionNotMet", "The max blob size condition specified was not met."}
		case t.b.appended >= maxCommitted:
			return &refusal{http.StatusConflict, "BlockCountExceedsLimit", "The committed block count cannot exceed the maximum limit of 50,000 blocks."}
		}
		b := x.longer(t.b, received.data)
		t.h.current = b
		x.stateOf(b)
		x.w.Header().Set("x-ms-blob-append-offset", strconv.FormatInt(size, 10))
		x.w.Header().Set("x-ms-blob-committed-block-count", strconv.Itoa(b.appended))
		return nil
	})
}
