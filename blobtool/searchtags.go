package blobtool

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Azure's limits on tags: a blob has at most 10, and few characters are allowed in
// them (Set Blob Tags). So no quotation mark gets into a query.
const (
	maxTags     = 10
	maxTagKey   = 128
	maxTagValue = 256
	tagChars    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 +-./:=_"
)

// tagOperators are those of Find Blobs by Tags. There is no "or", and no "not".
var tagOperators = []string{"=", ">", ">=", "<", "<="}

// tagCondition is one condition on a blob's tags. Values are compared as text.
type tagCondition struct {
	Key   string `json:"key" jsonschema:"Name of the tag. Case-sensitive."`
	Value string `json:"value" jsonschema:"Value to compare the tag with. Comparison is by text: dates such as 2026-01-31 sort correctly, 10 sorts before 9."`
	Op    string `json:"op,omitempty" jsonschema:"Operator between the tag's value and value."`
}

// whereTags writes the conditions, all of which must hold, in the grammar of Find
// Blobs by Tags.
func whereTags(conditions []tagCondition) (string, error) {
	if len(conditions) > maxTags {
		return "", failuref(ErrInvalidArgument, "tags has %d conditions; give at most %d, the most tags a blob can have", len(conditions), maxTags)
	}
	var where []string
	for _, c := range conditions {
		if c.Op == "" {
			c.Op = "="
		}
		switch {
		case c.Key == "" || !isTagText(c.Key, maxTagKey):
			return "", failuref(ErrInvalidArgument, "invalid tag name %s: Azure allows 1 to %d letters, digits, spaces and + - . / : = _", quote(c.Key), maxTagKey)
		case !isTagText(c.Value, maxTagValue):
			return "", failuref(ErrInvalidArgument, "invalid tag value %s: Azure allows up to %d letters, digits, spaces and + - . / : = _", quote(c.Value), maxTagValue)
		case !slices.Contains(tagOperators, c.Op):
			return "", failuref(ErrInvalidArgument, "unknown op %s; use one of %s", quote(c.Op), strings.Join(tagOperators, " "))
		}
		where = append(where, `"`+c.Key+`" `+c.Op+` '`+c.Value+`'`)
	}
	return strings.Join(where, " AND "), nil
}

func isTagText(s string, most int) bool {
	return utf8.RuneCountInString(s) <= most && strings.Trim(s, tagChars) == ""
}
