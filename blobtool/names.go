package blobtool

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Azure's limits on blob names (Naming and referencing containers, blobs and
// metadata).
const (
	maxBlobName     = 1024 // characters
	maxBlobSegments = 254
)

var containerName = regexp.MustCompile(`^[a-z0-9](-?[a-z0-9])*$`)

// checkContainer applies Azure's rules for container names. azblob does not escape
// them: c?comp=list would be another request.
func checkContainer(name string) error {
	switch {
	case name == "":
		return errors.New("is missing; it is the name of a blob container")
	case name == "$root" || name == "$web" || name == "$logs":
		return nil // containers of the service itself
	case len(name) < 3 || len(name) > 63:
		return fmt.Errorf("%s must have 3 to 63 characters", quote(name))
	case !containerName.MatchString(name):
		return fmt.Errorf("%s may have lower-case letters, digits and single hyphens between them only", quote(name))
	}
	return nil
}

// checkBlobName applies Azure's rules for blob names, and refuses those that mean
// another blob to something on the way: azblob does not escape the segments "."
// and "..", and the service takes a backslash for a slash.
func checkBlobName(name string) error {
	if err := checkLength(name); err != nil {
		return err
	}
	if fault := unsafe(name); fault != "" {
		return failuref(ErrInvalidPath, "blob_path %s %s; give the blob's name within the container", quote(name), fault)
	}
	return nil
}

// checkBlobPath is stricter: it also refuses names that mean another path once
// something decodes or cleans them, for the path is also used for the saved copy.
func checkBlobPath(path string) error {
	if err := checkLength(path); err != nil {
		return err
	}
	if last := path[len(path)-1]; last == '/' || last == '.' {
		return failuref(ErrInvalidPath, "blob_path %s ends with %q; give the full name of a blob, not a folder", quote(path), last)
	}
	return checkDecodings(path)
}

func checkLength(path string) error {
	switch {
	case path == "":
		return failuref(ErrInvalidPath, "blob_path is empty; give the blob's name within the container, such as reports/2026/summary.txt")
	case !utf8.ValidString(path):
		return failuref(ErrInvalidPath, "blob_path is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(path); n > maxBlobName {
		return failuref(ErrInvalidPath, "blob_path has %d characters; Azure allows %d", n, maxBlobName)
	}
	if n := strings.Count(path, "/") + 1; n > maxBlobSegments {
		return failuref(ErrInvalidPath, "blob_path has %d segments; Azure allows %d", n, maxBlobSegments)
	}
	return nil
}

// checkDecodings looks at the path as it is and as it is after each round of
// percent-decoding, until there is nothing left to decode.
func checkDecodings(path string) error {
	for form, decoded := path, false; ; decoded = true {
		fault := unsafe(form)
		if strings.HasPrefix(form, "/") {
			fault = "is absolute"
		}
		if fault != "" {
			if decoded {
				fault += " once percent-decoded"
			}
			return failuref(ErrInvalidPath, "blob_path %s %s; give a plain path relative to the container", quote(path), fault)
		}
		next := percentDecode(form)
		if next == form {
			return nil
		}
		form = next
	}
}

// unsafe says what is wrong with a path, or nothing.
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

// percentDecode decodes each valid %XX once and leaves everything else as it is:
// a blob's name may hold a percent sign that means itself.
func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := hexDigit(s[i+1])
			lo, ok2 := hexDigit(s[i+2])
			if ok1 && ok2 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
