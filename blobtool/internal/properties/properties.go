// Package properties checks what a write sends along with a blob's content: metadata, index tags
// and content type. A request that Azure would refuse is not sent.
package properties

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Azure's limits (Setting and retrieving properties and metadata; Manage and find data with blob
// index tags).
const (
	MaxMetadata = 8 << 10 // bytes of all names and values
	maxTags     = 10
	maxTagKey   = 128
	maxTagValue = 256
)

// Marker is the name of the metadata by which a write recognizes itself after a lost answer.
const Marker = "mcpentra_write"

// directoryMark is the metadata that makes a blob a directory of a hierarchical namespace.
const directoryMark = "hdi_isfolder"

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckMetadata checks metadata and returns it with names in lower case, as every client that goes
// through HTTP/2 or net/http sees them. Empty values are refused: HTTP can't tell them from none.
func CheckMetadata(metadata map[string]string) (map[string]string, error) {
	checked := make(map[string]string, len(metadata))
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		value, lower := metadata[name], strings.ToLower(name)
		_, twice := checked[lower]
		switch {
		case !identifier.MatchString(name):
			return nil, fault.New(fault.ErrInvalidArgument, "metadata name %s is not valid; use letters, digits and underscores, and begin with a letter or an underscore", fault.Quote(name))
		case lower == Marker || lower == directoryMark:
			return nil, fault.New(fault.ErrInvalidArgument, "metadata name %s is reserved; use another name", fault.Quote(name))
		case twice:
			return nil, fault.New(fault.ErrInvalidArgument, "metadata name %s appears twice: Azure ignores upper and lower case; give each name once", fault.Quote(name))
		case value == "" || strings.TrimSpace(value) != value || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			return nil, fault.New(fault.ErrInvalidArgument, "the value of metadata %s must have 1 or more printable ASCII characters, without white space at its ends", fault.Quote(name))
		}
		checked[lower] = value
		bytes += len(name) + len(value)
	}
	return checked, fits(bytes)
}

// fits checks the size of all metadata, which leaves room for the marker.
func fits(bytes int) error {
	if most := MaxMetadata - markerBytes; bytes > most {
		return fault.New(fault.ErrTooLarge, "the metadata has %d bytes; names and values together may have %d", bytes, most)
	}
	return nil
}

// markerBytes is the room for the marker: its name and 26 characters.
const markerBytes = len(Marker) + 26

// ChangeMetadata returns a blob's metadata with entries set and removed. old has names in lower case,
// and no marker.
func ChangeMetadata(old, set map[string]string, remove []string) (map[string]string, error) {
	if len(set)+len(remove) == 0 {
		return nil, fault.New(fault.ErrInvalidArgument, "there is nothing to change; give set, remove or both")
	}
	checked, err := CheckMetadata(set)
	if err != nil {
		return nil, err
	}
	next := maps.Clone(old)
	if next == nil {
		next = map[string]string{}
	}
	for _, name := range remove {
		lower := strings.ToLower(name)
		_, both := checked[lower]
		switch {
		case !identifier.MatchString(name) || lower == Marker || lower == directoryMark:
			return nil, fault.New(fault.ErrInvalidArgument, "remove has %s, which is not a name of metadata that can be removed; use names that stat_blob shows", fault.Quote(name))
		case both:
			return nil, fault.New(fault.ErrInvalidArgument, "metadata name %s is in both set and remove; give it once", fault.Quote(name))
		}
		delete(next, lower)
	}
	maps.Copy(next, checked)
	bytes := 0
	for name, value := range next {
		bytes += len(name) + len(value)
	}
	return next, fits(bytes)
}

// Diff returns the entries that differ, - before and + after, sorted by name, and whether one that
// was there changes or goes.
func Diff(old, next map[string]string) (lines string, destroys bool) {
	var b strings.Builder
	all := maps.Clone(next)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, old)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		before, was := old[name]
		after, is := next[name]
		if was == is && before == after {
			continue
		}
		if was {
			destroys = true
			b.WriteString("-" + name + ": " + before + "\n")
		}
		if is {
			b.WriteString("+" + name + ": " + after + "\n")
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD"), destroys
}

// CheckTags checks index tags.
func CheckTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return fault.New(fault.ErrInvalidArgument, "there are %d tags; a blob can have at most %d", len(tags), maxTags)
	}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		value := tags[key]
		switch n := utf8.RuneCountInString(key); {
		case n < 1 || n > maxTagKey:
			return fault.New(fault.ErrInvalidArgument, "the tag key %s has %d characters; it must have 1 to %d", fault.Quote(key), n, maxTagKey)
		case len(value) > maxTagValue:
			return fault.New(fault.ErrInvalidArgument, "the value of tag %s has %d characters; it may have %d", fault.Quote(key), len(value), maxTagValue)
		case strings.ContainsFunc(key+value, notInTags):
			return fault.New(fault.ErrInvalidArgument, "tag %s has a character that tags can't have; use letters without accents, digits, space and + - . : = _ /", fault.Quote(key+"="+value))
		}
	}
	return nil
}

func notInTags(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" +-.:=_/", r)
}
