package blobtool

// What the fuzz targets look into.

func CheckBlobPath(path string) error {
	if err := checkBlobPath(path); err != nil {
		return err
	}
	return nil
}

func LocalPath(blobPath string, windows bool) (path, fault string) {
	return localPath(blobPath, windows)
}

func UserFolder(userID string) string { return userFolder(userID) }

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
