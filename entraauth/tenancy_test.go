package entraauth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// keyDocument returns the tenant's key set with each key changed.
func (f *fixture) keyDocument(change func(key map[string]any)) string {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.tenant.AuthorityHost()+"/"+f.tenant.ID()+"/discovery/v2.0/keys", nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := f.tenant.HTTPClient().Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	var doc struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(data, &doc); err != nil || len(doc.Keys) == 0 {
		f.t.Fatalf("keys: got %v, %s; want nil, a key", err, data)
	}
	for _, key := range doc.Keys {
		change(key)
	}
	data, err = json.Marshal(doc)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(data)
}

// A key signs only for whom the key set says.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(key map[string]any)
		kind   error // nil: accepted
	}{
		"as it is":               {func(map[string]any) {}, nil},
		"issuer of another":      {func(k map[string]any) { k["issuer"] = "https://login.microsoftonline.com/" + otherTenant + "/v2.0" }, entraauth.ErrInvalidToken},
		"issuer is the template": {func(k map[string]any) { k["issuer"] = "https://login.microsoftonline.com/{tenantid}/v2.0" }, entraauth.ErrInvalidToken},
		"no issuer":              {func(k map[string]any) { delete(k, "issuer") }, nil}, // the set is this tenant's alone
		"another cloud":          {func(k map[string]any) { k["cloud_instance_name"] = "microsoftonline.us" }, entraauth.ErrInvalidToken},
		"no cloud":               {func(k map[string]any) { delete(k, "cloud_instance_name") }, nil},
		"alg RS256":              {func(k map[string]any) { k["alg"] = "RS256" }, nil},
		"alg RS512":              {func(k map[string]any) { k["alg"] = "RS512" }, entraauth.ErrKeysUnavailable},
		"use enc":                {func(k map[string]any) { k["use"] = "enc" }, entraauth.ErrKeysUnavailable},
		"no use":                 {func(k map[string]any) { delete(k, "use") }, entraauth.ErrKeysUnavailable},
		"kty EC":                 {func(k map[string]any) { k["kty"] = "EC" }, entraauth.ErrKeysUnavailable},
		"no kid":                 {func(k map[string]any) { delete(k, "kid") }, entraauth.ErrKeysUnavailable},
		"512 bits":               {func(k map[string]any) { k["n"] = k["n"].(string)[:86] }, entraauth.ErrKeysUnavailable},
		"16,384 bits":            {func(k map[string]any) { k["n"] = strings.Repeat(k["n"].(string)[:340], 8) }, entraauth.ErrKeysUnavailable},
		"e is 1":                 {func(k map[string]any) { k["e"] = "AQ" }, entraauth.ErrKeysUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTenant(t)
			f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: f.keyDocument(row.change)})
			f.start(t, nil)
			for _, version := range []int{1, 2} {
				if err := f.verify(t, f.tenant.Mint(f.api, version, nil)); !errors.Is(err, row.kind) {
					t.Errorf("v%d: %v, want %v", version, err, row.kind)
				}
			}
		})
	}
}

// One odd key among good ones costs nothing but itself.
func TestOddKeyIsLeftOut(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	good := strings.TrimSuffix(f.keyDocument(func(map[string]any) {}), "]}")
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: good + `,{"kty":"EC","kid":"ec","use":"sig"},{"kty":"oct","kid":"o","k":"AAAA","use":"sig"},7]}`})
	f.start(t, nil)
	if err := f.verify(t, f.token()); err != nil {
		t.Errorf("Verify = %v, want nil", err)
	}
	if !strings.Contains(f.log.String(), "some signing keys left out") {
		t.Errorf("the log does not say so: %s", f.log)
	}
}

