package entratest_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What responses of a real tenant contain, according to public recordings of August 2026: see
// docs/entratest.md.

// members returns a JSON object's member names in order.
func members(t *testing.T, body string) []string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var names []string
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		text, _ := name.(string)
		names = append(names, text)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	form := func(changes ...string) url.Values {
		f := url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.api.ClientID}, "client_secret": {c.secret}, "scope": {"https://graph.microsoft.com/.default"},
		}
		for i := 0; i < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
		}
		return f
	}
	const guid = `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	const stamp = `\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ`
	common := []string{"error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id"}
	linked := append(slices.Clone(common), "error_uri")
	for name, test := range map[string]struct {
		form    url.Values
		status  int
		kind    string
		code    int
		members []string
	}{
		"a wrong secret":        {form("client_secret", "wrong"), 401, "invalid_client", 7000215, linked},
		"an unknown resource":   {form("scope", "api://nobody/.default"), 400, "invalid_resource", 500011, linked},
		"an unknown grant type": {form("grant_type", "no_such_grant"), 400, "unsupported_grant_type", 70003, common},
		"an empty client ID":    {form("client_id", "00000000-0000-0000-0000-000000000000"), 400, "unauthorized_client", 700038, common},
	} {
		a := c.token(t, test.form)
		if a.status != test.status || a.text("error") != test.kind || a.code() != test.code {
			t.Errorf("%s: %d %s, want %d %s %d", name, a.status, a.body, test.status, test.kind, test.code)
		}
		if got := members(t, a.body); !slices.Equal(got, test.members) {
			t.Errorf("%s: members %q, want %q", name, got, test.members)
		}
		description := `^AADSTS\d+: [^\r\n]+ Trace ID: ` + guid + ` Correlation ID: ` + guid + ` Timestamp: ` + stamp + `$`
		for member, pattern := range map[string]string{
			"error_description": description, "timestamp": "^" + stamp + "$", "trace_id": "^" + guid + "$", "correlation_id": "^" + guid + "$",
		} {
			if !regexp.MustCompile(pattern).MatchString(a.text(member)) {
				t.Errorf("%s: %s is %q, want %s", name, member, a.text(member), pattern)
			}
		}
	}
	// The page for people has the code too.
	if _, err := c.Browser(c.alice).Open(t.Context(), c.authorizeURL("client_id", "00000000-0000-0000-0000-000000000000")); err == nil || !strings.Contains(err.Error(), "AADSTS700038") {
		t.Errorf("at the authorize endpoint: %v", err)
	}
}

func TestRecordedToken(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	c.api.AccessTokenVersion = 2
	a := c.token(t, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c.api.ClientID}, "client_secret": {c.secret}, "scope": {c.api.Scope(".default")},
	})
	if got, want := members(t, a.body), []string{"token_type", "expires_in", "ext_expires_in", "access_token"}; a.status != http.StatusOK || !slices.Equal(got, want) {
		t.Errorf("%d, members %q, want %q", a.status, got, want)
	}
	header, claims := decode(t, a.text("access_token"))
	if got, want := slices.Sorted(maps.Keys(header)), []string{"alg", "kid", "typ"}; !slices.Equal(got, want) || header["alg"] != "RS256" || header["typ"] != "JWT" {
		t.Errorf("header %v, want %q", header, want)
	}
	want := []string{"aio", "aud", "azp", "azpacr", "exp", "iat", "iss", "nbf", "oid", "rh", "sub", "tid", "uti", "ver", "xms_ftd"}
	if got := slices.Sorted(maps.Keys(claims)); !slices.Equal(got, want) {
		t.Errorf("claims %q, want %q", got, want)
	}
	if claims["aud"] != c.api.ClientID || claims["azp"] != c.api.ClientID || claims["iss"] != c.V2Issuer() || claims["ver"] != "2.0" || claims["oid"] != claims["sub"] {
		t.Errorf("claims %v", claims)
	}
}

func TestRecordedMetadata(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	base := c.AuthorityHost() + "/common/"
	a := get(t, c.HTTPClient(), base+"v2.0/.well-known/openid-configuration")
	want := []string{
		"authorization_endpoint", "claims_supported", "cloud_graph_host_name", "cloud_instance_name", "device_authorization_endpoint", "end_session_endpoint",
		"frontchannel_logout_supported", "http_logout_supported", "id_token_signing_alg_values_supported", "issuer", "jwks_uri", "kerberos_endpoint",
		"msgraph_host", "mtls_endpoint_aliases", "rbac_url", "request_uri_parameter_supported", "response_modes_supported", "response_types_supported",
		"scopes_supported", "subject_types_supported", "tenant_region_scope", "tls_client_certificate_bound_access_tokens", "token_endpoint",
		"token_endpoint_auth_methods_supported", "userinfo_endpoint",
	}
	names := members(t, a.body)
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("members %q, want %q", names, want)
	}
	for name, want := range map[string]bool{
		"http_logout_supported": true, "frontchannel_logout_supported": true, "tls_client_certificate_bound_access_tokens": true, "request_uri_parameter_supported": false,
	} {
		if a.json[name] != want {
			t.Errorf("%s is %v, want %v", name, a.json[name], want)
		}
	}
	for name, want := range map[string]string{
		"subject_types_supported":               "pairwise",
		"id_token_signing_alg_values_supported": "RS256",
		"response_types_supported":              "code,code id_token,id_token,id_token token",
		"response_modes_supported":              "form_post,fragment,query",
		"scopes_supported":                      "email,offline_access,openid,profile",
		"token_endpoint_auth_methods_supported": "client_secret_basic,client_secret_post,private_key_jwt,self_signed_tls_client_auth",
	} {
		var values []string
		list, _ := a.json[name].([]any)
		for _, v := range list {
			text, _ := v.(string)
			values = append(values, text)
		}
		if slices.Sort(values); strings.Join(values, ",") != want {
			t.Errorf("%s is %q, want %s", name, values, want)
		}
	}
	aliases, _ := a.json["mtls_endpoint_aliases"].(map[string]any)
	if alias, _ := aliases["token_endpoint"].(string); alias != base+"oauth2/v2.0/token" {
		t.Errorf("aliases %v", aliases)
	}
	if v1 := get(t, c.HTTPClient(), base+".well-known/openid-configuration"); v1.json["mtls_endpoint_aliases"] != nil {
		t.Error("v1's metadata have what was recorded of v2's only")
	}
}
