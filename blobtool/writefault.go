package blobtool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// roleToWrite names the role for writes.
const roleToWrite = "Storage Blob Data Contributor"

// refusal says why the attempt was not carried out. now is what is there, nil if not known.
func (a *attempt) refusal(ctx context.Context, err error, now *standing) *Error {
	return refusedWrite(ctx, a.at, err, a.before, now)
}

// refusedWrite converts Azure's refusal of a write. before is the ETag that the write required,
// or empty if it was to make the blob.
func refusedWrite(ctx context.Context, at names.Location, err error, before azcore.ETag, now *standing) *Error {
	e := fromAzure(ctx, at, err)
	if response, ok := errors.AsType[*azcore.ResponseError](err); !ok || errorOf(err) != nil || e.between || response.StatusCode < 400 {
		return e
	}
	if v, known := writeVerdict(at, bloberror.Code(e.Code), before, now); known {
		e.Kind, e.text = v.kind, v.text
	} else {
		e.text += " Nothing was changed by this call."
	}
	return e
}

// writeVerdict returns what a code means as the answer to a write.
func writeVerdict(at names.Location, code bloberror.Code, before azcore.ETag, now *standing) (verdict, bool) {
	name := quote(at.Blob)
	switch code {
	case bloberror.BlobAlreadyExists, bloberror.ConditionNotMet, bloberror.TargetConditionNotMet, bloberror.BlobNotFound, bloberror.AppendPositionConditionNotMet:
		return conflictVerdict(name, before, now), true
	case bloberror.LeaseIDMissing, bloberror.LeaseIDMismatchWithBlobOperation, bloberror.LeaseLost, bloberror.LeaseNotPresentWithBlobOperation:
		return leaseVerdict(name, now), true
	case bloberror.BlobImmutableDueToPolicy:
		return verdict{ErrLocked, fmt.Sprintf("Blob %s is immutable: a retention policy forbids this change%s. Nothing was changed, and no role allows it. Write to another name.", name, policyTerm(now))}, true
	case legalHold:
		return verdict{ErrLocked, fmt.Sprintf("Blob %s is immutable: a legal hold forbids this change until someone removes the hold. Nothing was changed, and no role allows it. Write to another name.", name)}, true
	case bloberror.PendingCopyOperation:
		return verdict{ErrLocked, fmt.Sprintf("Someone else is copying onto blob %s. Nothing was changed. Try again later, or write to another name.", name)}, true
	case bloberror.SnapshotsPresent:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s has snapshots, which would be deleted with it. Nothing was deleted. If the user wants that too, call delete_blob again with delete_snapshots.", name)}, true
	case bloberror.InvalidBlobType:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s is of another type than this write makes, or was made by the Data Lake API, whose files can only be replaced as a whole. Nothing was changed. Write to another name.", name)}, true
	case "DirectoryIsNotEmpty", "DirectoryNotEmpty":
		return verdict{ErrDirectory, fmt.Sprintf("%s is a directory that is not empty. Nothing was deleted. Delete the blobs in it first.", name)}, true
	case bloberror.ResourceTypeMismatch, "PathConflict", bloberror.ResourceAlreadyExists:
		return verdict{ErrDirectory, fmt.Sprintf("%s is a directory, or would be below a file: the account has a hierarchical namespace. Nothing was changed. Write to another name.", name)}, true
	case bloberror.AuthorizationFailure, bloberror.AuthorizationSourceIPMismatch:
		return verdict{ErrPermission, "The storage account rejected this request, most likely because its firewall does not admit this server's address. Nothing was changed. " +
			"Tell the operator of this server to check the account's networking settings, and then whether the user has the role " + roleToWrite + "."}, true
	case bloberror.UnauthorizedBlobOverwrite:
		return verdict{ErrPermission, fmt.Sprintf("The signed-in user may make new blobs, but not replace blob %s. Nothing was changed. Write to another name; replacing requires the role %s.", name, roleToWrite)}, true
	case bloberror.AuthorizationPermissionMismatch, bloberror.InsufficientAccountPermissions, "AuthorizationResourceNotFound", "PublicAccessNotPermitted", "KeyBasedAuthenticationNotPermitted":
		return verdict{ErrPermission, noRoleToWrite(at)}, true
	case bloberror.BlobArchived, bloberror.BlobBeingRehydrated:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s can't be changed now. %s Nothing was changed.", name, archived)}, true
	case bloberror.BlobUsesCustomerSpecifiedEncryption:
		return verdict{ErrUnsupported, fmt.Sprintf("Blob %s is encrypted with a key that each request must provide, so this server can't change it. Nothing was changed. Write to another name.", name)}, true
	default:
		return requestVerdict(name, code)
	}
}

