//go:build unix

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
	"github.com/mcpentra/mcp-entra-go/redisstore"
)

// The caches are full after the warm-up, so that what they hold is not taken for a leak.
const (
	cachedTokens    = 200
	cachedExchanges = 512 << 10 // bytes
)

// A replica is two servers of one process, without and with sessions.
type replica struct {
	servers   [2]*mcpentra.Server
	verifier  *entraauth.Verifier
	redis     *redis.Client
	transport *http.Transport // to Entra and storage
	flaw      *flaw
}

func (r *replica) close() {
	_ = r.verifier.Close()
	_ = r.redis.Close()
}

func assemble(c config, log *slog.Logger) (*replica, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(c.Certificates)) {
		return nil, errors.New("there is no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}
	client := &http.Client{Transport: transport}
	flaw, err := newFlaw(c.Flaw)
	if err != nil {
		return nil, err
	}
	verifier, err := entraauth.NewVerifier(c.Tenant, c.APIAppID, &entraauth.Options{
		HTTPClient: client, Logger: log, AuthorityHost: c.AuthorityHost, TokenCache: cachedTokens, KeyRefetchInterval: time.Second,
	})
	if err != nil {
		return nil, err
	}
	r := &replica{verifier: verifier, redis: redis.NewClient(&redis.Options{Addr: c.RedisAddr, PoolSize: 4}), transport: transport, flaw: flaw}
	exchanger, err := r.exchanger(c, client, log)
	if err != nil {
		return nil, err
	}
	proxy, err := r.proxy(c, client)
	if err != nil {
		return nil, err
	}
	rates, err := redisstore.NewRateStore(r.redis, nil)
	if err != nil {
		return nil, err
	}
	for i, way := range []struct {
		url string
		mcpentra.Option
	}{{c.URL, mcpentra.WithAuthProxy(proxy)}, {c.SessionsURL, mcpentra.WithSessions()}} {
		blobs, err := blobtool.New(c.StorageURL, c.Container, flaw.credential, &blobtool.Options{HTTPClient: client, Logger: log, DownloadDir: c.Folder})
		if err != nil {
			return nil, err
		}
		r.servers[i], err = mcpentra.NewServer(way.url, verifier, way.Option, mcpentra.WithExchanger(exchanger), mcpentra.WithLogger(log),
			mcpentra.WithStateKeys(c.Keys...), mcpentra.WithTools(blobs, mcpentra.IdentityTools(verifier), r.who(), vault()),
			mcpentra.WithToolPolicy("*", entraauth.Policy{Scopes: []string{"access_as_user"}}),
			mcpentra.WithResourcePolicy("blob://*", entraauth.Policy{PeopleOnly: true}),
			mcpentra.WithLimits(mcpentra.Limits{RequestsPerSecond: 1e4, Burst: 2e4}), mcpentra.WithSharedRates(rates))
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *replica) exchanger(c config, client *http.Client, log *slog.Logger) (*obo.Exchanger, error) {
	store, err := redisstore.New(r.redis, nil)
	if err != nil {
		return nil, err
	}
	return obo.NewExchanger(c.Tenant, c.APIAppID, clientauth.Secret(c.APISecret), &obo.Options{
		HTTPClient: client, Logger: log, AuthorityHost: c.AuthorityHost, CacheBytes: cachedExchanges, Store: store, StoreKeys: c.Keys,
	})
}

func (r *replica) proxy(c config, client *http.Client) (*authproxy.Proxy, error) {
	store, err := redisstore.NewProxyStore(r.redis, nil)
	if err != nil {
		return nil, err
	}
	return authproxy.New(strings.TrimSuffix(c.URL, "/mcp"), c.Tenant, c.SignInAppID, clientauth.Secret(c.AppSecret), c.Keys, &authproxy.Options{
		HTTPClient: client, AuthorityHost: c.AuthorityHost, Store: store, Replicas: true,
	})
}

// who says who calls, and whose token for which resource the caller's credential gets.
func (r *replica) who() mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: "who", Description: "Says who calls."}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		credential, err := r.flaw.credential(ctx)
		if err != nil {
			return nil, nil, err
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		if err != nil {
			return nil, nil, err
		}
		var claims jwt.MapClaims
		if _, _, err := jwt.NewParser().ParseUnverified(token.Token, &claims); err != nil {
			return nil, nil, err
		}
		text := fmt.Sprintf("caller=%s subject=%v audience=%v", entraauth.FromContext(ctx).ObjectID(), claims["oid"], claims["aud"])
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
}

// vault is for those who have the role.
func vault() mcpentra.ToolSet {
	return mcpentra.Tool(&mcp.Tool{Name: "vault", Description: "Says who calls."}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		text := "caller=" + entraauth.FromContext(ctx).ObjectID()
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	}, entraauth.Policy{UserRoles: []string{"Vault.Open"}})
}
