package entraauth_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
)

// Whatever the header, the answer is a refusal with a well-formed challenge.
func FuzzAuthorizationHeader(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer x", "Bearer a.b.c", "Basic x", "bearer\ta.b.c", "Bearer a, Bearer b", "Bearer \x00", "Bearer é"} {
		f.Add(seed)
	}
	fix := newFixture(f, nil)
	handler := fix.verifier.Middleware(&entraauth.Guard{ResourceMetadata: metadataURL})(http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, header string) {
		req := httptest.NewRequest(http.MethodPost, "/mcp", nil)
		req.Header["Authorization"] = []string{header}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code != 400 && rec.Code != 401 {
			t.Fatalf("status %d", rec.Code)
		}
		checkChallenge(t, header, answer{rec.Code, rec.Header(), rec.Body.String()})
	})
}

// Claims are signed whatever they are. What is accepted has, exactly once and
// exactly named, what the rules demand.
func FuzzClaims(f *testing.F) {
	fix := newFixture(f, nil)
	good := strings.Split(fix.token(), ".")
	payload, err := base64.RawURLEncoding.DecodeString(good[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(payload))
	f.Add(strings.Replace(string(payload), "{", `{"Aud":"x",`, 1))
	f.Add(strings.Replace(string(payload), `"aud"`, `"\u0061ud"`, 1))
	f.Add(`{"a":{"b":[1,2,{"c":"\"}"}]}}`)
	f.Add(`null`)
	sign := func(payload string) string { return fix.tenant.SignPayload(nil, []byte(payload)) }
	f.Fuzz(func(t *testing.T, payload string) {
		id, err := fix.verifier.Verify(t.Context(), sign(payload))
		if err != nil {
			return
		}
		var claims map[string]any
		if err := id.Claims(&claims); err != nil {
			t.Fatalf("accepted claims that do not decode: %v", err)
		}
		scopes, _ := claims["scp"].(string)
		switch {
		case claims["tid"] != fix.tenant.ID(),
			claims["aud"] != fix.api.ClientID && claims["aud"] != "api://"+fix.api.ClientID && claims["aud"] != "api://"+fix.api.ClientID+"/",
			claims["iss"] != fix.tenant.V1Issuer() && claims["iss"] != fix.tenant.V2Issuer(),
			!strings.Contains(" "+strings.Join(strings.Fields(scopes), " ")+" ", " access_as_user "):
			t.Fatalf("accepted %s", payload)
		}
	})
}
