//go:build unix

package interop_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// obo alone: the credential of a user in a plain azblob client, on Azurite, which
// looks at the token's audience, issuer and times.
func TestCredentialInAzblob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exchanger := func(o *obo.Options) *obo.Exchanger {
		o.HTTPClient, o.AuthorityHost = w.tenant.HTTPClient(), w.tenant.AuthorityHost()
		x, err := obo.NewExchanger(w.tenant.ID(), w.api.ClientID, clientauth.Secret(w.secret), o)
		must(t, err)
		return x
	}
	blobs := func(x *obo.Exchanger, assertion string) *azblob.Client {
		client, err := azblob.NewClient(w.storage.accountURL(), x.Credential(obo.NewAssertion(assertion)),
			&azblob.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.storage.client}})
		must(t, err)
		return client
	}
	read := func(client *azblob.Client, path string) ([]byte, error) {
		resp, err := client.DownloadStream(w.ctx, container, path, nil)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		var b bytes.Buffer
		_, err = b.ReadFrom(resp.Body)
		return b.Bytes(), err
	}

	x, token := exchanger(&obo.Options{}), w.token(w.alice)
	before := w.tenant.Count(entratest.EndpointToken)
	var wg sync.WaitGroup
	for range 8 {
		for _, d := range w.documents {
			wg.Go(func() {
				if got, err := read(blobs(x, token), d.path); err != nil || !bytes.Equal(got, d.data) {
					t.Errorf("%s: %d bytes, %v", d.path, len(got), err)
				}
			})
		}
	}
	wg.Wait()
	if n := w.tenant.Count(entratest.EndpointToken) - before; n != 1 {
		t.Errorf("%d exchanges for one user's token, want 1", n)
	}
	if _, err := blobs(x, token).UploadBuffer(w.ctx, container, "by-alice.txt", []byte("hers"), nil); err != nil {
		t.Errorf("writing: %v", err)
	}

	// What Azurite accepts is decided by the token, not by the client.
	if _, err := read(blobs(exchanger(&obo.Options{Resources: []string{"https://graph.microsoft.com"}}), token), welcomePath); !errors.Is(err, obo.ErrScopeNotAllowed) {
		t.Errorf("storage is not a resource of this exchanger: %v", err)
	}
	if _, err := read(blobs(x, w.tenant.IDToken(w.alice, w.client)), welcomePath); !errors.Is(err, obo.ErrAssertionInvalid) {
		t.Errorf("an ID token: %v", err)
	}
	w.tenant.RevokeConsent(w.api, w.tenant.Storage())
	if _, err := read(blobs(exchanger(&obo.Options{}), token), welcomePath); !errors.Is(err, obo.ErrConsentRequired) {
		t.Errorf("without consent: %v", err)
	}
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := blobs(x, token).DownloadStream(ended, container, welcomePath, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has gone: %v", err)
	}
}
