package mcpentra_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Any MCP client signs in, by the app of the API itself: the server's metadata sends clients
// to the proxy, where they register themselves.
func ExampleWithAuthProxy() {
	const (
		resource         = "https://mcp.example.com/mcp"
		tenantID         = "11111111-1111-4111-8111-111111111111"
		apiAppID         = "22222222-2222-4222-8222-222222222222"
		identityClientID = "33333333-3333-4333-8333-333333333333"
	)
	key := []byte("32 random bytes, kept as a secret") // openssl rand -base64 32

	serve := func(verifier *entraauth.Verifier) error {
		proxy, err := authproxy.New("https://mcp.example.com", tenantID, apiAppID, clientauth.ManagedIdentity(identityClientID), [][]byte{key}, &authproxy.Options{
			PrivateSchemes: []string{authproxy.CursorRedirect}, // Cursor's redirect has a scheme of its own
		})
		if err != nil {
			return err
		}
		srv, err := mcpentra.NewServer(resource, verifier, mcpentra.WithAuthProxy(proxy))
		if err != nil {
			return err
		}
		for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server"} {
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://mcp.example.com"+path, nil))
			var document map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
				return err
			}
			fmt.Println(document["authorization_servers"], document["registration_endpoint"])
		}
		return nil
	}

	verifier, err := entraauth.NewVerifier(tenantID, apiAppID, &entraauth.Options{HTTPClient: &http.Client{Transport: offline{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = verifier.Close() }()
	if err := serve(verifier); err != nil {
		fmt.Println(err)
	}
	// Output:
	// [https://mcp.example.com] <nil>
	// <nil> https://mcp.example.com/register
}
