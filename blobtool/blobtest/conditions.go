package blobtest

import (
	"net/http"
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

// dateConditions are the headers of conditions with a date.
var dateConditions = []string{
	"If-Modified-Since", "If-Unmodified-Since", "X-Ms-Blob-If-Modified-Since", "X-Ms-Blob-If-Unmodified-Since",
	"X-Ms-Source-If-Modified-Since", "X-Ms-Source-If-Unmodified-Since",
}

// hasMultiple reports whether a write has If-Match beside If-None-Match, or several ETags. That
// Azure rejects the latter is a guess.
func (x *exchange) hasMultiple() bool {
	for _, s := range []conditionSet{plainConditions, tagsConditions, sourceConditions} {
		match, none := x.r.Header.Values(s.prefix+"If-Match"), x.r.Header.Values(s.prefix+"If-None-Match")
		if len(match)+len(none) > 1 || strings.Contains(strings.Join(append(match, none...), ""), ",") {
			return true
		}
	}
	return false
}

// checkConditions rejects conditions that can't be parsed, and reports whether to continue.
func (x *exchange) checkConditions() bool {
	for _, name := range dateConditions {
		if values := x.r.Header.Values(name); len(values) > 0 {
			if _, err := http.ParseTime(values[0]); err != nil || len(values) > 1 {
				x.invalidHeader(name)
				return false
			}
		}
	}
	for _, name := range []string{plainConditions.tags, sourceConditions.tags} {
		if v := x.r.Header.Get(name); v != "" {
			if _, err := parsePredicate(v); err != nil {
				x.invalidHeader(name)
				return false
			}
		}
	}
	if x.operation.writes() && x.hasMultiple() {
		x.fail(http.StatusBadRequest, "MultipleConditionHeadersNotSupported", "Multiple condition headers are not supported.", "")
		return false
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
	return x.r.Header.Get("X-Ms-If-Tags") != "" && !x.allowed(x.caller, need{x.container, x.blob, owner})
}

// leaseMismatch evaluates x-ms-lease-id of a read and reports whether it has responded.
func (x *exchange) leaseMismatch(b *storedBlob) bool {
	switch given := x.r.Header.Get("X-Ms-Lease-Id"); {
	case given == "", b.leaseStatus() == "locked" && strings.EqualFold(given, b.leaseID):
		return false
	case b.leaseStatus() == "locked":
		x.refuse(leaseMismatch)
	default:
		x.refuse(leaseNotPresent)
	}
	return true
}

// A conditionSet are the headers of conditions on one blob: the target, the target of a request
// about its tags, or the source of a copy.
type conditionSet struct{ prefix, tags string }

var (
	plainConditions  = conditionSet{"", "X-Ms-If-Tags"}
	tagsConditions   = conditionSet{"X-Ms-Blob-", "X-Ms-If-Tags"}
	sourceConditions = conditionSet{"X-Ms-Source-", "X-Ms-Source-If-Tags"}
)

// headers returns the names of the set's headers.
func (s conditionSet) headers() []string {
	return []string{s.prefix + "If-Match", s.prefix + "If-None-Match", s.prefix + "If-Modified-Since", s.prefix + "If-Unmodified-Since", s.tags}
}

// unmetWrite evaluates the conditions of a write on a blob, nil if there is none. What Azure says
// to a condition on dates or tags of no blob is unknown; here it is not met.
func (x *exchange) unmetWrite(s conditionSet, b *storedBlob) *refusal {
	h := x.r.Header
	match, noneMatch, tags := h.Get(s.prefix+"If-Match"), h.Get(s.prefix+"If-None-Match"), h.Get(s.tags)
	since, err := http.ParseTime(h.Get(s.prefix + "If-Modified-Since"))
	until, err2 := http.ParseTime(h.Get(s.prefix + "If-Unmodified-Since"))
	if b == nil {
		if match != "" || tags != "" || err == nil || err2 == nil {
			return conditionNotMet
		}
		return nil
	}
	modified := b.modified.Truncate(time.Second)
	switch {
	case noneMatch == "*" && s == plainConditions && !x.onExisting():
		return blobExists
	case match != "" && !matchesETag(match, b.etag),
		noneMatch != "" && matchesETag(noneMatch, b.etag) && (noneMatch != "*" || x.operation != OpDeleteBlob),
		err == nil && !modified.After(since), err2 == nil && modified.After(until):
		return conditionNotMet
	}
	if holds, err := parsePredicate(tags); tags != "" && (err != nil || !holds(b.Tags)) {
		return conditionNotMet
	}
	return nil
}

// onExisting reports whether the operation needs a blob that exists: If-None-Match: * then means
// nothing that could be met. Azure ignores it on Delete Blob, as live tests of others show.
func (x *exchange) onExisting() bool {
	switch x.operation {
	case OpPutBlob, OpPutBlobFromURL, OpCopyBlobFromURL, OpPutBlockList:
		return false
	default:
		return true
	}
}
