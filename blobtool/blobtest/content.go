package blobtest

import (
	"bytes"
	"crypto/md5" // Content-MD5 is part of the protocol, not a protection
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// container is a named set of blobs.
type container struct {
	modified time.Time
	etag     string
	blobs    map[string]*storedBlob
}

// names returns the names of the blobs in the order in which Azure lists them.
func (c *container) names() []string { return slices.Sorted(maps.Keys(c.blobs)) }

// storedBlob is one blob. It is never changed, only replaced: a reader that has
// it goes on undisturbed.
type storedBlob struct {
	content     io.ReaderAt
	size        int64
	contentType string
	encoding    string // Content-Encoding
	tier        string
	etag        string // with its quotes
	modified    time.Time
	md5         []byte // nil for synthetic content, as for large uploads to Azure
}

// AddContainer creates a container. If it exists, nothing happens.
func (s *Server) AddContainer(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addContainer(name)
}

func (s *Server) addContainer(name string) *container {
	c := s.containers[name]
	if c == nil {
		c = &container{modified: s.opts.Now().UTC(), etag: s.nextETag(), blobs: map[string]*storedBlob{}}
		s.containers[name] = c
	}
	return c
}

// Put stores a blob, or replaces it: it then has another ETag. An empty content
// type is application/octet-stream, as in Azure. The container is made if
// there is none of that name. The data is copied.
func (s *Server) Put(container, blob string, data []byte, contentType string) {
	sum := md5.Sum(data)
	s.put(container, blob, &storedBlob{
		content:     bytes.NewReader(bytes.Clone(data)),
		size:        int64(len(data)),
		contentType: contentType,
		md5:         sum[:],
	})
}

// PutSized stores a text blob of that many bytes without holding them in
// memory. Its content depends on nothing but the position: lines of 64 ASCII
// characters that begin with their number.
func (s *Server) PutSized(container, blob string, size int64) {
	s.put(container, blob, &storedBlob{content: syntheticText{}, size: size, contentType: "text/plain; charset=utf-8"})
}

// SetContentEncoding sets the Content-Encoding of a stored blob, such as "gzip".
// Azure keeps it as a property and does not act on it.
func (s *Server) SetContentEncoding(container, blob, encoding string) {
	s.change(container, blob, func(b *storedBlob) { b.encoding = encoding })
}

// SetTier sets the access tier of a stored blob: "Hot" (the default), "Cool",
// "Cold", or "Archive", whose content can't be read (409 BlobArchived).
func (s *Server) SetTier(container, blob, tier string) {
	s.change(container, blob, func(b *storedBlob) { b.tier = tier })
}

// Delete removes a blob. If there is none, nothing happens.
func (s *Server) Delete(container, blob string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.containers[container]; c != nil {
		delete(c.blobs, blob)
	}
}

func (s *Server) put(container, name string, b *storedBlob) {
	if b.contentType == "" {
		b.contentType = "application/octet-stream"
	}
	b.tier = "Hot"
	s.mu.Lock()
	defer s.mu.Unlock()
	b.etag, b.modified = s.nextETag(), s.opts.Now().UTC()
	s.addContainer(container).blobs[name] = b
}

func (s *Server) change(container, name string, f func(*storedBlob)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[container]
	if c == nil || c.blobs[name] == nil {
		panic(fmt.Sprintf("blobtest: there is no blob %q in container %q", name, container))
	}
	b := *c.blobs[name]
	f(&b)
	c.blobs[name] = &b
}

// nextETag returns an ETag as Azure's look, never twice the same.
func (s *Server) nextETag() string {
	s.serial++
	return fmt.Sprintf(`"0x8DD%012X"`, s.serial)
}

// syntheticText is endless text: the byte at each offset follows from the
// offset alone.
type syntheticText struct{}

const (
	syntheticLine   = 64 // length of a line, its newline included
	syntheticDigits = 10 // length of the number at its beginning
)

// ReadAt fills p with the text from offset off on. It never fails.
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
