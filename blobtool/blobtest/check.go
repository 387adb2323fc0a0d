package blobtest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// The server never silently ignores a part of a request: it rejects Azure's parameters and headers
// that it does not support for the operation, with one of Azure's codes.

// commonHeaders are Azure's headers that every request may have.
var commonHeaders = []string{
	"X-Ms-Version", "X-Ms-Date", "X-Ms-Client-Request-Id", "X-Ms-Return-Client-Request-Id", "X-Ms-Useragent",
}

// An acceptance is the additional parameters and headers of one kind of request.
type acceptance struct {
	parameters []string
	headers    []string
	metadata   bool // x-ms-meta-NAME
}

var accepted = map[Operation]acceptance{
	OpListContainers:           {parameters: []string{"prefix", "marker", "maxresults", "include"}},
	OpFindBlobsByTags:          {parameters: []string{"where", "marker", "maxresults"}},
	OpFindBlobsByTagsContainer: {parameters: []string{"where", "marker", "maxresults"}},
	OpListBlobs:                {parameters: []string{"prefix", "delimiter", "marker", "maxresults", "include", "showonly"}},
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
		headers:    append([]string{"X-Ms-Lease-Id"}, tagsConditions.headers()...),
	},
	OpGetBlockList: {parameters: []string{"snapshot", "versionid", "blocklisttype"}, headers: []string{"X-Ms-Lease-Id", "X-Ms-If-Tags"}},

	OpPutBlob: {headers: slices.Concat(creating, blobHeaders, []string{crc64Checksum}), metadata: true},
	OpPutBlobFromURL: {metadata: true, headers: slices.Concat(creating, blobHeaders, sourceHeaders,
		[]string{"X-Ms-Source-If-Tags", "X-Ms-Copy-Source-Blob-Properties", "X-Ms-Copy-Source-Tag-Option"})},
	OpCopyBlobFromURL: {metadata: true, headers: slices.Concat(creating, sourceHeaders, []string{"X-Ms-Requires-Sync", "X-Ms-Copy-Source-Tag-Option"})},
	OpPutBlock:        {parameters: []string{"blockid"}, headers: []string{"X-Ms-Lease-Id", crc64Checksum}},
	OpPutBlockFromURL: {parameters: []string{"blockid"},
		headers: append([]string{"X-Ms-Lease-Id", "X-Ms-Source-Range", "X-Ms-Source-Content-Crc64"}, sourceHeaders...)},
	OpPutBlockList:      {headers: slices.Concat(creating, blobHeaders, []string{crc64Checksum}), metadata: true},
	OpAppendBlock:       {headers: append([]string{crc64Checksum, "X-Ms-Blob-Condition-Maxsize", "X-Ms-Blob-Condition-Appendpos"}, changing...)},
	OpSetBlobMetadata:   {headers: changing, metadata: true},
	OpSetBlobProperties: {headers: slices.Concat(changing, blobHeaders)},
	OpSetBlobTags:       {parameters: []string{"versionid"}, headers: append([]string{"X-Ms-Lease-Id", crc64Checksum}, tagsConditions.headers()...)},
	OpSnapshotBlob:      {headers: changing, metadata: true},
	OpLeaseBlob:         {headers: append([]string{"X-Ms-Lease-Action", "X-Ms-Lease-Duration", "X-Ms-Lease-Break-Period", "X-Ms-Proposed-Lease-Id"}, changing...)},
	OpDeleteBlob:        {parameters: []string{"snapshot", "versionid"}, headers: append([]string{"X-Ms-Delete-Snapshots"}, changing...)},
	OpUndeleteBlob:      {headers: []string{"X-Ms-Undelete-Source"}},
}

// The headers of requests that change a blob, and of those that make one.
var (
	changing = append([]string{"X-Ms-Lease-Id"}, conditionHeaders...)
	creating = append([]string{"X-Ms-Blob-Type", "X-Ms-Tags", "X-Ms-Access-Tier"}, changing...)
)

// checkRequest rejects what the operation does not support or what can't be parsed. It reports
// whether to continue.
func (x *exchange) checkRequest() bool {
	return x.checkParameters() && x.checkHeaders() && x.checkConditions() && x.checkHashes()
}

// checkParameters checks the query.
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

// checkQuery rejects a query that can't be parsed, before the operation is checked.
func (x *exchange) checkQuery() bool {
	if _, err := url.ParseQuery(x.r.URL.RawQuery); err != nil {
		x.invalidQuery()
		return false
	}
	return true
}

