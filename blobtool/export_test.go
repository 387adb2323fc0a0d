package blobtool

// What the fuzz targets look into.

// CheckBlobPath is the check of a call's blob_path.
func CheckBlobPath(path string) error {
	if err := checkBlobPath(path); err != nil {
		return err
	}
	return nil
}

// LocalPath is the place of a blob's copy below its user's folder.
func LocalPath(blobPath string, windows bool) (path, fault string) {
	return localPath(blobPath, windows)
}

// UserFolder is the name of a user's folder.
func UserFolder(userID string) string { return userFolder(userID) }

// TruncationLine ends a text that was cut.
const TruncationLine = truncationLine

// DecodeChunks decodes content that arrives in chunks of that size.
func DecodeChunks(encoding string, content []byte, chunk, maxChars int) (text string, truncated bool, err error) {
	enc, fault := findEncoding(encoding)
	if fault != nil {
		return "", false, fault
	}
	c := newCollector(enc, maxChars)
	for len(content) > 0 {
		n := min(chunk, len(content))
		_, _ = c.Write(content[:n])
		content = content[n:]
	}
	text, truncated = c.finish(true)
	return text, truncated, nil
}
