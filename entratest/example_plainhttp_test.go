package entratest_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// A tenant over plain HTTP, for a client that can't be given a CA.
func ExampleOptions_plainHTTP() {
	tenant := entratest.NewTenant(&entratest.Options{PlainHTTP: true})
	defer tenant.Close()
	authority, err := url.Parse(tenant.AuthorityHost())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(authority.Scheme, authority.Hostname())
	// Output: http localhost
}

// A CA that lasts: clients trust its certificate once, and every later tenant too.
func ExampleOpenCA() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var trusted string
	for range 2 {
		ca, err := entratest.OpenCA(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
		if err != nil {
			fmt.Println(err)
			return
		}
		tenant := entratest.NewTenant(&entratest.Options{CA: ca})
		fmt.Println(trusted == string(tenant.CertificatePEM()))
		trusted = string(tenant.CertificatePEM())
		tenant.Close()
	}
	// Output:
	// false
	// true
}

func ExampleTenant_Registrations() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	tenant.AddApp("My MCP server", "access_as_user")
	tenant.AddUser("alice@contoso.example", "Alice")
	for _, r := range tenant.Registrations() {
		if !r.Microsoft {
			fmt.Println(r.Name, r.Scopes)
		}
	}
	for _, user := range tenant.Users() {
		fmt.Println(user.DisplayName)
	}
	// Output:
	// My MCP server [access_as_user]
	// Alice
}

// A secret that is the same in each run, for clients that are configured once.
func ExampleApp_AddKnownSecret() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	api := tenant.AddApp("My MCP server", "access_as_user")
	api.AddKnownSecret("entratest-for-tests-only", time.Time{})
	response, err := tenant.HTTPClient().PostForm(tenant.AuthorityHost()+"/"+tenant.ID()+"/oauth2/v2.0/token", url.Values{
		"client_id": {api.ClientID}, "client_secret": {"entratest-for-tests-only"},
		"grant_type": {"client_credentials"}, "scope": {"https://storage.azure.com/.default"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	fmt.Println(response.Status)
	// Output: 200 OK
}
