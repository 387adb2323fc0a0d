//go:build unix

package interop_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
)

// The account that every Azurite has, with its published key.
const (
	azuriteAccount = "devstoreaccount1"
	azuriteKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

// An azurite is the Blob service of a running Azurite, over https and with OAuth.
type azurite struct {
	*process
	origin      string // https://127.0.0.1:PORT
	certificate certificate
	client      *http.Client // that trusts it
}

var azuriteListens = regexp.MustCompile(`successfully listens on (https://127\.0\.0\.1:[1-9]\d*)\s`)

// startAzurite starts an empty Azurite; port "0" is any free one.
func startAzurite(ctx context.Context, t testing.TB, c certificate, port string) *azurite {
	t.Helper()
	p := start(t, "azurite-blob", command(ctx, t.TempDir(), nil, nodeProgram(t, "azurite-blob"),
		"--blobHost", "127.0.0.1", "--blobPort", port, "--cert", c.certFile, "--key", c.keyFile,
		"--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"))
	return &azurite{process: p, origin: p.waitFor(t, p.stdout, azuriteListens), certificate: c, client: c.httpClient(t)}
}

// accountURL is what the documented server has as AZURE_STORAGE_ACCOUNT_URL.
func (a *azurite) accountURL() string { return a.origin + "/" + azuriteAccount }

func (a *azurite) port(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(a.origin)
	must(t, err)
	return u.Port()
}

// A document is a blob, and the text that the tool must make of it.
type document struct {
	path     string
	encoding string // "" is the tool's default
	data     []byte
	text     string
}

const container = "documents"

// The paths of documents that tests name.
const (
	welcomePath = "docs/ようこそ.txt"
	bigPath     = "logs/big.log"
)

// documents returns what the container holds.
func documents() []document {
	big := bigText()
	return []document{
		{path: "readme.txt", data: []byte("Documents of Contoso.\n"), text: "Documents of Contoso.\n"},
		{path: welcomePath, data: []byte("ようこそ、アリスさん。\n"), text: "ようこそ、アリスさん。\n"},
		{ // "お知らせ" in Shift_JIS, and a byte that is none
			path: "legacy/お知らせ.txt", encoding: "shift_jis",
			data: []byte("\x82\xa8\x92\x6d\x82\xe7\x82\xb9\xff\n"), text: "お知らせ\uFFFD\n",
		},
		{path: "empty.txt", data: []byte{}, text: ""},
		{path: "odd/a b&c #1?x=y+z 100%.txt", data: []byte("odd"), text: "odd"},
		{path: bigPath, data: big, text: string(big[:8000]) + "\n...<truncated>"},
	}
}

// bigText is 5 MiB and a bit, no two lines alike: more than one block of an upload
// and more than one range of a download.
func bigText() []byte {
	var b strings.Builder
	for i := 0; b.Len() < 5<<20; i++ {
		fmt.Fprintf(&b, "%08d the quick brown fox jumps over the lazy dog\n", i)
	}
	return []byte(b.String())
}

// seed makes the container and uploads the documents, with the account's key.
func (a *azurite) seed(ctx context.Context, t *testing.T, docs []document) {
	t.Helper()
	key, err := azblob.NewSharedKeyCredential(azuriteAccount, azuriteKey)
	must(t, err)
	client, err := azblob.NewClientWithSharedKeyCredential(a.accountURL(), key, &azblob.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: a.client},
	})
	must(t, err)
	_, err = client.CreateContainer(ctx, container, nil)
	must(t, err)
	for _, d := range docs {
		_, err := client.UploadBuffer(ctx, container, d.path, d.data, &azblob.UploadBufferOptions{BlockSize: 1 << 20})
		must(t, err)
	}
}
