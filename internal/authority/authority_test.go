package authority_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                   "https://login.microsoftonline.com",
		"https://login.microsoftonline.us/":  "https://login.microsoftonline.us",
		"https://Login.MicrosoftOnline.com":  "https://login.microsoftonline.com",
		"https://localhost:8443/":            "https://localhost:8443",
		"http://login.microsoftonline.com/":  "",
		"login.microsoftonline.com":          "",
		"https:///":                          "",
		"https://a@login.microsoftonline.us": "",
		"https://host/tenant":                "",
		"https://host/?x=1":                  "",
		"https://host/#x":                    "",
		"https://ho st/":                     "",
		"https://:8443":                      "",
		"https://host:":                      "",
		"https://host:0":                     "",
		"https://host:65536":                 "",
		"https://*":                          "",
		"https://*.microsoftonline.com":      "",
		"https://.microsoftonline.com":       "",
		"https://host..example":              "",
		"https://[::1]:8443":                 "https://[::1]:8443",
		"https://login.microsoftonline.com?": "",
	} {
		got, err := authority.Parse(in)
		if (err != nil) != (want == "") || got.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	h, err := authority.Parse("https://login.microsoftonline.us")
	if err != nil {
		t.Fatal(err)
	}
	const tid = "12345678-1234-1234-1234-123456789abc"
	for got, want := range map[string]string{
		h.MetadataV1(tid):      "https://login.microsoftonline.us/" + tid + "/.well-known/openid-configuration",
		h.MetadataV2(tid):      "https://login.microsoftonline.us/" + tid + "/v2.0/.well-known/openid-configuration",
		h.TokenExchangeScope(): "api://AzureADTokenExchangeUSGov/.default",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestIsGUID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"12345678-1234-1234-1234-123456789abc":   true,
		"12345678-1234-1234-1234-123456789ABC":   true,
		"":                                       false,
		"common":                                 false,
		"contoso.onmicrosoft.com":                false,
		"{12345678-1234-1234-1234-123456789abc}": false,
		"12345678-1234-1234-1234-123456789abg":   false,
		"123456781234-1234-1234-123456789abc--":  false,
		"12345678 1234-1234-1234-123456789abc":   false,
	} {
		if authority.IsGUID(in) != want {
			t.Errorf("IsGUID(%q) = %v, want %v", in, !want, want)
		}
		if (authority.CheckGUID(in) == nil) != want {
			t.Errorf("CheckGUID(%q) = %v, want %v", in, authority.CheckGUID(in), want)
		}
	}
}

func TestTrusts(t *testing.T) {
	t.Parallel()
	const public, ciam, custom = "https://login.microsoftonline.com", "https://contoso.ciamlogin.com", "https://login.contoso.com"
	for _, row := range []struct {
		authority, host string
		want            bool
	}{
		{public, "login.microsoftonline.com", true},
		{public, "LOGIN.microsoftonline.com", true},
		{public, "sts.windows.net", true},
		{public, "evil.example", false},
		{public, "", false},
		{public, "login.microsoftonline.com.evil.example", false},
		{public, "evil.blob.core.windows.net", false},
		{public, "evilciamlogin.com", false},
		{ciam, "12345678-1234-1234-1234-123456789abc.ciamlogin.com", true},
		{custom, "12345678-1234-1234-1234-123456789abc.ciamlogin.com", true},
		{custom, "keys.contoso.com", true},
		{custom, "contoso.com", false},
		{custom, "evil.login.contoso.com", false},
		{"https://login.contoso.co.uk", "keys.contoso.co.uk", true},
		{"https://login.contoso.co.uk", "login.evil.co.uk", false},
		{"https://login.contoso.co.uk", "evil.co.uk", false},
		{"https://localhost:8443", "localhost", true},
		{"https://localhost:8443", "evil.localhost", false},
		{"https://localhost:8443", "127.0.0.1", false},
		{"https://contoso.com", "evil.com", false},
		{"https://10.1.0.1", "10.2.0.1", false},
	} {
		h, err := authority.Parse(row.authority)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.Trusts(row.host); got != row.want {
			t.Errorf("%s trusts %q: %v, want %v", row.authority, row.host, got, row.want)
		}
	}
}

func TestWithoutScope(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"api://x":                                     "api://x",
		"api://x/":                                    "api://x",
		"api://x//":                                   "api://x",
		"api://x/access_as_user":                      "api://x",
		"api://x/Access_As_User/":                     "api://x",
		"api://x//.default":                           "api://x",
		"api://x/.default/user_impersonation":         "api://x",
		"api://x/Files.Read":                          "api://x",
		"https://x.example/Files.Read.All":            "https://x.example",
		"https://x.example/Mail-Box.ReadWrite.Shared": "https://x.example",
		"https://x.example/mcp":                       "https://x.example/mcp",
		"https://x.example/mcp/v1.0":                  "https://x.example/mcp/v1.0",
		"https://x.example/.read":                     "https://x.example/.read",
		"https://x.example/read":                      "https://x.example/read",
		"https://files.read":                          "https://files.read",
		"access_as_user":                              "access_as_user",
		"":                                            "",
	} {
		if got := authority.WithoutScope(in); got != want {
			t.Errorf("WithoutScope(%q) = %q, want %q", in, got, want)
		}
	}
}

// A secret that was pasted in an id's place is not repeated.
func TestCheckGUIDShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"Xy78Q~S3cr3tValue.0123456789abcdefghijkl", strings.Repeat("k", 88)} {
		if err := authority.CheckGUID(secret); err == nil || strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("CheckGUID(%q) = %v, want an error and no %q", secret, err, secret[:8])
		}
	}
	if err := authority.CheckGUID("common"); err == nil || !strings.Contains(err.Error(), `"common"`) {
		t.Errorf("CheckGUID(common) = %v, want an error and %q", err, `"common"`)
	}
}
