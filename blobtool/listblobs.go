package blobtool

import (
	"context"
	"fmt"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

// What list_blobs can show besides the blobs that are there.
const (
	includeMetadata  = "metadata"
	includeTags      = "tags"
	includeVersions  = "versions"
	includeDeleted   = "deleted"
	includeSnapshots = "snapshots"
)

type listBlobsInput struct {
	Container string   `json:"container" jsonschema:"Name of the container."`
	Prefix    string   `json:"prefix,omitempty" jsonschema:"List names that start with this, such as reports/2026/. Empty lists all. Case-sensitive."`
	Folders   bool     `json:"folders,omitempty" jsonschema:"List one level: blobs in subfolders are shown as their folder. Good for a first look. Otherwise all blobs are listed, at any depth."`
	Include   []string `json:"include,omitempty" jsonschema:"What else to show: metadata, tags (requires the role Storage Blob Data Owner), versions, snapshots (not with folders), deleted (blobs that can be undeleted)."`
	PageSize  int      `json:"page_size,omitempty" jsonschema:"Maximum number of rows to return."`
	Cursor    string   `json:"cursor,omitempty" jsonschema:"next_cursor of the previous result, to continue from there. All other arguments must be the same."`
}

type listBlobsOutput struct {
	Container string `json:"container" jsonschema:"Name of the container."`
	listed
	Blobs []blobRow `json:"blobs" jsonschema:"Blobs and folders, sorted by name."`
	paging
}

// registerListBlobs adds the tool list_blobs.
func (s *Set) registerListBlobs(srv *mcp.Server) {
	input := schemaFor[listBlobsInput]()
	setBounds(input, "page_size", 1, maxPageSize)
	setDefault(input, "page_size", defaultPageSize)
	choices(input.Properties["include"].Items, includeMetadata, includeTags, includeVersions, includeDeleted, includeSnapshots)
	const title = "List blobs"
	addTool(s, srv, &mcp.Tool{
		Name: "list_blobs", Title: title,
		Description: fmt.Sprintf("Lists the blobs in %s, or its folders, with the permissions of the signed-in user. Returns names, sizes, times and types. "+
			untrusted, s.where()),
		InputSchema: input,
		Annotations: readOnly(title),
	}, s.listBlobs)
}

func (s *Set) listBlobs(ctx context.Context, req *mcp.CallToolRequest, in listBlobsInput) (listBlobsOutput, error) {
	var out listBlobsOutput
	if in.Folders && slices.Contains(in.Include, includeSnapshots) {
		return out, failuref(ErrInvalidArgument, "Azure can't list snapshots with folders; omit folders, or remove snapshots from include")
	}
	containerName, roots, err := s.narrow(ctx, in.Container, in.Prefix)
	if err != nil {
		return out, err
	}
	query := walk.Query("list_blobs", s.serviceURL, containerName, in.Prefix, roots, in.Folders, in.Include, in.PageSize)
	from := walk.Place{}
	if in.Cursor != "" {
		if from, err = walk.Parse[walk.Place](toolset.Resources(ctx), query, in.Cursor); err != nil {
			return out, err
		}
	}
	client, err := s.containerClient(ctx, containerName)
	if err != nil {
		return out, err
	}
	listing := blobListing{set: s, user: userID(req), container: containerName, client: client, roots: roots, folders: in.Folders, include: included(in.Include)}
	w := walk.New(listing.source(), from, in.PageSize, s.worker(ctx, userID(req)))
	list, at, err := walk.Read(ctx, w, in.PageSize, entry.row)
	if err != nil {
		return out, listFailure(ctx, names.Location{Container: containerName, Blob: in.Prefix}, listing.include.Tags, err)
	}
	out = listBlobsOutput{Container: containerName, listed: s.listed(containerName, in.Prefix, roots), Blobs: list}
	if out.Truncated = at.Root < len(roots); out.Truncated {
		out.NextCursor = walk.Cursor(toolset.Resources(ctx), query, at)
	}
	return out, nil
}

// included translates the argument, which the schema has checked.
func included(include []string) container.ListBlobsInclude {
	has := func(what string) bool { return slices.Contains(include, what) }
	return container.ListBlobsInclude{
		Metadata: has(includeMetadata), Tags: has(includeTags),
		Versions: has(includeVersions), Snapshots: has(includeSnapshots), Deleted: has(includeDeleted),
	}
}