// legalHold is a code that azblob lacks.
const legalHold = "BlobImmutableDueToLegalHold"

// requestVerdict is for codes about what a write sends.
func requestVerdict(name string, code bloberror.Code) (verdict, bool) {
	switch code {
	case bloberror.InvalidResourceName, bloberror.InvalidURI, bloberror.RequestURLFailedToParse, bloberror.OutOfRangeInput:
		return verdict{ErrInvalidPath, fmt.Sprintf("Azure does not accept the blob name %s: a name can be too long, or have too many segments (254, or about 60 in a hierarchical namespace). Nothing was changed. Write to another name.", name)}, true
	case bloberror.BlockCountExceedsLimit, bloberror.BlockListTooLong:
		return verdict{ErrTooLarge, fmt.Sprintf("Blob %s has as many blocks as Azure allows: 50,000. Nothing was changed. Write to a new blob; append_blob makes one with create.", name)}, true
	case bloberror.MaxBlobSizeConditionNotMet:
		return verdict{ErrTooLarge, fmt.Sprintf("Blob %s would be larger than allowed. Nothing was changed. Write to a new blob.", name)}, true
	case bloberror.RequestBodyTooLarge:
		return verdict{ErrTooLarge, "The content is larger than Azure Storage takes in one request. Nothing was changed. Write less."}, true
	case bloberror.InvalidBlockList, bloberror.InvalidBlobOrBlock:
		return verdict{ErrChanged, fmt.Sprintf("Another upload to blob %s is under way, or has ended this one. Nothing was changed. Start again, or write to another name.", name)}, true
	case bloberror.MetadataTooLarge:
		return verdict{ErrTooLarge, fmt.Sprintf("The metadata of blob %s would be larger than the 8 KiB that Azure allows, with the entries that the blob has and one that this server adds. Nothing was changed. Give less, or remove entries with set_metadata.", name)}, true
	case bloberror.EmptyMetadataKey, bloberror.InvalidMetadata:
		return verdict{ErrInvalidArgument, fmt.Sprintf("Azure Storage does not accept the metadata of blob %s, perhaps because of entries that the blob has already. Nothing was changed. Give metadata with names of letters, digits and underscores, and values of printable ASCII.", name)}, true
	case "TagsTooLarge", "EmptyTagName", "DuplicateTagNames", "InvalidTag":
		return verdict{ErrInvalidArgument, "Azure Storage does not accept the index tags. Nothing was changed. Give at most 10, with keys and values of letters, digits, space and + - . : = _ /."}, true
	case bloberror.MD5Mismatch, bloberror.CRC64Mismatch:
		return verdict{ErrUnavailable, "The content was damaged on its way to Azure Storage, which refused it. Nothing was changed. Call again."}, true
	case "FeatureNotSupported", "FeatureNotYetSupportedForHierarchicalNamespaceAccounts", bloberror.UnsupportedHeader:
		return verdict{ErrUnsupported, "The storage account does not support this. If it has a hierarchical namespace, it has no index tags: call again without tags. Nothing was changed."}, true
	default:
		return verdict{}, false
	}
}

// conflictVerdict is for a condition that is not met.
func conflictVerdict(name string, before azcore.ETag, now *standing) verdict {
	switch {
	case before == "" && now != nil && now.directory:
		return verdict{ErrDirectory, fmt.Sprintf("%s is a directory, not a file: the account has a hierarchical namespace. Nothing was changed. Write to another name, such as one in the directory.", name)}
	case before == "" && now != nil && !now.exists:
		return verdict{ErrExists, fmt.Sprintf("Blob %s could not be created, although it does not exist now: it was just deleted, or someone is uploading it. Nothing was changed. Call again, or write to another name.", name)}
	case before == "":
		return verdict{ErrExists, fmt.Sprintf("Blob %s exists already, and this call makes only new blobs. Nothing was changed. Write to another name; or, to replace the blob, read it and call again with its etag as if_match.", name)}
	case now != nil && !now.exists:
		return verdict{ErrNotFound, fmt.Sprintf("Blob %s is not there: it was deleted, or never existed. Nothing was changed.", name)}
	case now != nil && now.etag == before:
		return verdict{ErrChanged, fmt.Sprintf("Something about blob %s, such as its tags, changed while this call was running. Nothing was changed by this call. Call again.", name)}
	}
	return verdict{ErrChanged, fmt.Sprintf("Blob %s does not have the etag %s: it has changed since. Nothing was changed by this call. Read it again, then call with the new etag.", name, bareETag(string(before)))}
}

