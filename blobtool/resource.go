package blobtool

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
)

// maxResource is the maximum size of a resource in bytes, unpacked, because a resource is read as
// a whole.
const maxResource = 4 << 20

// registerResources adds the resource template for blobs.
func (s *Set) registerResources(srv *mcp.Server) {
	srv.AddResourceTemplate(&mcp.ResourceTemplate{
		Name:        "blob",
		Title:       "Blob",
		URITemplate: s.uriTemplate(),
		Description: fmt.Sprintf("A blob in %s, read with the permissions of the signed-in user, up to %d bytes. To read larger blobs in parts, use read_blob. ", s.where(), maxResource) + untrusted,
	}, s.readResource)
}

// readResource handles resources/read.
func (s *Set) readResource(ctx context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
	ctx, returned := s.bound(ctx)
	defer returned()
	contents, err := s.resource(ctx, userOf(req.Extra), req.Params.URI)
	if err != nil {
		return nil, s.resourceFailed(ctx, "blob resource failed", err)
	}
	return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{contents}}, nil
}

// resource reads a whole blob.
func (s *Set) resource(ctx context.Context, user, uri string) (*mcp.ResourceContents, error) {
	at, err := names.ParseURI(uri)
	if err == nil {
		at, err = s.locateBlob(ctx, at.Container, at.Blob)
	}
	if err != nil {
		return nil, err
	}
	client, err := s.blobClient(ctx, at, "")
	if err != nil {
		return nil, err
	}
	contents, err := resourceContents(s.worker(ctx, user), client, at.Blob)
	if err != nil {
		return nil, s.explain(ctx, at, client, err, "")
	}
	contents.URI = uri
	return contents, nil
}

// resourceContents returns the content as text or, if it is not text, the stored bytes.
func resourceContents(w *work.Worker, client *blob.Client, name string) (*mcp.ResourceContents, error) {
	c, err := openContent(w, client, name, content.FirstRange, "", 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	cs := c.Charset()
	text, err := c.IsText(cs)
	if err != nil {
		return nil, err
	}
	if !text {
		if err := c.AsStored(); err != nil {
			return nil, err
		}
	}
	if packed, _ := c.Packed(); packed == "" && c.Size > maxResource {
		return nil, tooLargeForResource(c.Size)
	}
	data, err := c.Whole(maxResource + 1)
	if err != nil {
		return nil, err
	}
	if len(data) > maxResource {
		return nil, tooLargeForResource(int64(len(data)))
	}
	mediaType := c.MediaType()
	if !text {
		return &mcp.ResourceContents{MIMEType: mediaType, Blob: data}, nil
	}
	if mediaType == "application/octet-stream" {
		mediaType = "text/plain"
	}
	p := content.NewPage(cs, math.MaxInt)
	if err := p.DecodeAll(w, data); err != nil {
		return nil, err
	}
	return &mcp.ResourceContents{MIMEType: mediaType, Text: string(p.Text)}, nil
}

func tooLargeForResource(size int64) error {
	return failuref(ErrTooLarge, "The blob has at least %d bytes, more than the %d a resource can have. Read parts of it with the tool read_blob: use offset, lines or tail_lines.", size, maxResource)
}

// A resourceError is a failed resource request: the text for the caller and a JSON-RPC code.
// Middleware can unwrap the cause.
type resourceError struct {
	text  string
	wire  *jsonrpc.Error // source of the SDK's error code
	cause error
}

// Error implements error: the SDK sends this text.
func (e *resourceError) Error() string { return e.text }

// UserText returns the same text.
func (e *resourceError) UserText() string { return e.text }

// Unwrap returns the code and the cause.
func (e *resourceError) Unwrap() []error { return []error{e.wire, e.cause} }

// resourceFailed logs the error and returns what the client may see.
func (s *Set) resourceFailed(ctx context.Context, message string, err error) error {
	err = public(err)
	s.logFailure(ctx, message, err)
	text, ok := userText(err)
	if !ok {
		text = internalError
	}
	code := int64(jsonrpc.CodeInternalError)
	for _, kind := range []error{ErrNotFound, ErrNotAllowed, ErrDirectory, ErrInvalidArgument, ErrInvalidPath, ErrTooLarge} {
		if errors.Is(err, kind) { // the same code as the SDK uses for a resource that does not exist
			code = jsonrpc.CodeInvalidParams
		}
	}
	return &resourceError{text: strings.TrimSpace(text), wire: &jsonrpc.Error{Code: code}, cause: err}
}
