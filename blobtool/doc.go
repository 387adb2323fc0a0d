// Package blobtool gives an MCP server tools for Azure Blob Storage that act as the
// signed-in user: what a caller can read is what Azure lets that user read.
//
//	blobs, err := blobtool.New("https://account.blob.core.windows.net", "docs", credential, &blobtool.Options{
//		Allow: []string{"docs/reports", "docs/public/"},
//	})
//	if err != nil {
//		return err
//	}
//	blobs.Register(server)
//
// [New] gives the tools for one container, [NewAccount] those for all containers of
// an account, whose calls say which one they mean. [Options.Allow] narrows what is
// offered to containers, folders and blobs, on every tool and resource;
// [Options.Tools] chooses among the tools.
//
// The credential is a function of the call's context; mcpentra.Credential is
// one. Every call gets a client of its own with the credential of its user: a
// client of the Azure SDK keeps one token, so sharing it would send one user's
// token with another's call. Connections are shared.
//
// What blobs hold was written by others. The tools' descriptions say that it is data
// and no instructions, it is never logged, and all that is returned is bounded:
// where something was cut, the result says so and how to go on.
//
// # Reading
//
// read_blob(blob_path) returns the beginning of a blob, and pieces of it with at most
// one of these:
//
//   - offset, a byte, with or without length. Each result has next_offset if the
//     blob goes on; with that and the result's etag, pages join without gap and
//     never split a character, and a blob that was changed between two of them is
//     an error ([ErrChanged]). An offset within a character begins at the next.
//   - lines, such as 10-20 or 10- or 10, counted from 1. They are counted from the
//     beginning, so the bytes before them are fetched: 64 MiB at most. Where the offset
//     is known, it is much cheaper.
//   - tail_lines, so many last lines.
//
// max_chars (8,000 unless given, at most 1,000,000) bounds the text, counted in code
// points; version_id chooses an earlier version. About four bytes are fetched for
// each character that may be returned, 4 KiB at least, whatever the size of the blob.
//
// The character encoding is the one that the call names, or that of a byte order
// mark, or of the charset in the blob's Content-Type or Content-Encoding, or UTF-8.
// Unless the call names it, the content is checked, as by all tools: where there is a
// NUL, or more than one of 32 characters can't be decoded or is a control character, it
// is no text, and neither is what is declared to be an image, audio, video or font. A
// call that names an encoding gets anything shown as text.
//
// Content that has the property Content-Encoding gzip or zstd, or whose name ends in
// .gz or .zst, is unpacked if its first bytes are those of that format, and offsets
// are then of the unpacked content. A packed file that holds no text, such as a
// .tar.gz, is returned as it is. One call unpacks up to 64 MiB, and no content that
// unpacks to more than 512 times its size; zstd may take a window of 8 MiB.
//
// Images and audio up to 3 MiB come as image and audio content of the result, other
// content that is no text as an embedded resource up to 256 KiB (as much of it with
// offset and length), and beyond that as a link to the resource.
//
// Every name that Azure allows is taken as it is, except segments "." and "..",
// backslashes and control characters, which the Azure SDK or the service take for
// something else. The blob:// URI of a result and the URL of a blob of this account name
// the blob as well; the signature of a SAS is dropped and never shown. A directory of a hierarchical namespace is an error
// ([ErrDirectory]), not an empty file.
//
// A connection that breaks off is taken up again where it was, three times in a call;
// one that brings nothing for 20 seconds is given up. A call ends when its context
// does.
//
// stat_blob(blob_path) describes a blob: size, type, ETag, times, tier and whether it
// is being rehydrated, lease, MD5, metadata, and, if the user may see them, index tags
// and the newest 20 versions. What could not be found out is in its notes.
//
// # Listing and searching
//
// list_containers, of sets for an account, and list_blobs return a page and a cursor
// for the next one. A page is one of the service's as a rule, so a container of a
// million blobs is gone through holding one page at a time. Directories of a
// hierarchical namespace are folders and no blobs.
//
// search_blobs finds blobs by a pattern for their names, by conditions on their index
// tags, and by a regular expression (RE2) for the lines of those that are text. It
// reads 32 blobs at a time with a buffer of 64 KiB each, takes what they hold in order,
// and stops at a number of results, of blobs, of bytes, or after a time: the result
// says which, and has a cursor that goes on in the middle of a blob if need be. What is
// wrong with one blob is a note. It unpacks what read_blob unpacks, within the same bounds;
// lines and offsets are those of the unpacked content, and bytes those of the packed.
//
// Patterns and expressions are bounded by what they compile to, and matching looks at
// the time within a line and within a name.
//
// A cursor belongs to its arguments and to the configuration, is good for every
// replica, and gives no rights: whatever is in it, all checks run again.
//
// # Cores, memory and requests
//
// All sets of a process share half of its cores for matching, unpacking and decoding, and
// 256 MiB of memory, or a quarter of GOMEMLIMIT if that is less, for what is read. Users
// are served in turn, and one user holds at most a quarter of the memory, until the
// answer has been sent. The user is that of the request's TokenInfo; requests without
// one count as one user.
//
// Searches and scans of a process also share 256 requests to the storage account at a
// time, of which one user has at most 32; a range of more than 1 MiB counts as eight.
//
// # Resources
//
// With read_blob, each blob is also a resource, blob://{container}/{+path}, with all
// but unreserved characters and slashes percent-encoded. Reading one gives its text,
// or its bytes, under its media type, up to 4 MiB. [Set.ToolForResource] tells which
// tool's policy holds for it. The blobs that the caller may see are listed page by page,
// behind what else the server has, and with [Set.Configure] containers and paths are
// completed.
//
// # read_blob_with_token
//
// This older tool, of sets for one container, has a fixed contract:
// read_blob_with_token(blob_path, max_chars = 8000, encoding = "utf-8") returns
// the beginning of a blob as text: container, blob_path, bytes (the size of the
// whole blob), text, truncated, local_path, and a warning where something beside
// the text did not work.
//
//   - max_chars counts Unicode characters (code points). Longer text is cut and
//     then ends with a line "...<truncated>". Below 1 is an error, above
//     1,000,000 counts as that.
//   - encoding is an IANA name, or one that web pages use. Bytes that can't be
//     decoded become U+FFFD. A byte order mark at the beginning is dropped and
//     not counted; in utf-16 it tells the byte order, which is else big-endian. The
//     mark of UTF-16 goes before utf-8, with a warning; one that contradicts another
//     encoding is a warning.
//   - The blob is read in ranges: first about what the text needs, then the rest
//     if it is to be saved. Whatever its size, a call holds its text and a
//     buffer of up to 256 KiB in memory. All ranges are of one version of the blob.
//   - Packed content (Content-Encoding gzip and the like) is read as its bytes are,
//     and the output has a warning.
//   - A directory is an error ([ErrDirectory]) and never saved.
//
// # Saved copies
//
// With [Options.DownloadDir], the whole blob is also streamed to
// DownloadDir/{user}/{blob path}; copies of a second container in the same folder are
// in {user}/.container-{container}@{account}. The user is UserID of the verified token that
// the transport has put into the request (TokenInfo of the MCP SDK), which is
// a folder's name as it is if it is plainly one, as "{tenant id}.{object id}"
// is, and is replaced by its hash if not. A call without user is refused. Files
// are reached through an [os.Root] of the user's folder, so no path and no
// symbolic link leads out of it; they are written under another name and renamed
// when complete; [Options.MaxFileBytes], [Options.MaxUserBytes] and
// [Options.MaxTotalBytes] bound them, and they expire after [Options.MaxAge].
// What can't be saved (no space, a read-only disk, a name that the system can't
// have) is still read: local_path is then empty, and a warning says why. Where the
// file system takes upper for lower case, blobs of one user whose names differ in
// nothing else have one copy, that of the last one read.
//
// # Errors
//
// A failed call is a result with isError and a text that says what to do. The
// error behind it is an *[Error] with a kind, such as [ErrNotFound] or
// [ErrPermission]; receiving middleware finds it with CallToolResult.GetError.
// The text is that of UserText: without host names, response bodies and paths of
// the server. A failed resource is an error of JSON-RPC with the same text. An error
// of the credential that has a method UserText keeps its
// own text, so that a missing consent, say, reaches the user.
//
// No token is ever logged, or part of an error of this package.
package blobtool
