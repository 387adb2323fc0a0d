//go:build unix

package interop_test

import (
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	azcontainer "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
)

const (
	leaseA = "aaaaaaaa-1111-2222-3333-444444444444"
	leaseB = "bbbbbbbb-1111-2222-3333-444444444444"
)

func withLease(id string) *blob.AccessConditions {
	if id == "" {
		return nil
	}
	return &blob.AccessConditions{LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: &id}}
}

// leasedWrites are writes of a blob, each with a lease ID or without one.
func (p *place) leasedWrites() map[string]func(a *blob.AccessConditions) error {
	a := p.blobs.NewBlobClient("a")
	return map[string]func(a *blob.AccessConditions) error{
		"put": func(c *blob.AccessConditions) error {
			_, err := p.write("a", "2", &blockblob.UploadOptions{AccessConditions: c})
			return err
		},
		"block": func(c *blob.AccessConditions) error {
			o := &blockblob.StageBlockOptions{}
			if c != nil {
				o.LeaseAccessConditions = c.LeaseAccessConditions
			}
			_, err := p.blobs.NewBlockBlobClient("a").StageBlock(p.ctx, stagedID(1), textBody("x"), o)
			return err
		},
		"metadata": func(c *blob.AccessConditions) error {
			_, err := a.SetMetadata(p.ctx, nil, &blob.SetMetadataOptions{AccessConditions: c})
			return err
		},
		"tags": func(c *blob.AccessConditions) error {
			_, err := a.SetTags(p.ctx, map[string]string{"k": "v"}, &blob.SetTagsOptions{AccessConditions: c})
			return err
		},
		"delete": func(c *blob.AccessConditions) error {
			_, err := a.Delete(p.ctx, &blob.DeleteOptions{AccessConditions: c})
			return err
		},
	}
}

