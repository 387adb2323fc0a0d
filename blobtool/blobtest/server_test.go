package blobtest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
)

const challenge = "Bearer authorization_uri=https://login.microsoftonline.com/" + tenantID + "/oauth2/authorize resource_id=https://storage.azure.com"

// answer is the response to a plain request.
type answer struct {
	status int
	header http.Header
	body   string
}

// get sends a plain request with the token, if there is one.
func get(t *testing.T, srv *blobtest.Server, path, token string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := srv.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.Put("docs", "a", []byte("abc"), "")
	srv.Grant(alice, "docs", "")
	otherKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs := func(changes map[string]any) string {
		return sign(t, jwt.SigningMethodRS256, signingKey(), claims(alice, changes))
	}
	now := time.Now()
	for name, c := range map[string]struct{ token, code, detail string }{
		"good":                         {rs(nil), "", ""},
		"audience with slash":          {rs(map[string]any{"aud": "https://storage.azure.com/"}), "", ""},
		"application without scp":      {rs(map[string]any{"scp": nil}), "", ""},
		"none":                         {"", "NoAuthenticationInformation", ""},
		"garbage":                      {"x.y.z", "InvalidAuthenticationInfo", "Signature validation failed"},
		"other audience":               {rs(map[string]any{"aud": "https://graph.microsoft.com"}), "InvalidAuthenticationInfo", "Audience validation failed"},
		"other issuer":                 {rs(map[string]any{"iss": "https://sts.windows.net/x/"}), "InvalidAuthenticationInfo", "Issuer validation failed"},
		"other tenant":                 {rs(map[string]any{"tid": "x"}), "InvalidAuthenticationInfo", "Tenant validation failed"},
		"expired":                      {rs(map[string]any{"exp": now.Add(-time.Minute).Unix()}), "InvalidAuthenticationInfo", "The token is expired"},
		"without exp":                  {rs(map[string]any{"exp": nil}), "InvalidAuthenticationInfo", "validation failed"},
		"not yet valid":                {rs(map[string]any{"nbf": now.Add(time.Hour).Unix()}), "InvalidAuthenticationInfo", "not yet valid"},
		"other scope":                  {rs(map[string]any{"scp": "access_as_user"}), "InvalidAuthenticationInfo", "user_impersonation"},
		"no object":                    {rs(map[string]any{"oid": nil}), "InvalidAuthenticationInfo", "oid"},
		"other key":                    {sign(t, jwt.SigningMethodRS256, otherKey, claims(alice, nil)), "InvalidAuthenticationInfo", "Signature validation failed"},
		"HS256 with the public key":    {sign(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&signingKey().PublicKey), claims(alice, nil)), "InvalidAuthenticationInfo", "Signature validation failed"},
		"alg none":                     {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(alice, nil)), "InvalidAuthenticationInfo", "Signature validation failed"},
		"another algorithm of the key": {sign(t, jwt.SigningMethodPS256, signingKey(), claims(alice, nil)), "InvalidAuthenticationInfo", "Signature validation failed"},
	} {
		got := get(t, srv, "/docs/a", c.token)
		if c.code == "" {
			if got.status != http.StatusOK || got.body != "abc" {
				t.Errorf("%s: got %d %s, want 200, abc", name, got.status, got.body)
			}
			continue
		}
		if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != challenge || got.header.Get("x-ms-error-code") != c.code ||
			!strings.Contains(got.body, "<Code>"+c.code+"</Code>") || !strings.Contains(got.body, c.detail) {
			t.Errorf("%s: got %d, %v, %s; want 401, the challenge, %s and %q", name, got.status, got.header, got.body, c.code, c.detail)
		}
	}
}

