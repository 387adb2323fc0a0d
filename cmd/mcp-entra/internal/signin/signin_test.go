package signin_test

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/signin"
)

func TestWhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cloud, authority, graph string
		wantAuthority           string
		wantGraph               string
		wantResource            string
		fault                   string
	}{
		"public":                      {wantAuthority: "https://login.microsoftonline.com", wantGraph: "https://graph.microsoft.com", wantResource: "https://graph.microsoft.com"},
		"usgov":                       {cloud: "usgov", wantAuthority: "https://login.microsoftonline.us", wantGraph: "https://graph.microsoft.us", wantResource: "https://graph.microsoft.us"},
		"china":                       {cloud: "china", wantAuthority: "https://login.partner.microsoftonline.cn", wantGraph: "https://microsoftgraph.chinacloudapi.cn", wantResource: "https://microsoftgraph.chinacloudapi.cn"},
		"cloud by authority":          {authority: "https://login.microsoftonline.us/", wantAuthority: "https://login.microsoftonline.us", wantGraph: "https://graph.microsoft.us", wantResource: "https://graph.microsoft.us"},
		"test tenant":                 {authority: "https://localhost:8443", graph: "https://localhost:8443", wantAuthority: "https://localhost:8443", wantGraph: "https://localhost:8443", wantResource: "https://graph.microsoft.com"},
		"unknown cloud":               {cloud: "germany", fault: "there is no such cloud"},
		"authority of another cloud":  {cloud: "china", authority: "https://login.microsoftonline.us", fault: "is not of the cloud china but of usgov"},
		"test tenant without Graph":   {authority: "https://localhost:8443", fault: "name its Microsoft Graph with -graph-host"},
		"Graph host without a tenant": {graph: "https://evil.example", fault: "-graph-host is for test tenants"},
		"Graph host for Microsoft":    {authority: "https://login.microsoftonline.com", graph: "https://evil.example", fault: "-graph-host is for test tenants"},
		"http":                        {authority: "http://localhost:8443", fault: "must begin with https://"},
		"Graph over http":             {authority: "https://localhost:8443", graph: "http://localhost:8443", fault: "-graph-host: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := signin.Where(signin.Options{Cloud: c.cloud, AuthorityHost: c.authority, GraphHost: c.graph})
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("Where = %+v, %v; want %q", p, err, c.fault)
				}
				return
			}
			if err != nil || p.Authority.String() != c.wantAuthority || p.GraphHost != c.wantGraph || p.Cloud.Graph != c.wantResource {
				t.Errorf("Where = %s, %s, %s, %v; want %s, %s, %s", p.Authority, p.GraphHost, p.Cloud.Graph, err, c.wantAuthority, c.wantGraph, c.wantResource)
			}
		})
	}
}

func TestCredentialFromEnvironment(t *testing.T) {
	t.Parallel()
	const id, pasted = "11111111-2222-3333-4444-555555555555", "Zk98Q~abcdefghijklmnopqrstuvwxyz0123456789"
	for name, c := range map[string]struct {
		variables map[string]string
		fault     string
	}{
		"secret":             {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_CLIENT_SECRET": pasted}, ""},
		"nothing":            {nil, "-auth env needs AZURE_TENANT_ID and AZURE_CLIENT_ID"},
		"no proof":           {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id}, "needs one of AZURE_CLIENT_SECRET"},
		"secret as an id":    {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": pasted}, "AZURE_CLIENT_ID is not a GUID"},
		"no certificate":     {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_CLIENT_CERTIFICATE_PATH": "nowhere.pem"}, "AZURE_CLIENT_CERTIFICATE_PATH: "},
		"token file":         {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_FEDERATED_TOKEN_FILE": "signin_test.go"}, ""},
		"no token file":      {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_FEDERATED_TOKEN_FILE": pasted}, "AZURE_FEDERATED_TOKEN_FILE: the file that it names: no such file"},
		"secret as a file":   {map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_CLIENT_CERTIFICATE_PATH": pasted}, "AZURE_CLIENT_CERTIFICATE_PATH: the file that it names: no such file"},
		"secret as a tenant": {map[string]string{"AZURE_TENANT_ID": "Zk98Qabcdefghijklmnopqrstuvwxyz01", "AZURE_CLIENT_ID": id, "AZURE_CLIENT_SECRET": pasted}, "AZURE_TENANT_ID is neither a tenant's id nor"},
		"domain":             {map[string]string{"AZURE_TENANT_ID": "contoso.onmicrosoft.com", "AZURE_CLIENT_ID": id, "AZURE_CLIENT_SECRET": pasted}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := signin.Options{Way: "env", Lookup: func(name string) (string, bool) { v, ok := c.variables[name]; return v, ok }}
			p, err := signin.Where(o)
			if err != nil {
				t.Fatal(err)
			}
			_, err = signin.Credential(o, p)
			if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("Credential = %v, want %q", err, c.fault)
			}
			if err != nil && strings.Contains(err.Error(), pasted[:4]) {
				t.Errorf("Credential shows the secret: %v", err)
			}
		})
	}
}

// What keeps a sign-in from its host is said in one line.
func TestWhoUnreachable(t *testing.T) {
	t.Parallel()
	const id = "11111111-2222-3333-4444-555555555555"
	for name, c := range map[string]struct {
		fault error
		want  string
	}{
		"nobody":        {&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connect: connection refused")}, "the host can't be reached (tcp: connect: connection refused): check"},
		"an unknown CA": {x509.UnknownAuthorityError{}, "is not trusted (certificate signed by unknown authority): is there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // the SDK tries again, and waits
				variables := map[string]string{"AZURE_TENANT_ID": id, "AZURE_CLIENT_ID": id, "AZURE_CLIENT_SECRET": "some secret"}
				o := signin.Options{
					Way: "env", AuthorityHost: "https://localhost:8443", GraphHost: "https://localhost:8443", HTTP: &http.Client{Transport: failing{c.fault}},
					Lookup: func(name string) (string, bool) { v, ok := variables[name]; return v, ok },
				}
				place, err := signin.Where(o)
				if err != nil {
					t.Fatal(err)
				}
				credential, err := signin.Credential(o, place)
				if err != nil {
					t.Fatal(err)
				}
				if _, err = signin.Who(t.Context(), credential, place); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("Who = %v, want %q in one line", err, c.want)
				}
			})
		})
	}
}

// failing is a network that fails.
type failing struct{ fault error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.fault }
