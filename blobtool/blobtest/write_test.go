package blobtest_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// A writer is a client that may change blobs, and its server.
type writer struct {
	*testing.T
	srv *blobtest.Server
	*container.Client
}

// newWriter starts a server on which alice is Contributor and carol is Owner, and returns alice's
// client of the container docs.
func newWriter(t *testing.T, o blobtest.Options) *writer {
	t.Helper()
	srv := newServerWith(t, o)
	srv.AddContainer("docs")
	srv.GrantContributor(alice, "docs", "")
	srv.GrantOwner(carol, "", "")
	srv.Grant(bob, "docs", "")
	return (&writer{t, srv, nil}).as(alice)
}

// as returns the same with another user's client.
func (w *writer) as(oid string) *writer {
	c, _ := clientOf(w.T, w.srv, "docs", tokenOf(w.T, oid))
	return &writer{w.T, w.srv, c}
}

func body(text string) io.ReadSeekCloser { return readSeekCloser{strings.NewReader(text)} }

type readSeekCloser struct{ io.ReadSeeker }

func (readSeekCloser) Close() error { return nil }

func (w *writer) block(name string) *blockblob.Client { return w.NewBlockBlobClient(name) }

// put uploads a blob and returns its ETag.
func (w *writer) put(name, text string, o *blockblob.UploadOptions) (azcore.ETag, error) {
	resp, err := w.block(name).Upload(w.Context(), body(text), o)
	if err != nil {
		return "", err
	}
	return *resp.ETag, nil
}

// must fails the test on an error.
func (w *writer) must(what string, err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("%s: got %v, want nil", what, err)
	}
}

// refused checks the status and code of an error.
func (w *writer) refused(what string, err error, status int, code bloberror.Code) {
	w.Helper()
	if !hasCode(err, status, code) {
		if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
			w.Errorf("%s: got %d %s, want %d %s", what, r.StatusCode, r.ErrorCode, status, code)
			return
		}
		w.Errorf("%s: got %v, want %d %s", what, err, status, code)
	}
}

func (w *writer) props(name string) blob.GetPropertiesResponse {
	w.Helper()
	p, err := w.NewBlobClient(name).GetProperties(w.Context(), nil)
	w.must("properties of "+name, err)
	return p
}

// holds checks the content of a blob.
func (w *writer) holds(name, want string) {
	w.Helper()
	if got := content(w.T, w.NewBlobClient(name), nil); got != want {
		w.Errorf("%s holds %q, want %q", name, got, want)
	}
}

func access(m blob.ModifiedAccessConditions) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &m}
}

func leased(id string) *blob.AccessConditions {
	return &blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: &id}}
}

const anyETag = azcore.ETag("*")

func TestPutBlob(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	o := &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{
			BlobContentType: new("text/plain"), BlobContentLanguage: new("en"), BlobContentEncoding: new("identity"),
			BlobCacheControl: new("no-store"), BlobContentDisposition: new("inline"),
		},
		Metadata: map[string]*string{"author": new("alice")}, Tier: new(blob.AccessTierCool),
	}
	resp, err := w.block("a").Upload(t.Context(), body("abc"), o)
	w.must("put", err)
	sum := md5.Sum([]byte("abc"))
	p := w.props("a")
	if *p.ContentType != "text/plain" || *p.ContentLanguage != "en" || *p.ContentEncoding != "identity" || *p.CacheControl != "no-store" ||
		*p.ContentDisposition != "inline" || *p.Metadata["Author"] != "alice" || *p.AccessTier != "Cool" || *p.ETag != *resp.ETag ||
		!bytes.Equal(p.ContentMD5, sum[:]) || !bytes.Equal(resp.ContentMD5, sum[:]) || *p.BlobType != blob.BlobTypeBlockBlob {
		t.Errorf("got %+v, want what was sent", p)
	}
	w.holds("a", "abc")
	second, err := w.put("a", "new", nil)
	w.must("overwrite", err)
	if p := w.props("a"); *p.ContentType != "application/octet-stream" || len(p.Metadata) != 0 || p.CacheControl != nil || *p.ETag != second || second == *resp.ETag {
		t.Errorf("after an overwrite: got %+v, want none of the old properties and another ETag", p)
	}
	_, err = w.as(bob).put("a", "x", nil)
	w.refused("as Reader", err, 403, bloberror.AuthorizationPermissionMismatch)
	none, _ := clientOf(t, w.srv, "docs2", tokenOf(t, carol))
	_, err = none.NewBlockBlobClient("a").Upload(t.Context(), body("x"), nil)
	w.refused("no container", err, 404, bloberror.ContainerNotFound)
}

