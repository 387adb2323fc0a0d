package blobtest

import (
	"fmt"
	"sort"
	"time"
)

// PutGenerated stores a blob whose content is computed when it is read, so that its size, in
// bytes, takes no memory. fill fills p with the content from offset off; it must return the same
// content every time, and many goroutines call it. Azure's block blobs have up to 190.7 TiB. The
// blob has no MD5.
func (s *Server) PutGenerated(container, blob string, size int64, contentType string, fill func(off int64, p []byte)) {
	s.put(container, blob, &storedBlob{
		content:    generatedContent(fill),
		size:       size,
		Properties: Properties{ContentType: contentType},
	})
}

// A generatedContent is endless content computed by a function.
type generatedContent func(off int64, p []byte)

// ReadAt never fails.
func (fill generatedContent) ReadAt(p []byte, off int64) (int, error) {
	fill(off, p)
	return len(p), nil
}

// A Series is many blobs that are computed on request. A million of them take no memory, and a
// page of a listing costs only its own entries. Its functions must always return the same result
// for the same i, and must not call the server. Many goroutines call them.
type Series struct {
	// Count is the number of blobs: i is from 0 to Count-1.
	Count int

	// Name returns the name of blob i. Names must be in ascending byte order. Required.
	Name func(i int) string

	// Size returns the size of blob i in bytes. Defaults to 1024.
	Size func(i int) int64

	// Fill fills p with the content of blob i from offset off. Defaults to the text of
	// [Server.PutSized].
	Fill func(i int, off int64, p []byte)

	// Properties returns the properties of blob i. Defaults to those of a text/plain
	// blob.
	Properties func(i int) Properties
}

// PutSeries stores a series of blobs in a container. It adds the container if it does not exist.
// The blobs can be listed, also by hierarchy, and read. A blob from [Server.Put] hides one with
// the same name. Other methods of the server and Find Blobs by Tags don't include them. It panics
// if names don't ascend, but compares only a few.
func (s *Server) PutSeries(container string, g Series) {
	switch {
	case g.Name == nil || g.Count < 0:
		panic("blobtest: Series.Name is required, and Count can't be negative")
	case g.Count > 1 && (g.Name(0) >= g.Name(1) || g.Name(0) >= g.Name(g.Count-1) || g.Name(g.Count/2-1) >= g.Name(g.Count/2)):
		panic("blobtest: the names of generated blobs must ascend")
	}
	if g.Size == nil {
		g.Size = func(int) int64 { return 1024 }
	}
	if g.Fill == nil {
		g.Fill = func(_ int, off int64, p []byte) { _, _ = syntheticText{}.ReadAt(p, off) } // never fails
	}
	if g.Properties == nil {
		g.Properties = func(int) Properties { return Properties{ContentType: "text/plain; charset=utf-8"} }
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.addContainer(container)
	s.serial++
	c.generated = append(c.generated, &storedSeries{g, s.serial, s.opts.Now().UTC()})
}

// A storedSeries is the result of one call of PutSeries.
type storedSeries struct {
	Series
	serial   uint64
	modified time.Time
}

// names returns the names of the run.
func (g *storedSeries) names() nameList { return nameList{g.Count, g.Name} }

// find computes the named blob, or returns nil.
func (g *storedSeries) find(name string) *storedBlob {
	i := sort.Search(g.Count, func(i int) bool { return g.Name(i) >= name })
	if i == g.Count || g.Name(i) != name {
		return nil
	}
	return &storedBlob{
		Properties: g.Properties(i),
		content:    generatedContent(func(off int64, p []byte) { g.Fill(i, off, p) }),
		size:       g.Size(i),
		etag:       fmt.Sprintf(`"0x8DE%04X%08X"`, g.serial, i),
		created:    g.modified,
		modified:   g.modified,
	}
}

// findGenerated computes the named blob in one of the series, or returns nil.
func findGenerated(runs []*storedSeries, name string) *storedBlob {
	for _, g := range runs {
		if b := g.find(name); b != nil {
			return b
		}
	}
	return nil
}
