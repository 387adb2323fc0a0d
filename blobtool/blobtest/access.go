package blobtest

import "strings"

// grant is the role Storage Blob Data Reader, for one object, on the blobs of
// a container whose names begin with prefix.
type grant struct {
	objectID  string
	container string // empty: every container of the account
	prefix    string
}

// Grant gives the user, application or managed identity with that object id (the
// oid of its tokens) the role Storage Blob Data Reader on the blobs of the
// container whose names begin with prefix; an empty prefix is the whole
// container, and an empty container the whole account. It takes effect at
// once; in Azure it can take 10 minutes.
func (s *Server) Grant(objectID, container, prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = append(s.grants, grant{objectID, container, prefix})
}

// RevokeAll takes every role from that object id.
func (s *Server) RevokeAll(objectID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.grants[:0]
	for _, g := range s.grants {
		if !strings.EqualFold(g.objectID, objectID) {
			kept = append(kept, g)
		}
	}
	s.grants = kept
}

// allowed reports whether the object may read a blob, or list the blobs that
// begin with name.
func (s *Server) allowed(objectID, container, name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.grants {
		if strings.EqualFold(g.objectID, objectID) &&
			(g.container == "" || g.container == container) &&
			strings.HasPrefix(name, g.prefix) {
			return true
		}
	}
	return false
}
