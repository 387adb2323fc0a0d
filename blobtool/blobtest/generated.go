package blobtest

import (
	"fmt"
	"sort"
	"time"
)

// PutGenerated stores a blob whose content is computed as it is read, so that
// it takes no memory however large it is: fill writes what begins at offset off
// into all of p, always the same for the same offset. It is called from many
// goroutines. size is in bytes; a block blob of Azure has up to 190.7 TiB. The
// blob has no MD5.
func (s *Server) PutGenerated(container, blob string, size int64, contentType string, fill func(off int64, p []byte)) {
	s.put(container, blob, &storedBlob{
		content:    generatedContent(fill),
		size:       size,
		Properties: Properties{ContentType: contentType},
	})
}

// generatedContent is endless content computed by a function.
type generatedContent func(off int64, p []byte)

// ReadAt never fails.
func (fill generatedContent) ReadAt(p []byte, off int64) (int, error) {
	fill(off, p)
	return len(p), nil
}

// Series are blobs that are computed as they are asked for: a million of
// them take no memory, and a page of a listing costs what is on it. Its
// functions must always give the same for the same i, may be called from many
// goroutines, and must not call the server.
type Series struct {
	// Count is how many there are: i is from 0 to Count-1.
	Count int

	// Name gives the name of each, in the order in which they are listed: it
	// must ascend, byte by byte. Required.
	Name func(i int) string

	// Size gives the size of each in bytes. Defaults to 1024.
	Size func(i int) int64

	// Fill writes the content of blob i from offset off on into all of p.
	// Defaults to the text of [Server.PutSized].
	Fill func(i int, off int64, p []byte)

	// Properties gives those of each. Defaults to a text/plain blob.
	Properties func(i int) Properties
}

// PutSeries puts generated blobs into a container, which is made if there is
// none of that name. They are listed, by hierarchy too, and can be read;
// [Server.Put] of the same name goes before; the other methods of the server
// don't see them, nor does Find Blobs by Tags. It panics if the names don't ascend,
// as far as a look at a few of them shows.
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

// A storedSeries is what one call of PutSeries has added.
type storedSeries struct {
	Series
	serial   uint64
	modified time.Time
}

// names returns the names of the run.
func (g *storedSeries) names() nameList { return nameList{g.Count, g.Name} }

// find computes the blob of that name, or returns nil.
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

// findGenerated computes the blob of that name in one of the runs, or returns nil.
func findGenerated(runs []*storedSeries, name string) *storedBlob {
	for _, g := range runs {
		if b := g.find(name); b != nil {
			return b
		}
	}
	return nil
}
