package blobtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestIfTags(t *testing.T) {
	t.Parallel()
	srv := newReadable(t, blobtest.Options{})
	srv.GrantOwner(alice, "docs", "")
	srv.Update("docs", "a", func(p *blobtest.Properties) {
		p.Tags = map[string]string{"project": "x", "rank": "20", "due date": "2026-11-25", "and": "or"}
	})
	for predicate, status := range map[string]int{
		`project = 'x'`:                200,
		`"project"='x'`:                200,
		`project <> 'y'`:               200,
		`rank > '10' AND rank <= '20'`: 200,
		`rank > '10' and "due date" >= '2026' And project='x'`: 200,
		`project = 'y' OR rank = '20'`:                         200,
		`project = 'x' OR rank = '1' AND rank = '2'`:           200, // AND binds more
		`"and" = 'or'`:      200,
		`((project = 'x'))`: 200,
		`(project = 'y' OR rank = '20') AND project='x'`: 200,
		`project = 'y'`:  412,
		`project <> 'x'`: 412,
		`none = ''`:      412,
		`none <> 'x'`:    412, // as NULL
		`(project = 'x' OR rank = '1') AND rank = '2'`: 412,
		`rank > '20' OR rank < '20'`:                   412,
		`project`:                                      400,
		`project = x`:                                  400,
		`project = "x"`:                                400,
		`NOT project = 'x'`:                            400,
		`project LIKE 'x'`:                             400,
		`(project = 'x'`:                               400,
		`project = 'x')`:                               400,
		`project = 'x' AND`:                            400,
		`project = 'x' XOR rank = '1'`:                 400,
		`@container = 'docs'`:                          400,
		`()`:                                           400,
		strings.Repeat(`rank = '20' AND `, 10) + `rank = '20'`:                200,
		strings.Repeat(`rank = '20' AND `, 11) + `rank = '20'`:                400,
		strings.Repeat(`(`, 5000) + `rank = '20'` + strings.Repeat(`)`, 5000): 400,
	} {
		code := map[int]string{200: "", 412: "ConditionNotMet", 400: "InvalidHeaderValue"}[status]
		short := predicate[:min(len(predicate), 60)]
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			check(t, method+" "+short, send(t, srv, method, "/docs/a", "x-ms-if-tags", predicate), status, code)
		}
		check(t, "tags "+short, send(t, srv, http.MethodGet, "/docs/a?comp=tags", "x-ms-if-tags", predicate), status, code)
	}
	check(t, "no such blob", send(t, srv, http.MethodGet, "/docs/none", "x-ms-if-tags", "a = 'b'"), 404, "BlobNotFound")

	// A condition on tags requires the right to read tags, which a Reader lacks.
	srv.Revoke(alice)
	srv.Grant(alice, "docs", "")
	check(t, "a Reader, met", send(t, srv, http.MethodGet, "/docs/a", "x-ms-if-tags", "project = 'x'"), 403, "AuthorizationPermissionMismatch")
	check(t, "a Reader, not met", send(t, srv, http.MethodGet, "/docs/a", "x-ms-if-tags", "project = 'y'"), 412, "ConditionNotMet")

	lake := newReadable(t, blobtest.Options{HierarchicalNamespace: true})
	check(t, "hierarchical namespace", send(t, lake, http.MethodGet, "/docs/a", "x-ms-if-tags", "a = 'b'"), 400, "UnsupportedHeader")
}

// As azblob sends them.
func TestIfTagsOfAzblob(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("x"), "")
	srv.Update("docs", "a", func(p *blobtest.Properties) { p.Tags = map[string]string{"project": "x"} })
	_, err := docs.NewBlobClient("a").DownloadStream(t.Context(), &blob.DownloadStreamOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfTags: new("project = 'y'")}},
	})
	if !hasCode(err, 412, bloberror.ConditionNotMet) {
		t.Errorf("got %v, want 412 %s", err, bloberror.ConditionNotMet)
	}
}

// Several conditions at once: If-Match && If-Unmodified-Since && (If-None-Match || If-Modified-Since).
func TestCombinedConditions(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	srv := newReadable(t, blobtest.Options{Now: time.Now})
	etag := send(t, srv, http.MethodHead, "/docs/a").header.Get("ETag")
	before, after := now.AddDate(-50, 0, 0).Format(http.TimeFormat), now.AddDate(50, 0, 0).Format(http.TimeFormat)
	const other = `"0x1"`
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"match":                          {[]string{"If-Match", etag}, 200},
		"match without quotes":           {[]string{"If-Match", strings.Trim(etag, `"`)}, 200},
		"one of several":                 {[]string{"If-Match", other + ", " + etag}, 200},
		"one of several lines":           {[]string{"If-Match", other, "If-Match", etag}, 200},
		"none of several":                {[]string{"If-Match", other + `,"0x2"`}, 412},
		"match, changed since":           {[]string{"If-Match", etag, "If-Unmodified-Since", before}, 412},
		"match, unchanged":               {[]string{"If-Match", etag, "If-Unmodified-Since", after}, 200},
		"other, unchanged":               {[]string{"If-Match", other, "If-Unmodified-Since", after}, 412},
		"match, no news":                 {[]string{"If-Match", etag, "If-Modified-Since", after}, 304},
		"other, no news":                 {[]string{"If-Match", other, "If-Modified-Since", after}, 412},
		"known, news":                    {[]string{"If-None-Match", etag, "If-Modified-Since", before}, 200},
		"unknown, no news":               {[]string{"If-None-Match", other, "If-Modified-Since", after}, 200},
		"known, no news":                 {[]string{"If-None-Match", etag, "If-Modified-Since", after}, 304},
		"known among several":            {[]string{"If-None-Match", other + "," + etag}, 304},
		"any":                            {[]string{"If-None-Match", "*"}, 304},
		"all, with a change in between":  {[]string{"If-Match", etag, "If-None-Match", etag, "If-Modified-Since", after, "If-Unmodified-Since", before}, 412},
		"all, and only no news is unmet": {[]string{"If-Match", etag, "If-None-Match", other, "If-Modified-Since", after, "If-Unmodified-Since", after}, 200},
		"an invalid date":                {[]string{"If-Modified-Since", "yesterday"}, 400},
		"two dates":                      {[]string{"If-Unmodified-Since", after, "If-Unmodified-Since", after}, 400},
		"an invalid lease":               {[]string{"x-ms-lease-id", "x"}, 400},
		"a lease":                        {[]string{"x-ms-lease-id", "11111111-2222-3333-4444-555555555555"}, 412},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if got := send(t, srv, method, "/docs/a", c.headers...); got.status != c.status {
				t.Errorf("%s %s: %d %s, want %d", method, name, got.status, got.header.Get("x-ms-error-code"), c.status)
			}
		}
	}
	lease := []string{"x-ms-lease-id", "11111111-2222-3333-4444-555555555555"}
	check(t, "no lease", send(t, srv, http.MethodGet, "/docs/a", lease...), 412, "LeaseNotPresentWithBlobOperation")
	srv.Update("docs", "a", func(p *blobtest.Properties) { p.LeaseState, p.LeaseDuration = "leased", "infinite" })
	check(t, "another's lease", send(t, srv, http.MethodGet, "/docs/a", lease...), 412, "LeaseIdMismatchWithBlobOperation")
	check(t, "tags under another's lease", send(t, srv, http.MethodHead, "/docs/a", lease...), 412, "LeaseIdMismatchWithBlobOperation")
}
