package blobtool

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/names"
)

// An attempt is a conditional write. It is sent without the SDK's own retries: after a lost answer
// they would send it again and take the refusal of the second request for that of the first.
// Instead the attempt looks at the blob, and is done only if the blob has its marker.
type attempt struct {
	set    *Set
	at     names.Location
	client *blob.Client
	before azcore.ETag                           // of the blob that send requires; empty: that there is none
	tags   map[string]string                     // that send requires, if it sets tags: the ETag does not cover them
	marker string                                // in the metadata that send writes; empty if it writes none
	same   func(context.Context, *standing) bool // with a marker: what is there is what send writes
	send   func(context.Context) (written, error)
}

// written is what a write's answer says.
type written struct {
	etag    azcore.ETag
	version string
	undo    bool // of a delete: Azure says that it is not permanent
}

// Bounds of an attempt. The time is a share of the call's, so that some is left for looking.
const (
	maxTries      = 5
	triesPart     = 3
	triesOf       = 4
	maxRetryDelay = 2 * time.Second
	maxRetryAfter = 10 * time.Second
)

// run sends the write until its outcome is known. now is what is there if it looked; the error
// is of kind ErrUncertain if the write may have been carried out, or may still be.
func (a *attempt) run(ctx context.Context) (w written, now *standing, err error) {
	tries, cancel := partOf(ctx)
	defer cancel()
	if tries.Err() != nil {
		return written{}, nil, &Error{Kind: ErrUnavailable, text: "The call ended before the write was sent. Nothing was changed.", cause: context.Cause(tries)}
	}
	pending := false // a request without Azure's answer may still arrive
	for n := 1; ; n++ {
		w, err = a.send(policy.WithRetryOptions(tries, policy.RetryOptions{MaxRetries: -1}))
		if err == nil {
			return w, nil, nil
		}
		f := fateOf(err)
		pending = pending || f.pending
		if f.settled && !f.conflict && !pending {
			return written{}, nil, a.refusal(ctx, err, nil)
		}
		found, lookErr := a.look(ctx)
		switch {
		case lookErr != nil && f.settled && !pending:
			return written{}, nil, a.refusal(ctx, err, nil)
		case lookErr != nil:
			return written{}, nil, a.uncertain(err, nil)
		case a.wrote(ctx, &found):
			return written{etag: found.etag, version: found.version}, nil, nil
		case !a.untouched(&found) && (pending || !f.settled):
			return written{}, &found, a.uncertain(err, &found)
		case f.again && n < maxTries && a.wait(tries, n, err):
			continue
		case pending:
			return written{}, &found, a.uncertain(err, &found)
		}
		return written{}, &found, a.refusal(ctx, err, &found)
	}
}

// partOf returns a context for the tries, which leaves time to look after the last of them.
func partOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/triesOf*triesPart)
}

// wrote reports whether what is there is this attempt's. Other programs copy metadata, so all else
// must be the same too.
func (a *attempt) wrote(ctx context.Context, now *standing) bool {
	return a.marker != "" && now.marker == a.marker && a.same(ctx, now)
}

// untouched reports whether the blob is as it was before.
func (a *attempt) untouched(now *standing) bool {
	return now.exists == (a.before != "") && now.etag == a.before && maps.Equal(now.tags, a.tags)
}

// look returns what is there, as far as the attempt could have changed it.
func (a *attempt) look(ctx context.Context) (standing, error) {
	now, err := a.set.look(ctx, a.at, a.client)
	if err == nil && now.exists && a.tags != nil {
		now.tags, err = readTags(ctx, a.client)
	}
	return now, err
}

// A fate is what a write's error says about the write.
type fate struct {
	settled  bool // it was not carried out, and will not be
	conflict bool // because of what is there
	pending  bool // it may not have arrived yet
	again    bool // it is worth another try
}

// fateOf judges an error of a single request.
func fateOf(err error) fate {
	if ours := errorOf(err); ours != nil {
		return fate{settled: true} // no token: nothing was sent
	}
	response, ok := errors.AsType[*azcore.ResponseError](err)
	if !ok {
		// What was not connected was not sent.
		dial, ok := errors.AsType[*net.OpError](err)
		unsent := ok && dial.Op == "dial"
		return fate{settled: unsent, conflict: unsent, pending: !unsent, again: true}
	}
	switch status := response.StatusCode; {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError && status != http.StatusNotImplemented:
		busy := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
		return fate{pending: !busy || isOfAnother(response), again: true} // a failed server may still finish
	case isOfAnother(response), status < http.StatusBadRequest:
		return fate{pending: true}
	case status == http.StatusNotFound, status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return fate{settled: true, conflict: true}
	case response.ErrorCode == string(bloberror.InvalidBlockList): // a commit, or another's write, has dropped the blocks
		return fate{settled: true, conflict: true}
	}
	return fate{settled: true}
}

// wait waits before the next try, and reports whether there is time for it.
func (a *attempt) wait(ctx context.Context, n int, err error) bool {
	delay := min(a.set.retryDelay<<(n-1), maxRetryDelay)
	if response, ok := errors.AsType[*azcore.ResponseError](err); ok && response.RawResponse != nil {
		delay = max(delay, retryAfter(response.RawResponse.Header))
	}
	if deadline, ok := ctx.Deadline(); delay > maxRetryAfter || ok && time.Until(deadline) < delay {
		return false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// writtenOf returns what an answer says, or an error if it is not Azure's.
func writtenOf(etag *azcore.ETag, version *string) (written, error) {
	if printable(bareETag(string(value(etag)))) == "" {
		return written{}, errNoETag
	}
	return written{etag: *etag, version: shownVersion(version)}, nil
}

// errNoETag is the cause if an answer reports success without an ETag. The answer may not be
// Azure's.
var errNoETag = errors.New("the answer has no ETag")

// hasStatus reports whether err is an answer of Azure with that status.
func hasStatus(err error, status int) bool {
	response, ok := errors.AsType[*azcore.ResponseError](err)
	return ok && response.StatusCode == status && !isOfAnother(response)
}
