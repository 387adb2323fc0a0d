//go:build unix

package interop_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // x5t is a SHA-1 thumbprint by definition
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
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

	"github.com/golang-jwt/jwt/v5"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// An identityWorld is a tenant with one app for each way to use Entra, for client
// libraries that know nothing of each other.
type identityWorld struct {
	*entratest.Tenant
	alice       *entratest.User
	api         *entratest.App // the middle tier, with a secret, a certificate and a federated credential
	web         *entratest.App // signs users in
	desktop     *entratest.App // a public client
	certificate *x509.Certificate
	key         *rsa.PrivateKey
	identity    *entratest.UserAssignedIdentity
	cluster     *entratest.Issuer
	config      identityConfig
}

// An identityConfig is what a program is told, as JSON in the file that CONFIG names.
type identityConfig struct {
	Authority        string `json:"authority"` // https://localhost:PORT
	Tenant           string `json:"tenant"`
	CA               string `json:"ca"`
	APIClientID      string `json:"apiClientId"`
	APISecret        string `json:"apiSecret"`
	APIScope         string `json:"apiScope"`
	Certificate      string `json:"certificate"` // PEM file: certificate and key
	Thumbprint       string `json:"thumbprint"`
	ThumbprintSHA256 string `json:"thumbprintSha256"`
	TokenFile        string `json:"tokenFile"` // of the cluster, for the API
	UserToken        string `json:"userToken"` // Alice's, for the API
	WebClientID      string `json:"webClientId"`
	WebSecret        string `json:"webSecret"`
	WebRedirect      string `json:"webRedirect"`
	DesktopClientID  string `json:"desktopClientId"`
	IdentityClientID string `json:"identityClientId"`
	Person           string `json:"person"` // where Alice is told to open an address or to enter a code
	StepUpScope      string `json:"stepUpScope"`
	OtherScope       string `json:"otherScope"`

	// Of an agentWorld.
	BlueprintClientID string `json:"blueprintClientId,omitempty"`
	BlueprintSecret   string `json:"blueprintSecret,omitempty"`
	BlueprintToken    string `json:"blueprintToken,omitempty"` // Alice's, for the blueprint
	AgentClientID     string `json:"agentClientId,omitempty"`
	AgentUser         string `json:"agentUser,omitempty"`
	AgentUserID       string `json:"agentUserId,omitempty"`
	AgentScope        string `json:"agentScope,omitempty"` // of a downstream API
}

const (
	tokenExchange = "api://AzureADTokenExchange"
	serviceClaim  = "system:serviceaccount:apps:mcp"
	webRedirect   = "http://localhost:53682/callback"
)

func newIdentityWorld(t *testing.T) *identityWorld {
	t.Helper()
	w := &identityWorld{Tenant: entratest.NewTenant(&entratest.Options{DeviceInterval: time.Second})}
	t.Cleanup(w.Close)
	w.alice = w.AddUser("alice@contoso.example", "Alice")
	w.api = w.AddApp("API", "access_as_user")
	w.web = w.AddApp("Web app")
	w.web.AddRedirectURI(entratest.PlatformWeb, webRedirect)
	w.desktop = w.AddClient("Desktop app")
	w.desktop.AddRedirectURI(entratest.PlatformDesktop, "http://localhost")
	w.Consent(w.api, w.Storage())
	w.certificate, w.key = newAppCertificate(t)
	w.api.AddCertificate(w.certificate)
	w.cluster = w.AddIssuer("https://oidc.example.com/cluster/")
	w.api.AddFederatedCredential(w.cluster.URL, serviceClaim, tokenExchange)
	w.identity = w.AddManagedIdentity("umi")
	stepUp := w.AddApp("Guarded API", "read")
	w.RequireMFA(stepUp)
	w.Consent(w.api, stepUp)
	w.config = identityConfig{
		Authority: w.AuthorityHost(), Tenant: w.ID(), CA: certificates(t, w.CertificatePEM()),
		APIClientID: w.api.ClientID, APISecret: w.api.AddSecret(), APIScope: w.api.Scope("access_as_user"),
		Certificate: w.writeCertificate(t), TokenFile: w.writeTokenFile(t), UserToken: w.Token(w.alice, w.web, w.api),
		WebClientID: w.web.ClientID, WebSecret: w.web.AddSecret(), WebRedirect: webRedirect,
		DesktopClientID: w.desktop.ClientID, IdentityClientID: w.identity.ClientID,
		Person: w.person(t), StepUpScope: stepUp.Scope(".default"), OtherScope: "https://graph.microsoft.com/User.Read",
	}
	old, sum := sha1.Sum(w.certificate.Raw), sha256.Sum256(w.certificate.Raw)
	w.config.Thumbprint, w.config.ThumbprintSHA256 = hex.EncodeToString(old[:]), hex.EncodeToString(sum[:])
	return w
}

