// Package blobtool gives an MCP server tools for one container of Azure Blob
// Storage that act as the signed-in user: what a caller can read is what Azure
// lets that user read.
//
//	blobs, err := blobtool.New("https://account.blob.core.windows.net", "docs", credential, &blobtool.Options{
//		DownloadDir: "./downloads",
//	})
//	if err != nil {
//		return err
//	}
//	blobs.Register(server)
//
// The credential is a function of the call's context; mcpentra.Credential is
// one. Every call gets a client of its own with the credential of its user: a
// client of the Azure SDK keeps one token, so sharing it would send one user's
// token with another's call. Connections are shared.
//
// # Tools
//
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
//     not counted; in utf-16 it tells the byte order, which is else big-endian.
//   - The blob is read in ranges: first about what the text needs, then the rest
//     if it is to be saved. Whatever its size, a call holds its text and a
//     buffer of 64 KiB in memory. All ranges are of one version of the blob.
//   - A blob with the property Content-Encoding is read as its bytes are, and
//     the output has a warning.
//
// # Saved copies
//
// With [Options.DownloadDir], the whole blob is also streamed to
// DownloadDir/{user}/{blob path}. The user is UserID of the verified token that
// the transport has put into the request (TokenInfo of the MCP SDK), which is
// a folder's name as it is if it is plainly one, as "{tenant id}.{object id}"
// is, and is replaced by its hash if not. A call without user is refused. Files
// are reached through an [os.Root] of the user's folder, so no path and no
// symbolic link leads out of it; they are written under another name and renamed
// when complete; [Options.MaxFileBytes] and [Options.MaxUserBytes] bound them.
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
// the server. An error of the credential that has a method UserText keeps its
// own text, so that a missing consent, say, reaches the user.
//
// No token is ever logged, or part of an error of this package.
package blobtool
