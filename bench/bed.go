package bench

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Scope is the delegated permission that every contestant is told to require,
// if it can be told.
const Scope = "access_as_user"

// A Bed is the tenant on which all are tried: an API that wants v2 tokens, a
// client and a user.
type Bed struct {
	Tenant *entratest.Tenant
	API    *entratest.App
	Client *entratest.App
	User   *entratest.User
	// CertificateFile has the certificate of the tenant's server, PEM.
	CertificateFile string

	ahead   atomic.Int64 // of the real clock, nanoseconds
	foreign *rsa.PrivateKey
}

// NewBed starts a tenant. Call it once per process and before any TLS
// connection: some contestants take no HTTP client and trust the system's roots,
// which are read once, from the file that SSL_CERT_FILE names by then.
func NewBed() (*Bed, error) {
	b := &Bed{Tenant: entratest.NewTenant(nil)}
	b.API = b.Tenant.AddApp("MCP server", Scope)
	b.API.AccessTokenVersion = 2
	b.Client = b.Tenant.AddClient("MCP client")
	b.User = b.Tenant.AddUser("alice@contoso.example", "Alice Adams")
	if err := b.trust(); err != nil {
		b.Tenant.Close()
		return nil, err
	}
	var err error
	if b.foreign, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bed) trust() error {
	f, err := os.CreateTemp("", "entratest-*.pem")
	if err != nil {
		return err
	}
	b.CertificateFile = f.Name()
	_, err = f.Write(b.Tenant.CertificatePEM())
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Setenv("SSL_CERT_FILE", b.CertificateFile)
}

// Close stops the tenant.
func (b *Bed) Close() {
	b.Tenant.Close()
	_ = os.Remove(b.CertificateFile)
}

// Now is the clock of those contestants that take one.
func (b *Bed) Now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// KeysURL is where the tenant's keys are.
func (b *Bed) KeysURL() string {
	return b.Tenant.AuthorityHost() + "/" + b.Tenant.ID() + "/discovery/v2.0/keys"
}

// keyFetches is how often keys have been asked for.
func (b *Bed) keyFetches() int { return b.Tenant.Count(entratest.EndpointKeys) }

// requests is how often metadata and keys have been asked for.
func (b *Bed) requests() int {
	return b.Tenant.Count(entratest.EndpointDiscovery) + b.Tenant.Count(entratest.EndpointKeys)
}

// Token returns a v2 access token of a user with 25 claims, after change.
func (b *Bed) Token(change func(header, claims map[string]any)) string {
	return b.Tenant.Mint(b.API, 2, func(header, claims map[string]any) {
		claims["acct"] = 0
		claims["ctry"], claims["tenant_ctry"] = "DE", "DE"
		claims["email"] = "alice@contoso.example"
		claims["family_name"], claims["given_name"] = "Adams", "Alice"
		if change != nil {
			change(header, claims)
		}
	})
}

// TokenWithGroups returns a [Bed.Token] of a user in 200 groups.
func (b *Bed) TokenWithGroups() string {
	groups := make([]string, 200)
	for i := range groups {
		groups[i] = fmt.Sprintf("%08x-1111-2222-3333-444444444444", i)
	}
	return b.Token(func(_, claims map[string]any) { claims["groups"] = groups })
}

const foreignKeyID = "entratest-foreign"

// publishForeignKey adds to the tenant's set a key whose issuer is another, as
// Entra's own sets hold the key of personal accounts. Undo takes it away.
func (b *Bed) publishForeignKey(ctx context.Context) (undo func(), err error) {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.KeysURL(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := b.Tenant.HTTPClient().Do(req)
	if err != nil {
		return nil, err
	}
	err = json.NewDecoder(resp.Body).Decode(&set)
	if e := resp.Body.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	set.Keys = append(set.Keys, map[string]any{
		"kty": "RSA", "use": "sig", "kid": foreignKeyID,
		"n": base64.RawURLEncoding.EncodeToString(b.foreign.N.Bytes()), "e": "AQAB",
		"cloud_instance_name": "microsoftonline.com",
		"issuer":              b.Tenant.AuthorityHost() + "/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
	})
	body, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	b.Tenant.Fail(entratest.EndpointKeys, entratest.Fault{Status: http.StatusOK, Body: string(body)})
	return func() { b.Tenant.Fail(entratest.EndpointKeys, entratest.Fault{}) }, nil
}

// foreignToken is [Bed.Token], signed with the foreign key.
func (b *Bed) foreignToken() (string, error) {
	token := b.Token(func(header, _ map[string]any) { header["kid"] = foreignKeyID })
	signed := token[:strings.LastIndexByte(token, '.')]
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, b.foreign, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
