package blobtest

import (
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Conditional headers, as the service evaluates them for reads since version 2013-08-15:
//
//	If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since)
//
// and x-ms-if-tags and x-ms-lease-id.

// conditionHeaders are the headers that make an operation depend on the state of the blob.
var conditionHeaders = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "X-Ms-If-Tags"}

// checkConditions rejects conditions that can't be parsed, and reports whether to continue.
func (x *exchange) checkConditions() bool {
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		if values := x.r.Header.Values(name); len(values) > 0 {
			if _, err := http.ParseTime(values[0]); err != nil || len(values) > 1 {
				x.invalidHeader(name)
				return false
			}
		}
	}
	if v := x.r.Header.Get("X-Ms-If-Tags"); v != "" {
		if _, err := parsePredicate(v); err != nil {
			x.invalidHeader("X-Ms-If-Tags")
			return false
		}
	}
	if v := x.r.Header.Get("X-Ms-Lease-Id"); v != "" && !leaseID.MatchString(v) {
		x.invalidHeader("X-Ms-Lease-Id")
		return false
	}
	return true
}

// unmet evaluates the request's conditions and reports whether it has responded: with 412, or with
// 304 if the request only asks for changes since the last read.
func (x *exchange) unmet(b *storedBlob) bool {
	h := x.r.Header
	modified := b.modified.Truncate(time.Second)
	since := func(name string) (changed, asked bool) {
		t, err := http.ParseTime(h.Get(name))
		return modified.After(t), err == nil
	}
	match := strings.Join(h.Values("If-Match"), ",")
	noneMatch := strings.Join(h.Values("If-None-Match"), ",")
	changed, unmodifiedAsked := since("If-Unmodified-Since")
	news, modifiedAsked := since("If-Modified-Since")
	switch {
	case x.leaseMismatch(b):
	case match != "" && !matchesETag(match, b.etag), unmodifiedAsked && changed, !x.tagsMatch(b):
		x.conditionNotMet(http.StatusPreconditionFailed)
	case x.tagsForbidden():
		x.forbidden()
	case noneMatch != "" && !matchesETag(noneMatch, b.etag), modifiedAsked && news, noneMatch == "" && !modifiedAsked:
		return false
	default:
		x.w.Header().Set("ETag", b.etag)
		x.conditionNotMet(http.StatusNotModified)
	}
	return true
}

func (x *exchange) conditionNotMet(status int) {
	if status == http.StatusNotModified { // a 304 has no body
		x.w.Header().Set("x-ms-error-code", "ConditionNotMet")
		x.w.WriteHeader(status)
		return
	}
	x.fail(status, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.", "")
}

// matchesETag reports whether one of the ETags in the header is etag. It may be without quotes.
func matchesETag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag || tag == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

// tagsMatch reports whether the blob's tags match x-ms-if-tags.
func (x *exchange) tagsMatch(b *storedBlob) bool {
	v := x.r.Header.Get("X-Ms-If-Tags")
	if v == "" {
		return true
	}
	holds, err := parsePredicate(v)
	return err == nil && holds(b.Tags)
}

// tagsForbidden reports whether the request has a condition on tags that the caller may not read.
func (x *exchange) tagsForbidden() bool {
	return x.r.Header.Get("X-Ms-If-Tags") != "" && !x.allowed(x.caller, need{x.container, x.blob, true})
}

// leaseMismatch evaluates x-ms-lease-id and reports whether it has responded. The server keeps no
// lease IDs, so none ever matches.
func (x *exchange) leaseMismatch(b *storedBlob) bool {
	switch {
	case x.r.Header.Get("X-Ms-Lease-Id") == "":
		return false
	case b.leaseStatus() == "locked":
		x.fail(http.StatusPreconditionFailed, "LeaseIdMismatchWithBlobOperation", "The lease ID specified did not match the lease ID for the blob.", "")
	default:
		x.fail(http.StatusPreconditionFailed, "LeaseNotPresentWithBlobOperation", "There is currently no lease on the blob.", "")
	}
	return true
}

var leaseID = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
