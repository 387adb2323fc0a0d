package blobtool

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/properties"
)

// A standing is what is under a blob's name: all that a write must know and keep.
type standing struct {
	exists    bool
	etag      azcore.ETag
	size      int64
	kind      blob.BlobType
	directory bool
	sealed    bool // an append blob that nobody can append to
	archived  bool // its content can't be read or copied
	headers   blob.HTTPHeaders
	metadata  map[string]*string // names in lower case, without the marker
	marker    string             // of the last write by this package, or empty
	tagCount  int64
	tier      blob.AccessTier   // set on the blob itself; empty: the account's default
	tags      map[string]string // only if a call sets them
	version   string

	hierarchical bool // the account has a hierarchical namespace

	leased         lease.StateType
	leaseDuration  lease.DurationType
	held           bool      // by a legal hold of the version
	immutableUntil time.Time // by the version's own policy
}

// look asks Azure what is under a name. Get Blob Properties does not count as an access.
func (s *Set) look(ctx context.Context, at names.Location, client *blob.Client) (standing, error) {
	var raw *http.Response
	props, err := client.GetProperties(policy.WithCaptureResponse(ctx, &raw), nil)
	if isNoBlob(err) {
		return standing{}, nil
	}
	if err != nil {
		return standing{}, fromAzure(ctx, at, err)
	}
	now, err := standingOf(&props)
	now.hierarchical = inHierarchy(raw)
	return now, err
}

// inHierarchy reports whether an answer about a blob is from an account with a hierarchical
// namespace. azblob omits the header that only those send.
func inHierarchy(raw *http.Response) bool {
	return raw != nil && raw.Header.Get("x-ms-resource-type") != ""
}

// standingOf returns the standing for properties. It checks what results contain.
func standingOf(p *blob.GetPropertiesResponse) (standing, error) {
	n := standing{
		exists: true, etag: value(p.ETag), size: value(p.ContentLength), kind: value(p.BlobType),
		directory: isDirectory(p.Metadata), sealed: value(p.IsSealed), archived: strings.EqualFold(value(p.AccessTier), string(blob.AccessTierArchive)), tagCount: value(p.TagCount), version: shownVersion(p.VersionID),
		headers: blob.HTTPHeaders{
			BlobContentType: p.ContentType, BlobContentEncoding: p.ContentEncoding, BlobContentLanguage: p.ContentLanguage,
			BlobContentDisposition: p.ContentDisposition, BlobCacheControl: p.CacheControl, BlobContentMD5: p.ContentMD5,
		},
		leased: value(p.LeaseState), leaseDuration: value(p.LeaseDuration),
		held: value(p.LegalHold), immutableUntil: value(p.ImmutabilityPolicyExpiresOn),
	}
	n.metadata, n.marker = withoutMarker(p.Metadata)
	if !value(p.AccessTierInferred) {
		n.tier = blob.AccessTier(value(p.AccessTier))
	}
	if printable(bareETag(string(n.etag))) == "" {
		return standing{}, &Error{Kind: ErrUnavailable, text: "The storage service answered without an ETag. Tell the operator of this server.", cause: errors.New("no ETag")}
	}
	return n, nil
}

// isNoBlob reports whether an error says that there is no such blob, in a container that exists.
func isNoBlob(err error) bool {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && response.StatusCode == http.StatusNotFound && !isOfAnother(response) &&
		(response.ErrorCode == "" || response.ErrorCode == string(bloberror.BlobNotFound))
}

// withoutMarker returns metadata with names in lower case and without the marker, which is
// for this package alone, and the marker.
func withoutMarker(metadata map[string]*string) (rest map[string]*string, marker string) {
	rest = make(map[string]*string, len(metadata))
	for name, v := range metadata {
		if name = strings.ToLower(name); name == properties.Marker {
			marker = value(v)
			continue
		}
		rest[name] = v
	}
	return rest, marker
}
