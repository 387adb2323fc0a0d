// Package names checks and converts the names, URIs, and URLs of containers, blobs, and storage
// accounts.
package names

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Azure's limits on blob names (Naming and referencing containers, blobs and
// metadata).
const (
	MaxBlob     = 1024 // characters
	maxSegments = 254
)

var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// CheckContainer applies Azure's rules for container names. azblob does not escape them:
// c?comp=list would become a different request.
func CheckContainer(name string) error {
	switch {
	case name == "":
		return errors.New("is missing; set the name of a blob container")
	case name == "$root" || name == "$web" || name == "$logs":
		return nil // special containers of the service
	case len(name) < 3 || len(name) > 63:
		return fmt.Errorf("%s must have 3 to 63 characters", fault.Quote(name))
	case !containerName.MatchString(name):
		return fmt.Errorf("%s may only have lowercase letters, digits and single hyphens between them", fault.Quote(name))
	}
	return nil
}

// CheckBlob applies Azure's rules for blob names, and rejects names that would reach another blob:
// azblob does not escape the segments "." and "..", and the service treats a backslash as a slash.
func CheckBlob(name string) error {
	if err := CheckLength(name); err != nil {
		return err
	}
	if wrong := unsafe(name); wrong != "" {
		return fault.New(fault.ErrInvalidPath, "blob_path %s %s; use the blob's name within the container", fault.Quote(name), wrong)
	}
	return nil
}

// CheckNew is stricter than CheckBlob, for the name of a blob that a write makes: names with empty
// segments, segments that end with a dot or with white space, and names that become another path
// when decoded once more are legal or half legal, and tools and clients change them or can't reach
// them.
func CheckNew(name string) error {
	if err := CheckBlob(name); err != nil {
		return err
	}
	if err := checkDecodings(name); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(name, "/") {
		wrong := ""
		switch {
		case segment == "":
			wrong = "begins or ends with a slash, or has two slashes in a row"
		case strings.HasSuffix(segment, "."):
			wrong = "has a segment that ends with a dot, which Azure advises against"
		case strings.TrimSpace(segment) != segment:
			wrong = "has a segment that begins or ends with white space"
		case strings.ContainsFunc(segment, isInvisible):
			wrong = "has a character that is not shown, or that changes the order of those shown"
		}
		if wrong != "" {
			return fault.New(fault.ErrInvalidPath, "blob_path %s %s; write to another name", fault.Quote(name), wrong)
		}
	}
	return nil
}

// isInvisible reports whether a character makes a name look like another one. The joiners that
// Persian, Indic scripts and emoji need are not among them.
func isInvisible(r rune) bool {
	switch r {
	case 0x200C, 0x200D:
		return false
	case 0x2028, 0x2029:
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// CheckPath is stricter than CheckBlob: the path is also that of the saved copy, so it rejects
// names that become another path when decoded or cleaned.
func CheckPath(path string) error {
	if err := CheckLength(path); err != nil {
		return err
	}
	if last := path[len(path)-1]; last == '/' || last == '.' {
		return fault.New(fault.ErrInvalidPath, "blob_path %s ends with %q; use the full name of a blob, not a folder", fault.Quote(path), last)
	}
	return checkDecodings(path)
}

// CheckLength checks only the length of a blob's name or name prefix.
func CheckLength(path string) error {
	switch {
	case path == "":
		return fault.New(fault.ErrInvalidPath, "blob_path is empty; use the blob's name within the container, such as reports/2026/summary.txt")
	case !utf8.ValidString(path):
		return fault.New(fault.ErrInvalidPath, "blob_path is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(path); n > MaxBlob {
		return fault.New(fault.ErrInvalidPath, "blob_path has %d characters; Azure allows at most %d", n, MaxBlob)
	}
	if n := strings.Count(path, "/") + 1; n > maxSegments {
		return fault.New(fault.ErrInvalidPath, "blob_path has %d segments; Azure allows at most %d", n, maxSegments)
	}
	return nil
}

// checkDecodings checks the path, and again after each round of percent-decoding, until nothing is
// left to decode.
func checkDecodings(path string) error {
	for form, decoded := path, false; ; decoded = true {
		wrong := unsafe(form)
		if strings.HasPrefix(form, "/") {
			wrong = "is absolute"
		}
		if wrong != "" {
			if decoded {
				wrong += " once percent-decoded"
			}
			return fault.New(fault.ErrInvalidPath, "blob_path %s %s; use a plain path relative to the container", fault.Quote(path), wrong)
		}
		next := decode(form)
		if next == form {
			return nil
		}
		form = next
	}
}

// unsafe returns what is wrong with a path, or "".
func unsafe(path string) string {
	switch {
	case strings.Contains(path, `\`):
		return "has a backslash"
	case strings.ContainsFunc(path, func(r rune) bool { return unicode.IsControl(r) || r == 0xFFFE || r == 0xFFFF }):
		return "has a control character"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Sprintf("has the segment %q", segment)
		}
	}
	return ""
}
