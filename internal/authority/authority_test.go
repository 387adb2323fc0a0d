package authority_test

import (
	"testing"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

func TestParse(t *testing.T) {
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
	} {
		got, err := authority.Parse(in)
		if (err != nil) != (want == "") || got.String() != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestURLs(t *testing.T) {
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
			t.Errorf("IsGUID(%q) = %v", in, !want)
		}
		if (authority.CheckGUID(in) == nil) != want {
			t.Errorf("CheckGUID(%q) = %v", in, authority.CheckGUID(in))
		}
	}
}
