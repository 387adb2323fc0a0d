package entratest_test

import (
	"net/http"
	"os"
	"testing"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	issuer := c.AddCluster()
	a := get(t, c.HTTPClient(), issuer.URL+".well-known/openid-configuration")
	if a.text("issuer") != issuer.URL {
		t.Fatalf("%d %s", a.status, a.body)
	}
	keys := get(t, c.HTTPClient(), a.text("jwks_uri"))
	if list, _ := keys.json["keys"].([]any); len(list) != 1 {
		t.Errorf("%s", keys.body)
	}
	if a := get(t, c.HTTPClient(), c.AuthorityHost()+"/clusters/none/openid/v1/jwks"); a.status != http.StatusNotFound {
		t.Errorf("another cluster: %d", a.status)
	}
	c.api.AddFederatedCredential(issuer.URL, account, exchangeURI)
	dir := t.TempDir()
	for range 2 { // renewed in place
		path, err := issuer.WriteTokenFile(dir, account, exchangeURI)
		if err != nil {
			t.Fatal(err)
		}
		token, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if a := c.token(t, c.obo("client_secret", "", "client_assertion", string(token), "client_assertion_type", assertionType)); a.status != http.StatusOK {
			t.Errorf("%s", a.body)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v %v", entries, err)
	}
	if _, err := issuer.WriteTokenFile(dir+"/none", account, exchangeURI); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}
