package blobtool_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// FuzzUploadArguments: what write_blob says is what is there, and a request that Azure would
// reject for its form is not sent.
func FuzzUploadArguments(f *testing.F) {
	w := newWriteWorld(f, nil, inPieces)
	w.storage.GrantOwner(w.alice.ObjectID, "docs", "")
	cred, err := w.findCredential(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	all, err := container.NewClient(w.storage.URL()+"/docs", cred, &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: w.storage.HTTPClient()}})
	if err != nil {
		f.Fatal(err)
	}
	user := w.request("alice")
	first, err := w.set.Write(f.Context(), user, blobtool.WriteInput{BlobPath: "a", Text: new("x"), More: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("a.txt", "text", true, "text/plain", "name", "value", "", "", int64(0), false)
	f.Add("a/b.csv", "dGV4dA==", false, "text/csv; charset=utf-8", "A_1", "x y", `"0x1"`, "", int64(0), true)
	f.Add("a", "x", true, "", "", "", "", first.Upload, int64(1), false)
	f.Add("%2e%2e/x?comp=block", "\xff\x00", true, "a/b;c=\"\n\"", "tags", "'", "*", "AAAA", int64(-1), true)
	f.Fuzz(func(t *testing.T, blob, content string, isText bool, contentType, name, value, etag, upload string, offset int64, more bool) {
		in := blobtool.WriteInput{BlobPath: blob, ContentType: contentType, IfMatch: etag, Upload: upload, Offset: &offset, More: more}
		want := []byte(content)
		if in.Text = &content; !isText {
			in.Text, in.Base64 = nil, &content
			want, _ = base64.StdEncoding.DecodeString(content)
		}
		if name != "" {
			in.Metadata, in.Tags = map[string]string{name: value}, map[string]string{name: value}
		}
		out, err := w.set.Write(t.Context(), user, in)
		if err == nil && out.Action == "staged" {
			want = append(want, "end"...)
			out, err = w.set.Write(t.Context(), user, blobtool.WriteInput{BlobPath: blob, Text: new("end"), Upload: out.Upload, Offset: out.Offset})
		}
		if upload != "" && err == nil {
			want = append([]byte("x"), want...)
		}
		if err != nil {
			if e, ok := errors.AsType[*blobtool.Error](err); ok && e.Status == http.StatusBadRequest {
				t.Fatalf("%+v: Azure rejects the request: %v", in, err)
			}
			return
		}
		client := all.NewBlobClient(out.BlobPath)
		resp, err := client.DownloadStream(t.Context(), nil)
		if err != nil {
			t.Fatalf("%+v: %s, and then %v", in, out.Action, err)
		}
		defer func() { _ = resp.Body.Close() }()
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) || string(*resp.ETag) != `"`+out.ETag+`"` {
			t.Fatalf("%+v: %s, and the blob has %q (%v), want %q", in, out.Action, got, err, want)
		}
		if _, err := client.Delete(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	})
}
