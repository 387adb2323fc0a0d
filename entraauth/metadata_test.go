package entraauth_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/entratest"
)

// answered is an answer in the authority's place.
func answered(req *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req}
}

// isMetadata tells the two documents of a tenant apart from the rest.
func isMetadata(req *http.Request) (v1, v2 bool) {
	v2 = strings.HasSuffix(req.URL.Path, "/v2.0/.well-known/openid-configuration")
	return !v2 && strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration"), v2
}

// A document that is not of the tenant, or names what the authority has no business
// with, is neither a first one nor replaces the last good one.
func TestMetadataIsJudgedBeforeItReplacesTheLastGood(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	tid, host := f.tenant.ID(), f.tenant.AuthorityHost()
	keys := host + "/" + tid + "/discovery/v2.0/keys"
	document := func(issuer, keys string) string {
		return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"cloud_instance_name":"microsoftonline.com"}`, issuer, keys)
	}
	for name, body := range map[string]string{
		"issuer over http":                  document("http://login.microsoftonline.com/"+tid+"/v2.0", keys),
		"issuer without scheme":             document("login.microsoftonline.com/"+tid+"/v2.0", keys),
		"issuer is the id":                  document(tid, keys),
		"issuer is a URN":                   document("urn:tenant:"+tid, keys),
		"issuer without host":               document("https:///"+tid+"/v2.0", keys),
		"issuer with a user":                document("https://"+tid+"@login.microsoftonline.com/"+tid+"/v2.0", keys),
		"issuer of another tenant":          document("https://login.microsoftonline.com/"+otherTenant+"/v2.0", keys),
		"issuer has the id in the query":    document("https://login.microsoftonline.com/"+otherTenant+"/v2.0?tenant="+tid, keys),
		"issuer with a query":               document("https://login.microsoftonline.com/"+tid+"/v2.0?x=1", keys),
		"issuer has the id in the fragment": document("https://login.microsoftonline.com/#"+tid, keys),
		"issuer has the id later on":        document("https://login.microsoftonline.com/"+otherTenant+"/"+tid+"/v2.0", keys),
		"issuer has the id in the host":     document("https://"+tid+".ciamlogin.com/"+otherTenant+"/v2.0", keys),
		"issuer has the id and more":        document("https://login.microsoftonline.com/"+tid+"0/v2.0", keys),
		"issuer on a stranger's host":       document("https://evil.example/"+tid+"/v2.0", keys),
		"issuer on a host that begins so":   document("https://login.microsoftonline.com.evil.example/"+tid+"/v2.0", keys),
		"issuer has more behind the id":     document("https://login.microsoftonline.com/"+tid+"/v2.0/x", keys),
		"issuer has a policy":               document("https://login.microsoftonline.com/"+tid+"/policy/v2.0", keys),
		"issuer is the template of words":   document("https://login.microsoftonline.com/{tenant}/v2.0", keys),
		"issuer in upper case":              document("https://LOCALHOST/"+tid+"/v2.0", keys),
		"issuer's scheme in upper case":     document("HTTPS://login.microsoftonline.com/"+tid+"/v2.0", keys),
		"issuer's tenant in upper case":     document("https://login.microsoftonline.com/"+strings.ToUpper(tid)+"/v2.0", keys),
		"issuer's slash is escaped":         document("https://login.microsoftonline.com/"+tid+"%2fv2.0", keys),
		"issuer has two slashes":            document("https://login.microsoftonline.com//"+tid+"/v2.0", keys),
		"issuer has a slash at its end":     document("https://login.microsoftonline.com/"+tid+"/v2.0/", keys),
		"issuer without version":            document("https://login.microsoftonline.com/"+tid, keys),
		"issuer has another version":        document("https://login.microsoftonline.com/"+tid+"/V2.0", keys),
		"issuer on another port":            document("https://localhost:1/"+tid+"/v2.0", keys),
		"issuer names the port of https":    document("https://login.microsoftonline.com:443/"+tid+"/v2.0", keys),
		"issuer has an empty port":          document("https://login.microsoftonline.com:/"+tid+"/v2.0", keys),
		"issuer has an empty query":         document("https://login.microsoftonline.com/"+tid+"/v2.0?", keys),
		"no issuer":                         document("", keys),
		"keys over http":                    document(f.tenant.V2Issuer(), "http://localhost/keys"),
		"keys on a stranger's host":         document(f.tenant.V2Issuer(), "https://evil.example/keys"),
		"keys with a user":                  document(f.tenant.V2Issuer(), "https://x:y@localhost/keys"),
		"keys nowhere":                      document(f.tenant.V2Issuer(), ""),
		"keys in a path alone":              document(f.tenant.V2Issuer(), "/keys"),
		"a list":                            `[]`,
		"a page":                            `<html>Sign in to the network</html>`,
		"nothing":                           ``,
		"null":                              `null`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, which := range []string{"v1", "v2"} {
				var mu sync.Mutex
				broken, elsewhere := true, ""
				instead := func(req *http.Request) *http.Response {
					mu.Lock()
					defer mu.Unlock()
					if req.URL.Host != strings.TrimPrefix(host, "https://") {
						elsewhere = req.URL.String()
					}
					if v1, v2 := isMetadata(req); broken && (v1 && which == "v1" || v2 && which == "v2") {
						return answered(req, http.StatusOK, body)
					}
					return nil
				}
				breakIt := func(b bool) { mu.Lock(); broken = b; mu.Unlock() }

				f.startBehind(t, instead)
				if err := f.verify(t, f.token()); !errors.Is(err, entraauth.ErrKeysUnavailable) {
					t.Errorf("%s as the first: got %v, want %v", which, err, entraauth.ErrKeysUnavailable)
				}
				breakIt(false)
				f.clock.Add(time.Minute)
				if err := f.verify(t, f.token()); err != nil {
					t.Fatalf("%s put right: got %v, want nil", which, err)
				}
				breakIt(true)
				f.refresh(t)
				for _, version := range []int{1, 2} {
					if err := f.verify(t, f.tenant.Mint(f.api, version, nil)); err != nil {
						t.Errorf("%s broken later: a v%d token: got %v, want nil", which, version, err)
					}
				}
				mu.Lock()
				if elsewhere != "" {
					t.Errorf("%s led to %s", which, elsewhere)
				}
				mu.Unlock()
			}
		})
	}
}

// The issuers of a tenant never change: what is a good issuer of another cloud, or of
// the other version, does not replace the last good one, however old that is.
func TestAnotherIssuerDoesNotReplaceTheGood(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	tid, host := f.tenant.ID(), f.tenant.AuthorityHost()
	var mu sync.Mutex
	var version, issuer string
	say := func(v, i string) { mu.Lock(); version, issuer = v, i; mu.Unlock() }
	f.startBehind(t, func(req *http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		if v1, v2 := isMetadata(req); v1 && version == "v1" || v2 && version == "v2" {
			return answered(req, http.StatusOK, fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"cloud_instance_name":"microsoftonline.com"}`, issuer, host+"/"+tid+"/discovery/v2.0/keys"))
		}
		return nil
	})
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	for _, other := range []struct{ version, issuer string }{
		{"v2", f.tenant.V1Issuer()},
		{"v2", "https://login.microsoftonline.us/" + tid + "/v2.0"},
		{"v2", "https://x.ciamlogin.com/" + tid + "/v2.0"},
		{"v2", "https://localhost/" + tid + "/v2.0"},
		{"v1", f.tenant.V2Issuer()},
		{"v1", f.tenant.V1Issuer() + "v2.0"},
		{"v1", "https://login.microsoftonline.us/" + tid + "/"},
		{"v1", "https://sts.chinacloudapi.cn/" + tid + "/"},
	} {
		say(other.version, other.issuer)
		f.clock.Add(26 * time.Hour)
		for _, v := range []int{1, 2} {
			if err := f.verify(t, f.tenant.Mint(f.api, v, nil)); err != nil {
				t.Errorf("%s issuer %q: a v%d token: got %v, want nil", other.version, other.issuer, v, err)
			}
		}
		say("", "")
		f.refresh(t)
	}
}