func TestPutConditions(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	first, err := w.put("a", "1", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})})
	w.must("create only", err)
	at := *w.props("a").LastModified
	w.srv.Put("docs", "b", []byte("old"), "")
	for name, c := range map[string]struct {
		blob   string
		m      blob.ModifiedAccessConditions
		status int
		code   bloberror.Code
	}{
		"create only":          {"a", blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)}, 409, bloberror.BlobAlreadyExists},
		"unless this":          {"a", blob.ModifiedAccessConditions{IfNoneMatch: &first}, 412, bloberror.ConditionNotMet},
		"another":              {"a", blob.ModifiedAccessConditions{IfMatch: new(azcore.ETag(`"0x1"`))}, 412, bloberror.ConditionNotMet},
		"none to match":        {"none", blob.ModifiedAccessConditions{IfMatch: &first}, 412, bloberror.ConditionNotMet},
		"any to match":         {"none", blob.ModifiedAccessConditions{IfMatch: new(anyETag)}, 412, bloberror.ConditionNotMet},
		"both":                 {"a", blob.ModifiedAccessConditions{IfMatch: &first, IfNoneMatch: new(anyETag)}, 400, bloberror.MultipleConditionHeadersNotSupported},
		"modified since now":   {"a", blob.ModifiedAccessConditions{IfModifiedSince: new(at.Add(time.Hour))}, 412, bloberror.ConditionNotMet},
		"unmodified long":      {"a", blob.ModifiedAccessConditions{IfUnmodifiedSince: new(at.Add(-time.Hour))}, 412, bloberror.ConditionNotMet},
		"tags without a right": {"a", blob.ModifiedAccessConditions{IfTags: new("a = 'b'")}, 403, bloberror.AuthorizationPermissionMismatch},
	} {
		_, err := w.put(c.blob, "x", &blockblob.UploadOptions{AccessConditions: access(c.m)})
		w.refused(name, err, c.status, c.code)
	}
	w.holds("a", "1")
	second, err := w.put("a", "2", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &first})})
	w.must("if it is the first", err)
	_, err = w.put("a", "3", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &first})})
	w.refused("if it is still the first", err, 412, bloberror.ConditionNotMet)
	_, err = w.put("a", "3", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: &first})})
	w.must("unless it is the first", err)
	if second == first {
		t.Error("the ETag has not changed")
	}
	_, err = w.as(carol).put("a", "4", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfTags: new("a = 'b'")})})
	w.refused("tags", err, 412, bloberror.ConditionNotMet)
}

