package blobtool_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// Each code by which Azure refuses a write has a kind, words and what to do. None of them is
// repeated or called unknown.
func TestWriteCodes(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		status       int
		reason, says string // what to do
	}{
		"BlobAlreadyExists":                   {409, "changed", "Call again"}, // with if_match: something else, such as tags
		"ConditionNotMet":                     {412, "changed", "Call again"},
		"TargetConditionNotMet":               {412, "changed", "Call again"},
		"AppendPositionConditionNotMet":       {412, "changed", "Call again"},
		"BlobNotFound":                        {404, "changed", "Call again"}, // it is there again when the call looks
		"ContainerNotFound":                   {404, "not_found", "check the container"},
		"ContainerBeingDeleted":               {409, "not_found", "check the container"},
		"MaxBlobSizeConditionNotMet":          {412, "too_large", "Write to a new blob"},
		"BlockCountExceedsLimit":              {409, "too_large", "Write to a new blob"},
		"BlockListTooLong":                    {400, "too_large", "Write to a new blob"},
		"RequestBodyTooLarge":                 {413, "too_large", "Write less"},
		"InvalidBlobOrBlock":                  {400, "changed", "Start again"},
		"InvalidBlockList":                    {400, "changed", "Start again"},
		"LeaseIdMissing":                      {412, "locked", "Try again later"},
		"LeaseIdMismatchWithBlobOperation":    {412, "locked", "Try again later"},
		"LeaseNotPresentWithBlobOperation":    {412, "locked", "Try again later"},
		"LeaseLost":                           {412, "locked", "Try again later"},
		"PendingCopyOperation":                {409, "locked", "Try again later"},
		"BlobImmutableDueToPolicy":            {409, "locked", "Write to another name"},
		"BlobImmutableDueToLegalHold":         {409, "locked", "Write to another name"},
		"SnapshotsPresent":                    {409, "unsupported", "delete_snapshots"},
		"InvalidBlobType":                     {409, "unsupported", "Write to another name"},
		"DirectoryIsNotEmpty":                 {409, "directory", "Delete the blobs in it first"},
		"DirectoryNotEmpty":                   {409, "directory", "Delete the blobs in it first"},
		"ResourceTypeMismatch":                {409, "directory", "Write to another name"},
		"PathConflict":                        {409, "directory", "Write to another name"},
		"AuthorizationPermissionMismatch":     {403, "permission", "Storage Blob Data Contributor"},
		"InsufficientAccountPermissions":      {403, "permission", "Storage Blob Data Contributor"},
		"AuthorizationFailure":                {403, "permission", "networking settings"},
		"UnauthorizedBlobOverwrite":           {403, "permission", "Write to another name"},
		"AuthenticationFailed":                {403, "wrong_audience", "Sign in again"},
		"InvalidAuthenticationInfo":           {401, "wrong_audience", "Sign in again"},
		"NoAuthenticationInformation":         {401, "wrong_audience", "Sign in again"},
		"AccountIsDisabled":                   {403, "unsupported", "Tell the operator"},
		"BlobArchived":                        {409, "unsupported", "rehydrate"},
		"BlobBeingRehydrated":                 {409, "unsupported", "rehydrate"},
		"BlobUsesCustomerSpecifiedEncryption": {409, "unsupported", "Write to another name"},
		"MetadataTooLarge":                    {400, "too_large", "remove entries with set_metadata"},
		"InvalidMetadata":                     {400, "invalid_argument", "letters, digits and underscores"},
		"EmptyMetadataKey":                    {400, "invalid_argument", "letters, digits and underscores"},
		"TagsTooLarge":                        {400, "invalid_argument", "at most 10"},
		"EmptyTagName":                        {400, "invalid_argument", "at most 10"},
		"DuplicateTagNames":                   {400, "invalid_argument", "at most 10"},
		"InvalidTag":                          {400, "invalid_argument", "at most 10"},
		"Md5Mismatch":                         {400, "unavailable", "Call again"},
		"Crc64Mismatch":                       {400, "unavailable", "Call again"},
		"FeatureNotYetSupportedForHierarchicalNamespaceAccounts": {400, "unsupported", "without tags"},
		"UnsupportedHeader":   {400, "unsupported", "without tags"},
		"InvalidResourceName": {400, "invalid_path", "Write to another name"},
		"InvalidUri":          {400, "invalid_path", "Write to another name"},
		"ServerBusy":          {503, "throttled", "Wait a little"},
		"TooManyRequests":     {429, "throttled", "Wait a little"},

		// Faults of this program, if they ever come.
		"InvalidHeaderValue":                   {400, "unsupported", "Tell the operator"},
		"InvalidQueryParameterValue":           {400, "unsupported", "Tell the operator"},
		"UnsupportedQueryParameter":            {400, "unsupported", "Tell the operator"},
		"ConditionHeadersNotSupported":         {400, "unsupported", "Tell the operator"},
		"MultipleConditionHeadersNotSupported": {400, "unsupported", "Tell the operator"},
		"MissingContentLengthHeader":           {411, "unsupported", "Tell the operator"},
		"MissingRequiredHeader":                {400, "unsupported", "Tell the operator"},
		"BothCrc64AndMd5HeaderPresent":         {400, "unsupported", "Tell the operator"},
		"InvalidMd5":                           {400, "unsupported", "Tell the operator"},
		"InvalidCrc64":                         {400, "unsupported", "Tell the operator"},
		"InvalidXmlDocument":                   {400, "unsupported", "Tell the operator"},
		"OutOfRangeInput":                      {400, "invalid_path", "Write to another name"},
		"UnsupportedHttpVerb":                  {405, "unsupported", "Tell the operator"},
	}
	w := newWriteWorld(t, nil, nil)
	session := w.connect(t, "alice")
	w.storage.Put("docs", "a.txt", []byte("x"), "text/plain")
	etag := statOf(t, session, "a.txt").ETag
	for code, c := range rows {
		w.storage.ForgetRequests()
		w.storage.Fail(blobtest.Fault{Operation: blobtest.OpPutBlob, Status: c.status, Code: code})
		out := w.write(t, session, "write_blob", args{"blob_path": "a.txt", "text": "y", "if_match": etag})
		if out.Outcome != "refused" || out.Reason != c.reason || !strings.Contains(out.Message, c.says) || !strings.Contains(out.Message, "Nothing was") {
			t.Errorf("%d %s: got %s, %q (%s); want refused, %q, with %q and that nothing was changed", c.status, code, out.Outcome, out.Reason, out.Message, c.reason, c.says)
		}
		if n := w.storage.Count(blobtest.OpPutBlob); n > 1 && c.reason != "throttled" {
			t.Errorf("%s: %d requests, want 1", code, n)
		}
	}

	elsewhere := []string{
		"InvalidRange", "OutOfRangeQueryParameterValue", // reading
		"LeaseNotPresentWithContainerOperation", "LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired", "LeaseNotPresentWithLeaseOperation",
		"LeaseIdMismatchWithLeaseOperation", "LeaseIsBrokenAndCannotBeRenewed", "LeaseIsBreakingAndCannotBeChanged", // leases, which no tool takes
		"OperationNotAllowedOnRootBlob",                                                                                             // deleting a version, which no tool does
		"InternalError",                                                                                                             // it may have been carried out: unknown
		"CannotVerifyCopySource", "SourceConditionNotMet", "InvalidSourceBlobType", "BothUserTagsAndSourceTagsCopyPresentException", // copying
		"ResourceNotFound", // undeleting
	}
	for _, code := range codesOfDouble(t) {
		if _, known := rows[code]; !known && !slices.Contains(elsewhere, code) {
			t.Errorf("blobtest answers with %s, which is not among these", code)
		}
	}
}

// codesOfDouble returns the codes with which blobtest refuses requests.
func codesOfDouble(t *testing.T) (codes []string) {
	t.Helper()
	form := regexp.MustCompile(`(?:http\.Status\w+|status|leaseConflict\(|Code:)[,(]? *"([A-Z]\w+)"`)
	files, err := filepath.Glob("blobtest/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range form.FindAllSubmatch(source, -1) {
			if !strings.HasSuffix(name, "_test.go") {
				codes = append(codes, string(m[1]))
			}
		}
	}
	if len(codes) < 40 {
		t.Fatalf("found only the codes %q", codes)
	}
	return codes
}
