package blobtest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenantID = "11111111-2222-3333-4444-555555555555"
	issuer   = "https://sts.windows.net/" + tenantID + "/"
	alice    = "aaaaaaaa-0000-0000-0000-000000000001"
	bob      = "bbbbbbbb-0000-0000-0000-000000000002"
	kid      = "key-1"
)

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// newServer starts a server that trusts signingKey.
func newServer(t testing.TB) *blobtest.Server { return newServerWith(t, blobtest.Options{}) }

func newServerWith(t testing.TB, o blobtest.Options) *blobtest.Server {
	t.Helper()
	o.Key = func(id string) (*rsa.PublicKey, bool) { return &signingKey().PublicKey, id == kid }
	o.Issuer = issuer
	srv := blobtest.New(t, &o)
	return srv
}

// claims returns the claims of a valid token of the user, with changes.
func claims(oid string, changes map[string]any) jwt.MapClaims {
	now := time.Now()
	c := jwt.MapClaims{
		"iss": issuer, "aud": "https://storage.azure.com", "tid": tenantID, "oid": oid, "scp": "user_impersonation",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	maps.Copy(c, changes)
	return c
}

// sign returns the signed token.
func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	token.Header["kid"] = kid
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tokenOf(t testing.TB, oid string) string {
	return sign(t, jwt.SigningMethodRS256, signingKey(), claims(oid, nil))
}

// static is a credential with one token. It records the requested scopes.
type static struct {
	token string
	mu    sync.Mutex
	asked []string
}

func (s *static) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, o.Scopes...)
	return azcore.AccessToken{Token: s.token, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// clientOf returns azblob's own client with the token.
func clientOf(t testing.TB, srv *blobtest.Server, name, token string) (*container.Client, *static) {
	t.Helper()
	cred := &static{token: token}
	c, err := container.NewClient(srv.URL()+"/"+name, cred, &container.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: srv.HTTPClient(),
		Retry:     policy.RetryOptions{MaxRetries: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c, cred
}
