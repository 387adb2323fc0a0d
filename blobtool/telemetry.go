package blobtool

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/copies"
	"github.com/mcpentra/mcp-entra-go/blobtool/internal/work"
	"github.com/mcpentra/mcp-entra-go/internal/telemetry"
)

// setTelemetry is what a set tells OpenTelemetry. Without providers, each method does nothing.
type setTelemetry struct {
	*telemetry.Telemetry
	duration *telemetry.Histogram[callResult]
	read     *telemetry.Counter[string] // by operation
	copies   *telemetry.Counter[string] // by outcome
	written  *telemetry.Counter[struct{}]
}

// callResult is a set of attributes of a request to Azure Storage.
type callResult struct{ operation, status string }

// The operations of requests to Azure Storage.
const (
	opListContainers = "list_containers"
	opListBlobs      = "list_blobs"
	opFindByTags     = "find_by_tags"
	opGetTags        = "get_tags"
	opGetBlob        = "get_blob"
	opGetProperties  = "get_properties"
	opPutBlob        = "put_blob"
	opDeleteBlob     = "delete_blob"
	opUndeleteBlob   = "undelete_blob"
	opCopyBlob       = "put_blob_from_url"
	opCopyBlock      = "put_block_from_url"
	opPutBlock       = "put_block"
	opPutBlockList   = "put_block_list"
	opGetBlockList   = "get_block_list"
	opAppendBlock    = "append_block"
	opSetMetadata    = "set_metadata"
	opSetTags        = "set_tags"
)

// The outcomes of saving a copy.
const (
	copyOK      = "ok"
	copyRefused = "refused" // by a limit, or for its name
	copyError   = "error"   // by the disk
)

func newSetTelemetry(o *Options) *setTelemetry {
	t := &setTelemetry{Telemetry: telemetry.New(o.TracerProvider, o.MeterProvider)}
	t.duration = telemetry.NewHistogram(t.Telemetry, telemetry.StorageDuration, func(r callResult) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Operation.String(r.operation), telemetry.Status.String(r.status)}
	})
	t.read = telemetry.NewCounter(t.Telemetry, telemetry.StorageBytes, func(operation string) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Operation.String(operation)}
	}, opListContainers, opListBlobs, opFindByTags, opGetTags, opGetBlob, opGetProperties, opPutBlob, opDeleteBlob,
		opUndeleteBlob, opCopyBlob, opCopyBlock, opPutBlock, opPutBlockList, opGetBlockList,
		opAppendBlock, opSetMetadata, opSetTags)
	if o.DownloadDir == "" {
		return t
	}
	t.copies = telemetry.NewCounter(t.Telemetry, telemetry.SavedCopies, func(outcome string) []attribute.KeyValue {
		return []attribute.KeyValue{telemetry.Outcome.String(outcome)}
	}, copyOK, copyRefused, copyError)
	t.written = telemetry.NewCounter(t.Telemetry, telemetry.SavedBytes, func(struct{}) []attribute.KeyValue { return nil }, struct{}{})
	return t
}

// saved counts a copy.
func (t *setTelemetry) saved(ctx context.Context, size int64) {
	t.copies.Add(ctx, copyOK, 1)
	t.written.Add(ctx, struct{}{}, size)
}

// notSaved counts a blob that was not saved.
func (t *setTelemetry) notSaved(ctx context.Context, why *copies.Refusal) {
	if why.Cause != nil {
		t.copies.Add(ctx, copyError, 1)
	} else {
		t.copies.Add(ctx, copyRefused, 1)
	}
}

// operationOf returns what a request is for. It looks at nothing that names a resource.
func operationOf(req *http.Request) string {
	q := req.URL.Query()
	switch comp := q.Get("comp"); {
	case req.Method == http.MethodHead && comp == "":
		return opGetProperties
	case req.Method == http.MethodPut && q.Get("restype") == "":
		return operationOfPut(comp, copySourceOf(req.Header) != "")
	case req.Method == http.MethodDelete && comp == "" && q.Get("restype") == "":
		return opDeleteBlob
	case req.Method != http.MethodGet:
		return telemetry.Other
	case comp == "":
		return opGetBlob
	case comp == "list" && q.Get("restype") == "container":
		return opListBlobs
	case comp == "list":
		return opListContainers
	case comp == "blobs":
		return opFindByTags
	case comp == "tags":
		return opGetTags
	case comp == "blocklist":
		return opGetBlockList
	}
	return telemetry.Other
}

// operationOfPut is operationOf for a PUT.
func operationOfPut(comp string, copies bool) string {
	switch {
	case comp == "" && copies:
		return opCopyBlob
	case comp == "":
		return opPutBlob
	case comp == "block" && copies:
		return opCopyBlock
	case comp == "block":
		return opPutBlock
	case comp == "blocklist":
		return opPutBlockList
	case comp == "undelete":
		return opUndeleteBlob
	case comp == "appendblock":
		return opAppendBlock
	case comp == "metadata":
		return opSetMetadata
	case comp == "tags":
		return opSetTags
	}
	return telemetry.Other
}

// An azureCall is a try of a request as telemetry sees it.
type azureCall struct {
	t         *setTelemetry
	operation string
	span      telemetry.Span
	began     time.Time
}

// begin begins the span of a try.
func (t *setTelemetry) begin(req *http.Request) (context.Context, *azureCall) {
	c := &azureCall{t: t, operation: operationOf(req), began: time.Now()}
	ctx := req.Context()
	if t.Traces() {
		ctx, c.span = t.Start(ctx, telemetry.SpanStorage, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(telemetry.HTTPMethod.String(req.Method), telemetry.Operation.String(c.operation)))
	}
	return ctx, c
}

