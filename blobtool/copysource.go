package blobtool

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// Azure reads the source of a copy itself, with a token of the user in the request. That token
// opens every account that the user may use, so it is sent to this set's account only, for a
// source in this account only.

// Names of headers as azblob writes them, which is not how net/http does.
const (
	copySourceHeader    = "x-ms-copy-source"
	sourceAuthorization = "x-ms-copy-source-authorization"
)

// maxSourceURL is Azure's limit, in bytes.
const maxSourceURL = 2048

// copySourceOf returns the source in a request for a copy, or an empty string.
func copySourceOf(h http.Header) string {
	if values := h[copySourceHeader]; len(values) > 0 { //nolint:staticcheck // as azblob writes it
		return values[0]
	}
	return h.Get(copySourceHeader)
}

// sourceToken is a policy that gives each try of a copy a fresh token for its source. The SDK
// renews only the token of the request itself.
type sourceToken struct {
	cred   azcore.TokenCredential
	within string // URL of the account, with a slash at its end
}

// Do implements [policy.Policy].
func (p *sourceToken) Do(req *policy.Request) (*http.Response, error) {
	source := copySourceOf(req.Raw().Header)
	if source == "" {
		return req.Next()
	}
	if !strings.HasPrefix(source, p.within) || !strings.HasPrefix(req.Raw().URL.String(), p.within) {
		return nil, failuref(ErrNotAllowed, "The source of a copy must be in the storage account of this server.")
	}
	token, err := p.cred.GetToken(req.Raw().Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: true})
	if err != nil {
		return nil, err
	}
	delete(req.Raw().Header, sourceAuthorization)
	req.Raw().Header.Set(sourceAuthorization, "Bearer "+token.Token)
	return req.Next()
}

// locateSource returns the location of a source, which is in container unless the call says
// otherwise, as far as this server decides.
func (s *Set) locateSource(ctx context.Context, container, given, path string) (names.Location, error) {
	in, name, err := s.named(given, path)
	if err != nil {
		return names.Location{}, err
	}
	return s.locateBlob(ctx, cmp.Or(in, container), name)
}

// A copySource is what a call copies.
type copySource struct {
	at      names.Location
	version string      // empty: the current one
	wanted  azcore.ETag // from the call; empty: any

	standing
	url    string
	client *blob.Client
}

// find looks at the source as the user, and returns why it can't be copied. most limits its size.
func (c *copySource) find(ctx context.Context, account *service.Client, most int64) error {
	var err error
	if c.client, err = blobIn(account.NewContainerClient(c.at.Container), c.at, c.version); err != nil {
		return err
	}
	if c.url = c.client.URL(); len(c.url) > maxSourceURL {
		return failuref(ErrInvalidPath, "The name of the source is too long for a copy: Azure takes URLs of up to %d bytes. Nothing was changed. Ask the user to copy it with another program.", maxSourceURL)
	}
	props, err := c.client.GetProperties(ctx, nil)
	if err != nil {
		e := fromAzure(ctx, c.at, err)
		if isNoBlob(err) && c.version != "" {
			e.text = fmt.Sprintf("there is no version %s of blob %s in container %s: stat_blob lists the versions.", c.version, quote(c.at.Blob), quote(c.at.Container))
		}
		e.text = "The source of the copy: " + e.text + " Nothing was changed."
		return e
	}
	if c.standing, err = standingOf(&props); err != nil {
		return err
	}
	name := quote(c.at.Blob)
	switch {
	case c.wanted != "" && c.etag != c.wanted:
		return failuref(ErrChanged, "The source, blob %s, does not have the etag %s: it has changed since. Nothing was changed by this call. Read it again before you decide to copy it.", name, bareETag(string(c.wanted)))
	case c.directory:
		return failuref(ErrDirectory, "The source, %s, is a directory, not a file. Nothing was changed. Copy the blobs in it.", name)
	case c.kind != blob.BlobTypeBlockBlob:
		return failuref(ErrUnsupported, "The source, blob %s, is of type %s; only block blobs can be copied. Nothing was changed. For a small text, read it and write it again.", name, printable(string(c.kind)))
	case c.archived:
		return failuref(ErrUnsupported, "The source, blob %s, can't be copied now. %s Nothing was changed.", name, archived)
	case c.size > most:
		return failuref(ErrTooLarge, "The source, blob %s, has %d bytes; this server copies at most %d. Nothing was changed. Ask the user to copy it with another program.", name, c.size, most)
	}
	return nil
}

