package mcpentra_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// The SDK's own client finds everything by itself, from a server's URL and a
// client ID: where to sign in, with which scopes; and which more, when a tool
// wants them (authorization#step-up-authorization-flow). It keeps those it had.
func TestStepUpByTheSDKsClient(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(protocol, func(t *testing.T) {
			w := newSpecWorld(t)
			network := w.network(t)
			browser := w.tenant.Browser(w.alice)
			var asked []string
			handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
				PreregisteredClient: &oauthex.ClientCredentials{ClientID: w.client.ClientID},
				RedirectURL:         "http://localhost:33418/callback",
				Client:              &http.Client{Transport: network},
				AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
					page, err := url.Parse(args.URL)
					if err != nil {
						return nil, err
					}
					scopes := strings.Fields(page.Query().Get("scope"))
					slices.Sort(scopes) // the client's order is that of a map
					asked = append(asked, strings.Join(scopes, " ")+" for "+page.Query().Get("resource"))
					back, err := browser.Open(ctx, args.URL)
					if err != nil {
						return nil, err
					}
					return &auth.AuthorizationResult{Code: back.Query().Get("code"), State: back.Query().Get("state")}, nil
				},
			})
			must(t, err)
			session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
				Endpoint: resourceURL, HTTPClient: &http.Client{Transport: network}, OAuthHandler: handler, MaxRetries: -1,
			}, &mcp.ClientSessionOptions{ProtocolVersion: protocol})
			must(t, err)
			t.Cleanup(func() { _ = session.Close() })
			if _, text := call(t, session, "secure_ping", nil); !strings.Contains(text, "successful") {
				t.Errorf("secure_ping: got %s, want successful", text)
			}
			for range 2 {
				if _, text := call(t, session, "write_note", nil); text != "written" {
					t.Errorf("write_note: got %s, want written", text)
				}
			}
			want := []string{basicScope + " for " + resourceURL, basicScope + " " + notesScope + " for " + resourceURL}
			if !slices.Equal(asked, want) {
				t.Errorf("asked for %q, want %q", asked, want)
			}
		})
	}
}

// A network is one in which the server has its public name.
type network struct {
	server *url.URL
	plain  *http.Transport
	entra  http.RoundTripper
}

func (w *world) network(t *testing.T) *network {
	t.Helper()
	server, err := url.Parse(w.url)
	must(t, err)
	plain := &http.Transport{}
	t.Cleanup(plain.CloseIdleConnections)
	return &network{server, plain, w.tenant.HTTPClient().Transport}
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "mcp.example.com" {
		resp, err := n.entra.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, "/v2.0/.well-known/openid-configuration") {
			err = addS256(resp)
		}
		return resp, err
	}
	r = r.Clone(r.Context())
	r.Host, r.URL.Scheme, r.URL.Host = r.URL.Host, n.server.Scheme, n.server.Host
	return n.plain.RoundTrip(r)
}

// addS256 adds what Entra's metadata omit, and the SDK's client insists on.
func addS256(resp *http.Response) error {
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	var metadata map[string]any
	if err := json.Unmarshal(data, &metadata); err != nil {
		return err
	}
	metadata["code_challenge_methods_supported"] = []string{"S256"}
	if data, err = json.Marshal(metadata); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	resp.Header.Del("Content-Length")
	return nil
}
