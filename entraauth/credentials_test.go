package entraauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// opaqueKey is a credential that does not look like a token.
const opaqueKey = "s3cr3t~K3y.0f-An0ther_Service+xyz="

// A placement puts a credential somewhere into a request.
type placement struct {
	name  string
	place func(r *http.Request, credential string)
}

func inHeader(format ...string) func(*http.Request, string) {
	return func(r *http.Request, credential string) {
		for _, f := range format {
			r.Header.Add("Authorization", strings.ReplaceAll(f, "{}", credential))
		}
	}
}

// inClaims mints nothing: it places the credential into a token that anybody can write.
func inClaims(header, claims map[string]any, name string) func(*http.Request, string) {
	return func(r *http.Request, credential string) {
		h, c := map[string]any{"alg": "RS256", "typ": "JWT", "kid": "k"}, map[string]any{"ver": "2.0"}
		for into, values := range map[*map[string]any]map[string]any{&h: header, &c: claims} {
			for n, v := range values {
				if v == "{}" {
					v = credential
				}
				(*into)[n] = v
			}
		}
		if name == "member" {
			h[credential] = 1
		}
		encode := func(m map[string]any) string {
			data, _ := json.Marshal(m)
			return b64(data)
		}
		r.Header.Set("Authorization", "Bearer "+encode(h)+"."+encode(c)+".c2ln")
	}
}

// anywhere are placements of every credential.
var anywhere = []placement{
	{"no scheme", inHeader("{}")},
	{"no scheme, space before", inHeader(" {}")},
	{"no scheme, space behind", inHeader("{} ")},
	{"no scheme, more behind", inHeader("{} x")},
	{"no scheme, a scheme behind", inHeader("{} Bearer")},
	{"Bearer and a colon", inHeader("Bearer:{}")},
	{"Bearer, a colon and a space", inHeader("Bearer: {}")},
	{"Bearer and a tab", inHeader("Bearer\t{}")},
	{"Bearer, a tab and a space", inHeader("Bearer\t {}")},
	{"Bearer and an equals sign", inHeader("Bearer={}")},
	{"Bearer and a comma", inHeader("Bearer,{}")},
	{"Bearer and a quote", inHeader(`Bearer"{}"`)},
	{"Bearer without a gap", inHeader("Bearer{}")},
	{"Bearer and a hyphen", inHeader("Bearer-{}")},
	{"Bearer twice", inHeader("Bearer Bearer {}")},
	{"Bearer twice with a colon", inHeader("Bearer Bearer:{}")},
	{"Bearer behind the credential", inHeader("{} Bearer {}")},
	{"quoted", inHeader(`Bearer "{}"`)},
	{"in brackets", inHeader("Bearer <{}>")},
	{"as parameter", inHeader(`Bearer token="{}"`)},
	{"with a comma", inHeader("Bearer {},x")},
	{"twice", inHeader("Bearer {} {}")},
	{"half a token", inHeader("Bearer {}.{}")},
	{"Bearer of another script", inHeader("Веarer {}")},
	{"Basic", inHeader("Basic {}")},
	{"basic and a colon", inHeader("basic:{}")},
	{"DPoP", inHeader("DPoP {}")},
	{"PoP", inHeader("pop {}")},
	{"Negotiate", inHeader("Negotiate {}")},
	{"SharedKey", inHeader("SharedKey account:{}")},
	{"unknown scheme", inHeader("X-{} {}")},
	{"scheme made of it", inHeader("Basic{} x")},
	{"two headers", inHeader("Bearer {}", "Bearer {}")},
	{"two headers, one without scheme", inHeader("{}", "Bearer x")},
	{"two schemes in two headers", inHeader("Basic {}", "{}")},
	{"empty header beside it", inHeader("", "{}")},
	{"very long", inHeader("{}" + strings.Repeat("{}", 500))},
	{"access_token", query("access_token={}")},
	{"access_token, case", query("Access_Token={}")},
	{"access_token, escaped", query("access%5Ftoken={}")},
	{"access_token behind a semicolon", query("a=1;access_token={}")},
	{"access_token that does not decode", query("a=%zz&access_token={}%zz")},
	{"another parameter", query("token={}&code={}&key={}")},
	{"a parameter alone", query("{}")},
	{"in another header", func(r *http.Request, credential string) { r.Header.Set("X-Api-Key", credential) }},
	{"in a cookie", func(r *http.Request, credential string) { r.Header.Set("Cookie", "token="+credential) }},
	{"as Proxy-Authorization", func(r *http.Request, credential string) {
		r.Header.Set("Proxy-Authorization", "Bearer "+credential)
	}},
}

// ofTokens are placements where a word would be logged, as it should be: it is a kid,
// an issuer. A token is not.
var ofTokens = []placement{
	{"in the path", func(r *http.Request, credential string) { r.URL.Path = "/mcp/" + credential }},
	{"in the path behind an equals sign", func(r *http.Request, credential string) { r.URL.Path = "/mcp;token=" + credential }},
	{"in a long path", func(r *http.Request, credential string) { r.URL.Path = strings.Repeat("/mcp", 60) + "/" + credential }},
	{"as method", func(r *http.Request, credential string) { r.Method = credential }},
	{"as alg", inClaims(map[string]any{"alg": "{}"}, nil, "")},
	{"as typ", inClaims(map[string]any{"typ": "{}"}, nil, "")},
	{"as kid", inClaims(map[string]any{"kid": "{}"}, nil, "")},
	{"as ver", inClaims(nil, map[string]any{"ver": "{}"}, "")},
	{"as iss", inClaims(nil, map[string]any{"iss": "{}"}, "")},
	{"as tid", inClaims(nil, map[string]any{"tid": "{}"}, "")},
	{"as a member's name", inClaims(nil, nil, "member")},
	{"as known member of another type", inClaims(map[string]any{"kid": []string{"{}"}}, nil, "")},
}