func leaseBlob(p *place) error {
	client, err := lease.NewBlobClient(p.blobs.NewBlobClient("a"), &lease.BlobClientOptions{LeaseID: new(leaseA)})
	if err != nil {
		return err
	}
	var errs []error
	for name, write := range p.leasedWrites() {
		if err := p.put("a"); err != nil {
			return err
		}
		before, err := p.etag("a")
		errs = append(errs, err, refusedWith(name+" with an ID without a lease", write(withLease(leaseA)), 412, "LeaseNotPresentWithBlobOperation"))
		if _, err := client.AcquireLease(p.ctx, -1, nil); err != nil {
			return err
		}
		h, err := p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
		if err != nil {
			return err
		}
		errs = append(errs, differs("the lease", fmt.Sprint(*h.LeaseState, " ", *h.LeaseStatus, " ", *h.LeaseDuration), "leased locked infinite"),
			differs("ETag after a lease", *h.ETag, before),
			refusedWith(name+" without an ID", write(nil), 412, string(bloberror.LeaseIDMissing)),
			refusedWith(name+" with another's", write(withLease(leaseB)), 412, string(bloberror.LeaseIDMismatchWithBlobOperation)),
			write(withLease(leaseA)))
		if name != "delete" {
			_, err = client.ReleaseLease(p.ctx, nil)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func leaseLife(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	of := func(id string) *lease.BlobClient {
		c, err := lease.NewBlobClient(p.blobs.NewBlobClient("a"), &lease.BlobClientOptions{LeaseID: &id})
		if err != nil {
			panic(err) // a valid ID
		}
		return c
	}
	_, err := of(leaseA).RenewLease(p.ctx, nil)
	errs := []error{refusedWith("renew none", err, 409, string(bloberror.LeaseIDMismatchWithLeaseOperation))}
	_, err = of(leaseA).AcquireLease(p.ctx, 60, nil)
	errs = append(errs, err)
	_, err = of(leaseB).AcquireLease(p.ctx, 60, nil)
	errs = append(errs, refusedWith("acquire another's", err, 409, string(bloberror.LeaseAlreadyPresent)))
	_, err = of(leaseB).RenewLease(p.ctx, nil)
	errs = append(errs, refusedWith("renew another's", err, 409, string(bloberror.LeaseIDMismatchWithLeaseOperation)))
	_, err = of(leaseA).RenewLease(p.ctx, nil)
	errs = append(errs, err)
	_, err = of(leaseA).BreakLease(p.ctx, &lease.BlobBreakOptions{BreakPeriod: new(int32(30))})
	errs = append(errs, err)
	h, err := p.blobs.NewBlobClient("a").GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	errs = append(errs, differs("broken", fmt.Sprint(*h.LeaseState, " ", *h.LeaseStatus), "breaking locked"))
	_, err = of(leaseB).AcquireLease(p.ctx, 60, nil)
	errs = append(errs, refusedWith("acquire another's breaking one", err, 409, string(bloberror.LeaseAlreadyPresent)))
	_, err = of(leaseA).AcquireLease(p.ctx, 60, nil)
	errs = append(errs, refusedWith("acquire a breaking one", err, 409, string(bloberror.LeaseIsBreakingAndCannotBeAcquired)))
	_, err = of(leaseA).BreakLease(p.ctx, &lease.BlobBreakOptions{BreakPeriod: new(int32(0))})
	errs = append(errs, err)
	_, err = p.write("a", "x", nil)
	return errors.Join(append(errs, err)...)
}

func changeMetadata(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	first, err := p.etag("a")
	if err != nil {
		return err
	}
	a := p.blobs.NewBlobClient("a")
	_, err = a.SetMetadata(p.ctx, map[string]*string{"k": new("v")}, &blob.SetMetadataOptions{AccessConditions: conditions(string(first), "")})
	errs := []error{err}
	_, err = a.SetMetadata(p.ctx, nil, &blob.SetMetadataOptions{AccessConditions: conditions(string(first), "")})
	errs = append(errs, refusedWith("the old ETag", err, 412, string(bloberror.ConditionNotMet)))
	_, err = p.blobs.NewBlobClient("none").SetMetadata(p.ctx, nil, nil)
	errs = append(errs, refusedWith("of nothing", err, 404, string(bloberror.BlobNotFound)))
	_, err = a.SetHTTPHeaders(p.ctx, blob.HTTPHeaders{BlobContentType: new("text/csv")}, nil)
	errs = append(errs, err)
	h, err := a.GetProperties(p.ctx, nil)
	if err != nil {
		return err
	}
	return errors.Join(append(errs, differs("properties", *h.ContentType+" "+*h.Metadata["K"], "text/csv v"), differs("the same ETag", *h.ETag == first, false))...)
}

func changeTags(p *place) error {
	if err := p.put("a"); err != nil {
		return err
	}
	before, err := p.etag("a")
	if err != nil {
		return err
	}
	a := p.blobs.NewBlobClient("a")
	_, err = a.SetTags(p.ctx, map[string]string{"k": "v", "l": "w"}, nil)
	errs := []error{err}
	_, err = a.SetTags(p.ctx, map[string]string{"m": "x"}, nil)
	errs = append(errs, err)
	tags, err := a.GetTags(p.ctx, nil)
	if err != nil {
		return err
	}
	after, err := p.etag("a")
	errs = append(errs, err, differs("tags", len(tags.BlobTagSet) == 1 && *tags.BlobTagSet[0].Key == "m", true), differs("ETag after tags", after, before))
	_, err = p.blobs.NewBlobClient("none").SetTags(p.ctx, nil, nil)
	return errors.Join(append(errs, refusedWith("of nothing", err, 404, string(bloberror.BlobNotFound)))...)
}

// changeTagsIf pins the tags and the content that were read.
func changeTagsIf(p *place) error {
	etag, err := p.write("a", "1", &blockblob.UploadOptions{Tags: map[string]string{"k": "1"}})
	if err != nil {
		return err
	}
	set := func(value, tags string, match azcore.ETag) error {
		_, err := p.blobs.NewBlobClient("a").SetTags(p.ctx, map[string]string{"k": value}, &blob.SetTagsOptions{
			AccessConditions:             &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfTags: &tags}},
			BlobModifiedAccessConditions: &blob.BlobModifiedAccessConditions{IfMatch: &match},
		})
		return err
	}
	return errors.Join(
		set("2", `"k" = '1'`, etag),
		refusedWith("other tags", set("3", `"k" = '1'`, etag), 412, string(bloberror.ConditionNotMet)),
		refusedWith("other content", set("3", `"k" = '2'`, `"0x1"`), 412, string(bloberror.ConditionNotMet)))
}

func deleteBlobs(p *place) error {
	if err := p.put("a", "b"); err != nil {
		return err
	}
	a := p.blobs.NewBlobClient("a")
	remove := func(name string, o *blob.DeleteOptions) error {
		_, err := p.blobs.NewBlobClient(name).Delete(p.ctx, o)
		return err
	}
	etag, err := p.etag("a")
	errs := []error{
		err,
		refusedWith("another ETag", remove("a", &blob.DeleteOptions{AccessConditions: conditions(`"0x1"`, "")}), 412, string(bloberror.ConditionNotMet)),
		refusedWith("nothing", remove("none", nil), 404, string(bloberror.BlobNotFound)),
	}
	snapshot, err := a.CreateSnapshot(p.ctx, nil)
	if err != nil {
		return err
	}
	again, err := p.etag("a")
	errs = append(errs, err, differs("ETag after a snapshot", again, etag),
		refusedWith("with a snapshot", remove("a", nil), 409, string(bloberror.SnapshotsPresent)))
	old, err := a.WithSnapshot(*snapshot.Snapshot)
	if err != nil {
		return err
	}
	if _, err := p.write("a", "new", nil); err != nil {
		return err
	}
	_, got, err := p.read(old, nil)
	errs = append(errs, err, differs("the snapshot", string(got), "a\n"),
		remove("a", &blob.DeleteOptions{DeleteSnapshots: new(blob.DeleteSnapshotsOptionTypeOnly)}), p.holds("a", "new"), remove("a", nil),
		p.stage("c", 1, "x"), remove("c", nil))
	left, _, err := p.flat("", 10, azcontainer.ListBlobsInclude{UncommittedBlobs: true, Snapshots: true})
	return errors.Join(append(errs, err, differs("left", namesOf(left), "b"))...)
}
