//go:build unix

package soak_test

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

const (
	users     = 1000
	container = "docs"

	// Resources of the server without sessions, and of the one with them.
	callsURL     = "https://mcp.example.com/mcp"
	sessionsHost = "sessions.example.com"
	sessionsURL  = "https://" + sessionsHost + "/mcp"
)

// A user has an own folder in storage, and one in ten has the role that the tool vault needs.
type user struct {
	*entratest.User
	folder string
	vault  bool

	mu         sync.Mutex
	token, key string // and the ID of the key that signed it
}

// A world is what the replicas have around them.
type world struct {
	tenant         *entratest.Tenant
	blobs          *blobtest.Server
	api, signInApp *entratest.App
	client         *entratest.App
	users          []*user
	redis          string

	mu   sync.Mutex
	keys map[string]*rsa.PublicKey // of the tenant, also earlier ones
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{tenant: entratest.NewTenant(&entratest.Options{KeepRequests: 10}), keys: map[string]*rsa.PublicKey{}, redis: startRedis(t)}
	t.Cleanup(w.tenant.Close)
	w.blobs = blobtest.NewServer(&blobtest.Options{Key: w.key, Issuer: w.tenant.V1Issuer(), TenantID: w.tenant.ID(), KeepRequests: 10})
	t.Cleanup(w.blobs.Close)
	w.api, w.client = w.tenant.AddApp("MCP server", "access_as_user"), w.tenant.AddClient("MCP client")
	w.signInApp = w.tenant.AddApp("Sign-in")
	w.signInApp.AddRedirectURI(entratest.PlatformWeb, strings.TrimSuffix(callsURL, "/mcp")+"/oauth/callback")
	w.tenant.Consent(w.api, w.tenant.Storage(), "user_impersonation")
	w.tenant.Consent(w.signInApp, w.api)
	for i := range users {
		u := &user{User: w.tenant.AddUser(fmt.Sprintf("user%d@contoso.example", i), "User"), folder: fmt.Sprintf("user%04d/", i), vault: i%10 == 0}
		if u.vault {
			w.tenant.GrantRoles(u, w.api, "Vault.Open")
		}
		text := "This note is of owner=" + u.ObjectID + "\n" + strings.Repeat("It says no more.\n", 100)
		w.blobs.Put(container, u.note(), []byte(text), "text/plain")
		w.blobs.Grant(u.ObjectID, container, u.folder)
		w.users = append(w.users, u)
	}
	w.rememberKey()
	return w
}

func (u *user) note() string { return u.folder + "note.txt" }

// bearer returns the user's token, and the ID of its key. A fresh one is not the last one.
func (w *world) bearer(u *user, fresh bool) (token, key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.token == "" || fresh {
		u.key = w.tenant.KeyID() // first: if the key changes now, the token seems older than it is
		u.token = w.tenant.Token(u.User, w.client, w.api)
	}
	return u.token, u.key
}

// rotate changes the tenant's signing key. Storage goes on accepting tokens of earlier keys, since it
// keeps keys for longer than the few seconds between two rotations here.
func (w *world) rotate() {
	w.tenant.RotateKeys()
	w.rememberKey()
}

func (w *world) rememberKey() {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := w.tenant.KeyID()
	if key, ok := w.tenant.PublicKey(id); ok {
		w.keys[id] = key
	}
}

func (w *world) key(id string) (*rsa.PublicKey, bool) {
	if key, ok := w.tenant.PublicKey(id); ok {
		return key, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key, ok := w.keys[id]
	return key, ok
}

// settings returns what each replica is told. They have the keys in common, and folders of their own.
func (w *world) settings(t *testing.T, flaw string, preStop time.Duration) func() settings {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	c := settings{
		Tenant: w.tenant.ID(), AuthorityHost: w.tenant.AuthorityHost(), APIAppID: w.api.ClientID, APISecret: w.api.AddSecret(),
		SignInAppID: w.signInApp.ClientID, AppSecret: w.signInApp.AddSecret(), Certificates: string(w.tenant.CertificatePEM()) + string(w.blobs.CertificatePEM()),
		StorageURL: w.blobs.URL(), Container: container, RedisAddr: w.redis, Keys: [][]byte{key},
		URL: callsURL, SessionsURL: sessionsURL, Flaw: flaw, PreStop: preStop,
	}
	return func() settings {
		c.Folder = t.TempDir()
		return c
	}
}

// startRedis runs redis-server on a free port, with nothing on disk, and returns its address.
func startRedis(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed. Run: apt-get install redis-server")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	cmd := exec.Command(path, "--port", strconv.Itoa(address.Port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		c, err := net.DialTimeout("tcp", address.String(), time.Second)
		if err == nil {
			_ = c.Close()
			return address.String()
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("redis-server does not answer")
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
