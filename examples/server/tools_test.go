package main

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/explain"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// eras are the protocol versions of current and older clients.
var eras = map[string]string{"2026-07-28": "", "2025-11-25": "2025-11-25"}

// TestFourTools checks each documented member of the tools' outputs.
func TestFourTools(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	for era, version := range eras {
		t.Run(era, func(t *testing.T) {
			s := session(t, f.origin+"/mcp", f.token(f.alice), version)
			if got := s.InitializeResult().ProtocolVersion; got != era {
				t.Errorf("protocol version %s, want %s", got, era)
			}
			t.Run("tools", func(t *testing.T) {
				listed, err := s.ListTools(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, tool := range listed.Tools {
					names = append(names, tool.Name)
					if tool.Title == "" || tool.Description == "" || tool.OutputSchema == nil || tool.Annotations == nil {
						t.Errorf("%s lacks title, description, schema or annotations", tool.Name)
					}
				}
				if !slices.Equal(names, documentedTools) {
					t.Errorf("tools %q, want %q", names, documentedTools)
				}
			})
			t.Run("secure_ping", func(t *testing.T) {
				out := result(t, s, "secure_ping", nil)
				wantMembers(t, out, "ok", "message", "server", "authentication")
				wantValues(t, out, map[string]any{"ok": true, "message": "Authenticated ping successful"})
			})
			t.Run("get_user_info", func(t *testing.T) { f.checkUserInfo(t, result(t, s, "get_user_info", nil)) })
			t.Run("get_azure_blob_storage_token", func(t *testing.T) {
				f.checkStorageToken(t, result(t, s, "get_azure_blob_storage_token", nil))
			})
			t.Run("read_blob_with_token", func(t *testing.T) {
				out := result(t, s, "read_blob_with_token", map[string]any{"blob_path": welcomeBlob})
				local := filepath.Join(f.downloads, f.tenant.ID()+"."+f.alice.ObjectID, filepath.FromSlash(welcomeBlob))
				want := map[string]any{
					"container": demoContainer, "blob_path": welcomeBlob, "bytes": float64(len(welcomeText)),
					"text": welcomeText, "truncated": false, "local_path": local,
				}
				if !reflect.DeepEqual(out, want) {
					t.Errorf("got  %v\nwant %v", out, want)
				}
				if saved, err := os.ReadFile(local); err != nil || string(saved) != welcomeText {
					t.Errorf("saved %q, %v", saved, err)
				}
			})
		})
	}
}

func wantMembers(t *testing.T, got map[string]any, want ...string) {
	t.Helper()
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, slices.Sorted(slices.Values(want))) {
		t.Errorf("members %q, want %q", names, want)
	}
}