// anyOrganization plays Entra's metadata and keys for all organizations.
func anyOrganization(t *testing.T, changeKey func(map[string]any)) *fixture {
	t.Helper()
	f := newTenant(t)
	f.tenant.Fail(entratest.EndpointKeys, entratest.Fault{Body: f.keyDocument(func(k map[string]any) {
		k["issuer"] = f.tenant.AuthorityHost() + "/{tenantid}/v2.0"
		changeKey(k)
	})})
	f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Body: `{"issuer":"` + f.tenant.AuthorityHost() + `/{tenantid}/v2.0","cloud_instance_name":"microsoftonline.com",` +
		`"jwks_uri":"` + f.tenant.AuthorityHost() + "/" + f.tenant.ID() + `/discovery/v2.0/keys"}`})
	return f
}

func (f *fixture) tokenOf(tenant string) string {
	return f.tenant.Mint(f.api, 2, func(_, c map[string]any) {
		c["tid"], c["iss"] = tenant, f.tenant.AuthorityHost()+"/"+tenant+"/v2.0"
	})
}

const (
	thirdTenant = "22222222-3333-4444-5555-666666666666"
	personal    = "9188040d-6c67-4c5b-b112-36a304b66dad"
)

func TestTenancy(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		options func(*entraauth.Options)
		accepts []string // besides the home tenant
	}{
		"one tenant":       {func(*entraauth.Options) {}, nil},
		"a list":           {func(o *entraauth.Options) { o.OtherTenants = []string{strings.ToUpper(otherTenant)} }, []string{otherTenant}},
		"any organization": {func(o *entraauth.Options) { o.AcceptAnyOrganization = true }, []string{otherTenant, thirdTenant}},
		"any organization and personal accounts": {func(o *entraauth.Options) {
			o.AcceptAnyOrganization, o.OtherTenants = true, []string{personal}
		}, []string{otherTenant, thirdTenant, personal}},
	} {
		t.Run(name, func(t *testing.T) {
			f := anyOrganization(t, func(map[string]any) {})
			f.start(t, row.options)
			if err := f.verify(t, f.tokenOf(f.tenant.ID())); err != nil {
				t.Errorf("home: got %v, want nil", err)
			}
			for _, tenant := range []string{otherTenant, thirdTenant, personal} {
				err := f.verify(t, f.tokenOf(tenant))
				if slices.Contains(row.accepts, tenant) != (err == nil) {
					t.Errorf("%s: got %v, want nil: %t", tenant, err, slices.Contains(row.accepts, tenant))
				}
			}
			for what, token := range map[string]string{
				"template": f.tokenOf("{tenantid}"), "a name": f.tokenOf("contoso.com"), "consumers in upper case": f.tokenOf(strings.ToUpper(personal)), "nothing": f.tokenOf(""),
				"a path": f.tokenOf("../" + f.tenant.ID()), "GUID with more": f.tokenOf(thirdTenant + "/x"),
				"tid against iss": f.tenant.Mint(f.api, 2, func(_, c map[string]any) {
					c["tid"], c["iss"] = thirdTenant, f.tenant.AuthorityHost()+"/"+otherTenant+"/v2.0"
				}),
			} {
				if err := f.verify(t, token); !errors.Is(err, entraauth.ErrInvalidToken) {
					t.Errorf("%s: got %v, want %v", what, err, entraauth.ErrInvalidToken)
				}
			}
		})
	}
}

// Where a key set is for all organizations, a key must say whose it is.
func TestKeysOfManyTenants(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(map[string]any)
		kind   error
	}{
		"as they are":       {func(map[string]any) {}, nil},
		"no issuer":         {func(k map[string]any) { delete(k, "issuer") }, entraauth.ErrInvalidToken},
		"of one tenant":     {func(k map[string]any) { k["issuer"] = "https://login.microsoftonline.com/" + personal + "/v2.0" }, entraauth.ErrInvalidToken},
		"of another cloud":  {func(k map[string]any) { k["cloud_instance_name"] = "microsoftonline.us" }, entraauth.ErrInvalidToken},
		"of no known cloud": {func(k map[string]any) { delete(k, "cloud_instance_name") }, entraauth.ErrInvalidToken},
	} {
		t.Run(name, func(t *testing.T) {
			f := anyOrganization(t, row.change)
			f.start(t, func(o *entraauth.Options) { o.AcceptAnyOrganization = true })
			if err := f.verify(t, f.tokenOf(otherTenant)); !errors.Is(err, row.kind) {
				t.Errorf("got %v, want %v", err, row.kind)
			}
		})
	}
}

