package entraauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Whatever the header, the answer is a refusal with a well-formed challenge.
func FuzzAuthorizationHeader(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer x", "Bearer a.b.c", "Basic x", "bearer\ta.b.c", "Bearer a, Bearer b", "Bearer \x00", "Bearer é"} {
		f.Add(seed)
	}
	fix := newFixture(f, nil)
	handler := fix.verifier.Middleware(&entraauth.BearerCheck{ResourceMetadata: metadataURL})(http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, header string) {
		req := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		req.Header["Authorization"] = []string{header}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code != 400 && rec.Code != 401 {
			t.Fatalf("status %d, want 400 or 401", rec.Code)
		}
		checkChallenge(t, header, answer{rec.Code, rec.Header(), rec.Body.String()})
	})
}

// Whatever the header, a token whose claims are good is accepted only as Entra
// wrote it.
func FuzzTokenHeader(f *testing.F) {
	fix := newFixture(f, uncached)
	header, rest, _ := strings.Cut(fix.token(), ".")
	good, err := base64.RawURLEncoding.DecodeString(header)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"{}", `{"alg":"none"}`, `{"alg":"RS256","kid":"x"}`, `{"alg":"RS256","kid":"x","kid":"y"}`, `{"alg":"RS256","kid":"\u0000","crit":[]}`, "[", "null"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := fix.verifier.Verify(t.Context(), b64(data)+"."+rest); err == nil && string(data) != string(good) {
			t.Fatalf("accepted the header %q", data)
		}
	})
}

// Whatever the texts of an error, the challenge is RFC 6750's.
func FuzzChallenge(f *testing.F) {
	f.Add("a \"quoted\" \\ value", "é\r\nSet-Cookie: x", "c1")
	f.Add(strings.Repeat("long ", 100), "", "")
	fix := newFixture(f, nil)
	f.Fuzz(func(t *testing.T, expected, remedy, claims string) {
		rec := httptest.NewRecorder()
		fix.verifier.Refuse(rec, httptest.NewRequest(http.MethodPost, "/mcp", nil), &entraauth.BearerCheck{ResourceMetadata: metadataURL},
			&entraauth.Error{Kind: entraauth.ErrInvalidToken, Reason: "malformed", Expected: expected, Remedy: remedy, Claims: claims})
		checkChallenge(t, expected, answer{rec.Code, rec.Header(), rec.Body.String()})
	})
}

// Claims are signed whatever they are. What we accept, golang-jwt with explicit
// checks accepts too: it reads the claims with encoding/json, as everybody
// behind us will.
func FuzzClaims(f *testing.F) {
	fix := newFixture(f, uncached)
	// The ids of a run are not those of the next: the inputs have names for them.
	ids := strings.NewReplacer("{T}", fix.tenant.ID(), "{A}", fix.api.ClientID)
	names := strings.NewReplacer(fix.tenant.ID(), "{T}", fix.api.ClientID, "{A}")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(fix.token(), ".")[1])
	if err != nil {
		f.Fatal(err)
	}
	good := names.Replace(string(payload))
	for _, seed := range []string{
		good,
		strings.Replace(good, "{", `{"Aud":"x",`, 1),
		strings.Replace(good, "{", "{\n ", 1),
		strings.Replace(good, `"aud"`, `"\u0061ud"`, 1),
		strings.Replace(good, `"scp":"`, `"scp":"a `, 1),
		strings.Replace(good, "{", `{"a":{"b":[1,2,{"c":"\"}"}]},"d":[],"e":{},"f":null,`, 1),
		strings.Replace(good, "{", `{"xms_sub_fct":"3 6","xms_act_fct":"3 9 11","xms_par_app_azp":"12345678-1234-1234-1234-123456789abc",`, 1),
		strings.Replace(good, "{", `{"xms_sub_fct":"13","xms_act_fct":"9 3",`, 1),
		strings.Replace(good, "{", `{"_claim_names":{"groups":"s"},"roles":["\u00e9"],"acrs":"c1",`, 1),
		`{"a":{"b":[1,2,{"c":"\"}"}]}}`,
		`null`,
	} {
		f.Add(seed)
	}
	accepts := func(ctx context.Context, payload string) (string, bool) {
		token := fix.tenant.SignPayload(nil, []byte(ids.Replace(payload)))
		_, err := fix.verifier.Verify(ctx, token)
		return token, err == nil
	}
	if _, ok := accepts(f.Context(), good); !ok {
		f.Fatal("the good claims are refused")
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if token, ok := accepts(t.Context(), payload); ok {
			acceptedByAll(t, fix, token)
		}
	})
}

// acceptedByAll verifies a token with golang-jwt and explicit checks.
func acceptedByAll(t *testing.T, f *fixture, token string) {
	t.Helper()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(time.Minute),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(f.clock.Now),
		jwt.WithAudience(f.api.ClientID, "api://"+f.api.ClientID, "api://"+f.api.ClientID+"/"))
	claims := jwt.MapClaims{}
	if _, err := parser.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		kid, _ := token.Header["kid"].(string)
		key, _ := f.tenant.PublicKey(kid)
		return key, nil
	}); err != nil {
		t.Fatalf("golang-jwt refuses %v: %v", claims, err)
	}
	scopes, _ := claims["scp"].(string)
	oid, _ := claims["oid"].(string)
	if claims["tid"] != f.tenant.ID() || len(oid) != 36 || !slices.Contains(strings.Fields(scopes), "access_as_user") ||
		claims["iss"] != f.tenant.V1Issuer() && claims["iss"] != f.tenant.V2Issuer() || claims["cnf"] != nil {
		t.Fatalf("accepted %v", claims)
	}
	subject, _ := claims["xms_sub_fct"].(string)
	actor, _ := claims["xms_act_fct"].(string)
	isAgent := func(number string) bool { return number == "11" || number == "13" }
	if slices.ContainsFunc(strings.Fields(subject), isAgent) || slices.Contains(strings.Fields(actor), "13") ||
		claims["xms_par_app_azp"] != nil && subject == "" && !slices.Contains(strings.Fields(actor), "11") {
		t.Fatalf("accepted an agent user, or whoever it is: %v", claims)
	}
}

// The reader of facets accepts numbers between spaces, and nothing else.
func FuzzFacets(f *testing.F) {
	for _, seed := range []string{`"3 6"`, `"11"`, `"9 3 11"`, `"13 3"`, `"011"`, `"+11"`, `11`, `["11"]`, `null`, `"\u0031\u0031"`, `" 11  13 "`, `"١١"`, `"1` + strings.Repeat(" 1", 128) + `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) {
			t.Skip()
		}
		value = strings.TrimSpace(value)
		agent, agentUser, err := entraauth.Facets(value)
		var text string
		isText := json.Unmarshal([]byte(value), &text) == nil && value != "null"
		wantAgent, wantUser, well := false, false, isText && len(text) <= 256
		for number := range strings.SplitSeq(text, " ") {
			wantAgent, wantUser = wantAgent || number == "11", wantUser || number == "13"
			well = well && strings.Trim(number, "0123456789") == "" && (len(number) < 2 || number[0] != '0')
		}
		if (err == nil) != well || err == nil && (agent != wantAgent || agentUser != wantUser) || err != nil && (agent || agentUser) {
			t.Errorf("%s: got agent %t, agent user %t, %v; want %t, %t, well-formed: %t", value, agent, agentUser, err, wantAgent, wantUser, well)
		}
	})
}
