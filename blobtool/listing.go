package blobtool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// maxRowsBytes bounds the rows of a result, in bytes of JSON: a thousand blobs with
// the longest names and all their metadata would be megabytes.
const maxRowsBytes = 256 << 10

// narrow returns the prefixes with which a listing shows all that is allowed of what
// begins with prefix, and nothing else: the prefix itself or, where it is shorter,
// those of [Options.Allow] that begin with it. If policies close all of that to the
// caller, it returns why.
func (s *Set) narrow(ctx context.Context, containerArg, prefix string) (containerName string, roots []string, err error) {
	containerName, roots, err = s.narrowAllowed(ctx, containerArg, prefix)
	if err != nil {
		return "", nil, err
	}
	roots, err = openRoots(ctx, containerName, roots)
	return containerName, roots, err
}

// narrowAllowed is narrow without the policies.
func (s *Set) narrowAllowed(ctx context.Context, containerArg, prefix string) (containerName string, roots []string, err error) {
	at, err := s.mayList(ctx, containerArg, prefix)
	if err == nil {
		return at.container, []string{prefix}, nil
	}
	if !errors.Is(err, ErrNotAllowed) {
		return "", nil, err
	}
	for _, allowed := range slices.Sorted(slices.Values(s.allow[at.container])) {
		if !strings.HasPrefix(allowed, prefix) || len(roots) > 0 && strings.HasPrefix(allowed, roots[len(roots)-1]) {
			continue // the latter is below another one
		}
		roots = append(roots, allowed)
	}
	if len(roots) == 0 {
		return "", nil, err
	}
	return at.container, roots, nil
}

// entry is what a listing finds: a blob, or a folder, whose name ends with a slash.
type entry struct {
	name   string
	folder bool
	blob   *container.BlobItem // nil for a folder that is nothing but a part of names
}

// blobListing is what of a container is listed.
type blobListing struct {
	set       *Set
	user      string
	container string
	client    *container.Client
	roots     []string
	folders   bool // one level: what has a slash behind the prefix is a folder
	include   container.ListBlobsInclude
}

// source lists the blobs that the caller may use, root after root.
func (l *blobListing) source() source[entry] {
	return source[entry]{
		roots: len(l.roots),
		name:  func(e entry) string { return e.name },
		fetch: func(ctx context.Context, root int, marker string, most int) ([]entry, string, error) {
			list := l.flat
			if l.folders {
				list = l.level
			}
			page, next, err := list(ctx, l.roots[root], marker, most)
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
		Include: l.include, Prefix: notEmpty(root), Marker: notEmpty(marker), MaxResults: to.Ptr(int32(most)), //nolint:gosec // a few thousand at most
	}).NextPage(ctx)
	if err != nil {
		return nil, "", err
	}
	if page.Segment == nil {
		return nil, "", fmt.Errorf("%w: a listing without blobs", errBadAnswer)
	}
	return blobEntries(root, page.Segment.BlobItems), value(page.NextMarker), nil
}

// level lists one level. A directory of a hierarchical namespace that has something
// in it comes twice: as itself, and as what names begin with.
func (l *blobListing) level(ctx context.Context, root, marker string, most int) ([]entry, string, error) {
	page, err := l.client.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{
		Include: l.include, Prefix: notEmpty(root), Marker: notEmpty(marker), MaxResults: to.Ptr(int32(most)), //nolint:gosec // a few thousand at most
	}).NextPage(ctx)
	if err != nil {
		return nil, "", err
	}
	if page.Segment == nil {
		return nil, "", fmt.Errorf("%w: a listing without blobs", errBadAnswer)
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

// blobEntries takes over what is listed, if it is what was asked for.
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

// plausible reports whether a listed name is one that Azure allows, and below the root.
func plausible(root, name string) bool {
	return name != "" && strings.HasPrefix(name, root) && len(name) <= 4*maxBlobName && utf8.ValidString(name)
}

// isFolder reports whether it is a directory of a hierarchical namespace. Metadata is
// how tools mark one, and is there if it was asked for.
func isFolder(item *container.BlobItem) bool {
	return strings.EqualFold(value(item.Properties.ResourceType), "directory") || strings.EqualFold(value(item.Metadata["hdi_isfolder"]), "true")
}

// noTagsCodes are Azure's codes for an account that can't have tags; the last two are for
// what it then does not know.
var noTagsCodes = []string{"FeatureNotSupported", "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", "BlobTagsNotSupportedForAccountType", "UnsupportedQueryParameter", "InvalidQueryParameterValue"}

// listFailure is the error of a listing. tags says that it asked for tags.
func listFailure(ctx context.Context, at location, tags bool, err error) *Error {
	e := at.fromAzure(ctx, err)
	if tags && slices.Contains(noTagsCodes, e.Code) {
		shown := *e
		shown.Kind, shown.text = ErrUnsupported, "The storage account does not support index tags: with a hierarchical namespace (Data Lake Storage) there are none. Leave tags out, and search by name or text."
		return &shown
	}
	text := at.notListed(e, tags)
	if text == "" {
		return e
	}
	shown := *e
	shown.text = text
	return &shown
}

// notListed says of a listing what fromAzure says of a blob, or nothing where that
// speaks of none.
func (at location) notListed(e *Error, tags bool) string {
	code := bloberror.Code(e.Code)
	switch {
	case e.Status == 0, e.between, code == bloberror.AuthorizationFailure, code == bloberror.AuthorizationSourceIPMismatch,
		code == bloberror.ContainerNotFound, code == bloberror.ContainerBeingDeleted, code == bloberror.ContainerDisabled, code == "ResourceNotFound":
		return ""
	case errors.Is(e, ErrPermission) && tags:
		return fmt.Sprintf("The signed-in user may not see tags in container %s. That takes the role Storage Blob Data Owner on the container or the storage account, "+
			"or one with the actions tags/read and filter/action; Reader and Contributor are not enough. Leave tags out to do without.", quote(at.container))
	case errors.Is(e, ErrPermission) && at.container == "":
		return "The signed-in user may not list the containers. That takes the role Storage Blob Data Reader (or Contributor) on the whole storage account; " +
			"a role on one container is enough for what is in it, with its name as the argument container."
	case errors.Is(e, ErrPermission):
		return fmt.Sprintf("The signed-in user may not list container %s%s. The user needs the role Storage Blob Data Reader (or Contributor) on the container or the storage account; "+
			"Owner or Contributor of the account is not enough. A new role assignment takes up to 10 minutes to work.", quote(at.container), below(at.blob))
	case errors.Is(e, ErrNotFound) && at.container == "":
		return "The storage account was not found. Tell the operator of this server to check the URL of the account."
	case errors.Is(e, ErrNotFound):
		return at.noContainer()
	case errors.Is(e, ErrInvalidPath):
		return fmt.Sprintf("Azure does not accept the listing of container %s%s. Check the container's name and the prefix.", quote(at.container), below(at.blob))
	case errors.Is(e, ErrChanged):
		return "The storage service refused the listing. Try again; if it persists, tell the operator of this server: its log has the status and the code."
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

// shownTime formats a time for a model, in UTC by the second.
func shownTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
