package blobtest

import (
	"slices"
	"strings"
)

// grant is a role of one object, on the blobs of a container whose names begin
// with prefix.
type grant struct {
	objectID  string
	container string // empty: every container of the account
	prefix    string
	owner     bool // may see tags
}

// Grant gives the user, application or managed identity with that object id (the
// oid of its tokens) the role Storage Blob Data Reader on the blobs of the
// container whose names begin with prefix; an empty prefix is the whole
// container, and an empty container the whole account. It takes effect at
// once; in Azure it can take 10 minutes.
//
// A Reader may not see the index tags of blobs, though their number: that takes
// the actions tags/read and filter/action of Microsoft.Storage, which of the
// roles that come with Azure only Storage Blob Data Owner has (see [Server.GrantOwner]);
// and a Reader's request with a condition on them (x-ms-if-tags) is refused.
// To list the containers takes a role on the whole account.
func (s *Server) Grant(objectID, container, prefix string) {
	s.grant(grant{objectID, container, prefix, false})
}

// GrantOwner gives the role Storage Blob Data Owner, as [Server.Grant] does the
// other. It can read the tags of blobs, and find blobs by them: in the account or
// a container if it has the role on all of that.
func (s *Server) GrantOwner(objectID, container, prefix string) {
	s.grant(grant{objectID, container, prefix, true})
}

func (s *Server) grant(g grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = append(s.grants, g)
}

// Revoke takes every role from that object id.
func (s *Server) Revoke(objectID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants = slices.DeleteFunc(s.grants, func(g grant) bool { return strings.EqualFold(g.objectID, objectID) })
}

// need is what a request takes: a role on all names of the container that begin
// with prefix, on all containers if that is empty.
type need struct {
	container, prefix string
	owner             bool
}

// need returns what this request takes.
func (x *exchange) need() need {
	if x.operation == OpListBlobs {
		q := x.r.URL.Query()
		in, _ := parseInclude(q.Get("include"))
		return need{x.container, q.Get("prefix"), in.tags}
	}
	return need{x.container, x.blob, x.operation.ofTags()}
}

// allowed reports whether one of the object's roles is enough.
func (s *Server) allowed(objectID string, n need) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.grants, func(g grant) bool {
		return strings.EqualFold(g.objectID, objectID) &&
			(g.container == "" || g.container == n.container) &&
			strings.HasPrefix(n.prefix, g.prefix) &&
			(g.owner || !n.owner)
	})
}
