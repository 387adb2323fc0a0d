package obo_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// tokenSize is about what a token for Azure Storage has.
const tokenSize = 1500

// memoryEntra is a token endpoint in memory: 1.5 kB of random token for anybody.
type memoryEntra struct{ requests atomic.Int64 }

func (e *memoryEntra) RoundTrip(req *http.Request) (*http.Response, error) {
	e.requests.Add(1)
	body := `{"token_type":"Bearer","expires_in":3600,"scope":"` + storageScope + `","access_token":"` + randomText(tokenSize) + `"}`
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func randomText(n int) string {
	b := make([]byte, n*3/4)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// userToken is an assertion of the size that Entra's have.
func userToken(i int) string {
	payload := fmt.Sprintf(`{"aud":"api://%s","tid":"%s","oid":"%08d-1234-1234-1234-123456789abc","scp":"access_as_user","exp":%d,"pad":"%s"}`,
		someGUID, someGUID, i, time.Now().Add(24*time.Hour).Unix(), randomText(700))
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + randomText(342)
}

func benchExchanger(b *testing.B, entra http.RoundTripper) *obo.Exchanger {
	b.Helper()
	x, err := obo.NewExchanger(someGUID, someAppID, clientauth.Secret("s"), &obo.Options{
		HTTPClient: &http.Client{Transport: entra},
		CacheBytes: 1 << 30,
	})
	if err != nil {
		b.Fatal(err)
	}
	return x
}

// BenchmarkHit is a token from the cache, for a credential that is there and for
// one made for the request, as a server does. heap-B/user is the memory that
// one cached user takes.
func BenchmarkHit(b *testing.B) {
	for _, users := range []int{1, 100_000} {
		entra := &memoryEntra{}
		x := benchExchanger(b, entra)
		assertions := make([]obo.Assertion, users)
		for i := range assertions {
			assertions[i] = obo.NewAssertion(userToken(i))
		}
		ctx, o := b.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}, EnableCAE: true}
		credentials := make([]*obo.Credential, users)
		for i, a := range assertions {
			credentials[i] = x.Credential(a)
		}
		before := heap()
		for _, c := range credentials {
			if _, err := c.GetToken(ctx, o); err != nil {
				b.Fatal(err)
			}
		}
		perUser := float64(heap()-before) / float64(users)
		b.Run(fmt.Sprintf("users=%d/credential=kept", users), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i += 7919 {
				if _, err := credentials[i%users].GetToken(ctx, o); err != nil {
					b.Fatal(err)
				}
			}
			if users > 1 {
				b.ReportMetric(perUser, "heap-B/user")
			}
		})
		b.Run(fmt.Sprintf("users=%d/credential=new", users), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i += 7919 {
				if _, err := x.Credential(assertions[i%users]).GetToken(ctx, o); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("users=%d/parallel", users), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i += 7919 {
					if _, err := credentials[i%users].GetToken(ctx, o); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		if got := entra.requests.Load(); got != int64(users) {
			b.Errorf("%d exchanges for %d users, want %v", got, users, int64(users))
		}
	}
}

// BenchmarkExchange is a user's first token, with a token endpoint in memory.
func BenchmarkExchange(b *testing.B) {
	x := benchExchanger(b, &memoryEntra{})
	ctx, o := b.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := x.Credential(obo.NewAssertion(userToken(i))).GetToken(ctx, o); err != nil {
			b.Fatal(err)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
