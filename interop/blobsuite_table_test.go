//go:build unix

package interop_test

import (
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// blobBehaviours is the table of what is tried, and of what Azurite can't do.
var blobBehaviours = []behavior{
	{name: "list containers", try: listContainers},
	{name: "list flat", try: listFlat},
	{name: "list by hierarchy", try: listByHierarchy},
	{name: "list properties, metadata and tags", try: listProperties},
	{name: "list snapshots", try: listSnapshots},
	{name: "refuse to list", try: listRefuses},
	{name: "read ranges", try: readRanges},
	{name: "read an empty blob", try: readEmpty},
	{name: "read a replaced blob", try: readReplaced},
	{name: "read what is not there", try: readMissing},
	{name: "read a snapshot", try: readSnapshot},
	{name: "read an archived blob", try: readArchived},
	{name: "read odd names", try: readNames},
	{name: "read tags", try: readTags},
	{name: "find by tags", try: findByTags},
	{name: "write", try: writeBlob},
	{name: "write on conditions", try: writeConditions},
	{name: "write in blocks", try: writeBlocks},
	{name: "append", try: writeAppends},
	{name: "lease", try: leaseBlob},
	{name: "renew and break leases", try: leaseLife},
	{name: "change metadata and headers", try: changeMetadata},
	{name: "change tags", try: changeTags},
	{name: "delete blobs and snapshots", try: deleteBlobs},
	{name: "delete in spite of If-None-Match", try: deleteDespite},
	{name: "list snapshots in pages", try: listSnapshotsInPages,
		notOnAzurite: "its marker is a name: of a name that a page ends with, the rest is lost"},
	{name: "list in pages of nothing", try: listNothing,
		notOnAzurite: "it refuses maxresults=0, but without a code"},
	{name: "read where a blob ends", try: readAtEnd,
		notOnAzurite: "it answers 206 with nothing instead of 416"},
	{name: "find by tags in pages", try: findByTagsInPages,
		notOnAzurite: "it stops at the first page on which nothing is found"},
	{name: "find by conditions that are no range", try: findByNoRange,
		notOnAzurite: "it fails with 500 instead of refusing them"},
	{name: "refuse who has no role", try: refuseStranger,
		notOnAzurite: "it knows no roles: every good token may do everything"},
	{name: "challenge who has no good token", try: challengeForged,
		notOnAzurite: "it doesn't check the signature of tokens, and refuses without a challenge"},
	{name: "versions", try: keepVersions, options: blobtest.Options{Versioning: true},
		notOnAzurite: "it keeps no versions"},
	{name: "soft delete", try: keepDeleted, options: blobtest.Options{SoftDeleteDays: 7},
		notOnAzurite: "what is deleted is gone"},
	{name: "hierarchical namespace", try: listDirectories, options: blobtest.Options{HierarchicalNamespace: true},
		notOnAzurite: "its namespace is flat"},
	{name: "create where blocks are", try: createOverBlocks,
		notOnAzurite: "it answers 409 where only uncommitted blocks are"},
	{name: "drop blocks by a write", try: dropBlocks,
		notOnAzurite: "it keeps uncommitted blocks over a Put Blob"},
	{name: "change tags on conditions", try: changeTagsIf,
		notOnAzurite: "it ignores conditions of Set Blob Tags"},
	{name: "delete what is gone", try: deleteGone,
		notOnAzurite: "it answers 412, and what Azure answers is unknown: both mean that it is gone"},
	{name: "undelete", try: undelete, options: blobtest.Options{SoftDeleteDays: 7},
		notOnAzurite: "what is deleted is gone, and Undelete Blob answers 501"},
	{name: "promote a version", try: promote, options: blobtest.Options{Versioning: true},
		notOnAzurite: "it keeps no versions"},
	{name: "put from a URL", try: copyWithToken,
		notOnAzurite: "it answers 501"},
	{name: "stage from a URL with a token", try: stageWithToken,
		notOnAzurite: "it refuses a bearer token for the source"},
	{name: "refuse the source of a copy", try: refuseSource,
		notOnAzurite: "it ignores the source's authorization"},
	{name: "legal hold", try: holdBlob,
		notOnAzurite: "it has none"},
	{name: "immutability", try: retainBlob,
		notOnAzurite: "it has none"},
	{name: "refuse a writer who has no role", try: refuseWriter,
		notOnAzurite: "it knows no roles: every good token may do everything"},
}

func refuseStranger(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	c, err := p.client(p.stranger)
	if err != nil {
		return err
	}
	_, _, err = p.read(c.NewContainerClient(p.container).NewBlobClient("a"), nil)
	return refusedWith("reading", err, 403, string(bloberror.AuthorizationPermissionMismatch))
}

func challengeForged(p *place) error {
	forged := p.user[:len(p.user)-10] + "AAAAAAAAAA"
	c, err := p.client(forged)
	if err != nil {
		return err
	}
	_, err = c.NewContainerClient(p.container).GetProperties(p.ctx, nil)
	return refusedWith("reading", err, 401, string(bloberror.InvalidAuthenticationInfo))
}

func keepVersions(p *place) error {
	if err := p.put("a", "a"); err != nil {
		return err
	}
	items, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{Versions: true})
	if err != nil {
		return err
	}
	if len(items) != 2 || items[0].VersionID == nil {
		return fmt.Errorf("%d entries", len(items))
	}
	c, err := p.blobs.NewBlobClient("a").WithVersionID(*items[0].VersionID)
	if err != nil {
		return err
	}
	_, got, err := p.read(c, nil)
	return errors.Join(err, differs("the first version", string(got), "a\n"))
}

func keepDeleted(p *place) error {
	if err := errors.Join(p.put("a"), p.stock.remove(p.ctx, p.container, "a")); err != nil {
		return err
	}
	items, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{Deleted: true})
	if err != nil {
		return err
	}
	if len(items) != 1 || items[0].Deleted == nil || !*items[0].Deleted {
		return fmt.Errorf("%d entries", len(items))
	}
	return nil
}

func listDirectories(p *place) error {
	if err := p.put("a/b"); err != nil {
		return err
	}
	items, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{})
	if err != nil {
		return err
	}
	return differs("entries", namesOf(items), "a a/b")
}
