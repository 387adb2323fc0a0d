//go:build unix

package interop_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// The documented server as its operator starts it, between a client of the
// go-sdk, the tenant and Azurite.
func TestServerWithSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.startServer(t, w.environment(t))
	secrets := []string{w.token(w.alice), w.token(w.bob)}
	for _, protocol := range []string{modernProtocol, legacyProtocol} {
		alice := connect(w.ctx, t, s.url(), secrets[0], protocol)
		secrets = append(secrets, w.callAll(t, s, alice, w.alice))
	}
	t.Run("a folder for each user", func(t *testing.T) {
		alice := connect(w.ctx, t, s.url(), secrets[0], "")
		bob := connect(w.ctx, t, s.url(), secrets[1], "")
		secrets = append(secrets, w.callAll(t, s, bob, w.bob))
		readme := w.document(t, "readme.txt").arguments()
		hers, his := alice.call(t, "read_blob_with_token", readme), bob.call(t, "read_blob_with_token", readme)
		if hers["local_path"] == his["local_path"] {
			t.Errorf("both users' copies are at %v", hers["local_path"])
		}
	})
	t.Run("text is cut and errors tell what to do", func(t *testing.T) {
		alice := connect(w.ctx, t, s.url(), secrets[0], "")
		answer := alice.call(t, "read_blob_with_token", map[string]any{"blob_path": welcomePath, "max_chars": 4})
		if answer["text"] != "ようこそ\n...<truncated>" || answer["truncated"] != true {
			t.Errorf("4 characters of the welcome are %q", answer["text"])
		}
		alice.refused(t, "read_blob_with_token", map[string]any{"blob_path": "nothere.txt"}, "not found", "BlobNotFound")
		alice.refused(t, "read_blob_with_token", map[string]any{"blob_path": "../readme.txt"}, "blob_path")
	})
	s.stop(t)
	checkLog(t, s.process, append(secrets, w.secrets()...))
	checkRequestLog(t, s)
}

// callAll calls the four tools as the user, and returns the storage token.
func (w *world) callAll(t *testing.T, s *server, session *session, user *entratest.User) (storageToken string) {
	t.Helper()
	checkPing(t, session.call(t, "secure_ping", nil))
	checkUserInfo(t, session.call(t, "get_user_info", nil), user)
	storageToken = w.checkStorageToken(t, session.call(t, "get_azure_blob_storage_token", nil), user)
	for _, d := range w.documents {
		d.checkRead(t, session.call(t, "read_blob_with_token", d.arguments()), s.dir, "downloads")
	}
	return storageToken
}

// checkRequestLog wants a line for each kind of call.
func checkRequestLog(t *testing.T, s *server) {
	t.Helper()
	log := s.stderr.String()
	for _, tool := range []string{"secure_ping", "get_user_info", "get_azure_blob_storage_token", "read_blob_with_token"} {
		if !strings.Contains(log, "tool="+tool+" ") {
			t.Errorf("the server's log has no line for %s", tool)
		}
	}
}

// The way in Azure: no secret anywhere, the app proves itself by a managed
// identity.
func TestServerWithManagedIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.api.RemoveSecrets()
	identity := w.tenant.AddManagedIdentity("mcp-server")
	w.api.AddFederatedCredential(w.tenant.V2Issuer(), identity.ObjectID, "api://AzureADTokenExchange")
	env := w.environment(t)
	delete(env, "ENTRA_APP_CLIENT_SECRET")
	env["UMI_CLIENT_ID"] = identity.ClientID
	env["IDENTITY_ENDPOINT"], env["IDENTITY_HEADER"] = w.tenant.ManagedIdentityEndpoint()
	env["DOWNLOAD_DIR"] = "kept/here"
	s := w.startServer(t, env)

	token := w.token(w.alice)
	alice := connect(w.ctx, t, s.url(), token, "")
	d := w.document(t, welcomePath)
	d.checkRead(t, alice.call(t, "read_blob_with_token", d.arguments()), s.dir, env["DOWNLOAD_DIR"])
	storageToken := w.checkStorageToken(t, alice.call(t, "get_azure_blob_storage_token", nil), w.alice)

	if n := w.tenant.Count(entratest.EndpointManagedIdentity); n == 0 {
		t.Error("the managed identity was not asked")
	}
	for _, r := range w.tenant.Requests() {
		if r.Endpoint == entratest.EndpointToken && (r.Form.Get("client_assertion") == "" || r.Form.Has("client_secret")) {
			t.Error("an exchange was not proved by the managed identity's token")
		}
	}
	s.stop(t)
	checkLog(t, s.process, append(w.secrets(), token, storageToken, env["IDENTITY_HEADER"]))
}
