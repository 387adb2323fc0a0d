package blobtest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Nothing that a request asks for is silently ignored: a parameter or a header of Azure's that has
// no meaning here for the operation is refused, with one of Azure's codes.

// commonHeaders are the headers of Azure's that every request may have.
var commonHeaders = []string{
	"X-Ms-Version", "X-Ms-Date", "X-Ms-Client-Request-Id", "X-Ms-Return-Client-Request-Id", "X-Ms-Useragent",
}

// An acceptance is what else requests of one kind may have.
type acceptance struct {
	parameters []string
	headers    []string
}

var accepted = map[Operation]acceptance{
	OpListContainers:           {parameters: []string{"prefix", "marker", "maxresults", "include"}},
	OpFindBlobsByTags:          {parameters: []string{"where", "marker", "maxresults"}},
	OpFindBlobsByTagsContainer: {parameters: []string{"where", "marker", "maxresults"}},
	OpListBlobs:                {parameters: []string{"prefix", "delimiter", "marker", "maxresults", "include"}},
	OpGetContainerProperties:   {headers: []string{"X-Ms-Lease-Id"}},
	OpGetBlob: {
		parameters: []string{"snapshot", "versionid"},
		headers:    append([]string{"X-Ms-Lease-Id", "X-Ms-Range", "X-Ms-Range-Get-Content-Md5", "X-Ms-Range-Get-Content-Crc64"}, conditionHeaders...),
	},
	OpGetBlobProperties: {
		parameters: []string{"snapshot", "versionid"},
		headers:    append([]string{"X-Ms-Lease-Id"}, conditionHeaders...),
	},
	OpGetBlobTags: {
		parameters: []string{"snapshot", "versionid"},
		headers:    []string{"X-Ms-Lease-Id", "X-Ms-If-Tags"},
	},
}

var leaseID = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// checkRequest refuses what the operation does not know or can't read, and reports whether to go on.
func (x *exchange) checkRequest() bool {
	return x.checkParameters() && x.checkHeaders() && x.checkConditions() && x.checkHashes()
}

// checkParameters judges the query.
func (x *exchange) checkParameters() bool {
	q := x.r.URL.Query()
	for name, values := range q {
		switch {
		case !slices.Contains([]string{"comp", "restype", "timeout"}, name) && !slices.Contains(accepted[x.operation].parameters, name):
			x.failWith(http.StatusBadRequest, errorBody{
				Code: "UnsupportedQueryParameter", Message: "One of the query parameters specified in the request URI is not supported.", QueryName: name,
			})
			return false
		case len(values) > 1:
			x.invalidParameter(name)
			return false
		}
	}
	if _, err := strconv.ParseUint(q.Get("timeout"), 10, 31); q.Has("timeout") && err != nil {
		x.invalidParameter("timeout")
		return false
	}
	for _, name := range []string{"snapshot", "versionid"} {
		if _, err := time.Parse(time.RFC3339Nano, q.Get(name)); q.Has(name) && err != nil {
			x.invalidParameter(name)
			return false
		}
	}
	if q.Has("snapshot") && q.Has("versionid") {
		x.invalidParameter("versionid")
		return false
	}
	return true
}

// checkQuery refuses a query that can't be read as a whole, before it says what is asked for.
func (x *exchange) checkQuery() bool {
	if _, err := url.ParseQuery(x.r.URL.RawQuery); err != nil {
		x.invalidQuery()
		return false
	}
	return true
}

// checkHeaders judges which headers there are.
func (x *exchange) checkHeaders() bool {
	known := accepted[x.operation].headers
	for name, values := range x.r.Header {
		switch {
		case slices.Contains(known, name) || slices.Contains(commonHeaders, name):
			if len(values) > 1 && name != "If-Match" && name != "If-None-Match" {
				x.invalidHeader(name)
				return false
			}
		case slices.Contains(conditionHeaders, name):
			x.fail(http.StatusBadRequest, "ConditionHeadersNotSupported", "Condition headers are not supported.", "")
			return false
		case strings.HasPrefix(name, "X-Ms-"), name == "If-Range":
			x.unsupportedHeader(name)
			return false
		}
	}
	if x.opts.HierarchicalNamespace && x.r.Header.Get("X-Ms-If-Tags") != "" {
		x.unsupportedHeader("X-Ms-If-Tags")
		return false
	}
	return true
}

func (x *exchange) unsupportedHeader(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "UnsupportedHeader", Message: "One of the HTTP headers specified in the request is not supported.", HeaderName: strings.ToLower(name),
	})
}

// invalidHeader answers that the value of a header is wrong.
func (x *exchange) invalidHeader(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "InvalidHeaderValue", Message: "The value for one of the HTTP headers is not in the correct format.",
		HeaderName: strings.ToLower(name), HeaderValue: strings.Join(x.r.Header.Values(name), ","),
	})
}

// invalidParameter answers that the value of a parameter is wrong.
func (x *exchange) invalidParameter(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "InvalidQueryParameterValue", Message: "Value for one of the query parameters specified in the request URI is invalid.",
		QueryName: name, QueryValue: strings.Join(x.r.URL.Query()[name], ","),
	})
}

// oldest is the first version of the service that takes Entra's tokens.
const oldest = "2017-11-09"

// checkVersion judges x-ms-version, and reports whether to go on. A request without it counts as
// one of the newest version, though Azure refuses it; versions to come are taken for a year ahead.
func (x *exchange) checkVersion() bool {
	version := x.r.Header.Get("X-Ms-Version")
	date, err := time.Parse(time.DateOnly, version)
	switch {
	case version == "":
		return true
	case err != nil || date.After(time.Now().AddDate(1, 0, 0)):
		x.w.Header().Del("x-ms-version")
		x.invalidHeader("X-Ms-Version")
		return false
	case version < oldest:
		x.fail(http.StatusForbidden, "AuthenticationFailed",
			"Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.",
			"Authentication scheme Bearer is not supported in this version.")
		return false
	}
	return true
}
