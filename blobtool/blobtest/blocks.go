package blobtest

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A block is a piece of a blob's content.
type block struct {
	id   string // in base64; empty in an append blob
	size int64
	io.ReaderAt
}

// A stagedBlock is a block that is not committed.
type stagedBlock = block

// blockLifetime is how long uncommitted blocks live after the last Put Block.
const blockLifetime = 7 * 24 * time.Hour

// Limits on blocks.
const (
	maxCommitted = 50_000
	maxStaged    = 100_000
	maxBlockID   = 64 // bytes before base64
)

func bytesOf(data []byte) io.ReaderAt { return bytes.NewReader(data) }

// joinedBlocks is content in blocks.
type joinedBlocks struct {
	blocks []block
	ends   []int64 // offset after each block
}

func join(blocks []block) *joinedBlocks {
	j := &joinedBlocks{}
	for _, b := range blocks {
		j.add(b)
	}
	return j
}

func (j *joinedBlocks) size() int64 {
	if len(j.ends) == 0 {
		return 0
	}
	return j.ends[len(j.ends)-1]
}

func (j *joinedBlocks) add(b block) {
	j.ends = append(j.ends, j.size()+b.size)
	j.blocks = append(j.blocks, b)
}

// with returns the content with another block at its end.
func (j *joinedBlocks) with(b block) *joinedBlocks {
	longer := &joinedBlocks{slices.Clone(j.blocks), slices.Clone(j.ends)}
	longer.add(b)
	return longer
}

