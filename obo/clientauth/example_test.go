package clientauth_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpentra/mcp-entra-go/entratest"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	tokenExchange  = "api://AzureADTokenExchange"
	serviceAccount = "system:serviceaccount:default:mcp-server"
)

// newServer returns a tenant, so that the examples run anywhere, with the app
// registration of a server that may use Azure Storage for its users.
func newServer() (*entratest.Tenant, *entratest.App) {
	tenant := entratest.NewTenant(nil)
	server := tenant.AddApp("My MCP server", "access_as_user")
	tenant.Consent(server, tenant.Storage(), "user_impersonation")
	return tenant, server
}

// exchange makes an exchanger that proves the server by the method, and has it act
// for Alice.
func exchange(tenant *entratest.Tenant, server *entratest.App, method clientauth.Method) {
	exchanger, err := obo.NewExchanger(tenant.ID(), server.ClientID, method, &obo.Options{
		AuthorityHost: tenant.AuthorityHost(), HTTPClient: tenant.HTTPClient(), // yours are the defaults
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	alice := tenant.Token(tenant.AddUser("alice@contoso.example", "Alice"), tenant.AddClient("Client"), server)
	_, err = exchanger.Credential(obo.NewAssertion(alice)).GetToken(context.Background(), policy.TokenRequestOptions{
		Scopes: []string{"https://storage.azure.com/.default"},
	})
	fmt.Printf("%s: error %v\n", method, err)
}

// A secret is for a developer's machine.
func ExampleSecret() {
	tenant, server := newServer()
	defer tenant.Close()
	secret := server.AddSecret() // its value, from the environment or a vault

	exchange(tenant, server, clientauth.Secret(secret))
	// Output: client secret: error <nil>
}

// A user-assigned managed identity, which the app registration trusts as federated
// credential, leaves no secret to keep.
func ExampleManagedIdentity() {
	tenant, server := newServer()
	defer tenant.Close()
	identity := tenant.AddManagedIdentity("mcp-server")
	server.AddFederatedCredential(tenant.V2Issuer(), identity.ObjectID, tokenExchange)
	endpoint, header := tenant.ManagedIdentityEndpoint()
	// As App Service does.
	_ = os.Setenv("IDENTITY_ENDPOINT", endpoint)
	_ = os.Setenv("IDENTITY_HEADER", header)

	exchange(tenant, server, clientauth.ManagedIdentity(identity.ClientID))
	// Output: managed identity: error <nil>
}

// On Kubernetes the app registration trusts a service account, whose token is in a file.
func ExampleWorkloadIdentity() {
	tenant, server := newServer()
	defer tenant.Close()
	cluster := tenant.AddCluster()
	server.AddFederatedCredential(cluster.URL, serviceAccount, tokenExchange)
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := cluster.WriteTokenFile(dir, serviceAccount, tokenExchange) // AZURE_FEDERATED_TOKEN_FILE
	if err != nil {
		fmt.Println(err)
		return
	}

	exchange(tenant, server, clientauth.WorkloadIdentity(file))
	// Output: workload identity: error <nil>
}

// On AKS the service account's token stands for a managed identity, and the managed
// identity for the app. Nothing is read or requested before the first exchange.
func ExampleWorkloadManagedIdentity() {
	tenant, server := newServer()
	defer tenant.Close()
	identity := tenant.AddManagedIdentity("mcp-server")
	const file = "/var/run/secrets/azure/tokens/azure-identity-token" // AZURE_FEDERATED_TOKEN_FILE

	method := clientauth.WorkloadManagedIdentity(file, identity.ClientID)
	_, err := obo.NewExchanger(tenant.ID(), server.ClientID, method, nil)
	fmt.Printf("%s: error %v\n", method, err)
	// Output: workload managed identity: error <nil>
}

// A certificate is renewed by replacing its file.
func ExampleCertificateFile() {
	tenant, server := newServer()
	defer tenant.Close()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "server.pem")
	server.AddCertificate(writeCertificate(file))

	exchange(tenant, server, clientauth.CertificateFile(file, ""))
	// Output: certificate: error <nil>
}

// Anything that can get a token which the app registration trusts is a proof: here a
// cluster's, as another identity provider's or a key vault's would be.
func ExampleFunc() {
	tenant, server := newServer()
	defer tenant.Close()
	cluster := tenant.AddCluster()
	server.AddFederatedCredential(cluster.URL, serviceAccount, tokenExchange)

	exchange(tenant, server, clientauth.Func(func(context.Context) (string, error) {
		return cluster.Token(serviceAccount, tokenExchange, nil), nil // cache it until it expires
	}))
	// Output: client assertion: error <nil>
}

// While a secret is rotated, both of them are there.
func ExampleChain() {
	tenant, server := newServer()
	defer tenant.Close()
	old := server.AddExpiringSecret(time.Now().Add(-time.Hour))
	next := server.AddSecret()

	exchange(tenant, server, clientauth.Chain(clientauth.Secret(old), clientauth.Secret(next)))
	// Output: chain: error <nil>
}

// writeCertificate writes a new key and its certificate, as openssl req does.
func writeCertificate(file string) *x509.Certificate {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	content := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}
