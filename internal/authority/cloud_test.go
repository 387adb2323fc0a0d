package authority_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

func TestCloud(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ host, name, exchange string }{
		{"", "public", "api://AzureADTokenExchange/.default"},
		{"https://login.windows.net", "public", "api://AzureADTokenExchange/.default"},
		{"https://login.microsoftonline.us/", "usgov", "api://AzureADTokenExchangeUSGov/.default"},
		{"https://login.chinacloudapi.cn", "china", "api://AzureADTokenExchangeChina/.default"},
		{"https://login.partner.microsoftonline.cn", "china", "api://AzureADTokenExchangeChina/.default"},
		{"https://localhost:8443", "public", "api://AzureADTokenExchange/.default"},
	} {
		h, err := authority.Parse(c.host)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Cloud().Name; got != c.name {
			t.Errorf("Parse(%q).Cloud() = %s, want %s", c.host, got, c.name)
		}
		if got := h.TokenExchangeScope(); got != c.exchange {
			t.Errorf("Parse(%q).TokenExchangeScope() = %s, want %s", c.host, got, c.exchange)
		}
	}
	for name, graph := range map[string]string{
		"public": "https://graph.microsoft.com", "usgov": "https://graph.microsoft.us", "dod": "https://dod-graph.microsoft.us",
		"china": "https://microsoftgraph.chinacloudapi.cn", "germany": "",
	} {
		if c, ok := authority.CloudNamed(name); ok != (graph != "") || c.Graph != graph {
			t.Errorf("CloudNamed(%q).Graph = %q, %v; want %q", name, c.Graph, ok, graph)
		}
	}
}
