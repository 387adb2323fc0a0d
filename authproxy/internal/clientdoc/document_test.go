package clientdoc_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
)

type members = map[string]any

const keysURL = "https://client.example/keys.json"

func TestDocuments(t *testing.T) {
	t.Parallel()
	doc := func(others members) string { return document(clientURL, others) }
	const public, keyed, either = "public", "keyed", "public keyed"
	for _, tt := range []struct {
		body string
		want want
		auth string
	}{
		{doc(nil), want{}, public},
		{doc(members{"client_name": nil, "unknown": members{"a": 1}, "logo_uri": "http://10.0.0.1/", "scope": 7}), want{}, public},
		{" \n" + doc(nil) + "\n", want{}, public},
		{strings.Replace(doc(nil), `"client_id"`, `"client\u005fid"`, 1), want{}, public},
		{doc(members{"token_endpoint_auth_method": "none"}), want{}, public},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": keysURL}), want{}, keyed},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_methods_supported": []string{"none", "private_key_jwt"}, "jwks_uri": keysURL}), want{}, either},
		{doc(members{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none", "tls_client_auth"}, "jwks_uri": keysURL}), want{}, either},
		{doc(members{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}, "jwks_uri": keysURL}), want{}, keyed},
		{doc(members{"token_endpoint_auth_method": "none", "jwks_uri": keysURL}), want{}, public},
		{doc(members{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none"}}), want{}, public}, // no keys
		{doc(members{"token_endpoint_auth_methods_supported": []string{"private_key_jwt", "none"}, "jwks_uri": "https://127.0.0.1/k"}), want{}, public},
		{doc(members{"grant_types": []string{"authorization_code"}, "response_types": []string{"code", "token"}}), want{}, public},

		{"", invalid("not JSON"), ""},
		{"null", invalid("not a JSON object"), ""},
		{"[]", invalid("not a JSON object"), ""},
		{`"` + clientURL + `"`, invalid("not a JSON object"), ""},
		{doc(nil) + doc(nil), invalid("not JSON"), ""},
		{doc(nil) + "x", invalid("not JSON"), ""},
		{"\ufeff" + doc(nil), invalid("not JSON"), ""},
		{strings.Replace(doc(nil), "An App", "An\xff App", 1), invalid("not JSON"), ""},
		{strings.Repeat("[", 5000), invalid("not JSON"), ""},
		{strings.Replace(doc(nil), "{", `{"client_id":"`+clientURL+`",`, 1), invalid("twice"), ""},
		{strings.Replace(doc(nil), "{", `{"redirect_uris":[],`, 1), invalid("twice"), ""},
		{strings.Replace(doc(nil), "{", `{"redirect\u005furis":[],`, 1), invalid("twice"), ""},
		{strings.Replace(doc(nil), "{", `{"x":1,"x":1,`, 1), invalid("twice"), ""},

		{doc(members{"client_id": nil}), invalid("client_id is not, byte for byte"), ""},
		{doc(members{"client_id": 1}), invalid("client_id must be a string"), ""},
		{doc(members{"client_id": clientURL + "/"}), invalid("byte for byte"), ""},
		{doc(members{"client_id": strings.ToUpper(clientURL)}), invalid("byte for byte"), ""},
		{doc(members{"client_id": "https://client.example:443/app.json"}), invalid("byte for byte"), ""},
		{doc(members{"client_id": "https://client.example/app%2Ejson"}), invalid("byte for byte"), ""},
		{doc(members{"client_id": clientURL + " "}), invalid("byte for byte"), ""},
		{strings.Replace(doc(nil), `"client_id"`, `"Client_ID"`, 1), invalid("byte for byte"), ""},

		{doc(members{"client_secret": "s3cret-of-the-document"}), invalid("client_secret"), ""},
		{doc(members{"client_secret": ""}), invalid("client_secret"), ""},
		{strings.Replace(doc(nil), "{", `{"client_secret":null,`, 1), invalid("client_secret"), ""},
		{doc(members{"client_secret_expires_at": 0}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_method": "client_secret_basic"}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_method": "client_secret_post"}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_method": "client_secret_jwt"}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic"}}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_method": "client_secret_basic", "token_endpoint_auth_methods_supported": []string{"none"}}), invalid("client_secret"), ""},
		{doc(members{"token_endpoint_auth_method": "tls_client_auth"}), invalid("no method"), ""},
		{doc(members{"token_endpoint_auth_method": "None"}), invalid("no method"), ""},
		{doc(members{"token_endpoint_auth_methods_supported": []string{}}), invalid("no method"), ""},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt"}), invalid("no jwks_uri"), ""},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "jwks": members{"keys": []any{}}}), invalid("no jwks_uri"), ""},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": 7}), invalid("jwks_uri must be a string"), ""},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "http://client.example/k"}), invalid("jwks_uri can't be used"), ""},
		{doc(members{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://169.254.169.254/k"}), invalid("jwks_uri can't be used"), ""},

		{doc(members{"redirect_uris": nil}), invalid("no redirect_uris"), ""},
		{doc(members{"redirect_uris": []string{}}), invalid("no redirect_uris"), ""},
		{doc(members{"redirect_uris": clientURL}), invalid("redirect_uris must be an array"), ""},
		{doc(members{"redirect_uris": []any{clientURL, 7}}), invalid("redirect_uris must be an array of strings"), ""},
		{doc(members{"redirect_uris": []any{clientURL, nil}}), invalid("redirect_uris must be an array of strings"), ""},
		{doc(members{"redirect_uris": strings.Split(strings.Repeat("a,", 100), ",")}), invalid("more than 100"), ""},
		{doc(members{"client_name": members{"en": "x"}}), invalid("client_name must be a string"), ""},
		{doc(members{"grant_types": "authorization_code"}), invalid("grant_types must be an array"), ""},
		{doc(members{"response_types": []string{"token"}}), invalid("response_types"), ""},
		{doc(members{"response_types": "code"}), invalid("response_types must be an array"), ""},
		{doc(members{"token_endpoint_auth_method": []string{"none"}}), invalid("token_endpoint_auth_method must be a string"), ""},
	} {
		n := newInternet(t, answer(200, "application/json", tt.body))
		d, err := n.Document(t.Context(), clientURL)
		if fault := tt.want.fault(err); fault != "" {
			t.Errorf("%.200s\n\t%s", tt.body, fault)
			continue
		}
		if err != nil {
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the error has something of the document: %v", err)
			}
			continue
		}
		var auth []string
		if d.Public {
			auth = append(auth, "public")
		}
		if d.Keyed {
			auth = append(auth, "keyed")
		}
		if got := strings.Join(auth, " "); got != tt.auth || d.Keyed != (d.JWKSURI == keysURL) {
			t.Errorf("%s\n\tgot %s with the keys at %q, want %s", tt.body, got, d.JWKSURI, tt.auth)
		}
	}
}

func TestDocumentAsWritten(t *testing.T) {
	t.Parallel()
	body := document(clientURL, members{
		"client_name": " <b>A</b>\u202e ", "grant_types": []string{"authorization_code", "refresh_token"},
		"redirect_uris": []string{"HTTP://LOCALHOST", "cursor://x", "javascript:alert(1)", ""},
	})
	n := newInternet(t, answer(200, "application/json", body))
	d, err := n.Document(t.Context(), clientURL)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%q %q %q %s", d.Name, d.Redirects, d.Grants, d.Host)
	want := `" <b>A</b>\u202e " ["HTTP://LOCALHOST" "cursor://x" "javascript:alert(1)" ""] ["authorization_code" "refresh_token"] client.example`
	if got != want {
		t.Errorf("got\n\t%s, want\n\t%s", got, want)
	}
	if d.Hash != sha256.Sum256([]byte(body)) {
		t.Error("the hash is not that of the bytes")
	}
	if n := newInternet(t, serveOwn); n != nil {
		if d, err := n.Document(t.Context(), clientURL); err != nil || d.Grants != nil {
			t.Errorf("without grant_types: got %+v, %v; want nil", d, err)
		}
	}
}
