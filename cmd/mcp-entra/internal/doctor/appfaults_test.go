package doctor_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/blobtool/blobtest"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/doctor"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

func TestRegistrationFaults(t *testing.T) {
	t.Parallel()
	redirect := func(platform entratest.Platform, uri string) func(*testing.T, *world) {
		return func(_ *testing.T, w *world) { w.client.AddRedirectURI(platform, uri) }
	}
	examineFaults(t, map[string]fault{
		"token version 1": {func(_ *testing.T, w *world) { w.api.AccessTokenVersion = 1 }, "token-version", []string{"came      1"}},
		"token version null": {func(t *testing.T, w *world) {
			w.tenant.Directory().AddDomain("example.com") // else Entra refuses to go back
			w.patch(t, w.api, `{"api":{"requestedAccessTokenVersion":null}}`)
		}, "token-version", []string{"null, which means 1"}},
		"token version 1, and so no URL": {func(_ *testing.T, w *world) { w.api.AccessTokenVersion, w.api.AppIDURIs = 1, w.api.AppIDURIs[1:] }, "token-version",
			[]string{"not run  app-id-uri            because token-version failed"}},
		"token version 1, unsigned": {unsigned(func(_ *testing.T, w *world) { w.api.AccessTokenVersion = 1 }), "token-version",
			[]string{"a token of version 1.0"}},
		"App ID URI with a slash": {func(_ *testing.T, w *world) { w.api.AppIDURIs[0] = resourceURL + "/" }, "app-id-uri",
			[]string{"expected  " + resourceURL + "\n    came      " + resourceURL + "/\n", "VS Code (GitHub Copilot) will be refused, AADSTS9010010"}},
		"App ID URI in other case": {func(_ *testing.T, w *world) { w.api.AppIDURIs[0] = "https://MCP.example.com/mcp" }, "app-id-uri",
			[]string{"came      https://MCP.example.com/mcp\n"}},
		"App ID URI of http":      {func(_ *testing.T, w *world) { w.api.AppIDURIs[0] = "http://mcp.example.com/mcp" }, "app-id-uri", []string{"came      http://mcp.example.com/mcp\n"}},
		"App ID URI without path": {func(_ *testing.T, w *world) { w.api.AppIDURIs[0] = "https://mcp.example.com" }, "app-id-uri", []string{"came      https://mcp.example.com\n"}},
		"no App ID URI at all":    {func(_ *testing.T, w *world) { w.api.AppIDURIs = []string{} }, "app-id-uri", []string{"came      none"}},
		"App ID URI api:// only":  {func(_ *testing.T, w *world) { w.api.AppIDURIs = w.api.AppIDURIs[1:] }, "app-id-uri", []string{"came      api://"}},
		"App ID URI api:// only, unsigned": {unsigned(func(_ *testing.T, w *world) { w.api.AppIDURIs = w.api.AppIDURIs[1:] }), "app-id-uri",
			[]string{"no application has it (AADSTS500011)"}},
		"another application has the URL, unsigned": {unsigned(func(_ *testing.T, w *world) {
			w.api.AppIDURIs = w.api.AppIDURIs[1:]
			other := w.tenant.AddApp("Other", "access_as_user")
			other.AccessTokenVersion, other.AppIDURIs = 2, []string{resourceURL}
		}), "app-id-uri", []string{" has it\n"}},
		"scope disabled": {func(t *testing.T, w *world) {
			w.patch(t, w.api, `{"api":{"oauth2PermissionScopes":[`+w.scope(t, false)+`]}}`)
		}, "scopes", []string{"access_as_user (disabled)"}},
		"another scope": {func(_ *testing.T, w *world) { w.facts.Scope = "files.read" }, "scopes", []string{"access_as_user"}},
		"no service principal": {func(t *testing.T, w *world) { w.send(t, http.MethodDelete, graph.PrincipalByAppID(w.api.ClientID), "") }, "service-principal",
			[]string{"az ad sp create"}},
		"no service principal, unsigned": {unsigned(func(t *testing.T, w *world) {
			w.send(t, http.MethodDelete, graph.PrincipalByAppID(w.api.ClientID), "")
		}), "app", []string{"az ad sp create"}},
		"no registration": {func(t *testing.T, w *world) {
			w.send(t, http.MethodDelete, graph.ApplicationByAppID(w.api.ClientID), "")
		}, "registration", []string{"can be restored"}},
		"no grant for storage": {func(_ *testing.T, w *world) { w.tenant.RevokeConsent(w.api, w.tenant.Storage()) }, "downstream-grant", []string{"https://storage.azure.com", "Grant admin consent"}},
		"no grant for storage, unsigned": {unsigned(func(_ *testing.T, w *world) { w.tenant.RevokeConsent(w.api, w.tenant.Storage()) }), "downstream-grant",
			[]string{"AADSTS65001"}},
		"no service principal of a resource": {func(_ *testing.T, w *world) { w.facts.Resources = append(w.facts.Resources, "https://vault.azure.net") }, "downstream-grant",
			[]string{"no service principal for https://vault.azure.net"}},
		"redirect for browsers": {redirect(entratest.PlatformSPA, "https://claude.com/api/mcp/auth_callback"), "redirects",
			[]string{"AADSTS9002327", "auth_callback on publicClient", "auth_callback on spa"}},
		"redirect on the web":         {redirect(entratest.PlatformWeb, "cursor://anysphere.cursor-mcp/oauth/callback"), "redirects", []string{"AADSTS7000218"}},
		"localhost for browsers":      {redirect(entratest.PlatformSPA, "http://localhost:6274/oauth/callback"), "redirects", []string{"AADSTS9002327"}},
		"web client without a secret": {redirect(entratest.PlatformWeb, "https://app.example.com/callback"), "redirects", []string{"AADSTS7000218", "valid"}},
		"web client whose secret expired": {func(_ *testing.T, w *world) {
			w.client.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
			w.client.AddExpiringSecret(time.Now().Add(-time.Hour))
		}, "redirects", []string{"7000222"}},
		"redirect with a slash":  {redirect(entratest.PlatformDesktop, "https://claude.com/api/mcp/auth_callback/"), "redirects", []string{"AADSTS50011"}},
		"redirect in other case": {redirect(entratest.PlatformDesktop, "https://claude.com/api/mcp/Auth_Callback"), "redirects", []string{"AADSTS50011"}},
		"one app for secrets and device code": {func(t *testing.T, w *world) {
			w.client.AddRedirectURI(entratest.PlatformWeb, "https://app.example.com/callback")
			_ = w.client.AddSecret()
			w.patch(t, w.client, `{"isFallbackPublicClient":true}`)
		}, "redirects", []string{"AADSTS700025"}},
		"ports that differ": {func(_ *testing.T, w *world) {
			w.client.AddRedirectURI(entratest.PlatformSPA, "http://localhost:6274/app")
			w.client.AddRedirectURI(entratest.PlatformDesktop, "http://localhost:9000/app")
		}, "redirects", []string{"ignores the port"}},
		"landing page of consent not registered": {func(_ *testing.T, w *world) { w.facts.ConsentURL = "https://mcp.example.com/consent" }, "redirects",
			[]string{"AADSTS50011", "CONSENT_REDIRECT_URL"}},
		"API used as client": {func(_ *testing.T, w *world) { w.api.AddRedirectURI(entratest.PlatformDesktop, "http://localhost") }, "redirects",
			[]string{"AADSTS90009"}},
	})
}

