package blobtool

import (
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// undo says whether a write can be undone.
type undo struct {
	Possible  bool   `json:"possible" jsonschema:"Whether this write can be undone, as far as Azure's answers show."`
	How       string `json:"how" jsonschema:"How, or why not."`
	VersionID string `json:"version_id,omitempty" jsonschema:"Version that has the content from before."`

	lost *standing // what undelete_blob can bring back, if the set offers it
}

func createdUndo() *undo {
	return &undo{Possible: true, How: "Nothing was there before: deleting the blob, as long as it has this etag, undoes it."}
}

// keptUndo says how to go back to what an overwrite replaced.
func keptUndo(old *standing) *undo {
	if old.version != "" {
		return versionUndo(old, "The content before")
	}
	if old.hierarchical {
		return &undo{How: "There is no undo: the account has a hierarchical namespace, which keeps nothing of what is overwritten."}
	}
	return &undo{How: "There is no undo that Azure's answers show: the account keeps no versions. If it has soft delete, it keeps a snapshot of the content before for some days, which an administrator can restore."}
}

// deleteUndo promises an undo only if Azure did: with a version that was seen, or a deletion that
// is not permanent.
func deleteUndo(old *standing, soft bool) *undo {
	switch {
	case old.version != "":
		return versionUndo(old, "The content")
	case soft:
		return &undo{Possible: true, lost: old, How: "The blob is soft-deleted: for the days that the account is set to, it can be undeleted. Do not write to this name before."}
	}
	return &undo{How: "The storage service deleted it for good, or does not say otherwise."}
}

// versionUndo is for content that stays as a previous version.
func versionUndo(old *standing, content string) *undo {
	u := &undo{Possible: true, VersionID: old.version, lost: old, How: content + " is still there as a previous version"}
	if old.archived {
		u.How += " in the Archive tier, which someone must move to an online tier before it can be read or copied back."
	} else {
		u.How += ", which read_blob with version_id shows."
	}
	return u
}

const undeleteName = "undelete_blob"

// nameUndelete adds to an undo how undelete_blob does it, or that something else must. exists says
// whether a blob has the name now.
func (s *Set) nameUndelete(u *undo, name string, exists bool) {
	if u == nil || u.lost == nil {
		return
	}
	old := u.lost
	switch able := s.offers(undeleteName) && !old.directory && s.writing.types.CheckKept(value(old.headers.BlobContentType), name) == nil; {
	case able && u.VersionID == "":
		u.How += " Call undelete_blob with the same blob_path."
	case able && old.kind == blob.BlobTypeBlockBlob && old.size <= s.writing.maxCopy && !old.archived && s.sourceFits(name):
		u.How += " To bring it back, call undelete_blob with this version_id"
		if exists {
			u.How += ", and the blob's etag as if_match"
		}
		u.How += "."
	default:
		u.How += " This server can't bring it back; another program can."
	}
}

// sourceFits reports whether the URL of a version of a blob is short enough for a copy, in any
// container.
func (s *Set) sourceFits(name string) bool {
	const others = 63 + len("//?versionid=2026-01-31T09%3A30%3A00.1234567Z")  // 63: the longest name of a container
	return len(s.serviceURL)+others+len(url.PathEscape(name)) <= maxSourceURL // escaped as azblob does
}
