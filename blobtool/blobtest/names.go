package blobtest

import (
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Names of containers: 3 to 63 lower-case letters, digits and single hyphens, with a letter or
// digit at both ends; or one of the service's own.
var (
	containerName = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9])*$`)
	systemName    = regexp.MustCompile(`^\$(?:root|web|logs|blobchangefeed)$`)
)

// The limits of a blob's name.
const (
	maxNameLength = 1024 // characters
	maxSegments   = 254
)

// checkNames refuses a request for a container or blob that can't exist because of its name, and
// reports whether to go on. What a path with dot segments means depends on who removes them, so it
// means nothing here.
func (x *exchange) checkNames() bool {
	segments := strings.Split(x.blob, "/")
	switch n := len(x.container); {
	case n == 0 || systemName.MatchString(x.container):
	case n < 3 || n > 63:
		x.nameTooLong()
		return false
	case !containerName.MatchString(x.container):
		x.fail(http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters.", "")
		return false
	}
	switch {
	case utf8.RuneCountInString(x.blob) > maxNameLength:
		x.nameTooLong()
	case len(segments) > maxSegments || !utf8.ValidString(x.blob) || strings.Contains(x.blob, "\x00") || hasDots(segments):
		x.fail(http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server.", "")
	default:
		return true
	}
	return false
}

func (x *exchange) nameTooLong() {
	x.fail(http.StatusBadRequest, "OutOfRangeInput", "The specified resource name length is not within the permissible limits.", "")
}

func hasDots(segments []string) bool {
	for _, s := range segments {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}