// scope is the API's scope, as a registration lists it.
func (w *world) scope(t *testing.T, enabled bool) string {
	t.Helper()
	app, err := w.graph.Application(t.Context(), graph.ApplicationByAppID(w.api.ClientID))
	if err != nil {
		t.Fatal(err)
	}
	s := app.API.Scopes[0]
	s.IsEnabled = enabled
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestProofFaults(t *testing.T) {
	t.Parallel()
	secretOf := func(w *world, value string) {
		w.secret = value
		w.facts.Method = clientauth.Secret(value)
	}
	examineFaults(t, map[string]fault{
		"wrong secret":   {func(_ *testing.T, w *world) { w.facts.Method = clientauth.Secret("wrong~secret") }, "proof", []string{"AADSTS7000215"}},
		"expired secret": {func(_ *testing.T, w *world) { secretOf(w, w.api.AddExpiringSecret(time.Now().Add(-time.Hour))) }, "proof", []string{"has expired", "AADSTS7000222"}},
		"the secret's id": {func(_ *testing.T, w *world) {
			secretOf(w, "12345678-1234-1234-1234-123456789abc")
		}, "proof", []string{"looks like the secret's ID"}},
		"secret with a line break": {func(_ *testing.T, w *world) {
			secretOf(w, "first-half\nsecond-half")
		}, "proof", []string{"a line break in it"}},
		"no client proof in the configuration": {func(_ *testing.T, w *world) {
			w.facts.Method = clientauth.Method{}
			w.facts.Faults = []doctor.ConfigFault{{Where: "ENTRA_APP_CLIENT_SECRET", Problem: "begins or ends with whitespace", Remedy: "Copy it again"}}
		}, "config", []string{"begins or ends with whitespace", "not run  identity              because config failed"}},
		"no federated credential":           {federated(nil), "federated-credential", []string{"AADSTS70025", "the registration has no federated credential"}},
		"no federated credential, unsigned": {unsigned(federated(nil)), "federated-credential", []string{"AADSTS70025", "expected  a federated credential with\n              issuer   "}},
		"issuer of v1":                      {federated(func(w *world, f *credential) { f.Issuer = w.tenant.V1Issuer() }), "federated-credential", []string{"AADSTS700211", "issuer   https://sts.windows.net/"}},
		"issuer with a slash":               {federated(func(_ *world, f *credential) { f.Issuer += "/" }), "federated-credential", []string{"/v2.0/\n"}},
		"subject is the client ID":          {federated(func(w *world, f *credential) { f.Subject = w.identity }), "federated-credential", []string{"AADSTS700213", "it must be its principal (object) id"}},
		"subject in capitals":               {federated(func(_ *world, f *credential) { f.Subject = strings.ToUpper(f.Subject) }), "federated-credential", []string{"AADSTS7002138"}},
		"audience of another cloud":         {federated(func(_ *world, f *credential) { f.Audiences = []string{"api://AzureADTokenExchangeUSGov"} }), "federated-credential", []string{"audience api://AzureADTokenExchange\n", "audience api://AzureADTokenExchangeUSGov"}},
		"managed identity is not assigned": {func(t *testing.T, w *world) {
			federated(nil)(t, w)
			w.facts.Method = clientauth.ManagedIdentity("a0000000-0000-4000-8000-000000000009")
		}, "identity", []string{"client ID, not object ID"}},
		"projected token is missing": {func(_ *testing.T, w *world) {
			w.facts.Method = clientauth.WorkloadIdentity("/nonexistent/token")
			w.facts.TokenFile = "/nonexistent/token"
		}, "identity", []string{"projected token can't be read"}},
		"projected token of another service account": {workload(func(f *credential) { f.Subject = "system:serviceaccount:default:other" }), "federated-credential",
			[]string{"subject  system:serviceaccount:mcp:server", "subject  system:serviceaccount:default:other"}},
		"projected token of another cluster": {workload(func(f *credential) { f.Issuer = "https://oidc.example.com/other/" }), "federated-credential", []string{"AADSTS700211"}},
		"projected token, through an identity that doesn't trust it": {func(t *testing.T, w *world) {
			workload(func(*credential) {})(t, w)
			w.facts.IdentityID = w.tenant.AddApp("stands for an identity").ClientID
			w.facts.Method = clientauth.WorkloadManagedIdentity(w.facts.TokenFile, w.facts.IdentityID)
		}, "identity", []string{"AADSTS70025", "subject  system:serviceaccount:mcp:server"}},
		"certificate that the registration lacks": {func(t *testing.T, w *world) {
			file, _ := certificateFile(t)
			w.facts.Method = clientauth.CertificateFile(file, "")
		}, "proof", []string{"AADSTS700027"}},
		"exchange blocked by a policy": {func(_ *testing.T, w *world) { w.tenant.BlockAccess(w.tenant.Storage()) }, "exchange", []string{"AADSTS53003"}},
		"an unknown resource": {func(_ *testing.T, w *world) {
			w.signedIn = false
			w.facts.Resources = []string{"https://storage.azure.com", "https://vault.azure.net"}
		}, "exchange", []string{"AADSTS500011", "https://vault.azure.net"}},
	})
}

// credential is a federated credential, to be broken.
type credential = graph.FederatedCredential

// federated makes the app prove itself with a managed identity, whose credential is changed. Without
// a change there is none.
func federated(change func(*world, *credential)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		identity := w.tenant.AddManagedIdentity("mcp")
		w.facts.Method = clientauth.ManagedIdentity(identity.ClientID)
		w.identity = identity.ClientID
		w.imds(t)
		if change == nil {
			return
		}
		f := credential{Name: "mcp", Issuer: w.tenant.V2Issuer(), Subject: identity.ObjectID, Audiences: []string{"api://AzureADTokenExchange"}}
		change(w, &f)
		w.api.AddFederatedCredential(f.Issuer, f.Subject, f.Audiences[0])
	}
}

