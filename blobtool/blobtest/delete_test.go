package blobtest_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func (w *writer) delete(name string, o *blob.DeleteOptions) error {
	_, err := w.NewBlobClient(name).Delete(w.Context(), o)
	return err
}

// permanent deletes a blob and returns x-ms-delete-type-permanent.
func (w *writer) permanent(name string) string {
	w.Helper()
	var resp *http.Response
	ctx := policy.WithCaptureResponse(w.Context(), &resp)
	_, err := w.NewBlobClient(name).Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: new(blob.DeleteSnapshotsOptionTypeInclude)})
	w.must("delete", err)
	return resp.Header.Get("x-ms-delete-type-permanent")
}

func (w *writer) undelete(name string) error {
	_, err := w.NewBlobClient(name).Undelete(w.Context(), nil)
	return err
}

func TestDeleteBlob(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	etag, err := w.put("a", "1", nil)
	w.must("put", err)
	other := azcore.ETag(`"0x1"`)
	w.refused("another's", w.delete("a", &blob.DeleteOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &other})}), 412, bloberror.ConditionNotMet)
	w.refused("nothing", w.delete("none", nil), 404, bloberror.BlobNotFound)
	w.refused("nothing of an ETag", w.delete("none", &blob.DeleteOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &etag})}), 404, bloberror.BlobNotFound)
	w.refused("as Reader", w.as(bob).delete("a", nil), 403, bloberror.AuthorizationPermissionMismatch)
	w.must("snapshot", w.snapshot("a"))
	w.refused("with a snapshot", w.delete("a", nil), 409, bloberror.SnapshotsPresent)
	w.must("snapshots only", w.delete("a", &blob.DeleteOptions{DeleteSnapshots: new(blob.DeleteSnapshotsOptionTypeOnly)}))
	w.holds("a", "1")
	w.must("delete", w.delete("a", &blob.DeleteOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfMatch: &etag})}))
	w.refused("again", w.delete("a", nil), 404, bloberror.BlobNotFound)
	w.refused("undelete", w.undelete("a"), 404, bloberror.BlobNotFound)
	w.must("stage", w.stage("b", "1", "x"))
	w.must("uncommitted blocks", w.delete("b", nil))
	if got := w.blocks("b"); got != "none" {
		t.Errorf("blocks after the delete: got %s, want none", got)
	}
	w.srv.Put("docs", "c", nil, "")
	if got := w.permanent("c"); got != "true" {
		t.Errorf("x-ms-delete-type-permanent: got %s, want true", got)
	}
	w.srv.Put("docs", "d", nil, "")
	w.must("If-None-Match: * does not stop it", w.delete("d", &blob.DeleteOptions{AccessConditions: access(blob.ModifiedAccessConditions{IfNoneMatch: new(anyETag)})}))
	w.srv.PutSeries("docs", blobtest.Series{Count: 2, Name: func(i int) string { return "s" + string(rune('0'+i)) }})
	w.must("a generated blob", w.delete("s0", nil))
	if got := descriptions(listAll(t, w.Client, 10, container.ListBlobsInclude{})); !slices.Equal(got, []string{"s1"}) {
		t.Errorf("left: got %q, want s1", got)
	}
}

func TestUndelete(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	w := newWriter(t, blobtest.Options{SoftDeleteDays: 7, Now: c.now})
	_, err := w.put("a", "1", nil)
	w.must("put", err)
	w.must("snapshot", w.snapshot("a"))
	if got := w.permanent("a"); got != "false" {
		t.Errorf("x-ms-delete-type-permanent: got %s, want false", got)
	}
	all := container.ListBlobsInclude{Deleted: true, Snapshots: true, UncommittedBlobs: true}
	listed := func(want ...string) {
		t.Helper()
		if got := descriptions(listAll(t, w.Client, 10, all)); !slices.Equal(got, want) {
			t.Errorf("listed: got %q, want %q", got, want)
		}
	}
	listed("a snapshot deleted", "a deleted")
	w.refused("as Reader", w.as(bob).undelete("a"), 403, bloberror.AuthorizationPermissionMismatch)
	w.must("undelete", w.undelete("a"))
	w.holds("a", "1")
	listed("a snapshot", "a")
	w.must("undelete what is there", w.undelete("a"))
	w.permanent("a")

	// What is written over a deleted blob turns it into a deleted snapshot.
	w.must("stage", w.stage("a", "1", "x"))
	listed("a snapshot deleted", "a snapshot deleted", "a")
	w.refused("undelete an uncommitted blob", w.undelete("a"), 404, bloberror.BlobNotFound)
	w.must("commit", w.commit("a", nil, "1"))
	w.must("undelete snapshots", w.undelete("a"))
	listed("a snapshot", "a snapshot", "a")

	// Another type ends it.
	_, err = w.put("b", "1", nil)
	w.must("put", err)
	w.permanent("b")
	_, err = w.NewAppendBlobClient("b").Create(t.Context(), &appendblob.CreateOptions{})
	w.must("create", err)
	w.permanent("b")
	w.permanent("a")
	c.at = c.at.Add(7*24*time.Hour - time.Minute)
	w = w.at(c.at)
	listed("a snapshot deleted", "a snapshot deleted", "a deleted", "b deleted")
	c.at = c.at.Add(time.Minute)
	w = w.at(c.at)
	listed()
	w.refused("after its time", w.undelete("a"), 404, bloberror.BlobNotFound)
}

