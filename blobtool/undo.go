package blobtool

import (
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
)

// undo says whether a write can be undone.
type undo struct {
	Possible  bool   `json:"possible" jsonschema:"Whether this write can be undone, as far as Azure's answers show."`
	How       string `json:"how" jsonschema:"How, or why not."`
	VersionID string `json:"version_id,omitempty" jsonschema:"Version that has the previous content; read_blob with version_id shows it."`

	lost *standing // what undelete_blob can bring back, if the set offers it
}

// createdUndo says how to undo the creation of a blob.
func createdUndo() *undo {
	return &undo{Possible: true, How: "The blob is new: to undo this, delete it with this etag as if_match."}
}

// keptUndo says how to go back to what an overwrite replaced.
func keptUndo(old *standing) *undo {
	if old.version != "" {
		return versionUndo(old, "the previous content")
	}
	if old.hierarchical {
		return &undo{How: "There is no undo: an account with a hierarchical namespace keeps nothing that is overwritten."}
	}
	return &undo{How: "The account keeps no versions, so there is no undo here. If it has soft delete, an administrator can restore the previous content for some days."}
}

// deleteUndo promises an undo only if Azure did: with a version that was seen, or a deletion that
// is not permanent.
func deleteUndo(old *standing, soft bool) *undo {
	switch {
	case old.version != "":
		return versionUndo(old, "the content")
	case soft:
		return &undo{Possible: true, lost: old, How: "The blob is soft-deleted. It can be undeleted for as many days as the account is set to, if nothing is written to its name."}
	}
	return &undo{How: "There is no undo: Azure's answer does not say that the blob was kept."}
}

// versionUndo is for content that stays as a previous version.
func versionUndo(old *standing, content string) *undo {
	u := &undo{Possible: true, VersionID: old.version, lost: old, How: "The account keeps " + content + " as a version"}
	if old.archived {
		u.How += " in the Archive tier. Someone must move the version to an online tier before it can be read or copied back."
	} else {
		u.How += "."
	}
	return u
}

const undeleteName = "undelete_blob"

// nameUndelete adds to an undo how undelete_blob does it, or that this server can't. exists says
// whether a blob has the name now.
func (s *Set) nameUndelete(u *undo, name string, exists bool) {
	if u == nil || u.lost == nil {
		return
	}
	old := u.lost
	switch able := s.offers(undeleteName) && !old.directory && s.writing.types.CheckKept(value(old.headers.BlobContentType), name) == nil; {
	case able && u.VersionID == "":
		u.How += " To bring it back, call undelete_blob with the same blob_path."
	case able && old.kind == blob.BlobTypeBlockBlob && old.size <= s.writing.maxCopy && !old.archived && s.sourceFits(name):
		u.How += " To bring that version back, call undelete_blob with this version_id"
		if exists {
			u.How += " and this etag as if_match"
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
