//go:build unix

package interop_test

import (
	"context"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

// boxStock fills a blobtest account.
type boxStock struct{ *blobtest.Server }

func (s boxStock) addContainer(_ context.Context, name string, metadata map[string]string) error {
	s.SetContainerMetadata(name, metadata)
	return nil
}

func (s boxStock) put(_ context.Context, container, name string, data []byte, p blobtest.Properties) error {
	s.Put(container, name, data, p.ContentType)
	s.Update(container, name, func(q *blobtest.Properties) {
		p.ContentType, p.MD5 = q.ContentType, q.MD5
		*q = p
	})
	return nil
}

func (s boxStock) snapshot(_ context.Context, container, name string) (string, error) {
	return s.Snapshot(container, name), nil
}

func (s boxStock) remove(_ context.Context, container, name string) error {
	s.Delete(container, name)
	return nil
}

// emulatorStock fills an Azurite account, with its key.
type emulatorStock struct{ *azblob.Client }

func (a *azurite) stock(t testing.TB) emulatorStock {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey)
	must(t, err)
	client, err := azblob.NewClientWithSharedKeyCredential(a.accountURL(), key, &azblob.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: a.client},
	})
	must(t, err)
	return emulatorStock{client}
}

func (s emulatorStock) addContainer(ctx context.Context, name string, metadata map[string]string) error {
	_, err := s.CreateContainer(ctx, name, &azblob.CreateContainerOptions{Metadata: pointers(metadata)})
	return err
}

func (s emulatorStock) put(ctx context.Context, container, name string, data []byte, p blobtest.Properties) error {
	o := &blockblob.UploadBufferOptions{
		HTTPHeaders: &blob.HTTPHeaders{
			BlobContentType: ifSet(p.ContentType), BlobContentEncoding: ifSet(p.ContentEncoding), BlobContentLanguage: ifSet(p.ContentLanguage),
			BlobContentDisposition: ifSet(p.ContentDisposition), BlobCacheControl: ifSet(p.CacheControl),
		},
		Metadata: pointers(p.Metadata),
		Tags:     p.Tags,
	}
	client := s.ServiceClient().NewContainerClient(container).NewBlockBlobClient(name)
	if _, err := client.UploadBuffer(ctx, data, o); err != nil || p.Tier == "" {
		return err
	}
	_, err := client.SetTier(ctx, blob.AccessTier(p.Tier), nil)
	return err
}

func (s emulatorStock) snapshot(ctx context.Context, container, name string) (string, error) {
	resp, err := s.ServiceClient().NewContainerClient(container).NewBlobClient(name).CreateSnapshot(ctx, nil)
	if err != nil {
		return "", err
	}
	return *resp.Snapshot, nil
}

func (s emulatorStock) remove(ctx context.Context, container, name string) error {
	_, err := s.DeleteBlob(ctx, container, name, &azblob.DeleteBlobOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)})
	return err
}

// ifSet is what a request of azblob has for a property; nil for an empty one.
func ifSet(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func pointers(m map[string]string) map[string]*string {
	out := map[string]*string{}
	for k, v := range m {
		out[k] = &v
	}
	return out
}
