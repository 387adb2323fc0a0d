package entratest

import "slices"

// Microsoft's applications that every tenant has here, with the IDs that they have everywhere.
const (
	storageClientID       = "e406a681-f3d4-42a8-90b6-c2b029497af1"
	graphClientID         = "00000003-0000-0000-c000-000000000000"
	tokenExchangeClientID = "fb60f99c-7a34-4190-8149-302f77469936"
	azureCLIClientID      = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	graphToolsClientID    = "14d82eec-204b-4c2f-b7e8-296a70dab67e"
	tokenExchangeURI      = "api://AzureADTokenExchange"
	graphURI              = "https://graph.microsoft.com"

	microsoftTenantID = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
)

// openIDScopes are the scopes of OpenID Connect, which name no resource.
var openIDScopes = []string{"openid", "profile", "email", "offline_access"}

// Graph returns Microsoft Graph: the app 00000003-0000-0000-c000-000000000000 with the App ID URI
// https://graph.microsoft.com, the scopes of OpenID Connect, User.Read, those that the directory
// asks for (for administrators), and v1 tokens that only Graph can verify. It serves the directory
// at {AuthorityHost}/v1.0, see [Tenant.Directory].
func (t *Tenant) Graph() *App { return t.graph }

// Storage returns Azure Storage: the app e406a681-f3d4-42a8-90b6-c2b029497af1 with
// the App ID URI https://storage.azure.com, the scope user_impersonation and v1 tokens.
func (t *Tenant) Storage() *App { return t.storage }

// graphScopes are Graph's delegated permissions with their IDs. Only administrators can consent to
// those marked true.
var graphScopes = []struct {
	name, id string
	admin    bool
}{
	{"User.Read", "e1fe6dd8-ba31-4d61-89e7-88639da4683d", false},
	{"User.Read.All", "a154be20-db9c-4678-8ab7-66f6cc099a59", true},
	{"openid", "37f7f235-527c-4136-accd-4a02d197296e", false},
	{"profile", "14dad69e-099b-42c9-810b-d002981feec1", false},
	{"email", "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0", false},
	{"offline_access", "7427e0e9-2fba-42fe-b0c0-848c9e6a8182", false},
	{"Application.Read.All", "c79f8feb-a9db-4090-85f9-90d820caa0eb", true},
	{"Application.ReadWrite.All", "bdfbf15f-ee85-4955-8675-146e8e5296b5", true},
	{"AppRoleAssignment.ReadWrite.All", "84bccea3-f856-4a8a-967b-dbe0a3d53a64", true},
	{"DelegatedPermissionGrant.ReadWrite.All", "41ce6ca6-6826-4807-84f1-1c82854f7ee5", true},
	{"Directory.AccessAsUser.All", "0e263e50-5827-48a4-b97c-d940288653c7", true},
	{"Directory.Read.All", "06da0dbc-49e2-44d2-8312-53f166ab848a", true},
	{"Policy.Read.All", "572fea84-0151-49b2-9301-11cb16974376", true},
	{"Group.ReadWrite.All", "4e46008b-f24c-477d-8fff-7bb4ec7aafe0", true},
	{"User.ReadWrite.All", "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4", true},
	{"Group.Read.All", "5f8c59db-677d-491f-a6b8-5f174b11ec1d", true},
	{"Mail.Read", "570282fd-fa5c-430d-a7fd-fc8dc98a9dca", false},
	{"Calendars.Read", "465a38f9-76ea-45b9-9f34-9e8b0d4b0b42", false},
	{"Files.Read", "10465720-29dd-4523-a11a-6a75c743c9d9", false},
	{"AuditLog.Read.All", "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20", true},
	{"AgentIdentity.Read.All", "5e850691-d86a-4b24-bfa6-8a52fb37a0c1", true},
	{"AgentIdentity.Create.All", "e75eeac6-d759-4ba3-ae5c-773a27efafba", true},
	{"AgentIdentity.DeleteRestore.All", "c8ee41e5-35e7-4fe9-8ecb-93493adcac5b", true},
	{"AgentIdentityBlueprint.Create", "8fc15edd-ba24-494e-9bf6-d38e1b7ba8fd", true},
	{"AgentIdentityBlueprint.Read.All", "26512dc8-1364-4e9f-867c-6d8b22a9e162", true},
	{"AgentIdentityBlueprint.ReadWrite.All", "4fd490fc-1467-48eb-8a4c-421597ab0402", true},
	{"AgentIdentityBlueprint.DeleteRestore.All", "f12ba1f6-afb7-4685-9a30-21e8c3f551d8", true},
	{"AgentIdentityBlueprintPrincipal.Create", "00dcd896-6b23-42ce-b5de-c58493c05e22", true},
}

