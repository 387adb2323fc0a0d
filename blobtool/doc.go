// Package blobtool gives an MCP server tools for Azure Blob Storage that act as the
// signed-in user: a caller can read what Azure lets that user read and, if the server allows
// it, write what that user may write.
//
//	blobs, err := blobtool.New("https://account.blob.core.windows.net", "docs", credential, &blobtool.Options{
//		Allow: []string{"docs/reports", "docs/public/"},
//	})
//	if err != nil {
//		return err
//	}
//	blobs.Register(server)
//
// [New] returns the tools for one container, [NewAccount] those for all containers of an
// account, whose calls name the container. [Options.Allow] narrows every tool and resource
// to containers, folders and blobs; [Options.Tools] chooses among the tools.
//
// The credential is a function of the call's context, such as mcpentra.Credential. Every
// call gets its own client with the credential of its user: a client of the Azure SDK
// keeps one token, so sharing it would send one user's token with another user's call.
// Connections are shared.
//
// Blob content comes from others. The tools' descriptions tell the model to treat it as
// data, not as instructions. It is never logged. Every result is limited in size; if
// something was cut, the result says so and how to get the rest.
//
// # Reading
//
// read_blob(blob_path) returns the beginning of a blob, or a part of it with at most one
// of these:
//
//   - offset, a byte, with or without length. If there is more, the result has
//     next_offset. With it and the result's etag, pages join without a gap and never split
//     a character, and a blob that changed between two pages is an error ([ErrChanged]).
//     An offset inside a character starts at the next one.
//   - lines, such as 10-20, 10- or 10, counted from 1. Counting begins at the first byte,
//     so everything before the lines is fetched: at most 64 MiB. An offset is much cheaper.
//   - tail_lines, the number of last lines.
//
// max_chars (default 8,000, at most 1,000,000) limits the text in code points; version_id
// selects an earlier version. Regardless of the blob's size, about four bytes are fetched
// for each character that may be returned, and at least 4 KiB.
//
// The character encoding is the one that the call names, or that of a byte order mark, or
// the charset in the blob's Content-Type or Content-Encoding, or UTF-8. Unless the call
// names it, all tools check whether the content is text. It is not if it has a NUL, or if
// more than one character in 32 can't be decoded or is a control character, or if it is
// declared as an image (other than SVG), audio, video, font, PDF or ZIP. A call that
// names an encoding gets any content as text.
//
// Content with the Content-Encoding gzip or zstd, or with a name that ends in .gz or .zst,
// is unpacked if its first bytes confirm the format; offsets are then those of the
// unpacked content. A packed file without text, such as a .tar.gz, is returned as it is.
// One call unpacks at most 64 MiB, and no content that unpacks to more than 512 times its
// size; zstd may use a window of 8 MiB.
//
// Images and audio up to 3 MiB are returned as image and audio content, other content that
// is not text as an embedded resource up to 256 KiB (larger content in parts, with offset
// and length), and anything larger as a link to the resource.
//
// All names that Azure allows work unchanged, except those with segments "." and "..",
// backslashes or control characters, which the Azure SDK or the service would change. The
// blob:// URI of a result and the URL of a blob in this account also work; the signature
// of a SAS is dropped and never shown. Reading a directory of a hierarchical namespace is
// an error ([ErrDirectory]), not an empty file.
//
// A call resumes up to three broken connections; a connection that delivers nothing for 20
// seconds is dropped. A call ends with its context.
//
// stat_blob(blob_path) describes a blob: size, type, ETag, times, tier and rehydration,
// lease, MD5, metadata, and, if the user may see them, index tags and the newest 20
// versions. Its notes say what could not be determined.
//
// # Listing and searching
//
// list_containers, for accounts, and list_blobs return a page and a cursor for the next
// one. They hold one page of the service at a time, however many blobs there are.
// Directories of a hierarchical namespace are folders, never blobs.
//
// search_blobs finds blobs by a pattern for their names, by conditions on their index
// tags, and by a regular expression (RE2) for the lines of those that are text. It reads
// up to 32 blobs at a time and takes their results in order. It stops at a number of
// results, blobs or bytes, or after a time; the result then says which, and has a cursor
// for continuing, even within a blob. Problems with one blob are notes. It unpacks
// what read_blob unpacks, within the same bounds: lines and offsets are those of the
// unpacked content, bytes are counted as they are stored.
//
// Patterns and expressions are limited in their compiled size, and matching checks the
// deadline within a line and within a name.
//
// A cursor is valid with the same arguments and configuration. It works on every replica
// and grants nothing: all checks run again.
//
// # Writing
//
// With [Options.Write] the set also has write_blob, edit_blob, append_blob, delete_blob,
// copy_blob, undelete_blob, set_metadata and set_tags. Each request carries a condition, so that
// nothing is overwritten or deleted that the call has not seen: write_blob and copy_blob make a
// new blob or take the ETag of the one to overwrite (if_match), delete_blob and set_metadata
// take an ETag, and edit_blob uses that of the content it edits. append_blob appends to exactly
// what it has seen, and looks again if another writer was faster. set_tags takes an ETag, and
// the tags that were read, which an ETag does not cover. undelete_blob has only the condition
// that the name is free, unless it brings a version back.
//
// Every result has one of three outcomes:
//
//   - done: this call did it. The result has the new ETag and says whether there is an undo.
//   - refused: this call changed nothing. The result has the reason, and the current ETag if
//     Azure was asked.
//   - unknown ([ErrUncertain]): an answer was lost, and what is there now does not tell
//     whether this call did it.
//
// Writes run without the Azure SDK's retries. After a lost answer, or 408, 429 or 5xx, the
// call looks for a random marker that it put into the blob's metadata, and writes again only
// if the blob is as it was before. No tool shows the marker. Appended content, tags and
// deletions have none: after a lost answer their outcome is unknown, and the result says what
// is there.
//
// An overwrite and an edit keep what Azure would drop: headers, metadata and index tags. If
// the user may not read the tags, the call is refused unless it says drop_tags. Each upload
// carries a CRC64 that Azure checks.
//
// Content of more than 1 MiB comes in pieces, if [WriteOptions.MaxBytes] allows it: each call of
// write_blob except the last has more, and returns an upload handle for the next call, sealed with
// [WriteOptions.StateKeys] to the user, the blob and its ETag. The last call commits the pieces,
// under the condition of the first. Until then nothing has changed, and a call whose answer was
// lost can be repeated as it is.
//
// copy_blob copies within the account. Azure reads the source with the user's token, a new
// one for each try, which is sent to no other account. undelete_blob brings a soft-deleted
// blob back to its free name, or copies a previous version back.
//
// Calls that destroy something (overwrite, edit, delete, or change metadata or tags) ask the
// user for confirmation, by a form, if the client can show one. The client may answer by
// itself, so [WriteOptions.Confirm], if set, decides last. Without anyone to ask, overwriting
// and deleting are refused.
//
// [WriteOptions] bounds containers, names, content types, sizes and rates. A call needs a user
// (TokenInfo.UserID).
//
// # Cores, memory and requests
//
// All sets of a process share half of its cores for matching, unpacking and decoding, and
// 256 MiB of memory (or a quarter of GOMEMLIMIT if that is less) for what is read. Users
// are served in turn. One user holds at most a quarter of the memory, until the answer has
// been sent. The user is that of the request's TokenInfo; requests without one count as
// one user.
//
// Searches and scans of a process also share 256 concurrent requests to the storage
// account, of which one user has at most 32; a range of more than 1 MiB counts as eight.
//
// # Resources
//
// With read_blob, each blob is also a resource, blob://{container}/{+path}, in which all
// but unreserved characters and slashes are percent-encoded. Reading one returns its text
// or bytes with its media type, up to 4 MiB. [Set.ToolForResource] returns the tool whose
// policy applies to it. The blobs that the caller may see are listed page by page after
// the server's other resources, and [Set.Configure] adds completion of containers and
// paths.
//
// With [Options.Subscriptions], callers also subscribe to them. The ETag of each blob is asked for
// once for each user, with that user's token, and an update reaches only that user's sessions and
// streams.
//
// # read_blob_with_token
//
// This older tool serves one container and has a fixed contract:
// read_blob_with_token(blob_path, max_chars = 8000, encoding = "utf-8") returns the
// beginning of a blob as text. The fields are container, blob_path, bytes (the size of the
// whole blob), text, truncated, local_path, and a warning if anything but the text failed.
//
//   - max_chars counts Unicode characters (code points). Longer text is truncated and ends
//     with a line "...<truncated>". Values below 1 are an error; values above 1,000,000
//     count as 1,000,000.
//   - encoding is an IANA name or a name that web pages use. Bytes that can't be decoded
//     become U+FFFD. A byte order mark at the beginning is removed and not counted. In
//     utf-16 it sets the byte order, which is otherwise big-endian. The mark of UTF-16
//     overrides utf-8, with a warning; a mark that contradicts another encoding only
//     causes a warning.
//   - The tool reads the blob in ranges: first about as much as the text needs, then the
//     rest if it saves the blob. For a blob of any size, a call holds in memory only its
//     text and a buffer of up to 256 KiB. All ranges come from one version of the blob.
//   - Packed content (Content-Encoding gzip and the like) is not unpacked; the output has
//     a warning.
//   - A directory is an error ([ErrDirectory]) and is never saved.
//
// # Saved copies
//
// With [Options.DownloadDir], read_blob_with_token also streams the whole blob to
// DownloadDir/{user}/{blob path}; copies from a second container in the same folder are in
// {user}/.container-{container}@{account}. The user is the UserID of the verified token
// that the transport has put into the request (TokenInfo of the MCP SDK). It is the
// folder's name if it is a safe one, such as "{tenant ID}.{object ID}", and is otherwise
// replaced by its hash. A call without a user fails. Files are reached through an
// [os.Root] of the user's folder, so no path and no symbolic link leads out of it. They
// are written under another name and renamed when complete. [Options.MaxFileBytes],
// [Options.MaxUserBytes] and [Options.MaxTotalBytes] bound them, and they expire after
// [Options.MaxAge]. A blob that can't be saved (no space, a read-only disk, a name that the
// system can't have) is still read: local_path is then empty, and a warning says why.
// Where the file system ignores case, blobs of one user whose names differ in case only
// share one copy, that of the last one read.
//
// # Errors
//
// A failed call returns a result with isError and a text that says what to do. The error
// behind it is an *[Error] with a kind, such as [ErrNotFound] or [ErrPermission];
// receiving middleware gets it with CallToolResult.GetError. The text comes from UserText
// and contains no host names, response bodies, or server paths. A failed resource request
// returns a JSON-RPC error with the same text. If an error of the credential has a method
// UserText, its text is kept, so that a missing consent, for example, reaches the user.
//
// This package never puts a token in a log or an error.
package blobtool