// ReadAt reads across blocks.
func (j *joinedBlocks) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for i := sort.Search(len(j.ends), func(i int) bool { return j.ends[i] > off }); i < len(j.blocks) && n < len(p); i++ {
		b := j.blocks[i]
		from := off + int64(n) - (j.ends[i] - b.size)
		part := p[n:min(int64(len(p)), int64(n)+b.size-from)]
		m, err := b.ReadAt(part, from)
		n += m
		if m < len(part) {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// putBlock answers Put Block and Put Block From URL.
func (x *exchange) putBlock() {
	id := x.r.URL.Query().Get("blockid")
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(raw) == 0 || len(raw) > maxBlockID {
		x.invalidParameter("blockid")
		return
	}
	b := block{id: id}
	if x.operation == OpPutBlockFromURL {
		src, r := x.source()
		if r == nil {
			b, r = x.sourceBlock(src, id)
		}
		if r != nil {
			x.refuse(r)
			return
		}
	} else {
		received, ok := x.receive(maxBlock)
		switch {
		case !ok:
			return
		case len(received.data) == 0:
			x.refuse(invalidValue("content-length"))
			return
		}
		b.size, b.ReaderAt = int64(len(received.data)), bytesOf(received.data)
		x.confirm(received)
	}
	x.change(http.StatusCreated, func(t *target) *refusal { return x.stage(t, b) })
}

// stage adds or replaces an uncommitted block. A soft-deleted blob of the name becomes a
// soft-deleted snapshot, and can't be undeleted as a blob any more.
func (x *exchange) stage(t *target, b block) *refusal {
	switch {
	case t.b != nil && t.b.directory:
		return pathConflict
	case t.b != nil && t.b.kind != blockBlob, t.b != nil && t.b.fromFiles: // the code for a file of the other API is unknown
		return invalidBlobType
	}
	if r := t.h.lease.mismatch(x.r.Header.Get("X-Ms-Lease-Id"), t.now); r != nil {
		return r
	}
	if r := x.immutable(t, toOverwrite); r != nil {
		return r
	}
	if r := x.placeable(t); r != nil {
		return r
	}
	i := slices.IndexFunc(t.h.staged, func(s stagedBlock) bool { return s.id == b.id })
	switch {
	case len(t.h.staged) > 0 && len(t.h.staged[0].id) != len(b.id):
		return &refusal{http.StatusBadRequest, "InvalidBlobOrBlock", "The specified blob or block content is invalid."}
	case i >= 0:
		t.h.staged[i] = b
	case len(t.h.staged) >= maxStaged:
		return &refusal{http.StatusConflict, "BlockCountExceedsLimit", "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks."}
	default:
		t.h.staged = append(t.h.staged, b)
	}
	t.h.stagedAt = t.now
	x.bury(t.h, blockBlob)
	return nil
}

// A blockReference names a block in the body of Put Block List.
type blockReference struct {
	XMLName xml.Name
	ID      string `xml:",chardata"`
}

// putBlockList answers Put Block List.
func (x *exchange) putBlockList() {
	received, ok := x.receive(maxListOfXML)
	if !ok {
		return
	}
	var list struct {
		XMLName xml.Name         `xml:"BlockList"`
		Blocks  []blockReference `xml:",any"`
	}
	p, r := x.given()
	switch {
	case r != nil:
	case xml.Unmarshal(received.data, &list) != nil:
		r = invalidXML
	case len(list.Blocks) > maxCommitted:
		r = &refusal{http.StatusBadRequest, "BlockListTooLong", "The block list may not contain more than 50,000 blocks."}
	}
	if r != nil {
		x.refuse(r)
		return
	}
	x.confirm(received)
	x.change(http.StatusCreated, func(t *target) *refusal {
		switch {
		case t.b != nil && (t.b.kind != blockBlob || t.b.fromFiles): // before conditions or after: unknown
			return invalidBlobType
		}
		if r := x.overwrite(t, blockBlob); r != nil {
			return r
		}
		blocks, ok := t.h.chosen(list.Blocks)
		if !ok {
			return &refusal{http.StatusBadRequest, "InvalidBlockList", "The specified block list is invalid."}
		}
		content := join(blocks)
		x.commit(t, &storedBlob{Properties: p, content: content, size: content.size(), blocks: blocks})
		return nil
	})
}

// chosen returns the blocks of a list, or false if one of them does not exist.
func (h *history) chosen(list []blockReference) ([]block, bool) {
	staged, committed := map[string]block{}, map[string]block{}
	for _, b := range h.staged {
		staged[b.id] = b
	}
	if h.current != nil {
		for _, b := range h.current.blocks {
			committed[b.id] = b
		}
	}
	blocks := make([]block, 0, len(list))
	for _, ref := range list {
		id := strings.TrimSpace(ref.ID)
		b, ok := staged[id]
		switch ref.XMLName.Local {
		case "Uncommitted":
		case "Committed":
			b, ok = committed[id]
		case "Latest":
			if !ok {
				b, ok = committed[id]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
		blocks = append(blocks, b)
	}
	return blocks, true
}

// A listedBlock is a block in the answer of Get Block List.
type listedBlock struct {
	Name string
	Size int64
}

// blockList is the XML of Get Block List.
type blockList struct {
	XMLName     xml.Name       `xml:"BlockList"`
	Committed   *[]listedBlock `xml:"CommittedBlocks>Block"`
	Uncommitted *[]listedBlock `xml:"UncommittedBlocks>Block"`
}

func listedBlocks(blocks []block) *[]listedBlock {
	l := []listedBlock{}
	for _, b := range blocks {
		l = append(l, listedBlock{b.id, b.size})
	}
	return &l
}

// getBlockList answers Get Block List. A name with nothing but uncommitted blocks has one.
func (x *exchange) getBlockList() {
	q := x.r.URL.Query()
	kind := orElse(q.Get("blocklisttype"), "committed")
	if !slices.Contains([]string{"committed", "uncommitted", "all"}, kind) {
		x.invalidParameter("blocklisttype")
		return
	}
	b, staged, r := x.blocksOf(q.Get("snapshot"), q.Get("versionid"))
	switch {
	case r != nil:
		x.refuse(r)
		return
	case b != nil && b.kind != blockBlob:
		x.refuse(invalidBlobType)
		return
	case b != nil && x.unmet(b):
		return
	}
	var list blockList
	h := x.w.Header()
	h.Set("x-ms-blob-content-length", "0")
	var committed []block
	if b != nil {
		x.stateOf(b)
		h.Set("x-ms-blob-content-length", strconv.FormatInt(b.size, 10))
		committed = b.blocks
	}
	if kind != "uncommitted" {
		list.Committed = listedBlocks(committed)
	}
	if kind != "committed" {
		list.Uncommitted = listedBlocks(staged)
	}
	x.writeXML(list)
}

// blocksOf returns the requested state of the blob, nil if there is none, and the uncommitted
// blocks of its name.
func (x *exchange) blocksOf(snapshot, version string) (*storedBlob, []block, *refusal) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.containers[x.container]
	if c == nil {
		return nil, nil, containerNotFound
	}
	h := x.historyOf(c, x.blob)
	if h == nil {
		if b := findGenerated(c.generated, x.blob); b != nil {
			return b, nil, nil
		}
		return nil, nil, blobNotFound
	}
	x.settle(h)
	b, staged := h.present(x.opts.Now()), slices.Clone(h.staged)
	switch {
	case snapshot != "":
		b, staged = h.snapshot(snapshot), nil
	case version != "":
		b, _ = h.version(version)
		staged = nil
	}
	if b == nil && len(staged) == 0 {
		return nil, nil, blobNotFound
	}
	return b, staged, nil
}
