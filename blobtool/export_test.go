package blobtool

import "context"

// What the fuzz targets look into.

// CheckBlobPath is the check of a call's blob_path.
func CheckBlobPath(path string) error { return checkBlobPath(path) }

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

// Locate is the check of each call that names a blob or a container.
func (s *Set) Locate(container, blob string) error {
	_, err := s.locate(context.Background(), container, blob)
	return err
}

// MayList is the check of each listing.
func (s *Set) MayList(container, prefix string) error {
	_, err := s.mayList(context.Background(), container, prefix)
	return err
}

// ResourceURI is the URI of a blob.
func ResourceURI(container, blob string) string { return resourceURI(location{container, blob}) }

// ParseResourceURI is its inverse.
func ParseResourceURI(uri string) (container, blob string, err error) {
	at, err := parseResourceURI(uri)
	return at.container, at.blob, err
}

// URITemplate is the template of the set's resources.
func (s *Set) URITemplate() string { return s.uriTemplate() }

// CheckBlobName is the check of a name that is not used for a saved copy.
func CheckBlobName(name string) error { return checkBlobName(name) }
