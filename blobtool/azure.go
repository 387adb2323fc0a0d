package blobtool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// fromAzure converts an error of the Azure SDK to one with a kind and a text that says
// what to do. An Error of this package is returned unchanged.
func fromAzure(ctx context.Context, at names.Location, err error) *Error {
	if ours := errorOf(err); ours != nil {
		return ours
	}
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return fromResponse(at, response)
	}
	// The SDK may have replaced the context's error, so check ctx too.
	if cause := errors.Join(err, ctx.Err()); errors.Is(cause, context.Canceled) {
		return &Error{Kind: ErrUnavailable, text: "The call was canceled before the storage service answered.", cause: cause}
	} else if errors.Is(cause, context.DeadlineExceeded) {
		return &Error{Kind: ErrUnavailable, text: "The storage service did not answer in time. Try again later; for a large blob, request fewer characters.", cause: cause}
	}
	if errors.Is(err, errStalled) {
		return &Error{Kind: ErrUnavailable, text: "The storage service stopped sending in the middle of its answer. Try again.", cause: err}
	}
	return &Error{
		Kind: ErrUnavailable,
		text: "The storage service could not be reached, or closed the connection. Try again later; if that fails, tell the operator of this server to check " +
			"that the storage account's URL is right, that the account exists, and that its network settings admit this server.",
		cause: err,
	}
}

// fromResponse classifies an answer by code and then by status, because some answers,
// such as a 404 to HEAD, have no code.
func fromResponse(at names.Location, r *azcore.ResponseError) *Error {
	e := &Error{Status: r.StatusCode, Code: printable(r.ErrorCode), cause: r}
	if r.RawResponse != nil {
		e.RequestID = printable(r.RawResponse.Header.Get("x-ms-request-id"))
		e.RetryAfter = retryAfter(r.RawResponse.Header)
	}
	v, known := byCode(at, bloberror.Code(r.ErrorCode))
	switch {
	case known:
	case isOfAnother(r):
		v = verdict{byStatus(at, r.StatusCode).kind, fmt.Sprintf(inBetween, r.StatusCode)}
		e.between = true
	default:
		v = byStatus(at, r.StatusCode)
	}
	e.Kind, e.text = v.kind, v.text
	if errors.Is(e.Kind, ErrThrottled) && e.RetryAfter > 0 {
		e.text += fmt.Sprintf(" The service asks you to wait %v.", e.RetryAfter)
	}
	return e
}

// isOfAnother reports whether something other than Azure answered. Azure's answers always
// have a request ID, and its errors with a body have a code.
func isOfAnother(r *azcore.ResponseError) bool {
	return r.StatusCode >= http.StatusBadRequest && r.ErrorCode == "" && r.RawResponse != nil && r.RawResponse.Header.Get("x-ms-request-id") == ""
}

const inBetween = "A proxy or firewall between this server and Azure Storage answered with status %d: the answer has no x-ms-request-id, so it is not Azure's. " +
	"The user's permissions are not the reason. Tell the operator of this server to let it reach the storage account."

// verdict is what an answer of the service means.
type verdict struct {
	kind error
	text string
}

// byCode returns the verdict for codes that say more than their status.
func byCode(at names.Location, code bloberror.Code) (v verdict, known bool) {
	switch code {
	case bloberror.BlobNotFound:
		return verdict{ErrNotFound, noBlob(at)}, true
	case bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled:
		return verdict{ErrNotFound, noContainer(at)}, true
	case bloberror.AuthenticationFailed, bloberror.InvalidAuthenticationInfo:
		return verdict{ErrWrongAudience, tokenRefused}, true
	case "ResourceNotFound":
		return verdict{ErrNotFound, "The storage account was not found. Tell the operator of this server to check the URL of the account."}, true
	case bloberror.AuthorizationPermissionMismatch, bloberror.InsufficientAccountPermissions:
		return verdict{ErrPermission, noRole(at)}, true
	case bloberror.AuthorizationFailure, bloberror.AuthorizationSourceIPMismatch:
		return verdict{ErrPermission, "The storage account rejected this request, most likely because its firewall does not admit this server's address. " +
			"Tell the operator of this server to check the account's networking settings, and then whether the user has the role Storage Blob Data Reader."}, true
	case "AuthorizationResourceNotFound", "PublicAccessNotPermitted", "KeyBasedAuthenticationNotPermitted":
		return verdict{ErrPermission, noRole(at)}, true
	case bloberror.AccountIsDisabled, bloberror.AccountBeingCreated:
		return verdict{ErrUnsupported, "The storage account is disabled or not ready yet. Tell the operator of this server."}, true
	case bloberror.BlobArchived, bloberror.BlobBeingRehydrated:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s can't be read now. %s", quote(at.Blob), archived)}, true
	case bloberror.BlobUsesCustomerSpecifiedEncryption:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s is encrypted with a key that each request must provide, so this server can't read it.", quote(at.Blob))}, true
	case bloberror.ConditionNotMet, bloberror.BlobOverwritten:
		return verdict{ErrChanged, fmt.Sprintf("Blob %s was changed while it was being read. Call again to read the new version.", quote(at.Blob))}, true
	case bloberror.ServerBusy:
		return verdict{ErrThrottled, throttled}, true
	case bloberror.InvalidResourceName, bloberror.InvalidURI, bloberror.RequestURLFailedToParse:
		return verdict{ErrInvalidPath, fmt.Sprintf("Azure does not accept the blob name %s.", quote(at.Blob))}, true
	case "FeatureNotSupported", "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", bloberror.FeatureVersionMismatch, bloberror.UnsupportedHeader, "InvalidHeaderValue":
		return verdict{ErrUnsupported, "The storage account does not support this operation. Tell the operator of this server; its log has the cause."}, true
	default:
		return verdict{}, false
	}
}

