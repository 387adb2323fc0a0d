package entratest_test

import (
	"net/http"
	"sync"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// All methods may be called while requests are running.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	c := newContoso(t)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				form := c.obo()
				// A rotation in between makes the assertion's key an old one.
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

// Many users sign in at once while keys rotate and consent changes.
func TestConcurrentSignIns(t *testing.T) {
	t.Parallel()
	c := newSignIns(t)
	var people sync.WaitGroup
	for range 8 {
		user := c.AddUser("user@contoso.com", "User")
		people.Go(func() {
			browser := c.Browser(user)
			for range 5 {
				back, err := browser.Open(t.Context(), c.authorizeURL())
				if err != nil {
					t.Error(err)
					return
				}
				if a := c.token(t, c.redeem(back)); a.status != http.StatusOK {
					t.Error(a.body)
				}
			}
		})
	}
	for range 3 {
		c.AnnounceKey()
		c.RotateKeys()
		c.AddTenant(nil).Close()
		c.SetConsentPolicy(entratest.ConsentPolicyUsers)
		c.ConsentUser(c.alice, c.client, c.api)
	}
	people.Wait()
}