func query(format string) func(*http.Request, string) {
	return func(r *http.Request, credential string) {
		r.URL.RawQuery = strings.ReplaceAll(format, "{}", credential)
	}
}

// Wherever a confused client puts a credential, no piece of it gets into the log, the
// challenge, the body or a report.
func TestNoPlacementOfACredentialIsLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.verifier.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := f.token()
	credentials := map[string][]placement{opaqueKey: anywhere, token: append(slices.Clip(anywhere), ofTokens...)}
	handler := f.verifier.Middleware(&entraauth.BearerCheck{ResourceMetadata: metadataURL})(http.NotFoundHandler())
	for credential, placements := range credentials {
		for _, p := range placements {
			before := len(f.log.String())
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/mcp", nil)
			p.place(r, credential)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized && w.Code != http.StatusBadRequest {
				t.Errorf("%s: status %d, want 400 or 401", p.name, w.Code)
			}
			line := f.log.String()[before:]
			if !strings.Contains(line, "request refused") || len(line) > 1500 {
				t.Errorf("%s: the log has %d bytes, want at most 1500 with \"request refused\": %.1500s", p.name, len(line), line)
			}
			report, err := json.Marshal(f.verifier.Explain(t.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
			if err != nil {
				t.Fatal(err)
			}
			for where, text := range map[string]string{
				"the log": line, "the challenge": w.Header().Get("WWW-Authenticate"), "the body": w.Body.String(), "the report": string(report),
			} {
				if piece := pieceOf(credential, text); piece != "" {
					t.Errorf("%s: %s has %q: %s", p.name, where, piece, text)
				}
			}
		}
	}
}

// pieceOf returns 8 characters in a row of the credential that are in the text. The
// header of a token is the same for all of a tenant, and no secret.
func pieceOf(credential, text string) string {
	if _, rest, ok := strings.Cut(credential, "."); ok && strings.HasPrefix(credential, "eyJ") {
		credential = rest
	}
	for i := range len(credential) - 7 {
		if strings.Contains(text, credential[i:i+8]) || strings.Contains(text, url.QueryEscape(credential[i:i+8])) {
			return credential[i : i+8]
		}
	}
	return ""
}

// The error names a member that appears twice, unless the name may be a token.
func TestMemberThatStandsTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for name, want := range map[string]string{"aud": `the member "aud" appears twice`, strings.Repeat("k", 100): "[100 characters]", "eyJhbGciOiJub25lIn0": "[19 characters]"} {
		report := f.verifier.Explain(t.Context(), b64([]byte(`{"`+name+`":1,"`+name+`":2}`))+".e30.c2ln")
		if got := report.Checks[0].Actual; !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %q", name, got, want)
		}
	}
}

// A token in the query string is refused in whatever spelling some reader may take
// it from there; other parameters are nobody's business.
func TestTokenInTheQuery(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	good := f.token()
	for query, refused := range map[string]bool{
		"access_token=x": true, "access_token": true, "Access_Token=x": true, "access%5Ftoken=x": true, "a=1;access_token=x": true, "%20access_token=x": true,
		"a=%zz&access_token=x": true, "+access_token=x": true, "": false, "a=access_token": false, "access_token_hint=x": false, "xaccess_token=x": false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer "+good)
		if _, err := f.verifier.FromRequest(r); (err != nil) != refused || err != nil && errorOf(t, err).Reason != "token_in_query" {
			t.Errorf("%q: got %v, want token_in_query: %t", query, err, refused)
		}
	}
}

// The name of a known scheme is worth logging: it says which client is wrong.
func TestKnownSchemesAreNamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for value, want := range map[string]string{
		"basic dXNlcjpwdw==": "scheme Basic", "NEGOTIATE abcdefgh": "scheme Negotiate", "dpop x": "scheme DPoP", "vapid t=x": "scheme VAPID",
		"Digest username=x": "scheme Digest", "Bearer:x": "Bearer without a space behind it", "Bearer\tx": "Bearer without a space behind it",
		"Bearer": "an empty token", "Bearer ": "an empty token", "x": "1 bytes without a known scheme", "Basics x": "8 bytes without a known scheme",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", value)
		_, err := f.verifier.FromRequest(r)
		e := errorOf(t, err)
		if !errors.Is(err, entraauth.ErrNoToken) || e.Actual != want {
			t.Errorf("%q: %v, logged as %q, want %q", value, e.Kind, e.Actual, want)
		}
	}
}

// What a stranger sends is cut and counted before it is logged.
func TestActualIsCutAndCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for value, want := range map[string]string{
		"https://their.example":                         "https://their.example",
		"https://" + strings.Repeat("a.", 400):          "(808 bytes)",
		"red \x1b[31m\nline":                            `"red \x1b[31m\nline"`,
		strings.Repeat("\u202e", 200):                   "(600 bytes)",
		strings.Repeat("A", 49):                         "[49 characters]",
		"https://x/eyJhbGciOiJub25lIn0":                 "https://x/[19 characters]",
		"api://" + otherTenant + "/" + otherTenant:      "api://" + otherTenant + "/" + otherTenant,
		"https://x.example/" + strings.Repeat("é", 300): "(618 bytes)",
	} {
		e := errorOf(t, f.verify(t, f.tenant.Mint(f.api, 1, func(_, c map[string]any) { c["aud"] = value })))
		if !strings.Contains(e.Actual, want) || len(e.Actual) > 256+len("… (1234567 bytes)") {
			t.Errorf("%.60q: logged as %q, want %q", value, e.Actual, want)
		}
	}
}