// answered notes how a try ended. The span ends with the answer's body.
func (c *azureCall) answered(ctx context.Context, resp *http.Response, err error) (*http.Response, error) {
	status := "none"
	if err == nil {
		status = strconv.Itoa(resp.StatusCode/100) + "xx"
	}
	c.t.duration.Record(ctx, callResult{c.operation, status}, time.Since(c.began).Seconds())
	if err != nil {
		c.span.Fail(failureOf(err))
		c.span.End()
		return resp, err
	}
	if c.span.Recording() {
		c.span.Set(telemetry.HTTPStatus.Int(resp.StatusCode))
		if resp.StatusCode >= http.StatusBadRequest {
			c.span.Fail(codeName(resp))
		}
	}
	body := &countedBody{ReadCloser: resp.Body, ctx: ctx, call: c}
	if resp.Body = body; resp.Request != nil && resp.Request.Method == http.MethodHead || resp.ContentLength == 0 {
		body.finish(io.EOF) // nobody may read it
	}
	return resp, nil
}

// countedBody counts the bytes that are read, and ends the span of its try.
type countedBody struct {
	io.ReadCloser
	ctx  context.Context //nolint:containedctx // of the request
	call *azureCall
	n    atomic.Int64
	once sync.Once
}

// Read implements [io.Reader].
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	if err != nil {
		b.finish(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *countedBody) Close() error {
	err := b.ReadCloser.Close()
	b.finish(io.EOF)
	return err
}

func (b *countedBody) finish(err error) {
	b.once.Do(func() {
		b.call.t.read.Add(b.ctx, b.call.operation, b.n.Load())
		if !errors.Is(err, io.EOF) {
			b.call.span.Fail(failureOf(err))
		}
		b.call.span.End()
	})
}

// failureOf returns the kind of an error without an answer.
func failureOf(err error) string {
	switch {
	case errors.Is(err, errStalled):
		return "stalled"
	case errors.Is(err, work.ErrBusy): // the answer came, and nobody could read it
		return "busy"
	}
	return telemetry.FailureOf(err)
}

// codeNames are Azure's error codes that spans show. An answer can have any text as its code.
var codeNames = []bloberror.Code{
	bloberror.BlobNotFound, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted, bloberror.ContainerDisabled, "ResourceNotFound",
	bloberror.AuthenticationFailed, bloberror.InvalidAuthenticationInfo, "NoAuthenticationInformation",
	bloberror.AuthorizationFailure, bloberror.AuthorizationPermissionMismatch, bloberror.AuthorizationSourceIPMismatch,
	bloberror.InsufficientAccountPermissions, "AuthorizationResourceNotFound", "PublicAccessNotPermitted", "KeyBasedAuthenticationNotPermitted",
	bloberror.AccountIsDisabled, bloberror.AccountBeingCreated, bloberror.BlobArchived, bloberror.BlobBeingRehydrated,
	bloberror.BlobUsesCustomerSpecifiedEncryption, bloberror.ConditionNotMet, bloberror.BlobOverwritten, bloberror.InvalidRange,
	bloberror.ServerBusy, bloberror.InternalError, bloberror.OperationTimedOut, bloberror.InvalidResourceName, bloberror.InvalidURI,
	bloberror.RequestURLFailedToParse, bloberror.FeatureVersionMismatch, bloberror.UnsupportedHeader, bloberror.InvalidHeaderValue,
	bloberror.InvalidQueryParameterValue, bloberror.OutOfRangeQueryParameterValue, "FeatureNotSupported",
	"FeatureNotYetSupportedForHierarchicalNamespaceAccounts",
	bloberror.BlobAlreadyExists, bloberror.LeaseIDMissing, bloberror.SnapshotsPresent, bloberror.InvalidBlobType,
	bloberror.BlobImmutableDueToPolicy, "BlobImmutableDueToLegalHold", "DirectoryIsNotEmpty", bloberror.MD5Mismatch,
	bloberror.CannotVerifyCopySource, "SourceConditionNotMet", "InvalidSourceBlobType", bloberror.InvalidBlobOrBlock, bloberror.InvalidBlockList,
	bloberror.AppendPositionConditionNotMet, bloberror.BlockCountExceedsLimit, bloberror.ResourceTypeMismatch, bloberror.MetadataTooLarge,
}

// codeName returns Azure's error code, if it is a known one, or the status if there is none.
func codeName(resp *http.Response) string {
	code := bloberror.Code(resp.Header.Get("X-Ms-Error-Code"))
	switch {
	case code == "":
		return strconv.Itoa(resp.StatusCode)
	case slices.Contains(codeNames, code):
		return string(code)
	}
	return telemetry.Other
}

// errorKinds are the kinds of [Error] as telemetry has them.
var errorKinds = []struct {
	kind error
	name string
}{
	{ErrInvalidPath, "invalid_path"}, {ErrInvalidArgument, "invalid_argument"}, {ErrNotAllowed, "not_allowed"}, {ErrNoUser, "no_user"},
	{ErrCredential, "credential"}, {ErrNotFound, "not_found"}, {ErrPermission, "permission"}, {ErrWrongAudience, "wrong_audience"},
	{ErrThrottled, "throttled"}, {ErrUnavailable, "unavailable"}, {ErrChanged, "changed"}, {ErrDirectory, "directory"},
	{ErrTooLarge, "too_large"}, {ErrUnsupported, "unsupported"}, {ErrExists, "exists"}, {ErrLocked, "locked"},
	{ErrNotConfirmed, "not_confirmed"}, {ErrUncertain, "uncertain"},
}

func kindName(err error) string {
	if e := errorOf(err); e != nil {
		for _, k := range errorKinds {
			if errors.Is(e.Kind, k.kind) {
				return k.name
			}
		}
	}
	return telemetry.Internal
}
