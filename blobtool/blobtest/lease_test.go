package blobtest_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

var signingMethod = jwt.SigningMethodRS256

const (
	leaseA = "aaaaaaaa-1111-2222-3333-444444444444"
	leaseB = "bbbbbbbb-1111-2222-3333-444444444444"
)

func (w *writer) lease(name, id string) *lease.BlobClient {
	w.Helper()
	c, err := lease.NewBlobClient(w.NewBlobClient(name), &lease.BlobClientOptions{LeaseID: &id})
	w.must("lease client", err)
	return c
}

// state describes a blob's lease.
func (w *writer) state(name string) string {
	w.Helper()
	p := w.props(name)
	s := string(*p.LeaseState) + " " + string(*p.LeaseStatus)
	if p.LeaseDuration != nil {
		s += " " + string(*p.LeaseDuration)
	}
	return s
}

// Each write of a leased blob needs the ID.
func TestLeasedBlob(t *testing.T) {
	t.Parallel()
	w := newWriter(t, blobtest.Options{})
	own := w.as(carol)
	ctx := t.Context()
	writes := map[string]func(a *blob.AccessConditions) error{
		"put": func(a *blob.AccessConditions) error {
			_, err := w.put("a", "2", &blockblob.UploadOptions{AccessConditions: a})
			return err
		},
		"block": func(a *blob.AccessConditions) error {
			o := &blockblob.StageBlockOptions{}
			if a != nil {
				o.LeaseAccessConditions = a.LeaseAccessConditions
			}
			_, err := w.block("a").StageBlock(ctx, blockID("1"), body("x"), o)
			return err
		},
		"commit": func(a *blob.AccessConditions) error {
			return w.commit("a", &blockblob.CommitBlockListOptions{AccessConditions: a})
		},
		"metadata": func(a *blob.AccessConditions) error {
			_, err := w.NewBlobClient("a").SetMetadata(ctx, nil, &blob.SetMetadataOptions{AccessConditions: a})
			return err
		},
		"headers": func(a *blob.AccessConditions) error {
			_, err := w.NewBlobClient("a").SetHTTPHeaders(ctx, blob.HTTPHeaders{}, &blob.SetHTTPHeadersOptions{AccessConditions: a})
			return err
		},
		"tags": func(a *blob.AccessConditions) error {
			_, err := own.NewBlobClient("a").SetTags(ctx, nil, &blob.SetTagsOptions{AccessConditions: a})
			return err
		},
		"delete": func(a *blob.AccessConditions) error {
			_, err := w.NewBlobClient("a").Delete(ctx, &blob.DeleteOptions{AccessConditions: a})
			return err
		},
	}
	for name, write := range writes {
		w.srv.Put("docs", "a", []byte("1"), "")
		w.refused(name+" with an ID without a lease", write(leased(leaseA)), 412, "LeaseNotPresentWithBlobOperation")
		before := *w.props("a").ETag
		_, err := w.lease("a", leaseA).AcquireLease(ctx, -1, nil)
		w.must("acquire", err)
		if got := w.state("a"); got != "leased locked infinite" || *w.props("a").ETag != before {
			t.Errorf("got %s, want leased locked infinite and the same ETag", got)
		}
		w.refused(name+" without an ID", write(nil), 412, bloberror.LeaseIDMissing)
		w.refused(name+" with another's", write(leased(leaseB)), 412, bloberror.LeaseIDMismatchWithBlobOperation)
		w.must(name, write(leased(leaseA)))
		if name != "delete" && w.state("a") != "leased locked infinite" {
			t.Errorf("after %s: got %s, want leased", name, w.state("a"))
		}
	}
	w.srv.Put("docs", "a", nil, "")
	w.srv.Update("docs", "a", func(p *blobtest.Properties) { p.LeaseState = "leased" })
	w.refused("another's lease by Go", writes["put"](nil), 412, bloberror.LeaseIDMissing)
	_, err := w.NewBlobClient("a").GetProperties(ctx, &blob.GetPropertiesOptions{AccessConditions: leased(leaseA)})
	w.refused("read with a wrong ID", err, 412, bloberror.LeaseIDMismatchWithBlobOperation)
	w.must("snapshot", w.snapshot("a"))
}

func (w *writer) snapshot(name string) error {
	_, err := w.NewBlobClient(name).CreateSnapshot(w.Context(), nil)
	return err
}

func TestLeaseLife(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	w := newWriter(t, blobtest.Options{Now: c.now})
	w.srv.Put("docs", "a", nil, "")
	ctx := t.Context()
	a, b := w.lease("a", leaseA), w.lease("a", leaseB)
	is := func(want string) {
		t.Helper()
		if got := w.state("a"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	_, err := a.RenewLease(ctx, nil)
	w.refused("renew none", err, 409, bloberror.LeaseIDMismatchWithLeaseOperation)
	_, err = a.AcquireLease(ctx, 14, nil)
	w.refused("too short", err, 400, bloberror.InvalidHeaderValue)
	_, err = a.AcquireLease(ctx, 15, nil)
	w.must("acquire", err)
	is("leased locked fixed")
	_, err = b.AcquireLease(ctx, 15, nil)
	w.refused("acquire another's", err, 409, bloberror.LeaseAlreadyPresent)
	_, err = b.RenewLease(ctx, nil)
	w.refused("renew another's", err, 409, bloberror.LeaseIDMismatchWithLeaseOperation)
	c.at = c.at.Add(15 * time.Second)
	is("expired unlocked")
	_, err = a.RenewLease(ctx, nil)
	w.must("renew an expired one", err)
	is("leased locked fixed")
	_, err = a.ChangeLease(ctx, leaseB, nil)
	w.must("change", err)
	resp, err := b.BreakLease(ctx, &lease.BlobBreakOptions{BreakPeriod: new(int32(10))})
	w.must("break", err)
	if *resp.LeaseTime != 10 {
		t.Errorf("left: got %d, want 10", *resp.LeaseTime)
	}
	is("breaking locked")
	_, err = b.AcquireLease(ctx, 15, nil)
	w.refused("acquire a breaking one", err, 409, bloberror.LeaseIsBreakingAndCannotBeAcquired)
	_, err = b.RenewLease(ctx, nil)
	w.refused("renew a breaking one", err, 409, bloberror.LeaseIsBrokenAndCannotBeRenewed)
	c.at = c.at.Add(10 * time.Second)
	is("broken unlocked")
	_, err = w.put("a", "x", nil)
	w.must("put", err)
	is("available unlocked")
	_, err = b.AcquireLease(ctx, -1, nil)
	w.must("acquire", err)
	_, err = b.ReleaseLease(ctx, nil)
	w.must("release", err)
	is("available unlocked")
	_, err = w.as(bob).lease("a", leaseA).AcquireLease(ctx, -1, nil)
	w.refused("as Reader", err, 403, bloberror.AuthorizationPermissionMismatch)
}
