package main

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// bearerHeader returns the header with a token.
func bearerHeader(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}

// TestBadTokens sends invalid requests and then a valid one: nothing stops the server.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	mint := func(change func(header, claims map[string]any)) http.Header {
		return bearerHeader(f.tenant.Mint(f.api, 1, change))
	}
	claim := func(name string, value any) http.Header {
		return mint(func(_, claims map[string]any) { claims[name] = value })
	}
	head := func(name string, value any) http.Header {
		return mint(func(header, _ map[string]any) { header[name] = value })
	}
	random := make([]byte, 768<<10)
	_, _ = rand.Read(random)
	now := time.Now().Unix()
	const elsewhere = "99999999-9999-4999-8999-999999999999"
	tests := []struct {
		name      string
		header    http.Header
		status    int
		challenge string // a part of the challenge
		text      string
	}{
		{"no header", http.Header{}, 401, "Bearer scope=", "No Bearer token found in Authorization header"},
		{"wrong scheme", http.Header{"Authorization": {"Basic YTpi"}}, 401, "Bearer scope=", "No Bearer token found in Authorization header"},
		{"empty token", http.Header{"Authorization": {"Bearer "}}, 401, "Bearer scope=", "No Bearer token found in Authorization header"},
		{"two tokens", http.Header{"Authorization": {"Bearer a", "Bearer b"}}, 400, `error="invalid_request"`, "one"},
		{"a 1 MiB token", bearerHeader(base64.RawURLEncoding.EncodeToString(random)), 431, "", "431 Request Header Fields Too Large"},
		{"a 100 KiB token", bearerHeader(base64.RawURLEncoding.EncodeToString(random[:75<<10])), 401, `error="invalid_token"`, "Token is"},
		{"garbage", bearerHeader("garbage"), 401, `error="invalid_token"`, "not a well-formed JWT"},
		{"alg none", head("alg", "none"), 401, `error="invalid_token"`, "RS256"},
		{"HS256 with the public key", head("alg", "HS256"), 401, `error="invalid_token"`, "RS256"},
		{"expired", claim("exp", now-3600), 401, `error="invalid_token"`, "Token expired"},
		{"not yet valid", claim("nbf", now+3600), 401, `error="invalid_token"`, "not yet valid"},
		{"wrong audience", claim("aud", "api://"+elsewhere), 401, `error="invalid_token"`, "Audience validation failed: expected api://" + f.api.ClientID},
		{"wrong issuer", claim("iss", "https://sts.windows.net/"+elsewhere+"/"), 401, `error="invalid_token"`, "Issuer validation failed"},
		{"wrong tenant", claim("tid", elsewhere), 401, `error="invalid_token"`, "enant"},
		{"missing scope", claim("scp", "other"), 403, `error="insufficient_scope"`, "access_as_user"},
		{"ID token", bearerHeader(f.tenant.IDToken(f.alice, f.api)), 401, `error="invalid_token"`, "ID token"},
		{"app-only token", mint(func(_, claims map[string]any) {
			delete(claims, "scp")
			claims["roles"], claims["idtyp"] = []string{"Everything"}, "app"
		}), 403, `error="insufficient_scope"`, "user"},
		{"unknown kid", head("kid", "unknown"), 401, `error="invalid_token"`, "key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, challenge, text := f.post(t, tt.header)
			if status != tt.status {
				t.Errorf("status %d, want %d: %s", status, tt.status, text)
			}
			wantText(t, challenge, tt.challenge)
			wantText(t, text, tt.text)
			if strings.Contains(text+challenge, elsewhere) {
				t.Errorf("a value of the token is in the answer: %s %s", challenge, text)
			}
		})
	}
	if status, _, text := f.post(t, bearerHeader(f.token(f.alice))); status != http.StatusOK {
		t.Errorf("afterwards a good token gets %d: %s", status, text)
	}
}

