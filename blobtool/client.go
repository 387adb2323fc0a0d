package blobtool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/content"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// storageResource is Azure Storage in all clouds. storageScope is the only scope that is
// ever requested from a user's credential.
const (
	storageResource = "https://storage.azure.com"
	storageScope    = storageResource + "/.default"
)

// containerClient returns a client for a container that acts as the call's user. Each call
// makes its own, in 13 µs: a client caches its credential's token, so users can't share it.
func (s *Set) containerClient(ctx context.Context, name string) (*container.Client, error) {
	cred, err := s.userCredential(ctx)
	if err != nil {
		return nil, err
	}
	client, err := container.NewClient(s.serviceURL+"/"+name, cred, &container.ClientOptions{ClientOptions: s.clientOptions(cred)})
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

// blobClient returns a client for a blob that acts as the user of this call.
func (s *Set) blobClient(ctx context.Context, at names.Location, versionID string) (*blob.Client, error) {
	in, err := s.containerClient(ctx, at.Container)
	if err != nil {
		return nil, err
	}
	return blobIn(in, at, versionID)
}

// blobIn returns a client for one version of a blob, or for the current one if
// versionID, which must have been checked, is empty.
func blobIn(in *container.Client, at names.Location, versionID string) (*blob.Client, error) {
	client := in.NewBlobClient(at.Blob)
	if versionID == "" {
		return client, nil
	}
	client, err := client.WithVersionID(versionID)
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

// serviceClient returns a client for the account that acts as the user of this call.
func (s *Set) serviceClient(ctx context.Context) (*service.Client, error) {
	cred, err := s.userCredential(ctx)
	if err != nil {
		return nil, err
	}
	client, err := service.NewClient(s.serviceURL+"/", cred, &service.ClientOptions{ClientOptions: s.clientOptions(cred)})
	if err != nil {
		return nil, fmt.Errorf("blobtool: making a client: %w", err)
	}
	return client, nil
}

func (s *Set) clientOptions(cred *userCredential) policy.ClientOptions {
	o := policy.ClientOptions{
		Transport: s.transport,
		// A person is waiting: retry twice, and leave the rest to the caller.
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: s.retryDelay, MaxRetryDelay: 2 * time.Second},
		Telemetry: policy.TelemetryOptions{ApplicationID: "mcp-entra-go"},
	}
	if s.writing != nil {
		o.PerCallPolicies = []policy.Policy{deletedOnly{}}
		o.PerRetryPolicies = []policy.Policy{&sourceToken{cred, s.serviceURL + "/"}}
	}
	return o
}

// userCredential returns the credential of this call's user.
func (s *Set) userCredential(ctx context.Context) (*userCredential, error) {
	cred, err := s.credential(ctx)
	if err != nil {
		return nil, credentialFailure(err)
	}
	if cred == nil {
		return nil, credentialFailure(errors.New("the CredentialFunc returned neither a credential nor an error"))
	}
	return &userCredential{cred}, nil
}

// userCredential forwards only requests for the storage scope. The SDK takes the scope from
// the challenge of a 401, so a hostile endpoint could otherwise request a token for
// Microsoft Graph.
type userCredential struct {
	cred azcore.TokenCredential
}

// GetToken implements [azcore.TokenCredential].
func (u *userCredential) GetToken(ctx context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(opts.Scopes) != 1 || opts.Scopes[0] != storageScope {
		return azcore.AccessToken{}, failuref(ErrWrongAudience,
			"The storage service asked for a token for another resource; this server sends it tokens for https://storage.azure.com only. "+
				"Tell the operator of this server to check the URL of the storage account.")
	}
	token, err := u.cred.GetToken(ctx, opts)
	if err != nil {
		return azcore.AccessToken{}, credentialFailure(err)
	}
	return token, nil
}

// credentialFailure wraps a credential's error. The text for the caller is the error's own
// if it has one.
func credentialFailure(err error) *Error {
	text, ok := userText(err)
	if !ok {
		text = "This server could not get a token for Azure Storage on behalf of the signed-in user. Sign in again; if that does not help, tell the operator of this server; its log has the cause."
	}
	return &Error{Kind: ErrCredential, text: text, cause: err}
}

// ranges returns the ranges of a blob.
func ranges(client *blob.Client) content.Source {
	return func(ctx context.Context, offset, count int64, etag string) (*content.Range, error) {
		var conditions *blob.AccessConditions
		if etag != "" {
			match := azcore.ETag(etag)
			conditions = &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &match}}
		}
		resp, err := client.DownloadStream(ctx, &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: count}, AccessConditions: conditions})
		if isEmptyRange(err) && offset == 0 {
			// An empty blob has no ranges.
			resp, err = client.DownloadStream(ctx, &blob.DownloadStreamOptions{AccessConditions: conditions})
		}
		if err != nil {
			return nil, err
		}
		if resp.Body == nil {
			return nil, fmt.Errorf("%w: no body", fault.ErrBadAnswer)
		}
		r, err := rangeOf(&resp, offset)
		if err != nil {
			_ = resp.Body.Close()
		}
		return r, err
	}
}