// Of two writers with the same ETag, one is refused: no update is lost.
func TestWritersRace(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	w.srv.Put("docs", "a", nil, "")
	const writers, each = 4, 25
	errs := make(chan error, writers)
	for range writers {
		go func() {
			errs <- func() error {
				for done := 0; done < each; {
					resp, err := w.NewBlobClient("a").DownloadStream(t.Context(), nil)
					if err != nil {
						return err
					}
					old, err := io.ReadAll(resp.Body)
					if err != nil {
						return err
					}
					_, err = w.put("a", string(old)+".", &blockblob.UploadOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: resp.ETag})})
					switch {
					case err == nil:
						done++
					case !hasCode(err, 412, bloberror.ConditionNotMet):
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range writers {
		w.must("a writer", <-errs)
	}
	w.holds("a", strings.Repeat(".", writers*each))
}

func TestPutIntegrity(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	sum := md5.Sum([]byte("abc"))
	wrong := md5.Sum([]byte("abd"))
	_, err := w.put("a", "abc", &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeMD5(sum[:])})
	w.must("MD5", err)
	_, err = w.put("a", "abc", &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeMD5(wrong[:])})
	w.refused("wrong MD5", err, 400, "Md5Mismatch")
	_, err = w.put("a", "abc", &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()})
	w.must("CRC64", err)
	_, err = w.put("a", "abc", &blockblob.UploadOptions{TransactionalValidation: blob.TransferValidationTypeCRC64(1)})
	w.refused("wrong CRC64", err, 400, "Crc64Mismatch")
	_, err = w.put("a", "abc", &blockblob.UploadOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentMD5: wrong[:]}})
	w.refused("wrong MD5 of the blob", err, 400, "Md5Mismatch")
	for name, c := range map[string]struct {
		headers []string
		status  int
		code    string
	}{
		"no type":      {nil, 400, "MissingRequiredHeader"},
		"page blob":    {[]string{"x-ms-blob-type", "PageBlob"}, 400, "InvalidHeaderValue"},
		"tier":         {[]string{"x-ms-blob-type", "BlockBlob", "x-ms-access-tier", "P10"}, 400, "InvalidHeaderValue"},
		"no MD5":       {[]string{"x-ms-blob-type", "BlockBlob", "Content-MD5", "abc"}, 400, "InvalidMd5"},
		"own key":      {[]string{"x-ms-blob-type", "BlockBlob", "x-ms-encryption-key", "abc"}, 400, "UnsupportedHeader"},
		"lease id":     {[]string{"x-ms-blob-type", "BlockBlob", "x-ms-lease-id", "abc"}, 400, "InvalidHeaderValue"},
		"two ETags":    {[]string{"x-ms-blob-type", "BlockBlob", "If-Match", `"a", "b"`}, 400, "MultipleConditionHeadersNotSupported"},
		"asynchronous": {[]string{"x-ms-copy-source", "https://x/y"}, 405, "UnsupportedHttpVerb"},
	} {
		check(t, name, send(t, w.srv, http.MethodPut, "/docs/x", c.headers...), c.status, c.code)
	}
}

func TestPutMetadataAndTags(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	for name, c := range map[string]struct {
		metadata map[string]*string
		code     bloberror.Code
	}{
		"a dash":   {map[string]*string{"a-b": new("x")}, bloberror.InvalidMetadata},
		"a digit":  {map[string]*string{"1a": new("x")}, bloberror.InvalidMetadata},
		"no name":  {map[string]*string{"": new("x")}, bloberror.EmptyMetadataKey},
		"umlaut":   {map[string]*string{"a": new("ü")}, bloberror.InvalidMetadata},
		"too much": {map[string]*string{"a": new(strings.Repeat("x", 8192))}, bloberror.MetadataTooLarge},
		"twice":    {map[string]*string{"a": new("x"), "A": new("y")}, bloberror.InvalidMetadata},
	} {
		_, err := w.put("a", "", &blockblob.UploadOptions{Metadata: c.metadata})
		w.refused(name, err, 400, c.code)
	}
	_, err := w.put("a", "", &blockblob.UploadOptions{Metadata: map[string]*string{"a": new(strings.Repeat("x", 8191))}})
	w.must("8 KiB", err)

	tags := map[string]string{"project": "x y", "a+b": "c:d"}
	_, err = w.put("t", "", &blockblob.UploadOptions{Tags: tags})
	w.refused("tags of a Contributor", err, 403, bloberror.AuthorizationPermissionMismatch)
	own := w.as(carol)
	_, err = own.put("t", "", &blockblob.UploadOptions{Tags: tags})
	w.must("tags of an Owner", err)
	if got := own.tags("t"); !maps.Equal(got, tags) || *w.props("t").TagCount != 2 {
		t.Errorf("tags: got %v, want %v", got, tags)
	}
	many := map[string]string{}
	for i := range 11 {
		many[fmt.Sprint(i)] = ""
	}
	for name, c := range map[string]struct {
		tags map[string]string
		code bloberror.Code
	}{
		"11":         {many, "TagsTooLarge"},
		"long key":   {map[string]string{strings.Repeat("k", 129): ""}, "InvalidTag"},
		"long value": {map[string]string{"k": strings.Repeat("v", 257)}, "InvalidTag"},
		"character":  {map[string]string{"k": "a;b"}, "InvalidTag"},
		"no key":     {map[string]string{"": "a"}, "EmptyTagName"},
	} {
		_, err := own.put("t", "", &blockblob.UploadOptions{Tags: c.tags})
		w.refused(name, err, 400, c.code)
		_, err = own.NewBlobClient("t").SetTags(t.Context(), c.tags, nil)
		w.refused("set "+name, err, 400, c.code)
	}
	_, err = w.put("t", "", nil)
	w.must("overwrite", err)
	if got := own.tags("t"); len(got) != 0 {
		t.Errorf("after an overwrite: got %v, want no tags", got)
	}
}

