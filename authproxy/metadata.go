package authproxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientassertion"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// The names of the metadata: RFC 8414, section 3, and OpenID Connect Discovery, section 4.
var wellKnown = []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}

// serverMetadata is the proxy's metadata (RFC 8414, section 2). OpenID clients require the members
// of OpenID Connect Discovery, section 3, although there are no ID tokens. jwks_uri is Entra's,
// whose keys sign the access tokens.
type serverMetadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	RegistrationEndpoint  string   `json:"registration_endpoint,omitempty"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	JWKS                  string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgorithms   []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAlgorithms  []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	IssuerInResponse      bool     `json:"authorization_response_iss_parameter_supported"`
	Documents             bool     `json:"client_id_metadata_document_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
}

// newMetadata returns the document, which is the same at each of its paths.
func (p *Proxy) newMetadata() []byte {
	methods := []string{"none", "client_secret_basic", "client_secret_post"}
	var algorithms []string
	if !p.opts.NoDocuments { // other clients have no keys
		methods, algorithms = append(methods, "private_key_jwt"), clientassertion.Algorithms()
	}
	m := serverMetadata{
		Issuer: p.issuer, AuthorizationEndpoint: p.AuthorizationEndpoint(), TokenEndpoint: p.issuer + pathToken,
		RevocationEndpoint: p.issuer + pathRevoke, JWKS: p.host.Tenant(p.tenantID) + "/discovery/v2.0/keys",
		Scopes:        append(slices.Clone(p.scopes.full), offlineAccess),
		ResponseTypes: []string{"code"}, ResponseModes: []string{"query"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		TokenAuth: methods, TokenAuthAlgorithms: algorithms, RevocationAuth: methods, RevocationAlgorithms: algorithms,
		ChallengeMethods: []string{"S256"}, IssuerInResponse: true, Documents: !p.opts.NoDocuments,
		SubjectTypes: []string{"pairwise"}, IDTokenAlgorithms: []string{"RS256"},
	}
	if !p.opts.NoRegistration {
		m.RegistrationEndpoint = p.issuer + pathRegister
	}
	body, _ := json.Marshal(m) // strings can't fail
	return append(body, '\n')
}

// metadataPaths returns all paths where clients look for the metadata: with the issuer's path
// after the well-known name (RFC 8414) and before it (OpenID), without a path, and with the path
// of the MCP server, which clients of protocol 2025-03-26 take for the issuer.
func (p *Proxy) metadataPaths() (paths []string) {
	for _, name := range wellKnown {
		paths = append(paths, name+p.base.Path)
		for _, rest := range edge.Rests(p.base.Path) { // "" last
			paths = append(paths, rest+name)
		}
		for _, resource := range p.resources {
			if u, err := url.Parse(resource); err == nil {
				paths = append(paths, name+u.Path)
			}
		}
	}
	return paths
}

// serveMetadata serves the metadata, which may be cached for an hour.
func (p *Proxy) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(p.metadata) // fails only if the client is gone
}
