package blobtest_test

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// newCopier starts two accounts beside each other: alice may write to docs in one and read from
// docs in the other, where there is a blob.
func newCopier(t *testing.T) (w *writer, source *blobtest.Server) {
	w = newWriter(t, blobtest.Options{})
	source = newServerWith(t, blobtest.Options{Beside: w.srv})
	source.Put("docs", "src", []byte("0123456789"), "text/plain")
	source.Update("docs", "src", func(p *blobtest.Properties) {
		p.ContentLanguage, p.Metadata, p.Tags = "en", map[string]string{"k": "v"}, map[string]string{"t": "1"}
	})
	source.Grant(alice, "docs", "")
	source.GrantOwner(carol, "docs", "")
	return w, source
}

func bearer(t *testing.T, oid string) *string { return new("Bearer " + tokenOf(t, oid)) }

func TestPutBlobFromURL(t *testing.T) {
	t.Parallel()
	w, source := newCopier(t)
	from := source.URL() + "/docs/src"
	put := func(w *writer, name, from string, o blockblob.UploadBlobFromURLOptions) error {
		_, err := w.block(name).UploadBlobFromURL(t.Context(), from, &o)
		return err
	}
	token := bearer(t, alice)
	w.must("copy with the source's properties", put(w, "a", from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}))
	w.holds("a", "0123456789")
	sum := md5.Sum([]byte("0123456789"))
	if p := w.props("a"); *p.ContentType != "text/plain" || *p.ContentLanguage != "en" || p.TagCount != nil || !bytes.Equal(p.ContentMD5, sum[:]) || p.CopyID != nil {
		t.Errorf("got %+v, want the source's headers and no tags", p)
	}
	w.must("copy with others", put(w, "a", from, blockblob.UploadBlobFromURLOptions{
		CopySourceAuthorization: token, CopySourceBlobProperties: new(false),
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/csv")}, Metadata: map[string]*string{"x": new("y")},
	}))
	if p := w.props("a"); *p.ContentType != "text/csv" || p.ContentLanguage != nil || *p.Metadata["X"] != "y" || p.Metadata["K"] != nil {
		t.Errorf("got %+v, want only what was sent", p)
	}
	w.refused("both", put(w, "a", from, blockblob.UploadBlobFromURLOptions{
		CopySourceAuthorization: token, HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/csv")},
	}), 400, bloberror.InvalidHeaderValue)
	etag := sourceETag(t, source)
	other := azcore.ETag(`"0x1"`)
	for name, c := range map[string]struct {
		from   string
		o      blockblob.UploadBlobFromURLOptions
		status int
		code   bloberror.Code
	}{
		"no token":        {from, blockblob.UploadBlobFromURLOptions{}, 401, bloberror.CannotVerifyCopySource},
		"a bad token":     {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: new("Bearer x")}, 401, bloberror.CannotVerifyCopySource},
		"another's token": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: bearer(t, bob)}, 403, bloberror.CannotVerifyCopySource},
		"no blob":         {from + "x", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}, 404, bloberror.CannotVerifyCopySource},
		"no account":      {"https://127.0.0.1:1/docs/src", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}, 404, bloberror.CannotVerifyCopySource},
		"a signature":     {from + "?sig=x", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}, 403, bloberror.CannotVerifyCopySource},
		"no URL":          {"src", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}, 400, bloberror.InvalidHeaderValue},
		"source changed": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfMatch: &other}}, 412, bloberror.SourceConditionNotMet},
		"source unchanged": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfNoneMatch: &etag}}, 304, bloberror.CannotVerifyCopySource},
		"target exists": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})}, 409, bloberror.BlobAlreadyExists},
		"target changed": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &other})}, 412, bloberror.ConditionNotMet},
		"tags without a right": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			CopySourceTags: new(blockblob.BlobCopySourceTagsCopy)}, 403, bloberror.AuthorizationPermissionMismatch},
		"wrong MD5": {from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
			SourceContentMD5: make([]byte, 16)}, 400, "Md5Mismatch"},
	} {
		w.refused(name, put(w, "a", c.from, c.o), c.status, c.code)
	}
	w.must("pinned", put(w, "b", from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token,
		SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfMatch: &etag}}))
	own := w.as(carol)
	w.must("with tags", put(own, "b", from, blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: bearer(t, carol), CopySourceTags: new(blockblob.BlobCopySourceTagsCopy)}))
	if got := own.tags("b"); !maps.Equal(got, map[string]string{"t": "1"}) {
		t.Errorf("tags: got %v, want the source's", got)
	}
	source.PutAppend("docs", "log", nil, "", 0)
	w.refused("an append blob", put(w, "a", source.URL()+"/docs/log", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}), 409, "InvalidSourceBlobType")
	// A token of the target's tenant is nothing to an account that trusts another.
	stranger := newServerWith(t, blobtest.Options{Beside: w.srv, Audience: "https://other.example"})
	stranger.Put("docs", "src", nil, "")
	stranger.Grant(alice, "docs", "")
	w.refused("another audience", put(w, "a", stranger.URL()+"/docs/src", blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: token}), 401, bloberror.CannotVerifyCopySource)
	if got := w.srv.Requests(); got[len(got)-1].Header("x-ms-copy-source-authorization") != *token {
		t.Error("the record has another source authorization")
	} else if text := fmt.Sprintf("%+v", got); bytes.Contains([]byte(text), []byte(*token)[10:]) {
		t.Error("a printed record shows a token")
	}
}