// Other clouds and External ID write issuers with hosts of their own, which only
// their metadata tells. External ID has no v1 metadata, and so no v1 tokens.
func TestIssuersAreTheMetadatas(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ v1, v2, cloud string }{
		"US Government": {"https://sts.windows.net/{tid}/", "https://login.microsoftonline.us/{tid}/v2.0", "microsoftonline.us"},
		"China":         {"https://sts.chinacloudapi.cn/{tid}/", "https://login.partner.microsoftonline.cn/{tid}/v2.0", "partner.microsoftonline.cn"},
		"External ID":   {"", "https://{tid}.ciamlogin.com/{tid}/v2.0", "microsoftonline.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newTenant(t)
			tid := f.tenant.ID()
			v1, v2 := strings.ReplaceAll(row.v1, "{tid}", tid), strings.ReplaceAll(row.v2, "{tid}", tid)
			keys := f.keyDocument(func(k map[string]any) { k["issuer"], k["cloud_instance_name"] = v2, row.cloud })
			f.startBehind(t, func(req *http.Request) *http.Response {
				status, body := http.StatusOK, keys
				if strings.HasSuffix(req.URL.Path, "/openid-configuration") {
					issuer := v1
					if strings.Contains(req.URL.Path, "/v2.0/") {
						issuer = v2
					}
					if issuer == "" {
						status = http.StatusNotFound
					}
					body = fmt.Sprintf(`{"issuer":%q,"cloud_instance_name":%q,"jwks_uri":"https://localhost/keys"}`, issuer, row.cloud)
				}
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: req}
			})
			mint := func(version int, issuer string) string {
				return f.tenant.Mint(f.api, version, func(_, c map[string]any) { c["iss"] = issuer })
			}
			if err := f.verify(t, mint(2, v2)); err != nil {
				t.Errorf("v2: got %v, want nil", err)
			}
			if err := f.verify(t, mint(1, v1)); (err == nil) != (v1 != "") {
				t.Errorf("v1: got %v, want nil: %t", err, v1 != "")
			}
			for _, foreign := range []string{"https://login.microsoftonline.com/" + tid + "/v2.0", f.tenant.V2Issuer(), ""} {
				if err := f.verify(t, mint(2, foreign)); !errors.Is(err, entraauth.ErrInvalidToken) {
					t.Errorf("issuer %q: got %v, want %v", foreign, err, entraauth.ErrInvalidToken)
				}
			}
		})
	}
}

func TestAuthorizationServers(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	f.start(t, func(o *entraauth.Options) { o.AcceptAnyOrganization, o.OtherTenants = true, []string{otherTenant} })
	host := f.tenant.AuthorityHost()
	want := []string{host + "/" + f.tenant.ID() + "/v2.0", host + "/" + otherTenant + "/v2.0", host + "/organizations/v2.0"}
	if got := f.verifier.AuthorizationServers(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %q", got, want)
	}
}

func TestMetadataOfTwoClouds(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	body := `{"issuer":"https://sts.windows.net/` + f.tenant.ID() + `/","jwks_uri":"https://localhost/k","cloud_instance_name":"`
	f.tenant.Fail(entratest.EndpointDiscovery, entratest.Fault{Times: 1, Body: body + `microsoftonline.us"}`})
	f.start(t, nil)
	if err := f.verify(t, f.token()); !errors.Is(err, entraauth.ErrKeysUnavailable) || !strings.Contains(f.log.String(), "two clouds") {
		t.Errorf("got %v, log %s; want %v and \"two clouds\"", err, f.log, entraauth.ErrKeysUnavailable)
	}
}
