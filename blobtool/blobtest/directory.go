package blobtest

import "strings"

// In an account with a hierarchical namespace, directories are entries of their
// own, and each blob is in one. They are kept here under their name with a
// slash at its end, which sorts them right before what is in them.

// AddDirectory creates a directory and those above it. It panics without
// [Options.HierarchicalNamespace].
func (s *Server) AddDirectory(container, path string) {
	if !s.opts.HierarchicalNamespace {
		panic("blobtest: directories take Options.HierarchicalNamespace")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addDirectories(s.addContainer(container), strings.TrimSuffix(path, "/")+"/")
}

// addDirectories creates the directories above the blob of that name.
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

// historyOf returns what is kept under the name of a blob or directory, or nil.
func (s *Server) historyOf(c *container, name string) *history {
	if h := c.blobs[name]; h != nil || !s.opts.HierarchicalNamespace {
		return h
	}
	return c.blobs[strings.TrimSuffix(name, "/")+"/"]
}

// resourceType is "file" or "directory", empty in a flat namespace, which knows
// no such thing.
func (o Options) resourceType(b *storedBlob) string {
	switch {
	case !o.HierarchicalNamespace:
		return ""
	case b.directory:
		return "directory"
	}
	return "file"
}