// graphRoles are Graph's application permissions with their IDs.
var graphRoles = []struct{ name, id string }{
	{"User.Read.All", "df021288-bdef-4463-88db-98f22de89214"},
	{"Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"},
	{"Application.ReadWrite.All", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"},
	{"Application.ReadWrite.OwnedBy", "18a4783c-866b-4cc7-a460-3d5e5662c884"},
	{"AppRoleAssignment.ReadWrite.All", "06b708a9-e830-4db3-a914-8e69da51d44f"},
	{"DelegatedPermissionGrant.ReadWrite.All", "8e8e4742-1d95-4f68-9d56-6ee75648c72a"},
	{"Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"},
	{"Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68"},
	{"AgentIdentity.Read.All", "b2b8f011-2898-4234-9092-5059f6c1ebfa"},
	{"AgentIdentity.Create.All", "ad25cc1d-84d8-47df-a08e-b34c2e800819"},
	{"AgentIdentity.DeleteRestore.All", "5b016f9b-18eb-41d4-869a-66931914d1c8"},
	{"AgentIdentityBlueprint.Create", "ea4b2453-ad2d-4d94-9155-10d5d9493ce9"},
	{"AgentIdentityBlueprint.Read.All", "7547a7d1-36fa-4479-9c31-559a600eaa4f"},
	{"AgentIdentityBlueprint.ReadWrite.All", "7fddd33b-d884-4ec0-8696-72cff90ff825"},
	{"AgentIdentityBlueprint.DeleteRestore.All", "3f80b699-6405-4e36-a4df-4f19950ff91e"},
	{"AgentIdentityBlueprintPrincipal.Create", "8959696d-d07e-4916-9b1e-3ba9ce459161"},
}

// azureCLIScopes are what the Azure CLI's tokens for Graph have. It can't ask for more.
var azureCLIScopes = []string{
	"openid", "profile", "email", "offline_access", "Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All",
	"AuditLog.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "Directory.AccessAsUser.All", "Group.ReadWrite.All",
	"User.Read.All", "User.ReadWrite.All",
}

func newGraph() *App {
	graph := &App{ClientID: graphClientID, Name: "Microsoft Graph", AppIDURIs: []string{graphURI}, microsoft: true}
	var cli []string
	for _, scope := range graphScopes {
		graph.Scopes = append(graph.Scopes, scope.name)
		if scope.admin {
			graph.AdminScopes = append(graph.AdminScopes, scope.name)
		}
		graph.entry.scopes = append(graph.entry.scopes, permissionScope{ID: scope.id, IsEnabled: true, Value: scope.name})
		if slices.Contains(azureCLIScopes, scope.name) {
			cli = append(cli, scope.id)
		}
	}
	graph.preAuthorized = []preAuthorizedApplication{{azureCLIClientID, cli}}
	for _, role := range graphRoles {
		graph.entry.roles = append(graph.entry.roles, appRole{
			AllowedMemberTypes: []string{"Application"}, ID: role.id, IsEnabled: true, Value: role.name, DisplayName: &role.name,
		})
	}
	return graph
}

// newImpersonated returns an API of Azure, whose only scope is user_impersonation.
func newImpersonated(clientID, name, scopeID string, absent bool, uris ...string) *App {
	return &App{
		ClientID: clientID, Name: name, AppIDURIs: uris, Scopes: []string{"user_impersonation"}, microsoft: true,
		preAuthorized: []preAuthorizedApplication{{azureCLIClientID, []string{scopeID}}},
		entry:         entry{absent: absent, scopes: []permissionScope{{ID: scopeID, IsEnabled: true, Value: "user_impersonation"}}},
	}
}

// newTool returns one of Microsoft's public clients.
func newTool(clientID, name string, redirects ...string) *App {
	tool := &App{ClientID: clientID, Name: name, AppIDURIs: []string{}, microsoft: true, public: true}
	for _, uri := range redirects {
		tool.redirects = append(tool.redirects, redirect{PlatformDesktop, uri})
	}
	return tool
}

// addFirstParty adds Microsoft's applications. Key Vault and Azure Resource Manager exist, but have
// no service principal in the tenant before somebody adds it over Graph.
func (t *Tenant) addFirstParty() {
	t.storage = t.register(newImpersonated(storageClientID, "Azure Storage", "03e0da56-190b-40ad-a80c-ea378c433f7f", false,
		"https://storage.azure.com"))
	t.graph = t.register(newGraph())
	t.register(&App{
		ClientID: tokenExchangeClientID, Name: "AAD Token Exchange Endpoint: Public", AppIDURIs: []string{tokenExchangeURI},
		AccessTokenVersion: 2, microsoft: true, OptionalClaims: []string{"idtyp", "xms_sub_fct", "xms_act_fct", "xms_par_app_azp"},
	})
	t.register(newImpersonated("cfa8b339-82a2-471a-a3c9-0fc0be7a4093", "Azure Key Vault", "f53da476-18e3-4152-8e01-aec403e6edc0", true,
		"https://vault.azure.net"))
	t.register(newImpersonated("797f4846-ba00-4fd7-ba43-dac1f8f63013", "Windows Azure Service Management API", "41094075-9dad-400e-a0bd-54e686782033", true,
		"https://management.core.windows.net/", "https://management.azure.com/"))
	t.register(newTool(azureCLIClientID, "Microsoft Azure CLI", "http://localhost"))
	t.register(newTool("aebc6443-996d-45c2-90f0-388ff96faa56", "Visual Studio Code", "http://localhost", "http://127.0.0.1:33418/", "https://vscode.dev/redirect"))
	t.register(newTool(graphToolsClientID, "Microsoft Graph Command Line Tools", "http://localhost"))
}