func rangeOf(resp *blob.DownloadStreamResponse, offset int64) (*content.Range, error) {
	r := &content.Range{Body: resp.Body, ETag: string(value(resp.ETag)), Properties: content.Properties{
		ContentType: value(resp.ContentType),
		Encoding:    value(resp.ContentEncoding),
		VersionID:   shownVersion(resp.VersionID),
		Directory:   isDirectory(resp.Metadata),
	}}
	if printable(bareETag(r.ETag)) == "" { // results contain it
		return nil, fmt.Errorf("%w: no ETag", fault.ErrBadAnswer)
	}
	var err error
	r.Size, err = totalSize(resp, offset)
	return r, err
}

// totalSize returns the size of the whole blob, from Content-Range: bytes first-last/size.
func totalSize(resp *blob.DownloadStreamResponse, offset int64) (int64, error) {
	if resp.ContentRange == nil {
		if offset == 0 && resp.ContentLength != nil && *resp.ContentLength >= 0 {
			return *resp.ContentLength, nil
		}
		return 0, fmt.Errorf("%w: no Content-Range", fault.ErrBadAnswer)
	}
	span, total, _ := strings.Cut(strings.TrimPrefix(*resp.ContentRange, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	size, err := strconv.ParseInt(total, 10, 64)
	start, err2 := strconv.ParseInt(first, 10, 64)
	if err != nil || err2 != nil || start != offset || size <= offset {
		return 0, fmt.Errorf("%w: Content-Range %q to a request from %d on", fault.ErrBadAnswer, *resp.ContentRange, offset)
	}
	return size, nil
}

func isEmptyRange(err error) bool {
	var response *azcore.ResponseError
	return bloberror.HasCode(err, bloberror.InvalidRange) ||
		errors.As(err, &response) && response.StatusCode == http.StatusRequestedRangeNotSatisfiable
}

// isDirectory reports whether metadata belongs to a directory, which the blob endpoint of
// an account with a hierarchical namespace shows as an empty blob.
func isDirectory(metadata map[string]*string) bool {
	for name, v := range metadata {
		if strings.EqualFold(name, "hdi_isfolder") && strings.EqualFold(value(v), "true") {
			return true
		}
	}
	return false
}

// value returns *p, or zero if p is nil.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}

// shownVersion returns a version ID from the service, if it is valid.
func shownVersion(id *string) string {
	if !versionForm.MatchString(value(id)) {
		return ""
	}
	return *id
}

// versionForm matches version IDs.
var versionForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$`)

// bareETag returns an ETag without its quotes, which are hard to copy through JSON.
func bareETag(etag string) string {
	return strings.TrimSuffix(strings.TrimPrefix(etag, `"`), `"`)
}
