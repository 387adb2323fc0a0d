//go:build unix

package interop_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
)

// undelete brings a blob back with its snapshot.
func undelete(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	a := p.blobs.NewBlobClient("a")
	if _, err := a.CreateSnapshot(p.ctx, nil); err != nil {
		return err
	}
	var resp *http.Response
	if _, err := a.Delete(policy.WithCaptureResponse(p.ctx, &resp), &blob.DeleteOptions{DeleteSnapshots: new(blob.DeleteSnapshotsOptionTypeInclude)}); err != nil {
		return err
	}
	_, err := a.Undelete(p.ctx, nil)
	return errors.Join(differs("permanent", resp.Header.Get("x-ms-delete-type-permanent"), "false"), err, p.holds("a", "a\n"))
}

// promote copies a previous version over the current one.
func promote(p *place) error {
	client := p.blobs.NewBlockBlobClient("a")
	first, err := client.Upload(p.ctx, textBody("1"), nil)
	if err != nil {
		return err
	}
	if _, err := p.write("a", "2", nil); err != nil {
		return err
	}
	if first.VersionID == nil {
		return errors.New("a write has no version ID")
	}
	if _, err := client.UploadBlobFromURL(p.ctx, client.URL()+"?versionid="+*first.VersionID, &blockblob.UploadBlobFromURLOptions{
		CopySourceAuthorization: new("Bearer " + string(p.user)),
	}); err != nil {
		return err
	}
	return p.holds("a", "1")
}

// copyWithToken copies with a token for the source.
func copyWithToken(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	from := p.blobs.NewBlobClient("a").URL()
	_, err := p.blobs.NewBlockBlobClient("b").UploadBlobFromURL(p.ctx, from, &blockblob.UploadBlobFromURLOptions{
		CopySourceAuthorization: new("Bearer " + string(p.user)), CopySourceBlobProperties: new(false),
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: new("text/csv")},
	})
	if err != nil {
		return err
	}
	h, err := p.blobs.NewBlobClient("b").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	return errors.Join(p.holds("b", "a\n"), differs("type", *h.ContentType, "text/csv"))
}

// stageWithToken stages a block from another blob.
func stageWithToken(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	_, err := p.blobs.NewBlockBlobClient("b").StageBlockFromURL(p.ctx, stagedID(1), p.blobs.NewBlobClient("a").URL(), &blockblob.StageBlockFromURLOptions{
		CopySourceAuthorization: new("Bearer " + string(p.user)),
	})
	if err != nil {
		return err
	}
	return errors.Join(p.commitBlocks("b", nil, 1), p.holds("b", "a\n"))
}

// refuseSource copies with the token of one who may not read the source.
func refuseSource(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	_, err := p.blobs.NewBlobClient("b").CopyFromURL(p.ctx, p.blobs.NewBlobClient("a").URL(), &blob.CopyFromURLOptions{
		CopySourceAuthorization: new("Bearer " + string(p.stranger)),
	})
	return refusedWith("the stranger's token", err, 403, string(bloberror.CannotVerifyCopySource))
}

func holdBlob(p *place) error {
	box, ok := p.stock.(boxStock)
	if !ok {
		if err := p.put("a"); err != nil {
			return err
		}
		_, err := p.blobs.NewBlobClient("a").SetLegalHold(p.ctx, true, nil)
		return errors.Join(errors.New("no way to a hold without a request"), err)
	}
	if err := p.put("a"); err != nil {
		return err
	}
	box.SetLegalHold(p.container, "", true)
	_, err := p.write("a", "x", nil)
	return refusedWith("overwrite", err, 409, "BlobImmutableDueToLegalHold")
}

func retainBlob(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	box, ok := p.stock.(boxStock)
	if !ok {
		_, err := p.blobs.NewBlobClient("a").SetImmutabilityPolicy(p.ctx, time.Now().Add(time.Hour), nil)
		return errors.Join(errors.New("no way to a policy without a request"), err)
	}
	box.SetRetention(p.container, time.Hour)
	_, err := p.blobs.NewBlobClient("a").Delete(p.ctx, nil)
	return refusedWith("delete", err, 409, string(bloberror.BlobImmutableDueToPolicy))
}

// deleteGone deletes what is gone, with its ETag.
func deleteGone(p *place) error {
	_, err := p.blobs.NewBlobClient("none").Delete(p.ctx, &blob.DeleteOptions{AccessConditions: conditions(`"0x1"`, "")})
	return refusedWith("nothing of an ETag", err, 404, string(bloberror.BlobNotFound))
}

// deleteDespite deletes with If-None-Match: *, which does not stop Azure.
func deleteDespite(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	_, err := p.blobs.NewBlobClient("a").Delete(p.ctx, &blob.DeleteOptions{AccessConditions: conditions("", "*")})
	return err
}

// dropBlocks overwrites a blob with uncommitted blocks.
func dropBlocks(p *place) error {
	if err := errors.Join(p.put("a"), p.stage("a", 1, "x")); err != nil {
		return err
	}
	if _, err := p.write("a", "new", nil); err != nil {
		return err
	}
	left, err := p.blockSizes("a")
	return errors.Join(err, differs("blocks", left, "|"))
}

// refuseWriter writes as one who has no role.
func refuseWriter(p *place) error {
	c, err := p.client(p.stranger)
	if err != nil {
		return err
	}
	_, err = c.NewContainerClient(p.container).NewBlockBlobClient("a").Upload(p.ctx, textBody("x"), nil)
	if err := refusedWith("writing", err, 403, string(bloberror.AuthorizationPermissionMismatch)); err != nil {
		return fmt.Errorf("as a stranger: %w", err)
	}
	return nil
}
