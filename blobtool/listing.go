package blobtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// entry is a listed blob, or a folder, whose name ends with a slash.
type entry struct {
	name   string
	folder bool
	blob   *container.BlobItem // nil for a folder that exists only in names
}

// blobListing lists blobs of a container.
type blobListing struct {
	set       *Set
	user      string
	container string
	client    *container.Client
	roots     []root
	folders   bool // list one level
	include   container.ListBlobsInclude
}

// source lists the blobs that the caller may see, root by root.
func (l *blobListing) source() walk.Source[entry] {
	return walk.Source[entry]{
		Roots: len(l.roots),
		Name:  func(e entry) string { return e.name },
		Fetch: func(ctx context.Context, i int, marker string, most int) ([]entry, string, error) {
			list := l.flat
			switch {
			case l.roots[i].Exact:
				list = l.one
			case l.folders:
				list = l.level
			}
			page, next, err := list(ctx, l.roots[i].Prefix, marker, most)
			if err != nil {
				return nil, "", err
			}
			page, err = l.set.shown(ctx, l.user, l.container, page)
			return page, next, err
		},
	}
}

func (l *blobListing) flat(ctx context.Context, root, marker string, most int) ([]entry, string, error) {
	page, err := l.client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
		Include: l.include, Prefix: notEmpty(root), Marker: notEmpty(marker), MaxResults: new(int32(most)), //nolint:gosec // a few thousand at most
	}).NextPage(ctx)
	if err != nil {
		return nil, "", err
	}
	if page.Segment == nil {
		return nil, "", fmt.Errorf("%w: a listing without blobs", fault.ErrBadAnswer)
	}
	return blobEntries(root, page.Segment.BlobItems), value(page.NextMarker), nil
}

// one lists a single blob, with its versions. Other names with that prefix sort after it.
func (l *blobListing) one(ctx context.Context, name, marker string, most int) ([]entry, string, error) {
	if !l.include.Versions && !l.include.Snapshots && !l.include.Deleted {
		most = min(most, 2)
	}
	page, next, err := l.flat(ctx, name, marker, most)
	for i, e := range page {
		if !(root{Prefix: name, Exact: true}).has(e.name) {
			return page[:i], "", err
		}
	}
	return page, next, err
}

// level lists one level. Azure lists a directory of a hierarchical namespace twice if it
// is not empty: as a blob and as a prefix.
func (l *blobListing) level(ctx context.Context, root, marker string, most int) ([]entry, string, error) {
	page, err := l.client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{
		Include: l.include, Prefix: notEmpty(root), Marker: notEmpty(marker), MaxResults: new(int32(most)), //nolint:gosec // a few thousand at most
	}).NextPage(ctx)
	if err != nil {
		return nil, "", err
	}
	if page.Segment == nil {
		return nil, "", fmt.Errorf("%w: a listing without blobs", fault.ErrBadAnswer)
	}
	var entries []entry
	for _, p := range page.Segment.BlobPrefixes {
		if p != nil && plausible(root, value(p.Name)) {
			entries = append(entries, entry{name: *p.Name, folder: true})
		}
	}
	entries = append(entries, blobEntries(root, page.Segment.BlobItems)...)
	slices.SortStableFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	entries = slices.CompactFunc(entries, func(a, b entry) bool { return a.name == b.name && a.folder && b.folder })
	return entries, value(page.NextMarker), nil
}

// blobEntries returns the listed blobs that match the request.
func blobEntries(root string, items []*container.BlobItem) []entry {
	entries := make([]entry, 0, len(items))
	for _, item := range items {
		if item == nil || item.Properties == nil || !plausible(root, value(item.Name)) {
			continue
		}
		e := entry{name: *item.Name, blob: item}
		if isFolder(item) {
			e.name, e.folder = strings.TrimSuffix(e.name, "/")+"/", true
		}
		entries = append(entries, e)
	}
	return entries
}

// plausible reports whether a listed name is valid and below the root.
func plausible(root, name string) bool {
	return name != "" && strings.HasPrefix(name, root) && len(name) <= 4*names.MaxBlob && utf8.ValidString(name)
}

