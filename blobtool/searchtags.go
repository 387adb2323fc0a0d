package blobtool

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
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
	Key   string `json:"key" jsonschema:"Name of the tag; upper and lower case matter."`
	Value string `json:"value" jsonschema:"Value to compare the tag with, as text: 2026-01-31 sorts as a date, 10 sorts before 9."`
	Op    string `json:"op,omitempty" jsonschema:"How the tag's value compares with value."`
}

// whereTags writes the conditions, all of which must hold, in the grammar of Find
// Blobs by Tags.
func whereTags(conditions []tagCondition) (string, error) {
	if len(conditions) > maxTags {
		return "", failuref(ErrInvalidArgument, "tags has %d conditions; a blob has at most %d tags", len(conditions), maxTags)
	}
	var where []string
	for _, c := range conditions {
		if c.Op == "" {
			c.Op = "="
		}
		switch {
		case c.Key == "" || !isTagText(c.Key, maxTagKey):
			return "", failuref(ErrInvalidArgument, "the tag name %s is none: Azure allows 1 to %d letters, digits, spaces and + - . / : = _", quote(c.Key), maxTagKey)
		case !isTagText(c.Value, maxTagValue):
			return "", failuref(ErrInvalidArgument, "the tag value %s is none: Azure allows up to %d letters, digits, spaces and + - . / : = _", quote(c.Value), maxTagValue)
		case !slices.Contains(tagOperators, c.Op):
			return "", failuref(ErrInvalidArgument, "op %s is unknown; use one of %s", quote(c.Op), strings.Join(tagOperators, " "))
		}
		where = append(where, `"`+c.Key+`" `+c.Op+` '`+c.Value+`'`)
	}
	return strings.Join(where, " AND "), nil
}

func isTagText(s string, most int) bool {
	return utf8.RuneCountInString(s) <= most && strings.Trim(s, tagChars) == ""
}

// taggedSource lists the blobs that meet the conditions on tags. Azure finds them in
// all of the container, so what is not below the roots is taken out.
func (q *searchQuery) taggedSource() source[entry] {
	return source[entry]{
		roots: 1,
		name:  func(e entry) string { return e.name },
		fetch: func(ctx context.Context, _ int, marker string, most int) ([]entry, string, error) {
			page, err := q.client.FilterBlobs(ctx, q.where, &container.FilterBlobsOptions{
				Marker: notEmpty(marker), MaxResults: to.Ptr(int32(most)), //nolint:gosec // a few thousand at most
			})
			if err != nil {
				return nil, "", err
			}
			var entries []entry
			for _, found := range page.Blobs {
				if found == nil || value(found.ContainerName) != q.container || !q.below(value(found.Name)) {
					continue
				}
				entries = append(entries, entry{name: *found.Name, blob: &container.BlobItem{Name: found.Name, BlobTags: found.Tags}})
			}
			entries, err = q.set.shown(ctx, q.user, q.container, entries)
			return entries, value(page.NextMarker), err
		},
	}
}

// below reports whether a name begins with one of the roots.
func (q *searchQuery) below(name string) bool {
	return slices.ContainsFunc(q.roots, func(root string) bool { return plausible(root, name) })
}
