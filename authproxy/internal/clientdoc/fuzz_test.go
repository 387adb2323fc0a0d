package clientdoc_test

import (
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clientdoc"
)

// A second, strict reading of what a URL may be.
var strictURL = regexp.MustCompile(`^https://((?i:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?i:[a-z]+|xn--[a-z0-9-]+))(:[1-9][0-9]{0,4})?/[!$&-;=@A-Z_a-z~%/]+(\?[!$&-;=?@A-Z_a-z~%]*)?$`)

// FuzzURL compares the rule with net/url's reading of what is accepted, and a strict one.
func FuzzURL(f *testing.F) {
	for _, s := range []string{clientURL, "https://client.example:8443/a?b#c", "https://a@b.example/%2e%2e/", "https://[::1]/a", "https://0x7f.1/a", `https://a.example\@b.example/`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := clientdoc.ParseURL(s, false)
		if err != nil {
			return
		}
		if !strictURL.MatchString(s) {
			t.Errorf("%q is accepted, but not by a strict reading", s)
		}
		u, err := url.ParseRequestURI(s)
		if err != nil || u.Host != got.Host || u.User != nil || u.Fragment != "" || got.String() != s {
			t.Errorf("%q is read differently: %v, %v", s, u, err)
			return
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			t.Errorf("%q has an address for a host", s)
		}
		for _, read := range []string{u.Path, u.EscapedPath(), u.JoinPath().Path} {
			if strings.HasSuffix(read, "/..") || strings.Contains(read, "/../") || strings.Contains(read, `\..`) {
				t.Errorf("%q has a dot segment", s)
			}
		}
		req, err := http.NewRequest(http.MethodGet, s, http.NoBody)
		if err != nil || "https://"+req.URL.Host+req.URL.RequestURI() != s {
			t.Errorf("%q is requested as another: %v, %v", s, req, err)
		}
	})
}

// FuzzDocument: what is accepted is as encoding/json reads it, and keeps the rules.
func FuzzDocument(f *testing.F) {
	f.Add(document(clientURL, nil))
	f.Add(document(clientURL, members{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keysURL, "grant_types": []string{"refresh_token"}}))
	f.Add(strings.Replace(document(clientURL, nil), "{", `{"client_secret":null,`, 1))
	f.Add(`{"client_id":"` + clientURL + `","redirect_uris":["a"],"token_endpoint_auth_methods_supported":["none"]}`)
	u, err := url.Parse(clientURL)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := clientdoc.ParseDocument(clientURL, u, []byte(body))
		if err != nil {
			if !errors.Is(err, clientdoc.ErrInvalid) {
				t.Errorf("got the error %v, want %v", err, clientdoc.ErrInvalid)
			}
			return
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(body), &m); err != nil || m["client_id"] != clientURL {
			t.Errorf("accepted, but read as %v, %v", m, err)
		}
		if name, _ := m["client_name"].(string); name != d.Name {
			t.Errorf("client_name: got %q, want %q", d.Name, name)
		}
		if redirects, _ := m["redirect_uris"].([]any); len(redirects) != len(d.Redirects) || len(redirects) == 0 {
			t.Errorf("redirect_uris: got %q, want %q", d.Redirects, redirects)
		}
		if !d.Public && !d.Keyed || d.Keyed != (d.JWKSURI != "") {
			t.Errorf("the client can't authenticate, or without keys: %+v", d)
		}
		if strings.Contains(body, `"client_secret`) && !strings.Contains(body, `\`) {
			for name := range m {
				if strings.HasPrefix(name, "client_secret") {
					t.Errorf("a document with %s is accepted", name)
				}
			}
		}
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add(keySet(jwk(&rsaKey().PublicKey, members{"kid": "a", "use": "sig", "alg": "RS256"})))
	f.Add(keySet(jwk(&ecKey(elliptic.P256()).PublicKey, members{"kid": "a", "key_ops": []string{"verify"}})))
	f.Add(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"RSA","n":"","e":""}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		n, err := clientdoc.ParseKeySet([]byte(body))
		if (err == nil) != (n > 0) || err != nil && !errors.Is(err, clientdoc.ErrInvalid) {
			t.Errorf("got %d keys, %v", n, err)
		}
	})
}
