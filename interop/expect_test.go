//go:build unix

package interop_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// What the four tools must answer to a user, whoever called them.

func checkPing(t *testing.T, answer map[string]any) {
	t.Helper()
	if answer["ok"] != true || answer["message"] != "Authenticated ping successful" {
		t.Errorf("secure_ping answered %v", answer)
	}
}

func checkUserInfo(t *testing.T, answer map[string]any, user *entratest.User) {
	t.Helper()
	claims, _ := answer["user_claims"].(map[string]any)
	if answer["ok"] != true || claims["oid"] != user.ObjectID || claims["upn"] != user.UserPrincipalName {
		t.Errorf("get_user_info answered ok %v, oid %v, upn %v; want %s, %s",
			answer["ok"], claims["oid"], claims["upn"], user.ObjectID, user.UserPrincipalName)
	}
}

// checkStorageToken checks the demonstration's token by using it, and returns it.
func (w *world) checkStorageToken(t *testing.T, answer map[string]any, user *entratest.User) string {
	t.Helper()
	claims, _ := answer["token_decoded"].(map[string]any)
	if claims["aud"] != "https://storage.azure.com" || claims["oid"] != user.ObjectID {
		t.Errorf("get_azure_blob_storage_token answered a token for %v with oid %v; want one for storage with %s", claims["aud"], claims["oid"], user.ObjectID)
	}
	token, _ := answer["access_token"].(string)
	d := w.document(t, welcomePath)
	status, body := w.get(t, d.path, token)
	if status != http.StatusOK || !bytes.Equal(body, d.data) {
		t.Errorf("Azurite answered the token with status %d, want the document", status)
	}
	return token
}

// get reads a blob from Azurite with a bare token, as the tool's usage says.
func (w *world) get(t *testing.T, path, token string) (status int, body []byte) {
	t.Helper()
	u := w.storage.accountURL() + "/" + container + "/" + (&url.URL{Path: path}).EscapedPath()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, u, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Ms-Version", "2025-11-05")
	resp, err := w.storage.client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	must(t, err)
	return resp.StatusCode, b.Bytes()
}

// arguments are what read_blob_with_token needs for the document.
func (d document) arguments() map[string]any {
	arguments := map[string]any{"blob_path": d.path}
	if d.encoding != "" {
		arguments["encoding"] = d.encoding
	}
	return arguments
}

// checkRead compares what read_blob_with_token answered, and what it saved below
// the folder, to the document. The folder may be relative to the server's.
func (d document) checkRead(t *testing.T, answer map[string]any, serverDir, downloads string) {
	t.Helper()
	if answer["container"] != container || answer["blob_path"] != d.path {
		t.Errorf("read_blob_with_token answered container %v, blob_path %v; want %s, %s", answer["container"], answer["blob_path"], container, d.path)
	}
	if answer["bytes"] != float64(len(d.data)) {
		t.Errorf("%s: bytes is %v, want %d", d.path, answer["bytes"], len(d.data))
	}
	if answer["text"] != d.text {
		got, _ := answer["text"].(string)
		t.Errorf("%s: text has %d bytes %.200q, want %d bytes %.200q", d.path, len(got), got, len(d.text), d.text)
	}
	if truncated := strings.HasSuffix(d.text, "...<truncated>"); answer["truncated"] != truncated {
		t.Errorf("%s: truncated is %v, want %v", d.path, answer["truncated"], truncated)
	}
	if warning := answer["warning"]; warning != nil {
		t.Errorf("%s: warning %v", d.path, warning)
	}
	local, _ := answer["local_path"].(string)
	if !filepath.IsAbs(local) {
		local = filepath.Join(serverDir, local)
	}
	within, err := filepath.Rel(filepath.Join(serverDir, downloads), local)
	if err != nil || !filepath.IsLocal(within) || !strings.HasSuffix(filepath.ToSlash(within), "/"+d.path) {
		t.Errorf("%s: local_path is %s, want the blob's path in a folder of the user below %s", d.path, local, downloads)
	}
	saved, err := os.ReadFile(local)
	must(t, err)
	if !bytes.Equal(saved, d.data) {
		t.Errorf("%s: the saved copy has %d bytes that differ from the blob's %d", d.path, len(saved), len(d.data))
	}
}
