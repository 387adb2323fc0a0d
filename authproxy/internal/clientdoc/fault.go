package clientdoc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// Kinds of faults, which the errors of a [Fetcher] wrap.
var (
	ErrURL         = errors.New("the URL can't be one of a client")
	ErrInvalid     = errors.New("the document is invalid")
	ErrUnavailable = errors.New("the document can't be fetched")
	ErrBusy        = errors.New("too many fetches")
	ErrNoKey       = errors.New("the key set has no such key")
)

// A fault is an error of the client's. The client may read the reason.
type fault struct {
	kind   error
	reason string
}

func (f *fault) Error() string { return f.kind.Error() + ": " + f.reason }
func (f *fault) Unwrap() error { return f.kind }

// invalidf returns an ErrInvalid. Its reason is ASCII, without anything of the document.
func invalidf(format string, args ...any) error {
	return &fault{ErrInvalid, fmt.Sprintf(format, args...)}
}

// A busyError says that a fetch would be one too many, of the host or of all.
type busyError struct {
	host       bool
	retryAfter time.Duration
}

func (e *busyError) Error() string {
	if e.host {
		return fmt.Sprintf("%v: %d in a minute from this host", ErrBusy, maxPerHost)
	}
	return fmt.Sprintf("%v at once", ErrBusy)
}

func (e *busyError) Unwrap() error { return ErrBusy }

// answer turns an error into one for the client. It doesn't tell why a host can't be reached:
// strangers would learn about the names and ports of our network.
func answer(what string, err error) *oauth.Error {
	out := &oauth.Error{Code: oauth.InvalidClient, Status: http.StatusUnauthorized, Cause: err}
	if f, ok := errors.AsType[*fault](err); ok {
		out.Description = fmt.Sprintf("the %s can't be used: %s", what, f.reason)
		return out
	}
	out.Code, out.Status, out.RetryAfter = oauth.TemporarilyUnavailable, http.StatusServiceUnavailable, 5*time.Second
	switch busy, ok := errors.AsType[*busyError](err); {
	case ok:
		out.RetryAfter = busy.retryAfter
		out.Description = fmt.Sprintf("this server fetches too many documents at once to fetch the %s; try again later", what)
		if busy.host {
			out.Status = http.StatusTooManyRequests
			out.Description = fmt.Sprintf("this server has fetched too often from the host of the %s; try again later", what)
		}
	case errors.Is(err, context.Canceled):
		out.Description = fmt.Sprintf("the request ended before the %s was there", what)
	default:
		out.Description = fmt.Sprintf("the %s can't be fetched: its host must have public addresses alone and answer within %v over https; try again later", what, fetchTimeout)
	}
	return out
}