// v1 metadata that is gone does not take the v1 issuer with it.
func TestV1MetadataGone(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	var mu sync.Mutex
	gone := false
	f.startBehind(t, func(req *http.Request) *http.Response {
		mu.Lock()
		defer mu.Unlock()
		if v1, _ := isMetadata(req); gone && v1 {
			return answered(req, http.StatusNotFound, "")
		}
		return nil
	})
	if err := f.verify(t, f.token()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	gone = true
	mu.Unlock()
	f.refresh(t)
	if err := f.verify(t, f.tenant.Mint(f.api, 1, nil)); err != nil {
		t.Errorf("a v1 token: got %v, want nil", err)
	}
}

// An app with a claims-mapping policy has signing keys of its own, which the tenant
// publishes only to those who ask with ?appid={client ID}, at the jwks_uri that comes
// back: python-social-auth/social-core#695, antarctica/flask-entra-auth#8,
// Widen/cloudfront-auth#85, VirtoCommerce/vc-platform#2142, OutSystems/docs-odc#36.
func TestSigningKeysOfTheApp(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	own := entratest.NewTenant(&entratest.Options{TenantID: f.tenant.ID(), Now: f.clock.Now}) // whose key stands for the app's own
	t.Cleanup(own.Close)
	host, ownHost := strings.TrimPrefix(f.tenant.AuthorityHost(), "https://"), strings.TrimPrefix(own.AuthorityHost(), "https://")
	var mu sync.Mutex
	var asked []string
	f.startBehind(t, func(req *http.Request) *http.Response {
		mu.Lock()
		asked = append(asked, req.URL.RequestURI())
		mu.Unlock()
		if req.URL.Query().Get("appid") != f.api.ClientID {
			return nil
		}
		req = req.Clone(req.Context())
		req.URL.Host, req.Host = ownHost, ownHost
		resp, err := own.HTTPClient().Transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return answered(req, http.StatusBadGateway, "")
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		body = bytes.ReplaceAll(body, []byte(ownHost), []byte(host))
		body = bytes.ReplaceAll(body, []byte(`/discovery/v2.0/keys"`), []byte(`/discovery/v2.0/keys?appid=`+f.api.ClientID+`"`))
		return answered(req, resp.StatusCode, string(body))
	})
	for version, issuer := range map[int]string{1: f.tenant.V1Issuer(), 2: f.tenant.V2Issuer()} {
		token := own.Mint(f.api, version, func(_, c map[string]any) { c["iss"], c["department"] = issuer, "Finance" })
		if err := f.verify(t, token); err != nil {
			t.Errorf("v%d: got %v, want nil", version, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 3 || slices.ContainsFunc(asked, func(uri string) bool { return !strings.HasSuffix(uri, "?appid="+f.api.ClientID) }) {
		t.Errorf("asked: %q, want three times with appid", asked)
	}
}

// Every tenant is asked for the app's keys, those of all organizations too.
func TestAppIDIsSentToEveryTenant(t *testing.T) {
	t.Parallel()
	f := newTenant(t)
	var mu sync.Mutex
	asked := map[string]bool{}
	client := *f.tenant.HTTPClient()
	client.Transport = behind{client.Transport, func(req *http.Request) *http.Response {
		if v1, v2 := isMetadata(req); v1 || v2 {
			mu.Lock()
			asked[req.URL.RequestURI()] = true
			mu.Unlock()
		}
		return nil
	}}
	f.start(t, func(o *entraauth.Options) {
		o.HTTPClient, o.OtherTenants, o.AcceptAnyOrganization = &client, []string{personal}, true
	})
	other := f.tenant.AddTenant(&entratest.Options{TenantID: personal})
	t.Cleanup(other.Close)
	for _, tenant := range []string{f.tenant.ID(), personal, thirdTenant} {
		_ = f.verify(t, f.tokenOf(tenant))
		f.clock.Add(10 * time.Minute)
		_ = f.verify(t, f.tokenOf(tenant)) // the first may have come before the tenant
	}
	mu.Lock()
	defer mu.Unlock()
	for _, segment := range []string{f.tenant.ID(), personal, "organizations"} {
		for _, version := range []string{"", "/v2.0"} {
			if uri := "/" + segment + version + "/.well-known/openid-configuration?appid=" + f.api.ClientID; !asked[uri] {
				t.Errorf("%s was not asked for", uri)
			}
		}
	}
	if len(asked) != 6 {
		t.Errorf("asked: got %v, want 6", asked)
	}
}
