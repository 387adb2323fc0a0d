package mcpentra_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// inTenants is a tool that asks for a token in each of the tenants.
type inTenants []string

func (tenants inTenants) Register(s *mcp.Server) {
	mcp.AddTool(s, &mcp.Tool{Name: "tenants", Description: "Asks in tenants."},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ map[string]any) (*mcp.CallToolResult, any, error) {
			credential, err := mcpentra.Credential(ctx)
			if err != nil {
				return nil, nil, err
			}
			var text string
			for _, tenant := range tenants {
				_, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{storageScope}, TenantID: tenant})
				text += fmt.Sprint(err == nil, " ")
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
		})
}

// A service's challenge names a tenant: a lent credential gets tokens in the verifier's alone.
func TestLentCredentialKeepsToItsTenant(t *testing.T) {
	t.Parallel()
	own := &operator{}
	w := newWorld(t)
	w.options = []mcpentra.Option{
		mcpentra.WithTools(inTenants{"", w.tenant.ID(), strings.ToUpper(w.tenant.ID()), tenantB, "common"}),
		mcpentra.WithDangerousServerCredentialForApplications(own, []string{"tenants"}, nil),
	}
	w.verifierAcceptsApps(t)
	if _, _, body := w.post(t, callBody("tenants"), w.application("Other")); !strings.Contains(body, "true true true false false") || own.asked.Load() != 3 {
		t.Errorf("got %s and %d requests, want tokens in the first three alone", body, own.asked.Load())
	}
}

// Where users may call, a set that acts for its callers needs an exchanger, whatever is lent to
// applications.
func TestLentCredentialReplacesNoExchanger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set, err := blobtool.New(w.blobs.URL(), "docs", mcpentra.Credential, nil)
	must(t, err)
	for name, row := range map[string]struct {
		policy entraauth.Policy
		want   string
	}{
		"users and applications": {entraauth.Policy{Scopes: []string{"access_as_user"}, AppRoles: []string{"R"}}, "add WithExchanger(…), or let in applications alone"},
		"applications alone":     {entraauth.Policy{AppRoles: []string{"R"}}, ""},
	} {
		v, err := entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
			HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), Policy: row.policy,
		})
		must(t, err)
		t.Cleanup(func() { _ = v.Close() })
		_, err = mcpentra.NewServer(resourceURL, v, mcpentra.WithTools(set, inTenants{""}), mcpentra.WithLogger(w.logger()),
			mcpentra.WithDangerousServerCredentialForApplications(&operator{}, []string{"tenants"}, nil))
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
}

// A tool for people makes the server warn of tokens that don't identify agents.
func TestToolPolicyMentionsAgents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("read_blob*", entraauth.Policy{PeopleOnly: true}))
	for range 6 {
		w.post(t, `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`, bearerOf(w.token(w.alice)))
	}
	if n := strings.Count(w.log.String(), "a policy mentions agents"); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
}