// With versions, Undelete Blob brings back deleted versions only.
func TestDeleteVersion(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{SoftDeleteDays: 7, Versioning: true})
	first, err := w.block("a").Upload(t.Context(), body("1"), nil)
	w.must("put", err)
	second, err := w.block("a").Upload(t.Context(), body("2"), nil)
	w.must("put", err)
	version := func(w *writer, id string) error {
		c, err := w.NewBlobClient("a").WithVersionID(id)
		w.must("client", err)
		_, err = c.Delete(t.Context(), nil)
		return err
	}
	w.refused("a version as Contributor", version(w, *first.VersionID), 403, bloberror.AuthorizationPermissionMismatch)
	own := w.as(carol)
	w.refused("the current version", version(own, *second.VersionID), 403, "OperationNotAllowedOnRootBlob")
	w.must("a version", version(own, *first.VersionID))
	all := container.ListBlobsInclude{Deleted: true, Versions: true}
	if got := descriptions(listAll(t, w.Client, 10, all)); !slices.Equal(got, []string{"a version deleted", "a version current"}) {
		t.Errorf("listed: got %q, want one deleted version and the current one", got)
	}
	w.must("undelete", w.undelete("a"))
	if got := w.srv.Versions("docs", "a"); !slices.Equal(got, []string{*first.VersionID, *second.VersionID}) {
		t.Errorf("versions: got %q, want both", got)
	}
	_, err = w.NewBlobClient("a").SetMetadata(t.Context(), map[string]*string{"k": new("v")}, nil)
	w.must("metadata", err)
	_, err = w.NewBlobClient("a").SetHTTPHeaders(t.Context(), blob.HTTPHeaders{}, nil)
	w.must("headers", err)
	if got := len(w.srv.Versions("docs", "a")); got != 3 {
		t.Errorf("after metadata and headers: got %d versions, want 3", got)
	}
	w.srv.PutAppend("docs", "a", nil, "", 0)
	_, err = w.put("a", "1", nil)
	w.refused("another type than an old version's", err, 409, bloberror.InvalidBlobType)
}

func TestHierarchicalWrites(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{HierarchicalNamespace: true, SoftDeleteDays: 7})
	_, err := w.put("d/e/f", "1", nil)
	w.must("put", err)
	if got := descriptions(listAll(t, w.Client, 10, container.ListBlobsInclude{})); !slices.Equal(got, []string{"d", "d/e", "d/e/f"}) {
		t.Errorf("listed: got %q, want d, d/e, d/e/f", got)
	}
	w.refused("a directory with something in it", w.delete("d/e", nil), 409, "DirectoryIsNotEmpty")
	_, err = w.put("d/e", "x", nil)
	w.refused("over a directory", err, 409, bloberror.ResourceTypeMismatch)
	_, err = w.put("d/e/f/g", "x", nil)
	w.refused("below a file", err, 409, bloberror.ResourceTypeMismatch)
	check(t, "tags", send(t, w.srv, http.MethodPut, "/docs/a", "x-ms-blob-type", "BlockBlob", "x-ms-tags", "a=b"), 400, "UnsupportedHeader")
	check(t, "set tags", send(t, w.srv, http.MethodPut, "/docs/d/e/f?comp=tags"), 405, "UnsupportedHttpVerb")

	w.srv.PutFile("docs", "file", []byte("dfs"), "")
	w.refused("a block for a file", w.stage("file", "1", "x"), 409, bloberror.InvalidBlobType)
	w.refused("blocks for a file", w.commit("file", nil), 409, bloberror.InvalidBlobType)
	_, err = w.put("file", "whole", nil)
	w.must("a whole write", err)
	w.must("a block for a blob", w.stage("file", "1", "x"))

	if got := w.permanent("d/e/f"); got != "false" {
		t.Errorf("x-ms-delete-type-permanent: got %s, want false", got)
	}
	id := deletionID(t, w.srv)
	undelete := func(name, source string) answer {
		return send(t, w.srv, http.MethodPut, "/docs/"+name+"?comp=undelete", "x-ms-undelete-source", source)
	}
	check(t, "without an id", send(t, w.srv, http.MethodPut, "/docs/d/e/f?comp=undelete"), 404, "BlobNotFound")
	check(t, "another id", undelete("d/e/f", "?deletionid=1"), 404, "BlobNotFound")
	check(t, "another path", undelete("d/e/f", "/d/e?deletionid="+id), 400, "InvalidHeaderValue")
	_, err = w.put("d/e/f", "2", nil)
	w.must("put again", err)
	check(t, "in its place is another", undelete("d/e/f", "?deletionid="+id), 409, "BlobAlreadyExists")
	w.must("delete", w.delete("d/e/f", nil))
	w.must("delete its directory", w.delete("d/e", nil))
	check(t, "without its directory", undelete("d/e/f", "?deletionid="+id), 404, "ResourceNotFound")
	w.srv.AddDirectory("docs", "d/e")
	check(t, "undelete", undelete("d/e/f", "/d/e/f?deletionid="+id), 200, "")
	w.holds("d/e/f", "1")
	check(t, "showonly", send(t, w.srv, http.MethodGet, "/docs?restype=container&comp=list&showonly=all"), 400, "InvalidQueryParameterValue")
}

