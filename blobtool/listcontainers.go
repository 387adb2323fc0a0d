package blobtool

import (
	"context"
	"errors"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/walk"
	"github.com/mcpentra/mcp-entra-go/internal/toolset"
)

type listContainersInput struct {
	Prefix   string `json:"prefix,omitempty" jsonschema:"List names that start with this. Empty lists all."`
	PageSize int    `json:"page_size,omitempty" jsonschema:"Maximum number of rows to return."`
	Cursor   string `json:"cursor,omitempty" jsonschema:"next_cursor of the previous result, to continue from there. All other arguments must be the same."`
}

type listContainersOutput struct {
	Containers []containerRow `json:"containers" jsonschema:"Containers, sorted by name."`
	paging
}

// A containerRow is a container in a result.
type containerRow struct {
	Name     string   `json:"name" jsonschema:"Name of the container."`
	Modified string   `json:"modified,omitempty" jsonschema:"When the container itself was last modified, in UTC. Changes to its blobs do not count."`
	Only     []string `json:"only,omitempty" jsonschema:"What this server offers, if not the whole container: names of blobs and, ending in a slash or an asterisk, prefixes of names."`
}

// registerListContainers adds the tool list_containers.
func (s *Set) registerListContainers(srv *mcp.Server) {
	input := schemaFor[listContainersInput]()
	setBounds(input, "page_size", 1, maxPageSize)
	setDefault(input, "page_size", defaultPageSize)
	const title = "List containers"
	addTool(s, srv, &mcp.Tool{
		Name: "list_containers", Title: title,
		Description: "Lists the containers of the Azure Blob Storage account that this server offers, with the permissions of the signed-in user. " +
			"Requires a role on the whole account. If you know a container's name, you can use it without listing.",
		InputSchema: input,
		Annotations: readOnly(title),
	}, s.listContainers)
}

func (s *Set) listContainers(ctx context.Context, req *mcp.CallToolRequest, in listContainersInput) (listContainersOutput, error) {
	var out listContainersOutput
	if err := checkContainerPrefix(in.Prefix); err != nil {
		return out, err
	}
	query := walk.Query("list_containers", s.serviceURL, s.allow, in.Prefix, in.PageSize)
	from := walk.Place{}
	if in.Cursor != "" {
		var err error
		if from, err = walk.Parse[walk.Place](toolset.Resources(ctx), query, in.Cursor); err != nil {
			return out, err
		}
	}
	src, err := s.containers(ctx, in.Prefix)
	if err != nil {
		return out, err
	}
	w := walk.New(src, from, s.containerPage(in.PageSize), s.worker(ctx, userID(req)))
	list, at, err := walk.Read(ctx, w, in.PageSize, func(r containerRow) containerRow { return r })
	if err != nil {
		return out, s.containersFailure(ctx, err)
	}
	out.Containers = list
	if out.Truncated = at.Root < src.Roots; out.Truncated {
		out.NextCursor = walk.Cursor(toolset.Resources(ctx), query, at)
	}
	return out, nil
}

// servicePage is the maximum number of entries in one page of the service.
const servicePage = 5000

// containerPage returns how many containers to request at once. It is Azure's maximum if only a
// few containers are allowed.
func (s *Set) containerPage(wanted int) int {
	if s.allow != nil {
		return servicePage
	}
	return wanted
}

// containers lists the account's allowed containers.
func (s *Set) containers(ctx context.Context, prefix string) (walk.Source[containerRow], error) {
	client, err := s.serviceClient(ctx)
	if err != nil {
		return walk.Source[containerRow]{}, err
	}
	return walk.Source[containerRow]{
		Roots: 1,
		Name:  func(r containerRow) string { return r.Name },
		Fetch: func(ctx context.Context, _ int, marker string, most int) ([]containerRow, string, error) {
			page, err := client.NewListContainersPager(&service.ListContainersOptions{
				Prefix: notEmpty(prefix), Marker: notEmpty(marker), MaxResults: new(int32(most)), //nolint:gosec // a few thousand at most
			}).NextPage(ctx)
			if err != nil {
				return nil, "", err
			}
			var rows []containerRow
			for _, item := range page.ContainerItems {
				if item != nil && strings.HasPrefix(value(item.Name), prefix) && names.CheckContainer(value(item.Name)) == nil {
					rows = s.appendContainer(ctx, rows, item)
				}
			}
			return rows, value(page.NextMarker), nil
		},
	}, nil
}

// appendContainer adds the container if something in it is allowed and open to the caller.
func (s *Set) appendContainer(ctx context.Context, rows []containerRow, item *service.ContainerItem) []containerRow {
	row := containerRow{Name: *item.Name}
	if !s.allow.blob(names.Location{Container: row.Name}) {
		return rows
	}
	roots := []root{{}}
	if s.allow != nil {
		roots = s.allow.within(row.Name, "")
	}
	roots, err := openRoots(ctx, row.Name, roots)
	if err != nil {
		return rows
	}
	if roots[0] != (root{}) {
		row.Only = shownOnly(roots)
	}
	if item.Properties != nil {
		row.Modified = timestamp(item.Properties.LastModified)
	}
	return append(rows, row)
}

// containersFailure returns the error for a failed listing of containers. It names the containers
// that work without a listing.
func (s *Set) containersFailure(ctx context.Context, err error) error {
	e := listFailure(ctx, names.Location{}, false, err)
	if errors.Is(e, ErrPermission) && s.allow != nil {
		e.text += " " + s.allow.offer()
	}
	return e
}

// checkContainerPrefix checks a prefix of container names.
func checkContainerPrefix(prefix string) error {
	if len(prefix) > 63 || strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz0123456789-$") != "" {
		return failuref(ErrInvalidArgument, "invalid prefix %s: container names have up to 63 lowercase letters, digits and hyphens", quote(prefix))
	}
	return nil
}
