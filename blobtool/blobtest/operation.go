package blobtest

import (
	"net/http"
	"slices"
	"strings"
)

// An Operation is a kind of request, by its name in Azure's REST reference. See
// [Fault.Operation] and [Request.Operation].
type Operation string

// The operations that are served.
const (
	OpListContainers           Operation = "List Containers"
	OpFindBlobsByTags          Operation = "Find Blobs by Tags"
	OpGetContainerProperties   Operation = "Get Container Properties"
	OpListBlobs                Operation = "List Blobs"
	OpFindBlobsByTagsContainer Operation = "Find Blobs by Tags in Container"
	OpGetBlob                  Operation = "Get Blob"
	OpGetBlobProperties        Operation = "Get Blob Properties"
	OpGetBlobTags              Operation = "Get Blob Tags"
)

// operationOf tells the operations apart; it returns nothing for what is none
// that is served.
func operationOf(r *http.Request, container, blob string) Operation {
	q := r.URL.Query()
	get, head, comp := r.Method == http.MethodGet, r.Method == http.MethodHead, q.Get("comp")
	onContainer := q.Get("restype") == "container"
	switch {
	case !get && !head:
	case container == "" && comp == "list" && get:
		return OpListContainers
	case container == "" && comp == "blobs" && get:
		return OpFindBlobsByTags
	case container == "":
	case onContainer && blob == "" && comp == "list" && get:
		return OpListBlobs
	case onContainer && blob == "" && comp == "blobs" && get:
		return OpFindBlobsByTagsContainer
	case onContainer && blob == "" && comp == "":
		return OpGetContainerProperties
	case onContainer || blob == "":
	case comp == "tags" && get:
		return OpGetBlobTags
	case comp == "" && get:
		return OpGetBlob
	case comp == "":
		return OpGetBlobProperties
	}
	return ""
}

// ofTags reports whether the operation reads index tags.
func (o Operation) ofTags() bool {
	return o == OpFindBlobsByTags || o == OpFindBlobsByTagsContainer || o == OpGetBlobTags
}

// What else Azure has at each level, by comp; it knows no others.
var (
	accountComps   = []string{"list", "blobs", "properties", "stats", "userdelegationkey", "batch"}
	containerComps = []string{"", "list", "blobs", "metadata", "acl", "lease", "undelete", "rename", "batch", "properties"}
	blobComps      = []string{
		"", "metadata", "properties", "tags", "snapshot", "lease", "block", "blocklist", "page", "pagelist", "copy", "incrementalcopy", "appendblock",
		"tier", "undelete", "expiry", "query", "seal", "immutabilitypolicies", "legalhold",
	}
)

// checkOperation refuses operations that are not served, and reports whether to go on: 405 for
// those of Azure that are not implemented here, 400 for those that Azure does not know either.
func (x *exchange) checkOperation(ours bool) bool {
	q := x.r.URL.Query()
	comps, restypes := blobComps, []string{"", "account"}
	switch {
	case x.container == "":
		comps, restypes = accountComps, []string{"", "service", "account"}
	case x.blob == "":
		comps, restypes = containerComps, []string{"container", "account"}
	}
	isRead := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	isAzures := slices.Contains(comps, strings.ToLower(q.Get("comp"))) && slices.Contains(restypes, q.Get("restype"))
	switch {
	case ours && x.operation != "" && (!x.operation.ofTags() || !x.opts.HierarchicalNamespace):
		return true
	case !isRead, ours && isAzures && x.operation == "":
		x.fail(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.", "")
	case ours && q.Get("comp") != "":
		x.invalidParameter("comp")
	default:
		x.invalidQuery()
	}
	return false
}

// route checks the caller's role and answers: the role before existence, so that
// callers without a role can't find out which blobs exist.
func (x *exchange) route() {
	if !x.allowed(x.caller, x.need()) {
		x.forbidden()
		return
	}
	switch x.operation {
	case OpListContainers:
		x.listContainers()
	case OpFindBlobsByTags, OpFindBlobsByTagsContainer:
		x.findByTags()
	case OpGetContainerProperties:
		x.containerProperties()
	case OpListBlobs:
		x.listBlobs()
	case OpGetBlob, OpGetBlobProperties:
		x.readBlob()
	case OpGetBlobTags:
		x.blobTags()
	}
}

// forbidden answers that the caller has no role that allows this.
func (x *exchange) forbidden() {
	x.fail(http.StatusForbidden, "AuthorizationPermissionMismatch",
		"This request is not authorized to perform this operation using this permission.", "")
}

// findContainer returns the container; or answers 404 and returns false.
func (x *exchange) findContainer() (*container, bool) {
	x.mu.Lock()
	c := x.containers[x.container]
	x.mu.Unlock()
	if c == nil {
		x.fail(http.StatusNotFound, "ContainerNotFound", "The specified container does not exist.", "")
	}
	return c, c != nil
}

// findBlob returns the state of the blob that the request is about, and whether
// it is the present one; or answers 404 and returns false.
func (x *exchange) findBlob() (b *storedBlob, current, ok bool) {
	c, ok := x.findContainer()
	if !ok {
		return nil, false, false
	}
	q := x.r.URL.Query()
	x.mu.Lock()
	h, runs := x.historyOf(c, x.blob), c.generated
	switch {
	case h == nil:
	case q.Has("versionid"):
		b, current = h.version(q.Get("versionid"))
	case q.Has("snapshot"):
		b = h.snapshot(q.Get("snapshot"))
	default:
		b, current = h.current, true
	}
	x.mu.Unlock()
	if h == nil && !q.Has("versionid") && !q.Has("snapshot") {
		b, current = findGenerated(runs, x.blob), true
	}
	if b == nil {
		x.fail(http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.", "")
	}
	return b, current, b != nil
}
