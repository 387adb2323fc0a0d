// Package signin signs the operator in to a tenant for Microsoft Graph.
package signin

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// Ways are the names of the ways to sign in.
var Ways = []string{"cli", "browser", "device", "env"}

// Options say how to sign in.
type Options struct {
	Way    string // one of Ways
	Tenant string // id or domain; "" means the sign-in's own
	// Cloud is public, usgov, dod or china; "" means public, or that of AuthorityHost.
	Cloud string
	// AuthorityHost is another host than the cloud's, such as a test tenant's (AZURE_AUTHORITY_HOST).
	AuthorityHost string
	GraphHost     string // another host than the cloud's; needs AuthorityHost

	Lookup func(name string) (string, bool) // environment variables
	HTTP   *http.Client                     // nil means http.DefaultTransport; redirects are not followed
	Prompt func(message string)             // shows the user where to enter a device code
}

// A Place is the cloud, or the test tenant, to which somebody signs in.
type Place struct {
	Cloud     authority.Cloud
	Authority authority.Host
	GraphHost string // where requests go; Cloud.Graph is the resource
	test      bool   // the authority is not one of Microsoft's: it is not looked up there
}

// Where returns the place that the options name.
func Where(o Options) (Place, error) {
	name := o.Cloud
	if name == "" {
		name = "public"
	}
	c, ok := authority.CloudNamed(name)
	if !ok {
		return Place{}, errors.New("there is no such cloud; use public, usgov, dod or china")
	}
	host := o.AuthorityHost
	if host == "" {
		host = c.Hosts[0]
	}
	h, err := authority.Parse(host)
	if err != nil {
		return Place{}, fmt.Errorf("the authority host (AZURE_AUTHORITY_HOST): %w", err)
	}
	p := Place{Cloud: c, Authority: h, GraphHost: c.Graph}
	if o.Cloud == "" {
		p.Cloud = h.Cloud()
		p.GraphHost = p.Cloud.Graph
	}
	p.test = !slices.Contains(p.Cloud.Hosts, h.String())
	switch {
	case p.test && slices.Contains(h.Cloud().Hosts, h.String()):
		return Place{}, fmt.Errorf("the authority host %s is not of the cloud %s but of %s", h, name, h.Cloud().Name)
	case o.GraphHost == "":
		if p.test {
			return Place{}, fmt.Errorf("%s is not one of Microsoft's sign-in hosts: name its Microsoft Graph with -graph-host", h)
		}
		return p, nil
	case !p.test:
		return Place{}, errors.New("-graph-host is for test tenants: it would get tokens for Microsoft Graph; set AZURE_AUTHORITY_HOST to the test tenant's host, or leave it out")
	}
	g, err := authority.Parse(o.GraphHost)
	if err != nil {
		return Place{}, fmt.Errorf("-graph-host: %w", err)
	}
	p.GraphHost = g.String()
	return p, nil
}

// Credential returns the credential of the way that the options name.
func Credential(o Options, p Place) (azcore.TokenCredential, error) {
	web := &http.Client{}
	if o.HTTP != nil {
		*web = *o.HTTP
	}
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // secrets would go along
	client := azcore.ClientOptions{
		Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: p.Authority.String() + "/"}, Transport: web,
		Retry: policy.RetryOptions{TryTimeout: 30 * time.Second},
	}
	clientID := variable(o, "AZURE_CLIENT_ID")
	if err := checkNames(o, clientID); err != nil {
		return nil, err
	}
	switch o.Way {
	case "cli":
		if p.test {
			return nil, errors.New("the Azure CLI doesn't sign in to test tenants; use -auth env, device or browser")
		}
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: o.Tenant})
	case "browser":
		return azidentity.NewInteractiveBrowserCredential(&azidentity.InteractiveBrowserCredentialOptions{
			ClientOptions: client, TenantID: o.Tenant, ClientID: clientID, DisableInstanceDiscovery: p.test,
		})
	case "device":
		return azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
			ClientOptions: client, TenantID: o.Tenant, ClientID: clientID, DisableInstanceDiscovery: p.test,
			UserPrompt: func(_ context.Context, m azidentity.DeviceCodeMessage) error {
				o.Prompt(m.Message)
				return nil
			},
		})
	case "env":
		return fromEnvironment(o, p, client, clientID)
	}
	return nil, fmt.Errorf("there is no such way to sign in; use %s", strings.Join(Ways, ", "))
}

