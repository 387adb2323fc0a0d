package obo_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A member of an unexpected type costs nothing but itself.
func TestOddMembersOfARefusal(t *testing.T) {
	t.Parallel()
	x := newUsersEntra().exchanger(t, nil)
	const id = "11111111-2222-3333-4444-555555555555"
	for _, test := range []struct {
		name, body string
		want       error
		code       int
	}{
		{"codes as text", `{"error":"invalid_grant","error_codes":["65001"]}`, obo.ErrConsentRequired, 65001},
		{"codes as text with prefix", `{"error":"invalid_grant","error_codes":["AADSTS65001"]}`, obo.ErrConsentRequired, 65001},
		{"one code", `{"error":"invalid_grant","error_codes":65001}`, obo.ErrConsentRequired, 65001},
		{"one code as text", `{"error":"invalid_grant","error_codes":"65001"}`, obo.ErrConsentRequired, 65001},
		{"a code with a point", `{"error":"invalid_grant","error_codes":[65001.0]}`, obo.ErrConsentRequired, 65001},
		{"mixed codes", `{"error":"invalid_grant","error_codes":[null,{},"x",-1,65001]}`, obo.ErrConsentRequired, 65001},
		{"codes as object", `{"error":"invalid_grant","error_codes":{"a":1},"error_description":"AADSTS65001: x"}`, obo.ErrConsentRequired, 65001},
		{"codes null", `{"error":"invalid_grant","error_codes":null,"error_description":"AADSTS65001: x"}`, obo.ErrConsentRequired, 65001},
		{"a code beyond all", `{"error":"invalid_grant","error_codes":[1e300,65001]}`, obo.ErrConsentRequired, 65001},
		{"known code in the text only", `{"error":"invalid_grant","error_codes":[999999],"error_description":"AADSTS65001: x"}`, obo.ErrConsentRequired, 65001},
		{"description as object", `{"error":"invalid_grant","error_codes":[65001],"error_description":{}}`, obo.ErrConsentRequired, 65001},
		{"description as list", `{"error":"invalid_grant","error_codes":[65001],"error_description":["AADSTS1"]}`, obo.ErrConsentRequired, 65001},
		{"error as number", `{"error":400,"error_codes":[65001]}`, obo.ErrConsentRequired, 65001},
		{"error as object", `{"error":{"code":"invalid_grant"},"error_codes":[65001]}`, obo.ErrConsentRequired, 65001},
		{"error null", `{"error":null,"error_codes":[7000215]}`, obo.ErrMisconfigured, 7000215},
		{"error missing, unknown code", `{"error_codes":[987654]}`, obo.ErrInteractionRequired, 987654},
		{"error as number, suberror", `{"error":1,"suberror":"consent_required"}`, obo.ErrConsentRequired, 0},
		{"suberror null", `{"error":"invalid_grant","error_codes":[65001],"suberror":null}`, obo.ErrConsentRequired, 65001},
		{"suberror as number", `{"error":"invalid_grant","error_codes":[65001],"suberror":7}`, obo.ErrConsentRequired, 65001},
		{"ids as numbers", `{"error":"invalid_grant","error_codes":[65001],"trace_id":1,"timestamp":{},"error_uri":[]}`, obo.ErrConsentRequired, 65001},
		{"claims as number", `{"error":"invalid_grant","error_codes":[65001],"claims":1}`, obo.ErrConsentRequired, 65001},
		{"byte order mark", "\xef\xbb\xbf" + `{"error":"invalid_grant","error_codes":[65001]}`, obo.ErrConsentRequired, 65001},
	} {
		body := test.body[:len(test.body)-1] + `,"correlation_id":"` + id + `"}`
		e := wantKind(t, obo.Answer(x, http.StatusBadRequest, []byte(body)), test.want)
		if e.AADSTS != test.code || e.CorrelationID != id {
			t.Errorf("%s: code %d, correlation id %q; want %d, %s", test.name, e.AADSTS, e.CorrelationID, test.code, id)
		}
	}
	e := wantKind(t, obo.Answer(x, http.StatusBadRequest, []byte(`{"error":"interaction_required","error_codes":[50076],"claims":{"access_token":{}}}`)), obo.ErrInteractionRequired)
	if e.Claims != `{"access_token":{}}` {
		t.Errorf("claims as an object: %q, want the object", e.Claims)
	}
	if obo.Answer(x, http.StatusOK, []byte(`{"error":{"code":"x"},"error_codes":[65001]}`)).AADSTS != 65001 {
		t.Error("a refusal with status 200 and an odd error is taken for a token")
	}
}