// workload makes the app prove itself with a projected token of a cluster, whose credential is
// changed.
func workload(change func(*credential)) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		const subject = "system:serviceaccount:mcp:server"
		cluster := w.tenant.AddCluster()
		file, err := cluster.WriteTokenFile(t.TempDir(), subject, "api://AzureADTokenExchange")
		if err != nil {
			t.Fatal(err)
		}
		w.facts.TokenFile = file
		w.facts.Method = clientauth.WorkloadIdentity(w.facts.TokenFile)
		f := credential{Issuer: cluster.URL, Subject: subject, Audiences: []string{"api://AzureADTokenExchange"}}
		change(&f)
		w.api.AddFederatedCredential(f.Issuer, f.Subject, f.Audiences[0])
	}
}

// certificateFile makes a certificate for an app, with its key, and writes both to a file.
func certificateFile(t *testing.T) (string, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "app.pem")
	content := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, certificate
}

func TestStorageFaults(t *testing.T) {
	t.Parallel()
	examineFaults(t, map[string]fault{
		"no data role": {func(_ *testing.T, w *world) { w.blobs.Revoke(w.alice.ObjectID) }, "data-role",
			[]string{"AuthorizationPermissionMismatch", "Storage Blob Data Reader"}},
		"no such container": {func(_ *testing.T, w *world) { w.facts.Container = "papers"; w.blobs.Grant(w.alice.ObjectID, "", "") }, "container", []string{"ContainerNotFound"}},
		"no such account":   {func(_ *testing.T, w *world) { w.facts.StorageURL = "https://typo.blob.core.windows.net" }, "storage", []string{"no such storage account"}},
		"account refuses connections": {func(t *testing.T, w *world) { w.hosts[hostport(w.facts.StorageURL)] = closedPort(t) }, "storage",
			[]string{"the connection was refused"}},
		"a proxy answers for storage": {func(t *testing.T, w *world) {
			s := httptest.NewTLSServer(html(200))
			t.Cleanup(s.Close)
			w.hosts[hostport(w.facts.StorageURL)] = s.Listener.Addr().String()
		}, "storage", []string{"something else than Azure Storage"}},
		"an account of another tenant": {func(t *testing.T, w *world) {
			other := blobtest.New(t, &blobtest.Options{Key: w.tenant.PublicKey, Issuer: "https://sts.windows.net/a0000000-0000-4000-8000-000000000001/"})
			w.hosts[hostport(w.facts.StorageURL)] = hostport(other.URL())
			w.trusted = append(w.trusted, other.CertificatePEM())
		}, "storage", []string{"belongs to another tenant", "a0000000-0000-4000-8000-000000000001"}},
		"the account's firewall": {func(_ *testing.T, w *world) { w.blobs.Fail(blobtest.Fault{Status: 403, Code: "AuthorizationFailure"}) }, "storage", []string{"firewall"}},
	})
}