func (w *writer) tags(name string) map[string]string {
	w.Helper()
	resp, err := w.NewBlobClient(name).GetTags(w.Context(), nil)
	w.must("tags", err)
	out := map[string]string{}
	for _, tag := range resp.BlobTagSet {
		out[*tag.Key] = *tag.Value
	}
	return out
}

func TestSetTags(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	own := w.as(carol)
	etag, err := own.put("a", "1", &blockblob.UploadOptions{Tags: map[string]string{"a": "1"}})
	w.must("put", err)
	set := func(value string, c *blob.AccessConditions, m *blob.BlobModifiedAccessConditions) error {
		_, err := own.NewBlobClient("a").SetTags(t.Context(), map[string]string{"a": value},
			&blob.SetTagsOptions{AccessConditions: c, BlobModifiedAccessConditions: m})
		return err
	}
	read := access(blob.ModifiedAccessConditions{IfTags: new(`"a" = '1'`)})
	same := &blob.BlobModifiedAccessConditions{IfMatch: &etag}
	w.must("tags and content as read", set("2", read, same))
	w.refused("other tags", set("3", read, same), 412, bloberror.ConditionNotMet)
	w.refused("other content", set("3", nil, &blob.BlobModifiedAccessConditions{IfMatch: new(azcore.ETag(`"0x1"`))}), 412, bloberror.ConditionNotMet)
	if p := w.props("a"); *p.ETag != etag || own.tags("a")["a"] != "2" {
		t.Errorf("got %s, %v, want %s and the tag 2", *p.ETag, own.tags("a"), etag)
	}
	_, err = w.NewBlobClient("a").SetTags(t.Context(), nil, nil)
	w.refused("as Contributor", err, 403, bloberror.AuthorizationPermissionMismatch)
	_, err = own.NewBlobClient("none").SetTags(t.Context(), nil, nil)
	w.refused("of nothing", err, 404, bloberror.BlobNotFound)
	_, err = own.NewBlobClient("a").GetTags(t.Context(), &blob.GetTagsOptions{BlobAccessConditions: access(blob.ModifiedAccessConditions{IfTags: new(`"a" = '1'`)})})
	w.refused("read other tags", err, 412, bloberror.ConditionNotMet)
	_, err = own.NewBlobClient("a").SetTags(t.Context(), nil, nil)
	w.must("clear", err)
	if got := own.tags("a"); len(got) != 0 {
		t.Errorf("cleared: got %v, want none", got)
	}
}

func TestSetMetadataAndHeaders(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	w.srv.Put("docs", "a", []byte("abc"), "text/plain")
	first := w.props("a")
	c := w.NewBlobClient("a")
	resp, err := c.SetMetadata(t.Context(), map[string]*string{"docType": new("x")}, &blob.SetMetadataOptions{
		AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: first.ETag}),
	})
	w.must("set metadata", err)
	if *resp.ETag == *first.ETag {
		t.Error("metadata have not changed the ETag")
	}
	_, err = c.SetMetadata(t.Context(), nil, &blob.SetMetadataOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: first.ETag})})
	w.refused("old ETag", err, 412, bloberror.ConditionNotMet)
	_, err = w.NewBlobClient("none").SetMetadata(t.Context(), nil, nil)
	w.refused("of nothing", err, 404, bloberror.BlobNotFound)
	_, err = c.SetHTTPHeaders(t.Context(), blob.HTTPHeaders{BlobContentType: new("text/html")}, nil)
	w.must("set headers", err)
	if p := w.props("a"); *p.ContentType != "text/html" || len(p.ContentMD5) != 0 || *p.Metadata["Doctype"] != "x" || *p.ETag == *resp.ETag {
		t.Errorf("got %+v, want text/html, no MD5, metadata and another ETag", p)
	}
	items := listAll(t, w.Client, 10, container.ListBlobsInclude{Metadata: true})
	if got := slices.Collect(maps.Keys(items[0].Metadata)); !slices.Equal(got, []string{"doctype"}) {
		t.Errorf("listed metadata has the names %q, want doctype", got)
	}
	_, err = w.as(bob).NewBlobClient("a").SetMetadata(context.Background(), nil, nil)
	w.refused("as Reader", err, 403, bloberror.AuthorizationPermissionMismatch)
}