func wantValues(t *testing.T, got, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if !reflect.DeepEqual(got[name], value) {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

func (f *fixture) checkUserInfo(t *testing.T, out map[string]any) {
	t.Helper()
	wantMembers(t, out, "ok", "message", "authentication_method", "issuer", "audience", "user_claims", "validation")
	wantValues(t, out, map[string]any{"ok": true, "issuer": f.tenant.V1Issuer(), "audience": f.api.AppIDURI()})
	claims, ok := out["user_claims"].(map[string]any)
	if !ok {
		t.Fatalf("user_claims is %T", out["user_claims"])
	}
	wantValues(t, claims, map[string]any{
		"oid": f.alice.ObjectID, "upn": f.alice.UserPrincipalName, "appid": f.client.ClientID, "tid": f.tenant.ID(), "scp": "access_as_user",
	})
	for _, time := range []string{"exp", "nbf", "iat"} {
		if _, ok := claims[time].(float64); !ok {
			t.Errorf("%s is %v", time, claims[time])
		}
	}
	checks, ok := out["validation"].([]any)
	if !ok {
		t.Fatalf("validation is %T", out["validation"])
	}
	var rules []string
	for _, c := range checks {
		check, _ := c.(map[string]any)
		if check["result"] != "passed" {
			t.Errorf("rule %v did not pass", check)
		}
		rules = append(rules, check["rule"].(string))
	}
	for _, documented := range []string{"signature", "expiry", "not before", "issuer", "audience", "tenant", "scope"} {
		if !slices.Contains(rules, documented) {
			t.Errorf("the checklist %q does not have %q", rules, documented)
		}
	}
}

func (f *fixture) checkStorageToken(t *testing.T, out map[string]any) {
	t.Helper()
	wantMembers(t, out, "ok", "message", "resource", "access_token", "token_decoded", "usage", "demo_note")
	wantValues(t, out, map[string]any{"ok": true, "resource": serverconfig.StorageResource})
	claims, _ := out["token_decoded"].(map[string]any)
	wantValues(t, claims, map[string]any{
		"aud": serverconfig.StorageResource, "iss": f.tenant.V1Issuer(), "oid": f.alice.ObjectID, "upn": f.alice.UserPrincipalName,
		"appid": f.api.ClientID, "scp": "user_impersonation",
	})
	token, _ := out["access_token"].(string)
	decoded, err := explain.DecodeClaims(token)
	if err != nil || !reflect.DeepEqual(decoded, claims) {
		t.Errorf("token_decoded is not what access_token holds: %v", err)
	}
	for _, text := range []string{"message", "usage", "demo_note"} {
		if s, _ := out[text].(string); s == "" || strings.Contains(s, token) {
			t.Errorf("%s is %q", text, s)
		}
	}
}

// TestV2Token checks that a v2 token works for the whole chain too.
func TestV2Token(t *testing.T) {
	t.Parallel()
	f := start(t, func(w *world, _ *serverconfig.Config) { w.api.AccessTokenVersion = 2 })
	s := f.as(t, f.alice)
	out := result(t, s, "get_user_info", nil)
	wantValues(t, out, map[string]any{"issuer": f.tenant.V2Issuer(), "audience": f.api.ClientID})
	result(t, s, "read_blob_with_token", map[string]any{"blob_path": readmeBlob})
}

// TestManagedIdentity tests the documented setup in Azure, without any secret. Only here does a
// library read the environment: the platform's variables.
func TestManagedIdentity(t *testing.T) {
	t.Parallel()
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	identity := w.tenant.AddManagedIdentity("mcp-identity")
	w.api.AddFederatedCredential(w.tenant.V2Issuer(), identity.ObjectID, "api://AzureADTokenExchange")
	w.api.RemoveSecrets()
	endpoint, header := w.tenant.ManagedIdentityEndpoint()
	p := w.startProcess(t, map[string]string{
		"UMI_CLIENT_ID": identity.ClientID, "IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": header, "ENTRA_APP_CLIENT_SECRET": "",
	})
	s := session(t, p.origin+"/mcp", w.token(w.alice), "")
	wantValues(t, result(t, s, "read_blob_with_token", map[string]any{"blob_path": welcomeBlob}), map[string]any{"text": welcomeText})
	p.stop(t)
}

// TestUsersAreApart: two users read the same path and each gets their own copy; a user who may not
// read a blob does not get the other's copy.
func TestUsersAreApart(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	alice, bob := f.as(t, f.alice), f.as(t, f.bob)
	read := map[string]any{"blob_path": readmeBlob}

	f.blobs.Put(demoContainer, readmeBlob, []byte("as Alice saw it"), "text/plain")
	forAlice := result(t, alice, "read_blob_with_token", read)["local_path"].(string)
	f.blobs.Put(demoContainer, readmeBlob, []byte("as Bob sees it"), "text/plain")
	forBob := result(t, bob, "read_blob_with_token", read)["local_path"].(string)

	for path, want := range map[string]string{forAlice: "as Alice saw it", forBob: "as Bob sees it"} {
		if saved, err := os.ReadFile(path); err != nil || string(saved) != want {
			t.Errorf("%s holds %q, %v; want %q", path, saved, err, want)
		}
	}
	if filepath.Dir(forAlice) == filepath.Dir(forBob) {
		t.Errorf("both copies are in %s", filepath.Dir(forAlice))
	}
	wantText(t, refusal(t, bob, "read_blob_with_token", map[string]any{"blob_path": reportBlob}),
		"may not read", "Storage Blob Data Reader", "AuthorizationPermissionMismatch")
	wantValues(t, result(t, alice, "get_azure_blob_storage_token", nil)["token_decoded"].(map[string]any), map[string]any{"oid": f.alice.ObjectID})
	wantValues(t, result(t, bob, "get_azure_blob_storage_token", nil)["token_decoded"].(map[string]any), map[string]any{"oid": f.bob.ObjectID})
}

// A gate delays requests for tokens until it is opened.
type gate struct {
	next    http.RoundTripper
	arrived chan struct{} // closed by the first request
	open    chan struct{}
	once    sync.Once
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/token") {
		g.once.Do(func() { close(g.arrived) })
		<-g.open
	}
	return g.next.RoundTrip(r)
}

// TestGracefulShutdown checks that a call in progress at shutdown gets its answer.
func TestGracefulShutdown(t *testing.T) {
	t.Parallel()
	g := &gate{arrived: make(chan struct{}), open: make(chan struct{})}
	f := startWith(t, nil, func(toEntra http.RoundTripper) http.RoundTripper { g.next = toEntra; return g })
	s := f.as(t, f.alice)
	answered := make(chan error, 1)
	go func() {
		var out blobOutput
		answered <- call(t.Context(), s, "read_blob_with_token", map[string]any{"blob_path": readmeBlob}, &out)
	}()
	<-g.arrived
	stopped := make(chan struct{})
	go func() { f.stop(); close(stopped) }()
	f.log.await(t, regexp.MustCompile("(draining)"))
	close(g.open)
	if err := <-answered; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	<-stopped
}
