package blobtest

import (
	"net/http"
	"net/url"
)

// An Operation is a kind of request, by its name in Azure's REST reference. See [Fault.Operation]
// and [Request.Operation].
type Operation string

// The supported operations.
const (
	OpListContainers           Operation = "List Containers"
	OpFindBlobsByTags          Operation = "Find Blobs by Tags"
	OpGetContainerProperties   Operation = "Get Container Properties"
	OpListBlobs                Operation = "List Blobs"
	OpFindBlobsByTagsContainer Operation = "Find Blobs by Tags in Container"
	OpGetBlob                  Operation = "Get Blob"
	OpGetBlobProperties        Operation = "Get Blob Properties"
	OpGetBlobTags              Operation = "Get Blob Tags"
	OpGetBlockList             Operation = "Get Block List"

	OpPutBlob           Operation = "Put Blob"
	OpPutBlobFromURL    Operation = "Put Blob From URL"
	OpCopyBlobFromURL   Operation = "Copy Blob From URL"
	OpPutBlock          Operation = "Put Block"
	OpPutBlockFromURL   Operation = "Put Block From URL"
	OpPutBlockList      Operation = "Put Block List"
	OpAppendBlock       Operation = "Append Block"
	OpSetBlobMetadata   Operation = "Set Blob Metadata"
	OpSetBlobProperties Operation = "Set Blob Properties"
	OpSetBlobTags       Operation = "Set Blob Tags"
	OpSnapshotBlob      Operation = "Snapshot Blob"
	OpLeaseBlob         Operation = "Lease Blob"
	OpDeleteBlob        Operation = "Delete Blob"
	OpUndeleteBlob      Operation = "Undelete Blob"
)

// operationOf returns a request's operation, or "" if it is not supported.
func operationOf(r *http.Request, container, blob string) Operation {
	q := r.URL.Query()
	onContainer := q.Get("restype") == "container"
	switch {
	case r.Method == http.MethodPut && blob != "" && !onContainer:
		return writeOf(r.Header, q.Get("comp"))
	case r.Method == http.MethodDelete && blob != "" && !onContainer && q.Get("comp") == "":
		return OpDeleteBlob
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return ""
	case container == "" || onContainer:
		return readAbove(r, q, container, blob)
	case blob == "":
		return ""
	}
	return readOf(r.Method == http.MethodGet, q.Get("comp"))
}

// readAbove returns the operation of a read of the account or a container.
func readAbove(r *http.Request, q url.Values, container, blob string) Operation {
	get, comp := r.Method == http.MethodGet, q.Get("comp")
	switch {
	case container == "" && comp == "list" && get:
		return OpListContainers
	case container == "" && comp == "blobs" && get:
		return OpFindBlobsByTags
	case container == "" || blob != "":
		return ""
	case comp == "list" && get:
		return OpListBlobs
	case comp == "blobs" && get:
		return OpFindBlobsByTagsContainer
	case comp == "":
		return OpGetContainerProperties
	}
	return ""
}

// readOf returns the operation of a read of a blob.
func readOf(get bool, comp string) Operation {
	switch {
	case comp == "tags" && get:
		return OpGetBlobTags
	case comp == "blocklist" && get:
		return OpGetBlockList
	case comp == "" && get:
		return OpGetBlob
	case comp == "":
		return OpGetBlobProperties
	}
	return ""
}

// writeOf returns the operation of a PUT to a blob. Copy Blob, which is asynchronous, is not
// supported.
func writeOf(h http.Header, comp string) Operation {
	copies := h.Get("X-Ms-Copy-Source") != ""
	switch {
	case comp == "" && copies && h.Get("X-Ms-Blob-Type") != "":
		return OpPutBlobFromURL
	case comp == "" && copies && h.Get("X-Ms-Requires-Sync") == "true":
		return OpCopyBlobFromURL
	case comp == "block" && copies:
		return OpPutBlockFromURL
	case copies:
		return ""
	}
	return map[string]Operation{
		"": OpPutBlob, "block": OpPutBlock, "blocklist": OpPutBlockList, "appendblock": OpAppendBlock,
		"metadata": OpSetBlobMetadata, "properties": OpSetBlobProperties, "tags": OpSetBlobTags,
		"snapshot": OpSnapshotBlob, "lease": OpLeaseBlob, "undelete": OpUndeleteBlob,
	}[comp]
}

// ofTags reports whether the operation is about index tags.
func (o Operation) ofTags() bool {
	return o == OpFindBlobsByTags || o == OpFindBlobsByTagsContainer || o == OpGetBlobTags || o == OpSetBlobTags
}

// writes reports whether the operation changes a blob.
func (o Operation) writes() bool {
	switch o {
	case OpListContainers, OpFindBlobsByTags, OpGetContainerProperties, OpListBlobs, OpFindBlobsByTagsContainer,
		OpGetBlob, OpGetBlobProperties, OpGetBlobTags, OpGetBlockList:
		return false
	default:
		return o != ""
	}
}

// answer serves the request.
func (x *exchange) answer() {
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
	case OpGetBlockList:
		x.getBlockList()
	case OpPutBlob:
		x.putBlob()
	case OpPutBlobFromURL, OpCopyBlobFromURL:
		x.putFromURL()
	case OpPutBlock, OpPutBlockFromURL:
		x.putBlock()
	case OpPutBlockList:
		x.putBlockList()
	case OpAppendBlock:
		x.appendBlock()
	case OpSetBlobMetadata:
		x.setMetadata()
	case OpSetBlobProperties:
		x.setHeaders()
	case OpSetBlobTags:
		x.setTags()
	case OpSnapshotBlob:
		x.snapshotBlob()
	case OpLeaseBlob:
		x.leaseBlob()
	case OpDeleteBlob:
		x.deleteBlob()
	case OpUndeleteBlob:
		x.undeleteBlob()
	}
}