// TestKeysUnavailable checks that an unreachable tenant causes 503 at startup, and has no effect
// once there are keys.
func TestKeysUnavailable(t *testing.T) {
	t.Parallel()
	t.Run("at the start", func(t *testing.T) {
		f := start(t, func(w *world, _ *serverconfig.Config) {
			w.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 500})
		})
		status, challenge, text := f.post(t, bearerHeader(f.token(f.alice)))
		if status != http.StatusServiceUnavailable || challenge != "" {
			t.Errorf("status %d, challenge %q: %s", status, challenge, text)
		}
		wantText(t, text, "signing keys")
	})
	t.Run("during the run", func(t *testing.T) {
		f := start(t, nil)
		if status, _, text := f.post(t, bearerHeader(f.token(f.alice))); status != http.StatusOK {
			t.Fatalf("status %d: %s", status, text)
		}
		f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Status: 500})
		f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: 500})
		if status, _, text := f.post(t, bearerHeader(f.token(f.alice))); status != http.StatusOK {
			t.Errorf("status %d: %s", status, text)
		}
	})
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	s := f.as(t, f.alice)
	f.blobs.Put(demoContainer, "japanese.txt", []byte(welcomeText), "text/plain")
	tests := []struct {
		name      string
		arguments map[string]any
		texts     []string
	}{
		{"no path", map[string]any{}, []string{"blob_path"}},
		{"empty path", map[string]any{"blob_path": ""}, []string{"blob_path is empty"}},
		{"parent folders", map[string]any{"blob_path": "../../etc/passwd"}, []string{`has the segment ".."`}},
		{"encoded parent folder", map[string]any{"blob_path": "a/%2e%2e/b"}, []string{`has the segment ".." once percent-decoded`}},
		{"absolute", map[string]any{"blob_path": "/etc/passwd"}, []string{"is absolute"}},
		{"backslash", map[string]any{"blob_path": `..\secret`}, []string{"has a backslash"}},
		{"NUL", map[string]any{"blob_path": "a\x00b"}, []string{"has a control character"}},
		{"2,000 characters", map[string]any{"blob_path": strings.Repeat("a", 2000)}, []string{"2000 characters", "1024"}},
		{"max_chars 0", map[string]any{"blob_path": readmeBlob, "max_chars": 0}, []string{"max_chars is 0", "at least 1"}},
		{"max_chars negative", map[string]any{"blob_path": readmeBlob, "max_chars": -5}, []string{"max_chars is -5", "at least 1"}},
		{"max_chars as text", map[string]any{"blob_path": readmeBlob, "max_chars": "many"}, []string{"max_chars"}},
		{"unknown encoding", map[string]any{"blob_path": readmeBlob, "encoding": "klingon"}, []string{"klingon"}},
		{"unknown argument", map[string]any{"blob_path": readmeBlob, "container": "other"}, []string{"container"}},
		{"no such blob", map[string]any{"blob_path": "absent.txt"}, []string{"absent.txt", "BlobNotFound"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantText(t, refusal(t, s, "read_blob_with_token", tt.arguments), tt.texts...)
		})
	}
	huge := result(t, s, "read_blob_with_token", map[string]any{"blob_path": longBlob, "max_chars": 1e15})
	if n := len([]rune(huge["text"].(string))); n < 1_000_000 || n > 1_000_100 || huge["truncated"] != true {
		t.Errorf("max_chars 1e15 returned %d characters, truncated %v", n, huge["truncated"])
	}
	cut := result(t, s, "read_blob_with_token", map[string]any{"blob_path": welcomeBlob, "max_chars": 4})
	wantValues(t, cut, map[string]any{"text": "ようこそ\n...<truncated>", "truncated": true, "bytes": float64(len(welcomeText))})
}

// TestTrouble breaks the blob tools' dependencies and checks the texts.
func TestTrouble(t *testing.T) {
	t.Parallel()
	read := map[string]any{"blob_path": readmeBlob}
	tests := []struct {
		name   string
		change func(*world, *serverconfig.Config)
		token  []string // texts from get_azure_blob_storage_token; nil if it works
		read   []string // texts from read_blob_with_token
	}{
		{"OBO off", func(_ *world, c *serverconfig.Config) { c.OBO = false },
			[]string{"Set USE_OBO_FLOW=true"}, []string{"Set USE_OBO_FLOW=true"}},
		{"storage variables missing", func(_ *world, c *serverconfig.Config) { c.StorageURL, c.Container = "", "" },
			nil, []string{"Set AZURE_STORAGE_ACCOUNT_URL and AZURE_STORAGE_CONTAINER"}},
		{"container variable missing", func(_ *world, c *serverconfig.Config) { c.Container = "" },
			nil, []string{"Set AZURE_STORAGE_CONTAINER "}},
		{"nothing configured", func(_ *world, c *serverconfig.Config) { c.OBO, c.StorageURL, c.Container = false, "", "" },
			[]string{"Set USE_OBO_FLOW=true"}, []string{"Set AZURE_STORAGE_ACCOUNT_URL", "Set USE_OBO_FLOW=true"}},
		{"no consent", func(w *world, _ *serverconfig.Config) { w.tenant.RevokeConsent(w.api, w.tenant.Storage()) },
			[]string{"AADSTS65001", "consent"}, []string{"AADSTS65001", "consent"}},
		{"wrong secret", func(_ *world, c *serverconfig.Config) { c.Method = clientauth.Secret("wrong-secret") },
			[]string{"AADSTS7000215"}, []string{"AADSTS7000215"}},
		{"Entra down", func(w *world, _ *serverconfig.Config) {
			w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: 503})
		},
			[]string{"ry again"}, []string{"ry again"}},
		{"container missing", func(w *world, c *serverconfig.Config) {
			c.Container = "elsewhere"
			w.blobs.Grant(w.alice.ObjectID, "", "")
		}, nil, []string{"elsewhere", "ContainerNotFound"}},
		{"storage down", func(w *world, _ *serverconfig.Config) { w.blobs.Close() },
			nil, []string{"could not be reached", "storage account's URL"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t, tt.change)
			s := f.as(t, f.alice)
			if tt.token == nil {
				result(t, s, "get_azure_blob_storage_token", nil)
			} else {
				wantText(t, refusal(t, s, "get_azure_blob_storage_token", nil), tt.token...)
			}
			text := refusal(t, s, "read_blob_with_token", read)
			wantText(t, text, tt.read...)
			for _, private := range []string{"127.0.0.1", "wrong-secret", f.downloads} {
				if strings.Contains(text, private) {
					t.Errorf("%q shows %q", text, private)
				}
			}
			wantValues(t, result(t, s, "secure_ping", nil), map[string]any{"ok": true}) // the server still works
		})
	}
}