func sourceETag(t *testing.T, source *blobtest.Server) azcore.ETag {
	t.Helper()
	c, _ := clientOf(t, source, "docs", tokenOf(t, alice))
	p, err := c.NewBlobClient("src").GetProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return *p.ETag
}

func TestCopyBlobFromURL(t *testing.T) {
	t.Parallel()
	w, source := newCopier(t)
	resp, err := w.NewBlobClient("a").CopyFromURL(t.Context(), source.URL()+"/docs/src", &blob.CopyFromURLOptions{CopySourceAuthorization: bearer(t, alice)})
	w.must("copy", err)
	w.holds("a", "0123456789")
	p := w.props("a")
	if *resp.CopyStatus != "success" || *p.CopyID != *resp.CopyID || *p.CopySource != source.URL()+"/docs/src" || *p.Metadata["K"] != "v" || *p.ContentType != "text/plain" {
		t.Errorf("got %+v, want a finished copy with the source's metadata and type", p)
	}
	source.PutSized("docs", "large", 256<<20+1)
	_, err = w.NewBlobClient("a").CopyFromURL(t.Context(), source.URL()+"/docs/large", &blob.CopyFromURLOptions{CopySourceAuthorization: bearer(t, alice)})
	w.refused("256 MiB and a byte", err, 413, bloberror.RequestBodyTooLarge)
	w.must("stage from it", func() error {
		_, err := w.block("a").StageBlockFromURL(t.Context(), blockID("1"), source.URL()+"/docs/large", &blockblob.StageBlockFromURLOptions{
			CopySourceAuthorization: bearer(t, alice), Range: blob.HTTPRange{Offset: 64, Count: 64},
		})
		return err
	}())
}

func TestPutBlockFromURL(t *testing.T) {
	t.Parallel()
	w, source := newCopier(t)
	etag := sourceETag(t, source)
	stage := func(id string, r blob.HTTPRange, match *azcore.ETag, token *string) error {
		_, err := w.block("a").StageBlockFromURL(t.Context(), blockID(id), source.URL()+"/docs/src", &blockblob.StageBlockFromURLOptions{
			CopySourceAuthorization: token, Range: r, SourceModifiedAccessConditions: &blob.SourceModifiedAccessConditions{SourceIfMatch: match},
		})
		return err
	}
	token := bearer(t, alice)
	w.must("first", stage("1", blob.HTTPRange{Count: 4}, &etag, token))
	w.must("second", stage("2", blob.HTTPRange{Offset: 4, Count: 6}, &etag, token))
	w.refused("beyond", stage("3", blob.HTTPRange{Offset: 4, Count: 7}, &etag, token), 416, bloberror.InvalidRange)
	w.refused("no token", stage("3", blob.HTTPRange{}, nil, nil), 401, bloberror.CannotVerifyCopySource)
	source.Put("docs", "src", []byte("changed"), "")
	w.refused("changed", stage("3", blob.HTTPRange{}, &etag, token), 412, bloberror.SourceConditionNotMet)
	w.must("commit", w.commit("a", nil, "1", "2"))
	w.holds("a", "0123456789")
}

// A version is promoted by copying it over the current one.
func TestPromoteVersion(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{Versioning: true})
	first, err := w.block("a").Upload(t.Context(), body("1"), nil)
	w.must("put", err)
	_, err = w.put("a", "2", nil)
	w.must("put", err)
	w.must("delete", w.delete("a", nil))
	_, err = w.NewBlobClient("a").Undelete(t.Context(), nil)
	w.must("undelete, which does nothing", err)
	_, err = w.NewBlobClient("a").GetProperties(t.Context(), nil)
	w.refused("read", err, 404, bloberror.BlobNotFound)
	from := w.srv.URL() + "/docs/a?versionid=" + *first.VersionID
	_, err = w.block("a").UploadBlobFromURL(t.Context(), from, &blockblob.UploadBlobFromURLOptions{CopySourceAuthorization: bearer(t, alice)})
	w.must("promote", err)
	w.holds("a", "1")
	if ids := w.srv.Versions("docs", "a"); len(ids) != 3 || ids[0] != *first.VersionID {
		t.Errorf("versions: got %q, want 3, the first %s", ids, *first.VersionID)
	}
}

// The token for the source expires as any other.
func TestSourceTokenExpires(t *testing.T) {
	t.Parallel()
	w, source := newCopier(t)
	old := sign(t, jwt.SigningMethodRS256, signingKey(), claims(alice, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}))
	check(t, "expired", send(t, w.srv, http.MethodPut, "/docs/a", "x-ms-blob-type", "BlockBlob", "x-ms-copy-source", source.URL()+"/docs/src",
		"x-ms-copy-source-authorization", "Bearer "+old), 401, "CannotVerifyCopySource")
}
