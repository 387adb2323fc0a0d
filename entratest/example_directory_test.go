package entratest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// graph sends a request to the tenant's directory as the user, and returns the status and the JSON.
func graph(tenant *entratest.Tenant, user *entratest.User, method, path, body string) (int, map[string]any) {
	tool := tenant.Directory().App("14d82eec-204b-4c2f-b7e8-296a70dab67e") // Microsoft Graph Command Line Tools
	client := tenant.UserClient(user, tool, tenant.Graph(), "Application.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All")
	request, err := http.NewRequestWithContext(context.Background(), method, tenant.AuthorityHost()+"/v1.0/"+path, bytes.NewBufferString(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	_ = json.NewDecoder(response.Body).Decode(&answer) // 204 has none
	return response.StatusCode, answer
}

// An application that is registered over Microsoft Graph is an app of the tenant at once.
func ExampleTenant_Directory() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	admin := tenant.AddUser("admin@contoso.com", "Admin")
	admin.Roles = []entratest.Role{entratest.RoleCloudApplicationAdministrator}

	_, created := graph(tenant, admin, "POST", "applications", `{
		"displayName": "Notes", "uniqueName": "notes",
		"api": {"requestedAccessTokenVersion": 2}, "identifierUris": ["https://notes.example.com/mcp"]
	}`)
	status, _ := graph(tenant, admin, "POST", "servicePrincipals", fmt.Sprintf(`{"appId": %q}`, created["appId"]))
	fmt.Println(status)

	app := tenant.Directory().App(fmt.Sprint(created["appId"]))
	fmt.Println(app.Name, app.Scope("access_as_user"))
	// Output:
	// 201
	// Notes https://notes.example.com/mcp/access_as_user
}

// A tenant whose policy wants its own name in App ID URIs.
func ExampleDirectory_SetPolicy() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	tenant.Directory().AddDomain("contoso.com")
	tenant.Directory().SetPolicy(entratest.AppPolicy{UniqueTenantIdentifier: true})
	user := tenant.AddUser("alice@contoso.com", "Alice")

	for _, uri := range []string{"https://notes.example.com/mcp", "https://notes.contoso.com/mcp"} {
		status, answer := graph(tenant, user, "POST", "applications",
			fmt.Sprintf(`{"displayName": "Notes", "api": {"requestedAccessTokenVersion": 2}, "identifierUris": [%q]}`, uri))
		failure, _ := answer["error"].(map[string]any)
		fmt.Println(status, failure["code"])
	}
	// Output:
	// 400 InvalidUniqueTenantIdentifierAsPerAppPolicy
	// 201 <nil>
}

// The directory's parts learn of a new application one by one.
func ExampleDirectory_Delay() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	user := tenant.AddUser("alice@contoso.com", "Alice")
	tenant.Directory().Delay(1, entratest.LagObject)

	_, created := graph(tenant, user, "POST", "applications", `{"displayName": "Notes"}`)
	for range 2 {
		status, _ := graph(tenant, user, "GET", fmt.Sprintf("applications/%s", created["id"]), "")
		fmt.Println(status)
	}
	// Output:
	// 404
	// 200
}

// A write takes effect, but its answer is lost.
func ExampleFault_loseAnswer() {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	user := tenant.AddUser("alice@contoso.com", "Alice")
	_, created := graph(tenant, user, "POST", "applications", `{"displayName": "Notes"}`)
	path := fmt.Sprintf("applications/%s", created["id"])

	tenant.Fail(entratest.EndpointGraph, entratest.Fault{Method: "PATCH", Times: 1, LoseAnswer: true})
	func() {
		defer func() { fmt.Println("failed:", recover() != nil) }() // graph panics
		graph(tenant, user, "PATCH", path, `{"displayName": "Better notes"}`)
	}()
	_, answer := graph(tenant, user, "GET", path, "")
	fmt.Println(answer["displayName"])
	// Output:
	// failed: true
	// Better notes
}