// put makes the copy in one request (Put Blob From URL), which is atomic. The headers are what the
// copy gets; Azure computes its MD5.
func (c *copySource) put(ctx context.Context, client *blockblob.Client, o *blockblob.UploadBlobFromURLOptions) (written, error) {
	headers := *o.HTTPHeaders
	headers.BlobContentMD5 = nil
	o.HTTPHeaders, o.CopySourceBlobProperties, o.SourceModifiedAccessConditions = &headers, new(false), c.pinned()
	resp, err := client.UploadBlobFromURL(ctx, c.url, o)
	if err != nil {
		return written{}, err
	}
	return writtenOf(resp.ETag, resp.VersionID)
}

// pinned is the condition that the source is what was judged.
func (c *copySource) pinned() *blob.SourceModifiedAccessConditions {
	return &blob.SourceModifiedAccessConditions{SourceIfMatch: &c.etag}
}

// named names the source in a sentence.
func (c *copySource) named() string {
	name := fmt.Sprintf("blob %s in container %s", quote(c.at.Blob), quote(c.at.Container))
	if c.version != "" {
		return "version " + c.version + " of " + name
	}
	return name
}

// tags returns the source's tags, or a note that says why they are not copied.
func (c *copySource) tags(ctx context.Context) (tags map[string]string, note string) {
	if c.tagCount == 0 {
		return nil, ""
	}
	tags, note = tagsOf(ctx, c.at, c.client, c.tagCount)
	if note == "" && len(tags) == 0 {
		note = "They have changed while this call was running."
	}
	if note != "" {
		note = "The source's tags were not copied. " + note
	}
	return tags, note
}

// refusal turns the refusal of a copy into what it says about the source. The statuses that Azure
// sends with CannotVerifyCopySource are those of reading the source.
func (c *copySource) refusal(err error) error {
	e := errorOf(err)
	if e == nil {
		return err
	}
	name := quote(c.at.Blob)
	switch e.Code {
	case "SourceConditionNotMet":
		e.Kind, e.text = ErrChanged, fmt.Sprintf("The source, blob %s, was changed while this call was running. Nothing was changed by this call. Read it again before you decide to copy it.", name)
	case string(bloberror.CannotVerifyCopySource):
		c.unreadable(e)
	case "InvalidSourceBlobType", "InvalidSourceBlobUrl":
		e.Kind, e.text = ErrUnsupported, fmt.Sprintf("The source, blob %s, can't be copied: only block blobs can. Nothing was changed.", name)
	case "RequestBodyTooLarge":
		e.Kind, e.text = ErrTooLarge, fmt.Sprintf("The source, blob %s, is larger than Azure copies at once. Nothing was changed.", name)
	case "InvalidBlobOrBlock":
		e.Kind, e.text = ErrLocked, uploading
	case "InvalidBlockList":
		e.Kind, e.text = ErrChanged, "Someone else wrote the blob during this copy, which dropped the parts copied so far. Nothing was changed by this call. Read the blob, then start again."
	}
	return e
}

// unreadable says why Azure could not read the source with the user's token.
func (c *copySource) unreadable(e *Error) {
	name, in := quote(c.at.Blob), quote(c.at.Container)
	switch e.Status {
	case http.StatusUnauthorized:
		e.Kind, e.text = ErrWrongAudience, "Azure Storage rejected the user's token for the source of the copy. Nothing was changed. "+tokenRefused
	case http.StatusForbidden:
		e.Kind, e.text = ErrPermission, fmt.Sprintf("The signed-in user may not read the source, blob %s in container %s, or the storage account's firewall refuses copies. Nothing was changed. "+
			"The user needs the role Storage Blob Data Reader there.", name, in)
	case http.StatusNotFound:
		e.Kind, e.text = ErrNotFound, fmt.Sprintf("The source, blob %s in container %s, is not there any more. Nothing was changed.", name, in)
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusNotModified:
		e.Kind, e.text = ErrChanged, fmt.Sprintf("The source, blob %s, was changed while this call was running. Nothing was changed by this call. Read it again before you decide to copy it.", name)
	default:
		e.Kind, e.text = ErrUnavailable, fmt.Sprintf("Azure Storage could not read the source, blob %s in container %s. Nothing was changed. Try again later.", name, in)
	}
}

// uploading is the refusal to stage blocks where another upload has some.
const uploading = "Another upload to this name is under way, or was given up in the last week: it has left blocks that are not committed. Nothing was changed. Write to another name, or try again when the other upload is finished."