// unleased returns why a blob with a lease can't be changed. It is checked first, so that neither Azure nor a
// person is asked in vain.
func unleased(at names.Location, now *standing) error {
	if leaseOf(now) == nil {
		return nil
	}
	v := leaseVerdict(quote(at.Blob), now)
	return failuref(v.kind, "%s", v.text)
}

func leaseVerdict(name string, now *standing) verdict {
	return verdict{ErrLocked, fmt.Sprintf("Another program has a lease on blob %s, so nobody else can change it%s. Azure does not say whose lease it is. Nothing was changed. "+
		"Try again later, or ask the user who works on the blob.", name, leaseTerm(now))}
}

// leaseTerm describes a lease.
func leaseTerm(now *standing) string {
	switch {
	case now == nil:
		return ""
	case now.leased == lease.StateTypeBreaking:
		return ", until it ends within 60 seconds (it is being broken)"
	case now.leaseDuration == lease.DurationTypeInfinite:
		return ", until it is released (its duration is infinite)"
	case now.leaseDuration == lease.DurationTypeFixed:
		return ", until it ends within 60 seconds unless it is renewed (its duration is fixed)"
	}
	return ""
}

// policyTerm says how long a policy holds. That of a container is not among a blob's properties.
func policyTerm(now *standing) string {
	if now == nil || now.immutableUntil.IsZero() {
		return ""
	}
	return " until " + now.immutableUntil.UTC().Format(time.RFC3339)
}

// leaseOf returns the lease for a result, if there is one.
func leaseOf(now *standing) *leaseOutput {
	if now == nil || now.leased != lease.StateTypeLeased && now.leased != lease.StateTypeBreaking {
		return nil
	}
	return &leaseOutput{State: string(now.leased), Duration: printable(string(now.leaseDuration))}
}

// immutableOf returns the version's own policy or hold for a result, if there is one.
func immutableOf(now *standing) *immutable {
	switch {
	case now == nil || !now.held && now.immutableUntil.IsZero():
		return nil
	case now.held:
		return &immutable{Kind: "legal_hold"}
	}
	return &immutable{Kind: "policy", Until: now.immutableUntil.UTC().Format(time.RFC3339)}
}

// immutableBy is immutableOf for a container's policy or hold, which only a refusal tells.
func immutableBy(err error) *immutable {
	switch e := errorOf(err); {
	case e == nil:
		return nil
	case e.Code == string(bloberror.BlobImmutableDueToPolicy):
		return &immutable{Kind: "policy"}
	case e.Code == legalHold:
		return &immutable{Kind: "legal_hold"}
	}
	return nil
}

func noRoleToWrite(at names.Location) string {
	return fmt.Sprintf("The signed-in user may not write %s in container %s. Nothing was changed. The user needs the role %s on the container or the storage account; "+
		"Owner or Contributor of the account is not enough. A new role assignment takes up to 10 minutes to take effect.", quote(at.Blob), quote(at.Container), roleToWrite)
}

// uncertain says that it is not known whether the attempt was carried out. now is what is there,
// nil if that is not known either.
func (a *attempt) uncertain(err error, now *standing) *Error {
	var b strings.Builder
	name := quote(a.at.Blob)
	switch response, ok := errors.AsType[*azcore.ResponseError](err); {
	case ok && (isOfAnother(response) || response.StatusCode < 400):
		fmt.Fprintf(&b, "To this write of blob %s came an answer with status %d that is not one of the storage service; a proxy or firewall may have sent it. If that happens again, tell the operator of this server. ", name, response.StatusCode)
	case ok && response.StatusCode >= 500:
		fmt.Fprintf(&b, "The storage service failed with status %d, and did not say what became of this write of blob %s. ", response.StatusCode, name)
	default:
		fmt.Fprintf(&b, "The answer of the storage service to this write of blob %s was lost. ", name)
	}
	switch {
	case now == nil:
		b.WriteString("What is there now could not be read, so the write may have happened or not. Call stat_blob before anything else.")
	case a.untouched(now):
		b.WriteString("The write has not happened so far, but may still arrive. It is safe to call again with the same arguments.")
	case !now.exists && a.marker == "":
		b.WriteString("The blob is gone: this call deleted it, or someone else did.")
	case !now.exists:
		b.WriteString("The blob is gone: someone else deleted it, before or after this write.")
	case a.marker != "" && now.marker == a.marker:
		b.WriteString("What is there now has this write's mark, but could not be recognized as just what it sends: perhaps someone has changed it since. Read it again before you decide what to do.")
	default:
		b.WriteString("Someone else has written the blob, before or after this write. Read the blob before you decide what to do.")
	}
	return &Error{Kind: ErrUncertain, text: b.String(), cause: err}
}