// azblob responds to the challenge once, by requesting a token for its resource.
func TestChallengeReachesAzblob(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	client, cred := clientOf(t, srv, "docs", sign(t, jwt.SigningMethodRS256, signingKey(), claims(alice, map[string]any{"aud": "x"})))
	if _, err := client.NewBlobClient("a").DownloadStream(t.Context(), nil); !hasCode(err, 401, bloberror.InvalidAuthenticationInfo) {
		t.Errorf("got %v, want 401 %s", err, bloberror.InvalidAuthenticationInfo)
	}
	if want := []string{"https://storage.azure.com/.default", "https://storage.azure.com/.default"}; !slices.Equal(cred.asked, want) {
		t.Errorf("azblob asked for %q, want %q", cred.asked, want)
	}
	if n := len(srv.Requests()); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.Put("docs", "a", []byte("0123456789"), "")
	client := docs.NewBlobClient("a")

	srv.Fail(blobtest.Fault{Skip: 1, Times: 1, Status: 503, Code: "ServerBusy", RetryAfter: 1500 * time.Millisecond})
	for i, want := range []int{200, 503, 200} {
		got := get(t, srv, "/docs/a", tokenOf(t, alice))
		if got.status != want || want == 503 && (got.header.Get("Retry-After") != "2" || got.header.Get("x-ms-error-code") != "ServerBusy") {
			t.Errorf("request %d: got %d %v, want %d", i, got.status, got.header, want)
		}
	}

	srv.Fail(blobtest.Fault{Times: 1, CutAfter: 4})
	resp, err := client.DownloadStream(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv.ForgetRequests()
	body := resp.NewRetryReader(t.Context(), nil)
	got, err := io.ReadAll(body)
	_ = body.Close()
	if err != nil || string(got) != "0123456789" {
		t.Errorf("after a cut, azblob's retry reader got %q, %v; want 0123456789, nil", got, err)
	}
	if r := srv.Requests(); len(r) == 0 || r[len(r)-1].Range != "bytes=4-" || r[len(r)-1].BytesSent != 6 {
		t.Errorf("it asked for %+v, want bytes=4-, of which 6 were sent", r)
	}

	srv.Fail(blobtest.Fault{Status: 418, Body: "teapot", Challenge: "Bearer x"})
	if got := get(t, srv, "/docs/a", ""); got.status != 418 || got.body != "teapot" || got.header.Get("WWW-Authenticate") != "Bearer x" {
		t.Errorf("got %d %q, want 418, teapot, \"Bearer x\"", got.status, got.body)
	}
	srv.Fail(blobtest.Fault{})
	if got := get(t, srv, "/docs/a", tokenOf(t, alice)); got.status != 200 {
		t.Errorf("after clearing: got %d, want 200", got.status)
	}
}

func TestSynthetic(t *testing.T) {
	t.Parallel()
	srv, docs := aliceClient(t)
	srv.PutSized("docs", "big", 5<<30)
	client := docs.NewBlobClient("big")
	p, err := client.GetProperties(t.Context(), nil)
	if err != nil || *p.ContentLength != 5<<30 || p.ContentMD5 != nil {
		t.Fatalf("got %+v, %v; want nil, ContentLength 5<<30, no ContentMD5", p, err)
	}
	read := func(offset, count int64) string {
		resp, err := client.DownloadStream(t.Context(), &blob.DownloadStreamOptions{Range: blob.HTTPRange{Offset: offset, Count: count}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	all := read(0, 1000)
	if !strings.HasPrefix(all, "0000000000 the quick") || all[63] != '\n' || !strings.HasPrefix(all[64:], "0000000001 ") {
		t.Errorf("it begins with %q, want numbered lines of 64 bytes", all[:130])
	}
	for _, r := range [][2]int64{{0, 64}, {63, 2}, {65, 500}, {999, 1}} {
		if got := read(r[0], r[1]); got != all[r[0]:r[0]+r[1]] {
			t.Errorf("range %v is %q, want %q", r, got, all[r[0]:r[0]+r[1]])
		}
	}
}

func TestCertificateAndPanics(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	block, _ := pem.Decode(srv.CertificatePEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Errorf("VerifyHostname(%q) = %v, want nil", host, err)
		}
	}
	for name, o := range map[string]*blobtest.Options{
		"nil":      nil,
		"no key":   {Issuer: issuer},
		"no iss":   {Key: func(string) (*rsa.PublicKey, bool) { return nil, false }},
		"bad addr": {Key: func(string) (*rsa.PublicKey, bool) { return nil, false }, Issuer: issuer, Addr: "256.0.0.1:0"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic, want one", name)
				}
			}()
			blobtest.NewServer(o)
		}()
	}
	srv.Close()
	srv.Close() // closing again is harmless
}

var _ azcore.TokenCredential = (*static)(nil)

// A recordingTB is a test that records failures and cleanups.
type recordingTB struct {
	failure  string
	cleanups []func()
}

func (*recordingTB) Helper()             {}
func (tb *recordingTB) Cleanup(f func()) { tb.cleanups = append(tb.cleanups, f) }
func (tb *recordingTB) Fatalf(format string, args ...any) {
	tb.failure = fmt.Sprintf(format, args...)
}

func TestNew(t *testing.T) {
	t.Parallel()
	tb := new(recordingTB)
	opts := &blobtest.Options{Issuer: issuer, Key: func(string) (*rsa.PublicKey, bool) { return nil, false }}
	if srv := blobtest.New(tb, opts); srv == nil || len(tb.cleanups) != 1 {
		t.Errorf("New = %v with %d clean-ups, want a server and 1", srv, len(tb.cleanups))
	}
	for _, cleanup := range tb.cleanups {
		cleanup() // goleak finds leftovers
	}
	blobtest.New(tb, nil)
	if want := "Options.Key and Options.Issuer are required"; !strings.Contains(tb.failure, want) {
		t.Errorf("New fails with %q, want %q", tb.failure, want)
	}
}