// isFolder reports whether item is a directory of a hierarchical namespace. Some tools mark
// one with metadata, which is present only if requested.
func isFolder(item *container.BlobItem) bool {
	return strings.EqualFold(value(item.Properties.ResourceType), "directory") || strings.EqualFold(value(item.Metadata["hdi_isfolder"]), "true")
}

// noTagsCodes are Azure's codes for an account without tags; the last two say that it does
// not know a parameter.
var noTagsCodes = []string{"FeatureNotSupported", "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "BlobTagsNotSupportedForAccountType", "UnsupportedQueryParameter", "InvalidQueryParameterValue"}

// listFailure returns the error of a listing. tags reports whether it requested tags.
func listFailure(ctx context.Context, at names.Location, tags bool, err error) *Error {
	e := fromAzure(ctx, at, err)
	if tags && slices.Contains(noTagsCodes, e.Code) {
		shown := *e
		shown.Kind, shown.text = ErrUnsupported, "The storage account does not support index tags, as is the case with a hierarchical namespace (Data Lake Storage). Omit tags, and search by name or text."
		return &shown
	}
	text := notListed(at, e, tags)
	if text == "" {
		return e
	}
	shown := *e
	shown.text = text
	return &shown
}

// notListed returns the text for a failed listing, or nothing if fromAzure's text is not
// about a blob and serves as it is.
func notListed(at names.Location, e *Error, tags bool) string {
	code := bloberror.Code(e.Code)
	switch {
	case e.Status == 0, e.between, code == bloberror.AuthorizationFailure, code == bloberror.AuthorizationSourceIPMismatch,
		code == bloberror.ContainerNotFound, code == bloberror.ContainerBeingDeleted, code == bloberror.ContainerDisabled, code == "ResourceNotFound":
		return ""
	case errors.Is(e, ErrPermission) && tags:
		return fmt.Sprintf("The signed-in user may not see tags in container %s. That requires the role Storage Blob Data Owner on the container or the storage account, "+
			"or one with the actions tags/read and filter/action; Reader and Contributor are not enough. To continue without tags, omit them.", quote(at.Container))
	case errors.Is(e, ErrPermission) && at.Container == "":
		return "The signed-in user may not list the containers. That requires the role Storage Blob Data Reader (or Contributor) on the whole storage account. " +
			"A role on one container is enough to use that container: pass its name as the argument container."
	case errors.Is(e, ErrPermission):
		return fmt.Sprintf("The signed-in user may not list container %s%s. The user needs the role Storage Blob Data Reader (or Contributor) on the container or the storage account; "+
			"Owner or Contributor of the account is not enough. A new role assignment takes up to 10 minutes to take effect.", quote(at.Container), below(at.Blob))
	case errors.Is(e, ErrNotFound) && at.Container == "":
		return "The storage account was not found. Tell the operator of this server to check the URL of the account."
	case errors.Is(e, ErrNotFound):
		return noContainer(at)
	case errors.Is(e, ErrInvalidPath):
		return fmt.Sprintf("Azure does not accept a listing of container %s%s. Check the container's name and the prefix.", quote(at.Container), below(at.Blob))
	case errors.Is(e, ErrChanged):
		return "The storage service rejected the listing. Try again; if that fails, tell the operator of this server; its log has the status and the code."
	}
	return ""
}

func below(prefix string) string {
	if prefix == "" {
		return ""
	}
	return " below " + quote(prefix)
}

func notEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// shown returns the part of a page that the caller may see. What it removes is not counted
// anywhere. A folder is removed if all of it is closed.
func (s *Set) shown(ctx context.Context, user, container string, page []entry) ([]entry, error) {
	policy := toolset.Resources(ctx)
	if policy == nil {
		return page, nil
	}
	w := work.ParserOf(ctx) // it may hold a core already and must not wait for another
	if w == nil {
		w = s.worker(ctx, user)
		defer w.End()
	}
	if err := w.Begin(); err != nil {
		return nil, err
	}
	some := page[:0]
	for _, e := range page {
		uri := names.Location{Container: container, Blob: e.name}.URI()
		if e.folder {
			uri += allBelow
		}
		if err := w.Step(work.Policy * int64(len(uri))); err != nil {
			return nil, err
		}
		if policy.Refuse(uri) == nil {
			some = append(some, e)
		}
	}
	return some, nil
}