func variable(o Options, name string) string {
	value, _ := o.Lookup(name)
	return strings.TrimSpace(value)
}

// checkNames refuses what would be sent to Entra, and comes back in its errors, if it may be a secret
// in the wrong place.
func checkNames(o Options, clientID string) error {
	if clientID != "" && o.Way != "cli" && !authority.IsGUID(clientID) {
		return fmt.Errorf("AZURE_CLIENT_ID is not a GUID such as 12345678-1234-1234-1234-123456789abc (its %d characters are not shown: they may be a secret)", len(clientID))
	}
	tenants := map[string]string{"-tenant": o.Tenant}
	if o.Way == "env" {
		tenants["AZURE_TENANT_ID"] = variable(o, "AZURE_TENANT_ID")
	}
	for name, tenant := range tenants {
		if tenant != "" && !authority.IsGUID(tenant) && !domain.MatchString(tenant) {
			return fmt.Errorf("%s is neither a tenant's id nor one of its domains, such as contoso.com (its %d characters are not shown: they may be a secret)", name, len(tenant))
		}
	}
	return nil
}

var domain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$`)

// withoutPath is the error without the file's name, which may be a secret in the wrong place.
func withoutPath(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// fromEnvironment reads the Azure SDK's variables of an application that signs in as itself.
func fromEnvironment(o Options, p Place, client azcore.ClientOptions, clientID string) (azcore.TokenCredential, error) {
	tenant := variable(o, "AZURE_TENANT_ID")
	if tenant == "" {
		tenant = o.Tenant
	}
	if tenant == "" || clientID == "" {
		return nil, errors.New("-auth env needs AZURE_TENANT_ID and AZURE_CLIENT_ID, and one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE")
	}
	if secret, _ := o.Lookup("AZURE_CLIENT_SECRET"); secret != "" {
		return azidentity.NewClientSecretCredential(tenant, clientID, secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: p.test})
	}
	if file := variable(o, "AZURE_CLIENT_CERTIFICATE_PATH"); file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("AZURE_CLIENT_CERTIFICATE_PATH: the file that it names: %w", withoutPath(err))
		}
		password, _ := o.Lookup("AZURE_CLIENT_CERTIFICATE_PASSWORD")
		var certs []*x509.Certificate
		certs, key, err := azidentity.ParseCertificates(data, []byte(password))
		if err != nil {
			return nil, fmt.Errorf("AZURE_CLIENT_CERTIFICATE_PATH: %w", err)
		}
		return azidentity.NewClientCertificateCredential(tenant, clientID, certs, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: p.test})
	}
	if file := variable(o, "AZURE_FEDERATED_TOKEN_FILE"); file != "" {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("AZURE_FEDERATED_TOKEN_FILE: the file that it names: %w", withoutPath(err))
		}
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: client, DisableInstanceDiscovery: p.test, TenantID: tenant, ClientID: clientID, TokenFilePath: file,
		})
	}
	return nil, errors.New("-auth env needs one of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE")
}

// A Caller is what the token for Microsoft Graph says about who signed in.
type Caller struct {
	TenantID string   // tid
	ObjectID string   // oid
	Name     string   // a user's name or an application's client ID
	App      bool     // an application that signed in as itself
	ClientID string   // the application that signed the caller in
	Scopes   []string // delegated permissions (scp), or application permissions (roles)
	Roles    []string // Entra roles of the user (wids), by name where it is known
}

// Who gets a token for Microsoft Graph and reads it. Such a token is meant for Graph alone, so
// nothing but texts and the early check of the tenant depends on what it says.
func Who(ctx context.Context, credential azcore.TokenCredential, p Place) (Caller, error) {
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{p.Cloud.Graph + "/.default"}, EnableCAE: true})
	if err != nil {
		return Caller{}, explain(err)
	}
	parts := strings.Split(token.Token, ".")
	var claims struct {
		TenantID string   `json:"tid"`
		ObjectID string   `json:"oid"`
		UPN      string   `json:"upn"`
		Username string   `json:"preferred_username"`
		Name     string   `json:"unique_name"`
		AppID    string   `json:"appid"`
		AZP      string   `json:"azp"`
		IDType   string   `json:"idtyp"`
		Scopes   string   `json:"scp"`
		Roles    []string `json:"roles"`
		WIDs     []string `json:"wids"`
	}
	if len(parts) != 3 {
		return Caller{}, errors.New("the token for Microsoft Graph can't be read")
	}
	if data, err := base64.RawURLEncoding.DecodeString(parts[1]); err != nil || json.Unmarshal(data, &claims) != nil {
		return Caller{}, errors.New("the token for Microsoft Graph can't be read")
	}
	c := Caller{
		TenantID: claims.TenantID, ObjectID: claims.ObjectID, App: claims.Scopes == "",
		ClientID: cmp.Or(claims.AppID, claims.AZP), Name: cmp.Or(claims.UPN, claims.Username, claims.Name),
		Scopes: strings.Fields(claims.Scopes),
	}
	if c.App {
		c.Scopes, c.Name = claims.Roles, cmp.Or(claims.AppID, claims.AZP)
	}
	for _, id := range claims.WIDs {
		if name := roleNames[strings.ToLower(id)]; name != "-" {
			c.Roles = append(c.Roles, cmp.Or(name, id))
		}
	}
	return c, nil
}

// explain makes one line of azidentity's errors, which quote whole answers.
func explain(err error) error {
	text := err.Error()
	_, rest, refused := strings.Cut(text, "AADSTS")
	switch {
	case refused:
		line, _, _ := strings.Cut(rest, "\n")
		line, _, _ = strings.Cut(strings.ReplaceAll(line, `\r\n`, " "), `"`)
		return errors.New("Entra refused: AADSTS" + line)
	case strings.Contains(text, "AzureCLICredential: executable not found"):
		return errors.New("there is no Azure CLI (az) on the PATH: install it, or use -auth env, device or browser")
	case strings.Contains(text, "AzureCLICredential: signal: killed"):
		return errors.New("the Azure CLI (az) did not answer in time: run az account get-access-token, which shows what it waits for")
	case strings.Contains(text, "az login"):
		return errors.New("the Azure CLI is not signed in: run az login --tenant TENANT, or use -auth env, device or browser")
	case strings.Contains(text, "invalid character"):
		return errors.New("the answer is not Entra's JSON: a proxy or another server answers for it (check HTTPS_PROXY, or the network's login page)")
	case strings.Contains(text, "x509: "):
		return fmt.Errorf("the server's certificate is not trusted (%s): is there a proxy that inspects TLS, or a wrong clock? SSL_CERT_FILE names a private CA", sentenceAfter(text, "x509: "))
	case strings.Contains(text, ": dial "):
		return fmt.Errorf("the host can't be reached (%s): check its name, the network and HTTPS_PROXY", sentenceAfter(text, ": dial "))
	}
	text, _, _ = strings.Cut(strings.Join(strings.Fields(text), " "), " To troubleshoot, visit")
	if i := strings.LastIndex(text, "dial tcp"); i >= 0 {
		text = "Entra can't be reached (" + text[i:] + "): check the network, DNS and HTTPS_PROXY"
	} else if i := strings.LastIndex(text, "proxyconnect tcp"); i >= 0 {
		text = "the proxy can't be reached (" + text[i:] + "): check HTTPS_PROXY"
	}
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return errors.New(text)
}

// sentenceAfter returns what follows the mark, to the end of the sentence or line.
func sentenceAfter(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	rest, _, _ = strings.Cut(rest, "\n")
	rest, _, _ = strings.Cut(rest, ". ")
	return strings.TrimRight(rest, ".")
}

// roleNames are Entra's built-in roles that matter here, by template id. "-" is every member's.
var roleNames = map[string]string{
	"62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
	"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
	"158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
	"cf1c38e5-3621-4004-a7cb-879624dced7c": "Application Developer",
	"e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
	"fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
	"9360feb5-f418-4baa-8175-e2a00bac4301": "Directory Writers",
	"f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
	"b79fbf4d-3ef9-4689-8143-76b194e85509": "-",
}