func TestOddMembersOfASuccess(t *testing.T) {
	t.Parallel()
	x := newUsersEntra().exchanger(t, nil)
	for _, body := range []string{
		`{"token_type":"Bearer","access_token":"x","expires_in":"3600"}`,
		`{"token_type":"bearer","access_token":"x","expires_in":3600.0,"scope":["a"],"ext_expires_in":{},"refresh_in":"soon"}`,
		`{"token_type":"Bearer","access_token":"x","expires_in":3600,"error":null,"refresh_token":1,"client_info":[]}`,
		`{"token_type":"Bearer","access_token":"x","expires_in":3600,"error":"","foci":1}`,
	} {
		if e := obo.Answer(x, http.StatusOK, []byte(body)); e != nil {
			t.Errorf("%s: got %v, want a token", body, e)
		}
	}
	for _, body := range []string{
		`{"token_type":1,"access_token":"x","expires_in":3600}`, `{"token_type":"Bearer","access_token":{},"expires_in":3600}`,
		`{"token_type":"Bearer","access_token":"x","expires_in":[3600]}`, `{"token_type":"Bearer","access_token":"x","expires_in":null}`, `[]`, `null`,
	} {
		_ = wantKind(t, obo.Answer(x, http.StatusOK, []byte(body)), obo.ErrUnavailable)
	}
}

// Where consent is missing, claims lead nowhere: the client would sign its user in
// again, get the same refusal, and so on.
func TestConsentComesBeforeClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const claims = `{"access_token":{"capolids":{"essential":true,"values":["e6b2cb1d"]}}}`
	for _, f := range []entratest.Fault{
		{AADSTS: 65001, Suberror: "consent_required", Claims: claims},
		{AADSTS: 65001, Claims: claims},
		{AADSTS: 90094, Claims: claims},
		{AADSTS: 987654, Suberror: "consent_required", Claims: claims},
		{AADSTS: 50076, Suberror: "consent_required", Claims: claims},
		{Status: 400, Body: `{"error":"consent_required","claims":"{\"access_token\":{}}"}`},
	} {
		w.tenant.Fail(entratest.EndpointToken, f)
		_, err := w.get(t.Context(), w.exchanger(nil).Credential(w.assertion(w.alice)))
		e := wantKind(t, err, obo.ErrConsentRequired)
		if e.ConsentURL == "" || e.Claims != "" || strings.Contains(e.UserText(), "sign in again") {
			t.Errorf("%d: claims %q, %s; want a consent URL and no claims", f.AADSTS, e.Claims, e.UserText())
		}
	}
}

// "No matching federated identity record found" has many codes, of which some come
// with an OAuth error that blames the request. A chain goes on to its next method.
func TestNoMatchingFederatedCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file, err := w.tenant.AddCluster().WriteTokenFile(t.TempDir(), "system:serviceaccount:a:b", "api://AzureADTokenExchange")
	if err != nil {
		t.Fatal(err)
	}
	for code, oauthError := range map[int]string{
		70021: "invalid_request", 700211: "invalid_client", 700212: "invalid_client", 700213: "invalid_client",
		7002137: "invalid_client", 7002138: "invalid_client", 7002139: "invalid_request", 70021301: "invalid_request", 700229: "invalid_client",
	} {
		x := w.exchangerWith(clientauth.Chain(clientauth.WorkloadIdentity(file), clientauth.Secret(w.secret)), nil)
		a := refused(code, oauthError)
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Times: 1, Status: a.status, Body: a.body})
		if _, err := w.get(t.Context(), x.Credential(w.assertion(w.alice))); err != nil {
			t.Errorf("AADSTS%d: the chain did not go on: got %v, want nil", code, err)
		}
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: a.status, Body: a.body})
		_, err := w.get(t.Context(), w.exchanger(nil).Credential(w.assertion(w.alice)))
		e := wantKind(t, err, obo.ErrMisconfigured)
		if code != 700229 && !strings.Contains(e.UserText(), "Federated credentials") {
			t.Errorf("AADSTS%d: got %v, want where federated credentials are", code, e)
		}
	}
}

