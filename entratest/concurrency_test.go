package entratest_test

import (
	"net/http"
	"sync"
	"testing"
)

// Everything may be called while requests are running.
func TestConcurrentUse(t *testing.T) {
	c := newContoso(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				form := c.obo()
				// A rotation between the two makes it an assertion of an old key.
				if a := c.token(t, form); a.status != http.StatusOK && a.code() != 50013 {
					t.Errorf("%d %s", a.status, a.body)
				}
				get(t, c.HTTPClient(), c.AuthorityHost()+"/"+c.ID()+"/discovery/v2.0/keys")
			}
		})
	}
	for range 3 {
		c.AnnounceKey()
		c.RotateKeys()
		c.api.AddSecret()
		c.AddUser("bob@contoso.com", "Bob")
		c.AddApp("Other", "read")
		c.Consent(c.api, c.Storage())
		c.Mint(c.api, 2, nil)
		c.AddManagedIdentity("umi")
		c.ManagedIdentityEndpoint()
		c.Requests()
	}
	group.Wait()
}
