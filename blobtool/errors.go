package blobtool

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/blobtool/internal/fault"
)

// Kinds of [Error], for errors.Is.
var (
	// ErrConfiguration: an argument of [New] or [NewAccount] is invalid.
	ErrConfiguration = errors.New("configuration")
	// ErrInvalidPath: the blob path breaks Azure's rules or is unsafe.
	ErrInvalidPath = fault.ErrInvalidPath
	// ErrInvalidArgument: another argument of the call is wrong.
	ErrInvalidArgument = fault.ErrInvalidArgument
	// ErrNotAllowed: [Options.Allow] does not include the blob or container, or a policy
	// of the server closes it to the caller.
	ErrNotAllowed = errors.New("not offered")
	// ErrNoUser: a copy is to be saved, but the call has no user.
	ErrNoUser = errors.New("no user")
	// ErrCredential: there is no token for Azure Storage on behalf of the user.
	ErrCredential = errors.New("no token for storage")
	// ErrNotFound: there is no such blob, container or account.
	ErrNotFound = errors.New("not found")
	// ErrPermission: Azure answered 403, because the user lacks a role or because a
	// firewall rejected the request: the account's, or one in between.
	ErrPermission = errors.New("no permission")
	// ErrWrongAudience: Azure rejected the token (401): it is for another resource or
	// tenant, or expired.
	ErrWrongAudience = errors.New("token refused")
	// ErrThrottled: the service asks for fewer requests (429, 503 ServerBusy).
	ErrThrottled = fault.ErrThrottled
	// ErrUnavailable: the service can't be reached or fails.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrChanged: the blob was replaced while it was being read, or does not have the ETag
	// that a write requires.
	ErrChanged = errors.New("blob changed")
	// ErrDirectory: the blob is a directory of a hierarchical namespace, not a file.
	ErrDirectory = fault.ErrDirectory
	// ErrTooLarge: the content exceeds a limit of this package, such as the size to
	// which packed content may unpack.
	ErrTooLarge = fault.ErrTooLarge
	// ErrExists: a blob that a write would make is there already.
	ErrExists = errors.New("blob exists")
	// ErrLocked: a lease, an immutability policy or a legal hold forbids the write, or another
	// upload is under way, or the name is that of a deleted blob that can still be restored.
	ErrLocked = errors.New("blob locked")
	// ErrNotConfirmed: nobody confirmed a write that destroys something.
	ErrNotConfirmed = errors.New("not confirmed")
	// ErrUncertain: the answer to a write was lost, and what is there now does not tell
	// whether the write was carried out.
	ErrUncertain = errors.New("outcome unknown")
	// ErrUnsupported: the state of the blob or account does not allow reading, as in
	// the Archive tier.
	ErrUnsupported = fault.ErrUnsupported
)

// An Error describes a failed call: Error returns the text for logs, UserText the text for
// the caller. It unwraps to its Kind and its cause. The cause may be an
// *azcore.ResponseError, whose text contains the host and the response's body.
type Error struct {
	Kind       error         // one of the sentinels of this package
	Status     int           // HTTP status of the service's answer, 0 if none
	Code       string        // Azure's error code, if any
	RequestID  string        // x-ms-request-id of the answer, if any
	RetryAfter time.Duration // from the answer's Retry-After, 0 if absent

	text    string // for the caller
	cause   error  // for the log, may be nil
	between bool   // a proxy answered, not Azure
}

// UserText says what went wrong and what to do, for a model or a person. It contains no
// host names and nothing from Azure except the error code and the request ID.
func (e *Error) UserText() string {
	var facts []string
	if e.Code != "" {
		facts = append(facts, "Azure's code: "+e.Code)
	}
	if e.RequestID != "" {
		facts = append(facts, "x-ms-request-id: "+e.RequestID)
	}
	if len(facts) == 0 {
		return e.text
	}
	return e.text + " (" + strings.Join(facts, ", ") + ")"
}

// Error describes the failure for a log. It has no response body.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "blobtool: %v: %s", e.Kind, e.text)
	switch {
	case e.Status != 0:
		fmt.Fprintf(&b, " (status %d, code %q, x-ms-request-id %q)", e.Status, e.Code, e.RequestID)
	case e.cause != nil:
		if response, ok := errors.AsType[*azcore.ResponseError](e.cause); ok { // its text has the body
			fmt.Fprintf(&b, ": status %d, code %q", response.StatusCode, printable(response.ErrorCode))
			break
		}
		fmt.Fprintf(&b, ": %v", e.cause)
	}
	return b.String()
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// failuref returns an error without a cause.
func failuref(kind error, format string, args ...any) *Error {
	return &Error{Kind: kind, text: fmt.Sprintf(format, args...)}
}

// configurationError names the field that is wrong.
func configurationError(field string, err error) *Error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return failuref(ErrConfiguration, "%s %v", field, err)
	}
	text := make([]string, 0, 2)
	for _, one := range joined.Unwrap() {
		text = append(text, fmt.Sprintf("%s %v", field, one))
	}
	return failuref(ErrConfiguration, "%s", strings.Join(text, "; "))
}

// errorOf returns the Error in err's chain, converting those of inner packages, or nil.
func errorOf(err error) *Error {
	if ours, ok := errors.AsType[*Error](err); ok {
		return ours
	}
	if inner, ok := errors.AsType[*fault.Error](err); ok {
		return &Error{Kind: inner.Kind, text: inner.Text, cause: inner.Cause}
	}
	return nil
}

// recovered is deferred in goroutines of a call: a panic there would end the process,
// whatever recovers those of the call's own.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &Error{Kind: ErrUnavailable, text: "The server failed while it handled this call. Its log says why", cause: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
	}
}

// public returns err as callers and middleware see it.
func public(err error) error {
	if e := errorOf(err); e != nil {
		return e
	}
	return err
}

// userText returns an error's text for the caller, if it has one.
func userText(err error) (string, bool) {
	var shown interface {
		error
		UserText() string
	}
	if !errors.As(err, &shown) {
		return "", false
	}
	return shown.UserText(), true
}

func quote(s string) string { return fault.Quote(s) }

// printable returns s if it looks like a code or an ID, and otherwise an empty string:
// results must not contain arbitrary text from the service.
func printable(s string) string {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' {
			return ""
		}
	}
	if len(s) > 100 {
		return ""
	}
	return s
}