// Codes about the resource come with invalid_client too: the secret is not to blame,
// and another proof is not tried.
func TestMissingServicePrincipal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, code := range []int{650051, 650052, 650054, 650056, 650057, 65005, 650059, 500011, 500014, 90009} {
		x := w.exchangerWith(clientauth.Chain(clientauth.Secret(w.secret), clientauth.Secret("another")), nil)
		a, before := refused(code, "invalid_client"), w.exchanges()
		w.tenant.Fail(entratest.EndpointToken, entratest.Fault{Status: a.status, Body: a.body})
		_, err := w.get(t.Context(), x.Credential(w.assertion(w.alice)))
		if e := wantKind(t, err, obo.ErrMisconfigured); strings.Contains(e.UserText(), "secret") || w.exchanges() != before+1 {
			t.Errorf("AADSTS%d: got %v after %d requests, want an error that doesn't blame the secret after 1", code, e, w.exchanges()-before)
		}
	}
}

// What is no token is not sent to Entra, and its remedy is the developer's.
func TestAssertionsThatAreNotBare(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	token := w.tenant.Token(w.alice, w.client, w.api)
	header, rest, _ := strings.Cut(token, ".")
	for name, text := range map[string]string{
		"Bearer": "Bearer " + token, "bearer": "bearer " + token, "BEARER and tab": "BEARER\t" + token, "Bearer:": "Bearer:" + token, "Bearer, two spaces": "Bearer  " + token,
		"Bearer without space": "Bearer" + token, "space before": " " + token, "space behind": token + " ", "line break behind": token + "\n", "CRLF": token + "\r\n",
		"line break within": header + "\n." + rest, "double quotes": `"` + token + `"`, "single quotes": "'" + token + "'", "Basic": "Basic " + token, "JSON": `{"access_token":"` + token + `"}`,
		"two tokens": token + "," + token, "padding": header + "=." + rest, "percent": header + "%2E" + rest, "NUL": token + "\x00", "no signature": token[:strings.LastIndexByte(token, '.')+1],
		"no header": "." + rest, "header is no JSON": "aaaa." + rest, "Bearer alone": "Bearer", "space": " ", "no-break space": "\u00a0" + token,
	} {
		w.hide(text)
		_, err := w.get(t.Context(), x.Credential(obo.NewAssertion(text)))
		e := wantKind(t, err, obo.ErrAssertionInvalid)
		if e.Remedy == "" || strings.HasPrefix(strings.ToLower(name), "bearer ") && !strings.Contains(e.Remedy, "Bearer") {
			t.Errorf("%s: remedy %q, want one that fits", name, e.Remedy)
		}
	}
	if n := len(w.tenant.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

// A scp that names no scope doesn't make a user of an application.
func TestScopesThatNameNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := w.exchanger(nil)
	for _, scp := range []string{"", " ", "/", " / ", "//", "\t", ".", "- -", "\u00a0"} {
		for kind, change := range map[string]func(c map[string]any){
			"with roles":      func(c map[string]any) { c["roles"] = []string{"Read.All"} },
			"its own subject": func(c map[string]any) { c["sub"] = c["oid"] },
			"an ID token":     func(map[string]any) {},
		} {
			token := w.tenant.Mint(w.api, 1, func(_, c map[string]any) { c["scp"] = scp; change(c) })
			_, err := w.get(t.Context(), x.Credential(obo.NewAssertion(token)))
			e := wantKind(t, err, obo.ErrAssertionInvalid)
			if strings.Contains(e.Problem, "application") != (kind != "an ID token") {
				t.Errorf("scp %q, %s: got %v, want an application blamed unless it is an ID token", scp, kind, e)
			}
		}
	}
	if n := len(w.tenant.Requests()); n != 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
	for _, scp := range []string{"access_as_user", "/ access_as_user", "a"} {
		token := w.tenant.Mint(w.api, 1, func(_, c map[string]any) { c["scp"] = scp })
		if _, _, err := obo.Inspect(x, token); err != nil {
			t.Errorf("scp %q: got %v, want nil", scp, err)
		}
	}
}