// checkHeaders checks which headers the request has.
func (x *exchange) checkHeaders() bool {
	known := accepted[x.operation].headers
	for name, values := range x.r.Header {
		switch {
		case accepted[x.operation].metadata && strings.HasPrefix(name, metadataPrefix): // checked with its value
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
	for _, name := range []string{"X-Ms-If-Tags", "X-Ms-Tags", "X-Ms-Copy-Source-Tag-Option"} {
		if x.opts.HierarchicalNamespace && x.r.Header.Get(name) != "" {
			x.unsupportedHeader(name)
			return false
		}
	}
	return true
}

func (x *exchange) unsupportedHeader(name string) {
	x.failWith(http.StatusBadRequest, errorBody{
		Code: "UnsupportedHeader", Message: "One of the HTTP headers specified in the request is not supported.", HeaderName: strings.ToLower(name),
	})
}

// oldest is the first version of the service that accepts Entra's tokens.
const oldest = "2017-11-09"

// checkVersion checks x-ms-version and reports whether to continue. A request without it counts as
// the newest version, although Azure rejects it. Versions up to a year ahead are accepted.
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

// Names of containers: 3 to 63 lower-case letters, digits and single hyphens, with a letter or
// digit at both ends; or one of the service's own.
var (
	containerName = regexp.MustCompile(`^[a-z0-9](?:-?[a-z0-9])*$`)
	systemName    = regexp.MustCompile(`^\$(?:root|web|logs|blobchangefeed)$`)
)

// Limits on a blob's name.
const (
	maxNameLength = 1024 // characters
	maxSegments   = 254
)

// checkNames rejects a request for a container or blob whose name is invalid, and reports whether
// to continue. It rejects paths with dot segments, whose meaning depends on who removes them.
func (x *exchange) checkNames() bool {
	segments := strings.Split(x.blob, "/")
	switch n := len(x.container); {
	case n == 0 || systemName.MatchString(x.container):
	case n < 3 || n > 63:
		x.nameTooLong()
		return false
	case !containerName.MatchString(x.container):
		x.fail(http.StatusBadRequest, "InvalidResourceName", "The specified resource name contains invalid characters.", "")
		return false
	}
	switch {
	case utf8.RuneCountInString(x.blob) > maxNameLength:
		x.nameTooLong()
	case len(segments) > maxSegments || !utf8.ValidString(x.blob) || strings.Contains(x.blob, "\x00") || hasDots(segments):
		x.fail(http.StatusBadRequest, "InvalidUri", "The requested URI does not represent any resource on the server.", "")
	default:
		return true
	}
	return false
}

func (x *exchange) nameTooLong() {
	x.fail(http.StatusBadRequest, "OutOfRangeInput", "The specified resource name length is not within the permissible limits.", "")
}

func hasDots(segments []string) bool {
	for _, s := range segments {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

// All of Azure's operations at each level, by comp.
var (
	accountComps   = []string{"list", "blobs", "properties", "stats", "userdelegationkey", "batch"}
	containerComps = []string{"", "list", "blobs", "metadata", "acl", "lease", "undelete", "rename", "batch", "properties"}
	blobComps      = []string{
		"", "metadata", "properties", "tags", "snapshot", "lease", "block", "blocklist", "page", "pagelist", "copy", "incrementalcopy", "appendblock",
		"tier", "undelete", "expiry", "query", "seal", "immutabilitypolicies", "legalhold",
	}
)

// checkOperation rejects operations that are not supported, and reports whether to continue: 405
// for operations that Azure has, 400 for others.
func (x *exchange) checkOperation() bool {
	ours := x.ours
	q := x.r.URL.Query()
	comps, restypes := blobComps, []string{"", "account"}
	switch {
	case x.container == "":
		comps, restypes = accountComps, []string{"", "service", "account"}
	case x.blob == "":
		comps, restypes = containerComps, []string{"container", "account"}
	}
	isRead := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	isAzures := slices.Contains(comps, strings.ToLower(q.Get("comp"))) && slices.Contains(restypes, q.Get("restype"))
	switch {
	case ours && x.operation != "" && (!x.operation.ofTags() || !x.opts.HierarchicalNamespace):
		return true
	case !isRead, ours && isAzures && x.operation == "":
		x.fail(http.StatusMethodNotAllowed, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.", "")
	case ours && q.Get("comp") != "":
		x.invalidParameter("comp")
	default:
		x.invalidQuery()
	}
	return false
}
