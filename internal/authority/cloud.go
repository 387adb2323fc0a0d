package authority

import "slices"

// A Cloud is one of Microsoft's clouds: where Entra and Graph are, and which resources Azure's
// services are there. None of its URLs ends in a slash.
type Cloud struct {
	Name  string   // "public", "usgov", "dod", "china"
	Hosts []string // authority hosts; the first is the one to configure
	Graph string   // Microsoft Graph: resource and host

	Federation string // audience of federated credentials for managed identities
	ARM        string // Azure Resource Manager: the resource that the Azure SDK for Go asks for
	KeyVault   string // resource of all vaults
	Storage    string // resource of all storage accounts
}

// Sources: Microsoft's national-cloud pages for Graph, Key Vault and Entra workload identity
// federation; azcore's cloud package. Storage has one resource in all clouds.
var clouds = []Cloud{{
	Name: "public", Hosts: []string{Public, "https://login.microsoft.com", "https://login.windows.net"},
	Graph: "https://graph.microsoft.com", Federation: "api://AzureADTokenExchange",
	ARM: "https://management.core.windows.net/", KeyVault: "https://vault.azure.net", Storage: "https://storage.azure.com",
}, {
	Name: "usgov", Hosts: []string{"https://login.microsoftonline.us"},
	Graph: "https://graph.microsoft.us", Federation: "api://AzureADTokenExchangeUSGov",
	ARM: "https://management.core.usgovcloudapi.net/", KeyVault: "https://vault.usgovcloudapi.net", Storage: "https://storage.azure.com",
}, {
	Name: "dod", Hosts: []string{"https://login.microsoftonline.us"},
	Graph: "https://dod-graph.microsoft.us", Federation: "api://AzureADTokenExchangeUSGov",
	ARM: "https://management.core.usgovcloudapi.net/", KeyVault: "https://vault.usgovcloudapi.net", Storage: "https://storage.azure.com",
}, {
	Name: "china", Hosts: []string{"https://login.partner.microsoftonline.cn", "https://login.chinacloudapi.cn"},
	Graph: "https://microsoftgraph.chinacloudapi.cn", Federation: "api://AzureADTokenExchangeChina",
	ARM: "https://management.core.chinacloudapi.cn/", KeyVault: "https://vault.azure.cn", Storage: "https://storage.azure.com",
}}

// CloudNamed returns the cloud with this name: public, usgov, dod or china.
func CloudNamed(name string) (Cloud, bool) {
	i := slices.IndexFunc(clouds, func(c Cloud) bool { return c.Name == name })
	if i < 0 {
		return Cloud{}, false
	}
	return clouds[i], true
}

// Cloud returns the cloud of this authority host. A host that is not listed, such as a custom
// domain, External ID or a test tenant, is taken for one of the public cloud; the US Government's
// host for usgov, though it is dod's as well.
func (h Host) Cloud() Cloud {
	for _, c := range clouds {
		if slices.Contains(c.Hosts, h.base) {
			return c
		}
	}
	return clouds[0]
}

// TokenExchangeScope returns the scope that a managed identity requests in this cloud for a token
// that serves as the app's federated credential.
func (h Host) TokenExchangeScope() string { return h.Cloud().Federation + "/.default" }
