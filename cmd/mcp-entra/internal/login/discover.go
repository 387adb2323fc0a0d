package login

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A Demand is what a server asks its callers to sign in for.
type Demand struct {
	Server    string // URL; empty if no server asks
	Issuer    string // of the server's own authorization proxy; empty if users sign in to Entra
	Authority authority.Host
	Tenant    string
	Scopes    []string // in full
	Claims    string   // of a claims challenge, a JSON object; usually empty
}

// CheckURL rejects URLs over which others could read a token.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return fmt.Errorf("%q is not a URL such as http://localhost:8000/mcp", s)
	case u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		return fmt.Errorf("%q must begin with https://: a token may go over http:// to this machine alone", s)
	}
	return nil
}

// discovery is how long a server may take to say what it demands.
const discovery = 30 * time.Second

// Discover asks the server, without a token, what to sign in for. client follows no redirects.
func Discover(ctx context.Context, client *http.Client, serverURL string) (Demand, error) {
	ctx, cancel := context.WithTimeout(ctx, discovery)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, serverURL, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
	if err != nil {
		return Demand{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	response, err := client.Do(r)
	if err != nil {
		return Demand{}, err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // only the headers matter
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		return Demand{}, fmt.Errorf("%s answers %s without a token, not 401 with a challenge: is this the URL of the MCP endpoint?", serverURL, response.Status)
	}
	return FromChallenge(ctx, client, serverURL, response.Header)
}

// FromChallenge returns what the server's refusal asks for: the scopes and claims of its challenge,
// and the authorization server of its metadata (RFC 9728).
func FromChallenge(ctx context.Context, client *http.Client, serverURL string, header http.Header) (Demand, error) {
	ctx, cancel := context.WithTimeout(ctx, discovery)
	defer cancel()
	params := bearerParams(header)
	metadata, err := resourceMetadata(ctx, client, serverURL, params["resource_metadata"])
	if err != nil {
		return Demand{}, err
	}
	d := Demand{Server: serverURL, Issuer: proxyOf(serverURL, metadata.AuthorizationServers)}
	if d.Issuer == "" {
		if d.Authority, d.Tenant, err = tenantOf(metadata.AuthorizationServers); err != nil {
			return Demand{}, fmt.Errorf("%s: %w", serverURL, err)
		}
	}
	if d.Scopes = strings.Fields(params["scope"]); len(d.Scopes) == 0 {
		d.Scopes = metadata.ScopesSupported
	}
	d.Scopes = slices.DeleteFunc(d.Scopes, func(scope string) bool { return slices.Contains(ofSignIn, scope) })
	if claims, err := base64.StdEncoding.DecodeString(params["claims"]); err == nil {
		d.Claims = string(claims)
	}
	return d, nil
}

// ofSignIn are scopes of the sign-in itself, which MSAL adds.
var ofSignIn = []string{"openid", "profile", "email", "offline_access"}

// foreign returns the first scope that a server may not demand for itself, if any. A token for
// another API, such as Microsoft Graph or Azure Storage, would let the server act there as the
// user. The server's own API has an App ID URI that begins with api://, or with its origin.
func (d *Demand) foreign() (scope string, found bool) {
	server, err := url.Parse(d.Server)
	for _, scope := range d.Scopes {
		u, parseErr := url.Parse(scope)
		switch {
		case err != nil || parseErr != nil:
		case u.Scheme == "api" && u.Host != "":
			continue
		case u.Scheme == server.Scheme && strings.EqualFold(u.Host, server.Host) && u.User == nil:
			continue
		}
		return scope, true
	}
	return "", false
}

// authParam is a quoted parameter of a challenge. The parser of oauthex refuses empty values, and
// Microsoft's claims challenges have realm="".
var authParam = regexp.MustCompile(`([A-Za-z_]+)="([^"]*)"`)

// bearerParams returns the parameters of the Bearer challenge.
func bearerParams(header http.Header) map[string]string {
	params := map[string]string{}
	for _, challenge := range header.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(challenge, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		for _, m := range authParam.FindAllStringSubmatch(rest, -1) {
			params[strings.ToLower(m[1])] = m[2]
		}
	}
	return params
}

// otherResource is how oauthex says that metadata is another resource's (RFC 9728, section 3.3). It
// has no type for it.
var otherResource = regexp.MustCompile(`got metadata resource "([^"]*)", want`)

// resourceMetadata fetches the metadata of the server from where its challenge says, or from the
// places of RFC 9728.
func resourceMetadata(ctx context.Context, client *http.Client, serverURL, named string) (*oauthex.ProtectedResourceMetadata, error) {
	u, err := url.Parse(serverURL)
	if err != nil {
		return nil, err
	}
	site := u.Scheme + "://" + u.Host
	places := []string{site + "/.well-known/oauth-protected-resource" + u.Path, site + "/.well-known/oauth-protected-resource"}
	if named != "" {
		places = []string{named}
	}
	var faults []error
	for _, place := range places {
		metadata, err := oauthex.GetProtectedResourceMetadata(ctx, place, serverURL, client)
		if err == nil {
			return metadata, nil
		}
		if m := otherResource.FindStringSubmatch(err.Error()); m != nil {
			return nil, fmt.Errorf("%s is not the server's URL: its metadata at %s says %s. Use that, character for character, if it is the same server", serverURL, place, m[1])
		}
		faults = append(faults, err)
	}
	err = fmt.Errorf("the server's metadata doesn't say where to sign in: %w", errors.Join(faults...))
	if strings.Contains(err.Error(), "got metadata resource") {
		err = fmt.Errorf("%w\nGive the server's URL as its metadata has it, character for character, if you trust that URL", err)
	}
	return nil, err
}

// tenantName is an id, a domain, or a word such as common.
var tenantName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// tenantOf returns the tenant of the first authorization server: https://HOST/TENANT/v2.0.
func tenantOf(servers []string) (authority.Host, string, error) {
	if len(servers) == 0 {
		return authority.Host{}, "", errors.New("the metadata names no authorization server")
	}
	u, err := url.Parse(servers[0])
	if err != nil {
		return authority.Host{}, "", fmt.Errorf("the authorization server %q is not a URL", servers[0])
	}
	tenant, version, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if !tenantName.MatchString(tenant) || version != "" && version != "v2.0" {
		return authority.Host{}, "", fmt.Errorf("the authorization server %s is not a tenant of Microsoft Entra ID (https://HOST/TENANT/v2.0)", servers[0])
	}
	host, err := authority.Parse(u.Scheme + "://" + u.Host)
	if err != nil {
		return authority.Host{}, "", fmt.Errorf("the authorization server: %w", err)
	}
	return host, tenant, nil
}