// tokenRefused is for 401, and for 403 with AuthenticationFailed.
const tokenRefused = "Azure Storage rejected the token: it has expired, is not for https://storage.azure.com, or comes from a tenant that the storage account does not trust. " +
	"Sign in again; if that does not help, tell the operator of this server to check that On-Behalf-Of requests the resource https://storage.azure.com and that the account is in the same tenant."

const archived = "It is in the Archive tier. Someone with write access must first rehydrate it: move it to an online tier (Hot, Cool or Cold), which takes up to 15 hours."

const throttled = "The storage account is busy. Wait a little, then call again."

// byStatus returns the verdict for answers with an unknown code or none.
func byStatus(at names.Location, status int) verdict {
	switch {
	case status == http.StatusUnauthorized:
		return verdict{ErrWrongAudience, tokenRefused}
	case status == http.StatusForbidden:
		return verdict{ErrPermission, noRole(at)}
	case status == http.StatusNotFound:
		return verdict{ErrNotFound, noBlob(at)}
	case status == http.StatusPreconditionFailed:
		return verdict{ErrChanged, fmt.Sprintf("Blob %s was changed while it was being read. Call again to read the new version.", quote(at.Blob))}
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		return verdict{ErrThrottled, throttled}
	case status >= http.StatusInternalServerError || status == http.StatusRequestTimeout:
		return verdict{ErrUnavailable, "The storage service failed. Try again later."}
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return verdict{ErrUnavailable, "The storage service answered with a redirect, which this server does not follow. Tell the operator of this server to check the URL of the storage account."}
	}
	return verdict{ErrUnsupported, "The storage service rejected the request. Tell the operator of this server; its log has the status and the code."}
}

func noContainer(at names.Location) string {
	return fmt.Sprintf("Container %s was not found in the storage account. Tell the operator of this server to check the container's name and the URL of the account.", quote(at.Container))
}

func noBlob(at names.Location) string {
	return fmt.Sprintf("Blob %s was not found in container %s. Check the path: it is relative to the container and case-sensitive.", quote(at.Blob), quote(at.Container))
}

func noRole(at names.Location) string {
	return fmt.Sprintf("The signed-in user may not read %s in container %s. The user needs the role Storage Blob Data Reader (or Contributor) on the container or the storage account; "+
		"Owner or Contributor of the account is not enough. In an account with a hierarchical namespace, an ACL that lets the user read the file and enter its folders also works. A new role assignment takes up to 10 minutes to take effect.", quote(at.Blob), quote(at.Container))
}

// retryAfter returns the Retry-After header, or 0 if it is absent or implausible.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > 24*3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// explain converts the error of a call about a blob to one that says what to do. For an
// archived blob it asks Azure whether the blob is being rehydrated. etag is the caller's.
func (s *Set) explain(ctx context.Context, at names.Location, client *blob.Client, err error, etag string) error {
	e := fromAzure(ctx, at, err)
	if errors.Is(e, ErrChanged) && etag != "" {
		e.text = fmt.Sprintf("Blob %s has changed: it no longer has the etag %s. To read the new version, start over without offset and etag.", quote(at.Blob), bareETag(etag))
	}
	if e.Code == "BlobNotFound" && s.offers("list_blobs") {
		e.text += " To see what a folder contains, call list_blobs with the folder's name and a slash as prefix."
	}
	if e.Code != "BlobArchived" && e.Code != "BlobBeingRehydrated" {
		return e
	}
	props, err := client.GetProperties(ctx, nil)
	if err != nil {
		return e
	}
	if status := rehydration(value(props.ArchiveStatus), value(props.RehydratePriority)); status != "" {
		e.text = fmt.Sprintf("Blob %s is in the Archive tier and can't be read yet: %s", quote(at.Blob), status)
	}
	return e
}

// rehydration describes the rehydration of an archived blob, given x-ms-archive-status and
// x-ms-rehydrate-priority. It is empty if there is none.
func rehydration(status, priority string) string {
	tier, ok := strings.CutPrefix(status, "rehydrate-pending-to-")
	if !ok || printable(tier) == "" {
		return ""
	}
	takes := "up to 15 hours"
	if strings.EqualFold(priority, "High") {
		takes = "under an hour for a small blob and up to 15 hours otherwise"
	}
	return fmt.Sprintf("it is being moved to the %s tier, which takes %s from the start of the move. Try again later.", tier, takes)
}