// deletionID returns the ID of the only deleted file.
func deletionID(t *testing.T, srv *blobtest.Server) string {
	t.Helper()
	got := send(t, srv, http.MethodGet, "/docs?restype=container&comp=list&showonly=deleted&prefix="+url.QueryEscape("d/e/f"))
	check(t, "list deleted", got, 200, "")
	_, rest, _ := strings.Cut(got.body, "<DeletionId>")
	id, _, ok := strings.Cut(rest, "</DeletionId>")
	if !ok || strings.Count(got.body, "<Blob>") != 1 {
		t.Fatalf("got %s, want one deleted file", got.body)
	}
	return id
}

func TestImmutability(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	w := newWriter(t, blobtest.Options{Now: c.now})
	w.srv.SetRetention("docs", time.Hour)
	_, err := w.put("a", "1", nil)
	w.must("a new blob", err)
	metadata := func(w *writer) error {
		_, err := w.NewBlobClient("a").SetMetadata(context.WithoutCancel(t.Context()), nil, nil)
		return err
	}
	_, err = w.put("a", "2", nil)
	w.refused("overwrite", err, 409, bloberror.BlobImmutableDueToPolicy)
	w.refused("stage", w.stage("a", "1", "x"), 409, bloberror.BlobImmutableDueToPolicy)
	w.refused("metadata", metadata(w), 409, bloberror.BlobImmutableDueToPolicy)
	w.refused("delete", w.delete("a", nil), 409, bloberror.BlobImmutableDueToPolicy)
	c.at = c.at.Add(time.Hour)
	w = w.at(c.at)
	_, err = w.put("a", "2", nil)
	w.refused("overwrite after its time", err, 409, bloberror.BlobImmutableDueToPolicy)
	w.must("delete after its time", w.delete("a", nil))
	w.srv.SetRetention("docs", 0)
	w.srv.SetLegalHold("docs", "", true)
	_, err = w.put("a", "1", nil)
	w.must("a new blob", err)
	w.refused("delete under a hold", w.delete("a", nil), 409, "BlobImmutableDueToLegalHold")
	if p, err := w.GetProperties(t.Context(), nil); err != nil || !*p.HasLegalHold || *p.HasImmutabilityPolicy {
		t.Errorf("the container: got %+v, %v, want a legal hold", p, err)
	}
	w.srv.SetLegalHold("docs", "", false)
	w.must("delete", w.delete("a", nil))

	w = newWriter(t, blobtest.Options{Versioning: true})
	first, err := w.block("a").Upload(t.Context(), body("1"), nil)
	w.must("put", err)
	w.srv.SetImmutableUntil("docs", "a", time.Now().Add(time.Hour))
	if p := w.props("a"); p.ImmutabilityPolicyExpiresOn == nil || *p.ImmutabilityPolicyMode != "unlocked" {
		t.Errorf("got %+v, want a policy", p)
	}
	w.refused("metadata", metadata(w), 409, bloberror.BlobImmutableDueToPolicy)
	_, err = w.put("a", "2", nil)
	w.must("overwrite makes a version", err)
	c2, err := w.as(carol).NewBlobClient("a").WithVersionID(*first.VersionID)
	w.must("client", err)
	_, err = c2.Delete(t.Context(), nil)
	w.refused("delete the version", err, 409, bloberror.BlobImmutableDueToPolicy)
	w.srv.SetLegalHold("docs", "a", true)
	if p := w.props("a"); !*p.LegalHold {
		t.Errorf("got %+v, want a hold", p)
	}
	w.refused("metadata under a hold", metadata(w), 409, "BlobImmutableDueToLegalHold")
	w.must("delete keeps the version", w.delete("a", nil))
}
