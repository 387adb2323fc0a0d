package blobtool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// Put Blob replaces everything: headers, metadata and tags that are not sent are gone. So an
// overwrite sends again what was there.

// keepTier sets the tier of the blob that the put overwrites. Content that goes to the Archive tier
// could not be read, so that tier is not kept.
func (p *put) keepTier(old *standing) (notes []string) {
	switch old.tier {
	case blob.AccessTierArchive:
		notes = []string{"The blob was in the Archive tier, and is in the account's default tier now."}
	case blob.AccessTierHot, blob.AccessTierCool, blob.AccessTierCold, "Smart":
		p.tier = old.tier
	default: // the account's, or one that block blobs do not take
	}
	return notes
}

// tagPlan is what a write does with a blob's tags.
type tagPlan struct {
	tags   map[string]string // to send
	pinned string            // condition on the tags that were read, which must not be lost: an ETag does not cover tags
	note   string
	loses  string // for the question to the user
}

// planTags decides on the tags of an overwrite: those that the call gives (nil: none given), or
// else those that the blob has. Tags that the user may not read can't be kept, so the call must say
// to drop them.
func (s *Set) planTags(ctx context.Context, at names.Location, client *blob.Client, now *standing, given map[string]string, drop bool) (tagPlan, error) {
	if now.hierarchical && len(given) > 0 {
		return tagPlan{}, noTagsThere()
	}
	if now.tagCount == 0 {
		return tagPlan{tags: given}, nil
	}
	if drop {
		return tagPlan{
			tags: given, note: fmt.Sprintf("The blob's %d index tags were dropped.", now.tagCount),
			loses: fmt.Sprintf(" Its %d index tags are lost.", now.tagCount),
		}, nil
	}
	old, err := readTags(ctx, client)
	if err != nil {
		e := refusedWrite(ctx, at, err, now.etag, now)
		if errors.Is(e, ErrPermission) && !e.between {
			e.text = fmt.Sprintf("Blob %s has %d index tags, which would be lost: the signed-in user may not read them, so they can't be kept. Nothing was changed. "+
				"Tags require the role Storage Blob Data Owner. If the user agrees to lose them, call again with drop_tags.", quote(at.Blob), now.tagCount)
		}
		return tagPlan{}, e
	}
	if len(old) == 0 { // then nothing would pin them
		return tagPlan{}, failuref(ErrChanged, "The index tags of blob %s changed while this call was running. Nothing was changed by this call. Call again.", quote(at.Blob))
	}
	plan := tagPlan{tags: old, pinned: pinTags(old)}
	if given != nil {
		plan.tags, plan.note, plan.loses = given, "The tags of this call have replaced the blob's own.", " Its index tags are replaced."
	}
	return plan, nil
}

// readTags returns a blob's tags.
func readTags(ctx context.Context, client *blob.Client) (map[string]string, error) {
	resp, err := client.GetTags(ctx, nil)
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(resp.BlobTagSet))
	for _, tag := range resp.BlobTagSet {
		tags[value(tag.Key)] = value(tag.Value)
	}
	return tags, nil
}

// noTagsThere is for accounts with a hierarchical namespace.
func noTagsThere() *Error {
	return failuref(ErrUnsupported, "The storage account has a hierarchical namespace, where blobs have no index tags. Nothing was changed. Call again without tags, or use metadata instead.")
}

// pinTags returns the condition (x-ms-if-tags) that a blob has these tags.
func pinTags(tags map[string]string) string {
	var terms []string
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		terms = append(terms, fmt.Sprintf(`"%s" = '%s'`, key, tags[key])) // tags have no quotes
	}
	return strings.Join(terms, " AND ")
}