func newAppCertificate(t *testing.T) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate, key
}

func (w *identityWorld) writeCertificate(t *testing.T) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(w.key)
	must(t, err)
	path := filepath.Join(t.TempDir(), "app.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.certificate.Raw})...)
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

// writeTokenFile writes what Kubernetes projects for a service account.
func (w *identityWorld) writeTokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "azure-identity-token")
	must(t, os.WriteFile(path, []byte(w.cluster.Token(serviceClaim, tokenExchange, nil)), 0o600))
	return path
}

// person is Alice at her browser, for programs of other languages: GET ?open=URL answers where she
// is sent back to, GET ?code=CODE enters a device's code.
func (w *identityWorld) person(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		browser := w.Browser(w.alice)
		var err error
		if code := r.URL.Query().Get("code"); code != "" {
			err = browser.EnterDeviceCode(r.Context(), code)
		} else {
			var back interface{ String() string }
			if back, err = browser.Open(r.Context(), r.URL.Query().Get("open")); err == nil {
				_, _ = rw.Write([]byte(back.String()))
			}
		}
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// writeConfig writes the configuration and returns its path.
func (w *identityWorld) writeConfig(t *testing.T) string {
	t.Helper()
	data, err := json.Marshal(w.config)
	must(t, err)
	path := filepath.Join(t.TempDir(), "config.json")
	must(t, os.WriteFile(path, data, 0o600))
	return path
}

// expectation is what a token must say.
type expectation struct {
	client *entratest.App
	acr    string
	user   bool
	aud    string
}

// checkToken verifies a token and compares what it says.
func (w *identityWorld) checkToken(t *testing.T, name, token string, want expectation) {
	t.Helper()
	claims := jwt.MapClaims{}
	_, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"})).ParseWithClaims(token, claims, func(parsed *jwt.Token) (any, error) {
		kid, _ := parsed.Header["kid"].(string)
		key, _ := w.PublicKey(kid)
		return key, nil
	})
	if err != nil && want.aud != "https://graph.microsoft.com" { // whose tokens nobody can verify
		t.Errorf("%s: %v", name, err)
		return
	}
	audience, _ := claims["aud"].(string)
	_, delegated := claims["scp"]
	if strings.TrimSuffix(audience, "/") != want.aud || delegated != want.user || want.user && claims["oid"] != w.alice.ObjectID ||
		want.client != nil && (claims["appid"] != want.client.ClientID || claims["appidacr"] != want.acr) {
		t.Errorf("%s: aud %v, appid %v, appidacr %v, oid %v, scp %v", name, claims["aud"], claims["appid"], claims["appidacr"], claims["oid"], claims["scp"])
	}
}

const (
	storageURI = "https://storage.azure.com"
	graphURI   = "https://graph.microsoft.com"
)

// flows are what each language's libraries must do, with the token that comes of it.
func (w *identityWorld) flows() map[string]expectation {
	api := w.api.AppIDURI()
	return map[string]expectation{
		"obo secret":         {w.api, "1", true, storageURI},
		"obo certificate":    {w.api, "2", true, storageURI},
		"obo assertion":      {w.api, "2", true, storageURI},
		"client secret":      {w.api, "1", false, storageURI},
		"client certificate": {w.api, "2", false, storageURI},
		"client assertion":   {w.api, "2", false, storageURI},
		"code":               {w.web, "1", true, api},
		"refresh":            {w.web, "1", true, graphURI},
		"device code":        {w.desktop, "0", true, api},
		"managed identity":   {nil, "", false, storageURI},
		"workload identity":  {w.api, "2", false, storageURI},
		"step up":            {w.api, "1", true, strings.TrimSuffix(w.config.StepUpScope, "/.default")},
	}
}

// checkFlows compares what a program has printed: a token for each name, or, for "challenge", claims.
func (w *identityWorld) checkFlows(t *testing.T, library string, got map[string]any, names ...string) {
	t.Helper()
	flows := w.flows()
	for _, name := range names {
		token, _ := got[library+": "+name].(string)
		if name == "challenge" {
			if !strings.Contains(token, "capolids") {
				t.Errorf("%s: %s: the claims challenge is %q", library, name, token)
			}
			continue
		}
		if strings.Count(token, ".") != 2 {
			t.Errorf("%s: %s: no token: %.300q", library, name, token)
			continue
		}
		w.checkToken(t, library+": "+name, token, flows[name])
	}
}
