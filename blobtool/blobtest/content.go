package blobtest

import (
	"bytes"
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A container is a named set of blobs.
type container struct {
	modified time.Time
	etag     string
	metadata map[string]string

	retention time.Duration // 0: no policy
	held      bool

	blobs  map[string]*history
	sorted []string // sorted names of blobs; nil if they must be sorted again

	generated []*storedSeries // not included in the fields above
}

// names returns the blobs' names in Azure's listing order. Callers must not change the result.
func (c *container) names() []string {
	if c.sorted == nil {
		c.sorted = slices.Sorted(maps.Keys(c.blobs))
	}
	return c.sorted
}

// history returns the history of a name, and creates it if necessary.
func (c *container) history(name string) *history {
	h := c.blobs[name]
	if h == nil {
		h = &history{}
		c.blobs[name], c.sorted = h, nil
	}
	return h
}

// keep stores the history of a name after a change, unless nothing is left of it. An empty one
// hides a generated blob that was deleted.
func (c *container) keep(name string, h *history) {
	_, known := c.blobs[name]
	switch {
	case h.empty() && findGenerated(c.generated, name) == nil:
		if known {
			delete(c.blobs, name)
			c.sorted = nil
		}
	case !known:
		c.blobs[name], c.sorted = h, nil
	}
}

// AddContainer adds a container. If it exists, it does nothing.
func (s *Server) AddContainer(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addContainer(name)
}

// SetContainerMetadata sets a container's metadata. It adds the container if it does not exist.
func (s *Server) SetContainerMetadata(name string, metadata map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.addContainer(name)
	c.metadata, c.etag, c.modified = maps.Clone(metadata), s.nextETag(), s.opts.Now().UTC()
}

func (s *Server) addContainer(name string) *container {
	c := s.containers[name]
	if c == nil {
		c = &container{modified: s.opts.Now().UTC(), etag: s.nextETag(), blobs: map[string]*history{}}
		s.containers[name] = c
	}
	return c
}

// Put stores a copy of data as a blob. It replaces a blob with the same name; the new blob has a
// new ETag and none of the old properties, and any lease ends. As in Azure, an empty content type means
// application/octet-stream. It adds the container if it does not exist.
func (s *Server) Put(container, blob string, data []byte, contentType string) {
	sum := md5.Sum(data)
	s.put(container, blob, &storedBlob{
		content:    bytes.NewReader(bytes.Clone(data)),
		size:       int64(len(data)),
		Properties: Properties{ContentType: contentType, MD5: sum[:]},
	})
}

// PutFile is [Server.Put] for a file made through the Data Lake endpoint, which only Put Blob can
// overwrite. It panics without [Options.HierarchicalNamespace].
func (s *Server) PutFile(container, path string, data []byte, contentType string) {
	if !s.opts.HierarchicalNamespace {
		panic("blobtest: files take Options.HierarchicalNamespace")
	}
	s.put(container, path, &storedBlob{
		content: bytesOf(bytes.Clone(data)), size: int64(len(data)), fromFiles: true,
		Properties: Properties{ContentType: contentType},
	})
}

// PutSized stores a text blob of that many bytes without holding them in memory. The content is
// lines of 64 ASCII characters that begin with their line number.
func (s *Server) PutSized(container, blob string, size int64) {
	s.put(container, blob, &storedBlob{
		content:    syntheticText{},
		size:       size,
		Properties: Properties{ContentType: "text/plain; charset=utf-8"},
	})
}

// Update changes the properties of a stored blob. As in Azure, changing metadata creates a version
// if [Options.Versioning] is on, and any change except to tags, tier and lease changes the ETag
// and Last-Modified. It panics if the blob does not exist. f must not call the server.
func (s *Server) Update(container, blob string, f func(*Properties)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.mustFind(container, blob)
	b := *h.present(s.opts.Now())
	b.Properties = b.clone()
	lease, kind := b.LeaseState, b.LeaseDuration
	f(&b.Properties)
	b.Properties = b.clone() // don't share memory with the caller
	if b.LeaseState != lease || b.LeaseDuration != kind {
		h.lease = leaseIn(b.LeaseState, b.LeaseDuration, s.opts.Now())
	}
	if !b.sameHeaders(h.current.Properties) {
		b.etag, b.modified = s.nextETag(), s.opts.Now().UTC()
	}
	if !maps.Equal(b.Metadata, h.current.Metadata) {
		s.amend(h, &b)
		return
	}
	h.current = &b
}

// SetContentEncoding sets the Content-Encoding of a stored blob, such as "gzip".
func (s *Server) SetContentEncoding(container, blob, encoding string) {
	s.Update(container, blob, func(p *Properties) { p.ContentEncoding = encoding })
}

func (s *Server) put(container, name string, b *storedBlob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Now().UTC()
	b.etag, b.created, b.modified = s.nextETag(), now, now
	c := s.addContainer(container)
	if s.opts.HierarchicalNamespace {
		s.addDirectories(c, name)
	}
	h := c.history(name)
	h.lease = nil
	s.replace(h, b)
}

// nextETag returns a new ETag that looks like Azure's.
func (s *Server) nextETag() string {
	s.serial++
	return fmt.Sprintf(`"0x8DD%012X"`, s.serial)
}

// A syntheticText is an endless text. The byte at each offset depends only on the offset.
type syntheticText struct{}

const (
	syntheticLine   = 64 // length of a line, including its newline
	syntheticDigits = 10 // length of the number at its beginning
)

// ReadAt fills p with the text from offset off. It never fails.
func (syntheticText) ReadAt(p []byte, off int64) (int, error) {
	var line [syntheticLine]byte
	copy(line[syntheticDigits:], " the quick brown fox jumps over the lazy dog, and on.\n")
	for n := 0; n < len(p); {
		number, column := (off+int64(n))/syntheticLine, (off+int64(n))%syntheticLine
		for i := syntheticDigits - 1; i >= 0; i-- {
			line[i] = byte('0' + number%10)
			number /= 10
		}
		n += copy(p[n:], line[column:])
	}
	return len(p), nil
}

// In an account with a hierarchical namespace, directories are separate entries, and every blob is
// in one. The server keeps a directory under its name with a trailing slash, which sorts it right
// before its content.

// AddDirectory adds a directory and its parents. It panics without
// [Options.HierarchicalNamespace].
func (s *Server) AddDirectory(container, path string) {
	if !s.opts.HierarchicalNamespace {
		panic("blobtest: directories take Options.HierarchicalNamespace")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addDirectories(s.addContainer(container), strings.TrimSuffix(path, "/")+"/")
}

// addDirectories creates the directories above the named blob.
func (s *Server) addDirectories(c *container, name string) {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if h := c.history(name[:i+1]); h.current == nil {
			now := s.opts.Now().UTC()
			h.current = &storedBlob{
				Properties: Properties{Metadata: map[string]string{"hdi_isfolder": "true"}},
				content:    strings.NewReader(""),
				etag:       s.nextETag(), created: now, modified: now,
				directory: true,
			}
		}
	}
}

// historyOf returns the history of a blob or directory name, or nil.
func (s *Server) historyOf(c *container, name string) *history {
	h := c.blobs[name]
	if h != nil && h.current != nil || !s.opts.HierarchicalNamespace {
		return h
	}
	if d := c.blobs[strings.TrimSuffix(name, "/")+"/"]; d != nil && (h == nil || d.current != nil) {
		return d
	}
	return h
}

// resourceType returns "file" or "directory", or "" in a flat namespace.
func (o Options) resourceType(b *storedBlob) string {
	switch {
	case !o.HierarchicalNamespace:
		return ""
	case b.directory:
		return "directory"
	}
	return "file"
}
