package onbehalf

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

const (
	tenantID  = "11111111-2222-3333-4444-555555555555"
	clientID  = "66666666-7777-8888-9999-000000000000"
	authority = "https://login.microsoftonline.com/" + tenantID
	scope     = "https://storage.azure.com/user_impersonation"
	// TokenSize is the length of the tokens that are handed out: about that of a token for Azure Storage.
	TokenSize = 1500
)

// Entra is a tenant's discovery and token endpoint in memory. It gives anybody a
// token of [TokenSize], without refresh and ID token, which spares the libraries
// that would keep them. Delay and lifetime are set before use.
type Entra struct {
	// Delay is how long a token request takes. It ends with the request's context.
	Delay time.Duration
	// Lifetime is that of the tokens. Defaults to an hour.
	Lifetime time.Duration

	discoveries, exchanges atomic.Int64
}

// Requests returns how many were made of each endpoint.
func (e *Entra) Requests() (discoveries, exchanges int64) {
	return e.discoveries.Load(), e.exchanges.Load()
}

// Client returns an HTTP client that reaches nothing else.
func (e *Entra) Client() *http.Client { return &http.Client{Transport: e} }

// Do makes it a transport of the Azure SDK.
func (e *Entra) Do(req *http.Request) (*http.Response, error) { return e.RoundTrip(req) }

// RoundTrip answers.
func (e *Entra) RoundTrip(req *http.Request) (*http.Response, error) {
	var body string
	switch {
	case strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration"):
		e.discoveries.Add(1)
		body = fmt.Sprintf(`{"issuer":"%s/v2.0","authorization_endpoint":"%[1]s/oauth2/v2.0/authorize",`+
			`"token_endpoint":"%[1]s/oauth2/v2.0/token","jwks_uri":"%[1]s/discovery/v2.0/keys"}`, authority)
	case strings.HasSuffix(req.URL.Path, "/oauth2/v2.0/token"):
		e.exchanges.Add(1)
		if e.Delay > 0 {
			select {
			case <-time.After(e.Delay):
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		}
		lifetime := e.Lifetime
		if lifetime == 0 {
			lifetime = time.Hour
		}
		body = fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"scope":"%s","access_token":"%s"}`,
			int(lifetime.Seconds()), scope, randomText(TokenSize))
	default:
		return nil, fmt.Errorf("nothing at %s", req.URL.Path)
	}
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"application/json"}},
		Body:       io.NopCloser(strings.NewReader(body)),
		Request:    req,
	}, nil
}

// Assertion returns a user's access token, of the size that Entra's have.
func Assertion(user int) string {
	payload := fmt.Sprintf(`{"aud":"api://%s","tid":"%s","oid":"%08d-1234-1234-1234-123456789abc","scp":"access_as_user","exp":%d,"pad":"%s"}`,
		clientID, tenantID, user, time.Now().Add(24*time.Hour).Unix(), randomText(700))
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + randomText(342)
}

func randomText(n int) string {
	b := make([]byte, n*3/4)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
