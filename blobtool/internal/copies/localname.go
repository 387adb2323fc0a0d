package copies

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"regexp"
	"strings"
)

// partialPrefix begins the names of unfinished files. No saved blob has such a name.
const partialPrefix = ".partial-"

var (
	plainUser  = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?$`)
	hashedUser = regexp.MustCompile(`^u-[0-9a-f]{64}$`)
)

// userFolder returns the name of the user's folder. Two users never share a folder, even if the
// file system ignores case or reserves device names: an ID that is not a safe name is replaced by
// its hash.
func userFolder(userID string) string {
	if plainUser.MatchString(userID) && !hashedUser.MatchString(userID) && windowsFault(userID) == "" {
		return userID
	}
	sum := sha256.Sum256([]byte(userID))
	return "u-" + hex.EncodeToString(sum[:])
}

// localPath returns the path of a blob's copy in its user's folder, or explains why this system
// can't have such a file.
func localPath(blobPath string, windows bool) (path, fault string) {
	for segment := range strings.SplitSeq(blobPath, "/") {
		switch {
		case segment == "":
			return "", "it has an empty folder name (//)"
		case len(segment) > 255:
			return "", "it has a name of more than 255 bytes"
		}
		if windows {
			if fault := windowsFault(segment); fault != "" {
				return "", fault
			}
		}
	}
	for _, own := range []string{partialPrefix, sourcePrefix} {
		if strings.HasPrefix(strings.ToLower(blobPath), own) {
			return "", "it begins with " + own + ", which this server reserves"
		}
	}
	path = filepath.FromSlash(blobPath)
	if !filepath.IsLocal(path) {
		return "", "it is not a local path on this system"
	}
	return path, ""
}

var windowsDevice = regexp.MustCompile(`(?i)^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *($|\.)`)

// windowsFault explains why Windows can't have a file with the name.
func windowsFault(segment string) string {
	switch {
	case strings.ContainsAny(segment, `<>:"|?*`):
		return `it has one of the characters <>:"|?*, which Windows forbids`
	case strings.HasSuffix(segment, ".") || strings.HasSuffix(segment, " "):
		return "it has a name that ends with a dot or a space, which Windows drops"
	case windowsDevice.MatchString(segment):
		return "it has a name that Windows reserves for a device"
	}
	return ""
}
