package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Codes of errors, as Graph and Entra's directory write them.
const (
	CodeNotFound  = "Request_ResourceNotFound"
	CodeForbidden = "Authorization_RequestDenied"
	CodeMultiple  = "Request_MultipleObjectsWithSameKeyValue"
	CodeConflict  = "Directory_ConcurrencyViolation"
	CodeQuota     = "Directory_QuotaExceeded"

	DetailConflict  = "ObjectConflict"
	DetailNoBacking = "NoBackingApplicationObject"
)

// An Error is a refusal by Graph, or an answer that isn't Graph's.
type Error struct {
	Method, Path string
	Status       int
	Code         string // Graph's, or "" if the answer isn't one of Graph's
	Details      []string
	Message      string
	RequestID    string
	Skew         time.Duration // by how much this machine's clock is ahead of Graph's, for status 401
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: Microsoft Graph answered %d", e.Method, withoutQuery(e.Path), e.Status)
	if e.Code == "" {
		return b.String() + ", but not in its format: a proxy or another server answers for it (" + e.Message + ")"
	}
	b.WriteString(" " + e.Code)
	if len(e.Details) > 0 {
		b.WriteString(" (" + strings.Join(e.Details, ", ") + ")")
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Skew.Abs() >= clockTolerance {
		fmt.Fprintf(&b, " This machine's clock is off by %v: set it.", e.Skew.Round(time.Second))
	}
	if e.RequestID != "" {
		b.WriteString(" [request-id " + e.RequestID + "]")
	}
	return b.String()
}

// withoutQuery makes a path readable: the queries name all members.
func withoutQuery(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// clockTolerance is Microsoft's clock skew.
const clockTolerance = 5 * time.Minute

// Has reports whether the code or one of the details is this one.
func (e *Error) Has(code string) bool { return e.Code == code || slices.Contains(e.Details, code) }

// isForeign reports whether err is an answer that isn't Graph's.
func isForeign(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == ""
}

// IsNotFound reports whether err says that there is no such object (yet).
func IsNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound && e.Code != ""
}

// IsUnknown reports whether the request may have taken effect despite err: Graph did not answer, or failed.
func IsUnknown(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return !ok || e.Code == "" || e.Status >= 500
}

// IsForbidden reports whether err says that the sign-in lacks a permission or a role.
func IsForbidden(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && e.Code != "" && e.Code != CodeQuota && !e.notYet()
}

// IsExisting reports whether err says that what was to be made is there.
func IsExisting(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Status == http.StatusConflict && e.Code != CodeConflict ||
		e.Status == http.StatusBadRequest && strings.Contains(e.Message, "already exists")
}

// IsNotYet reports whether err can mean that Graph has not replicated an object that was just made,
// or that it is being changed at this moment.
func IsNotYet(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusNotFound && e.Code != "" || e.Code == CodeConflict || e.notYet())
}

// notYet knows the refusals that don't say 404.
func (e *Error) notYet() bool {
	if e.Has(DetailNoBacking) || e.Has(codeNoBlueprintPrincipal) {
		return true
	}
	message := strings.ToLower(e.Message)
	return slices.ContainsFunc([]string{
		"does not reference a valid application object",
		"queried reference-property objects are not present",
		"not a valid reference update",
		"backing application of the service principal",
		"references permission ids", // of a scope that was just made
	}, func(text string) bool { return strings.Contains(message, text) })
}

// readError reads an error's body.
func readError(method, path string, response *http.Response, body []byte, now time.Time) *Error {
	e := &Error{Method: method, Path: path, Status: response.StatusCode, RequestID: response.Header.Get("Request-Id")}
	var answer struct {
		Error struct {
			Code, Message string
			Details       []struct{ Code, Message string }
			InnerError    map[string]any `json:"innerError"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error.Code == "" {
		e.Message = fmt.Sprintf("content type %q, server %q", bounded(response.Header.Get("Content-Type")), bounded(response.Header.Get("Server")))
		if to, err := response.Location(); err == nil {
			e.Message += fmt.Sprintf(", redirect to %q", bounded(to.Host))
		}
		return e
	}
	e.Code, e.Message = bounded(answer.Error.Code), bounded(answer.Error.Message)
	for _, d := range answer.Error.Details {
		if d.Code != "" {
			e.Details = append(e.Details, bounded(d.Code))
		}
	}
	if id, ok := answer.Error.InnerError["request-id"].(string); ok && e.RequestID == "" {
		e.RequestID = bounded(id)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil && e.Status == http.StatusUnauthorized {
		e.Skew = now.Sub(date)
	}
	return e
}

// bounded is one line of at most 500 bytes.
func bounded(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
