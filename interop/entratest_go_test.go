//go:build unix

package interop_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/public"
)

var storageDefault = []string{storageURI + "/.default"}

// The libraries are configured as their documentation says; nothing is patched.

func (w *identityWorld) confidential(t *testing.T, clientID string, credential confidential.Credential) confidential.Client {
	t.Helper()
	client, err := confidential.New(w.AuthorityHost()+"/"+w.ID(), clientID, credential,
		confidential.WithHTTPClient(w.HTTPClient()), confidential.WithInstanceDiscovery(false))
	must(t, err)
	return client
}

func (w *identityWorld) msalCredentials(t *testing.T) map[string]confidential.Credential {
	t.Helper()
	secret, err := confidential.NewCredFromSecret(w.config.APISecret)
	must(t, err)
	pem, err := os.ReadFile(w.config.Certificate)
	must(t, err)
	certs, key, err := confidential.CertFromPEM(pem, "")
	must(t, err)
	certificate, err := confidential.NewCredFromCert(certs, key)
	must(t, err)
	return map[string]confidential.Credential{
		"secret": secret, "certificate": certificate,
		"assertion": confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			token, err := os.ReadFile(w.config.TokenFile)
			return string(token), err
		}),
	}
}

func TestMSALGo(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := deadline(t, 3*time.Minute)
	got := map[string]any{}
	for kind, credential := range w.msalCredentials(t) {
		client := w.confidential(t, w.api.ClientID, credential)
		result, err := client.AcquireTokenOnBehalfOf(ctx, w.config.UserToken, storageDefault)
		must(t, err)
		got["MSAL Go: obo "+kind] = result.AccessToken
		result, err = client.AcquireTokenByCredential(ctx, storageDefault)
		must(t, err)
		got["MSAL Go: client "+kind] = result.AccessToken
		_, err = client.AcquireTokenOnBehalfOf(ctx, w.config.UserToken, []string{w.config.StepUpScope})
		var refused msalerrors.CallErr
		if !errors.As(err, &refused) {
			t.Fatalf("%T %v", err, err)
		}
		got["MSAL Go: challenge"] = refused.Error()
	}
	w.msalGoUsers(ctx, t, got)
	delete(got, "MSAL Go: challenge") // the library keeps it in the response alone
	w.checkFlows(t, "MSAL Go", got, "obo secret", "obo certificate", "obo assertion", "client secret", "client certificate", "client assertion",
		"code", "refresh", "device code")
}

// msalGoUsers signs Alice in: by code, silently for another resource, and by device code.
func (w *identityWorld) msalGoUsers(ctx context.Context, t *testing.T, got map[string]any) {
	t.Helper()
	secret, err := confidential.NewCredFromSecret(w.config.WebSecret)
	must(t, err)
	web := w.confidential(t, w.web.ClientID, secret)
	address, err := web.AuthCodeURL(ctx, w.web.ClientID, webRedirect, []string{w.config.APIScope, w.config.OtherScope})
	must(t, err)
	back, err := w.Browser(w.alice).Open(ctx, address)
	must(t, err)
	result, err := web.AcquireTokenByAuthCode(ctx, back.Query().Get("code"), webRedirect, []string{w.config.APIScope})
	must(t, err)
	got["MSAL Go: code"] = result.AccessToken
	if result.Account.HomeAccountID != w.alice.ObjectID+"."+w.ID() || result.IDToken.Oid != w.alice.ObjectID {
		t.Errorf("account %+v", result.Account)
	}
	result, err = web.AcquireTokenSilent(ctx, []string{w.config.OtherScope}, confidential.WithSilentAccount(result.Account))
	must(t, err)
	got["MSAL Go: refresh"] = result.AccessToken

	desktop, err := public.New(w.desktop.ClientID, public.WithAuthority(w.AuthorityHost()+"/"+w.ID()),
		public.WithHTTPClient(w.HTTPClient()), public.WithInstanceDiscovery(false))
	must(t, err)
	device, err := desktop.AcquireTokenByDeviceCode(ctx, []string{w.config.APIScope})
	must(t, err)
	must(t, w.Browser(w.alice).EnterDeviceCode(ctx, device.Result.UserCode))
	result, err = device.AuthenticationResult(ctx)
	must(t, err)
	got["MSAL Go: device code"] = result.AccessToken
}

func TestAzidentityGo(t *testing.T) { // not parallel: managed identities are found by the environment
	w := newIdentityWorld(t)
	ctx := deadline(t, 3*time.Minute)
	endpoint, header := w.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	got := map[string]any{}
	take := func(name string, credential azcore.TokenCredential, err error) {
		t.Helper()
		must(t, err)
		scopes := storageDefault
		if name == "device code" {
			scopes = []string{w.config.APIScope}
		}
		token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: scopes})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got["azidentity: "+name] = token.Token
	}
	w.azidentity(t, take)
	w.checkFlows(t, "azidentity", got, "obo secret", "obo certificate", "obo assertion", "client secret", "client certificate", "client assertion",
		"device code", "managed identity", "workload identity")
}

func (w *identityWorld) azidentity(t *testing.T, take func(string, azcore.TokenCredential, error)) {
	t.Helper()
	options := azcore.ClientOptions{Transport: w.HTTPClient(), Cloud: cloud.Configuration{ActiveDirectoryAuthorityHost: w.AuthorityHost()}}
	pem, err := os.ReadFile(w.config.Certificate)
	must(t, err)
	certs, key, err := azidentity.ParseCertificates(pem, nil)
	must(t, err)
	assertion := func(context.Context) (string, error) {
		token, err := os.ReadFile(w.config.TokenFile)
		return string(token), err
	}
	tenant, api := w.ID(), w.api.ClientID
	obo := &azidentity.OnBehalfOfCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true}

	bySecret, err := azidentity.NewOnBehalfOfCredentialWithSecret(tenant, api, w.config.UserToken, w.config.APISecret, obo)
	take("obo secret", bySecret, err)
	byCertificate, err := azidentity.NewOnBehalfOfCredentialWithCertificate(tenant, api, w.config.UserToken, certs, key, obo)
	take("obo certificate", byCertificate, err)
	byAssertion, err := azidentity.NewOnBehalfOfCredentialWithClientAssertions(tenant, api, w.config.UserToken, assertion, obo)
	take("obo assertion", byAssertion, err)
	secret, err := azidentity.NewClientSecretCredential(tenant, api, w.config.APISecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	take("client secret", secret, err)
	certificate, err := azidentity.NewClientCertificateCredential(tenant, api, certs, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	take("client certificate", certificate, err)
	federated, err := azidentity.NewClientAssertionCredential(tenant, api, assertion,
		&azidentity.ClientAssertionCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	take("client assertion", federated, err)
	workload, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true, ClientID: api, TenantID: tenant, TokenFilePath: w.config.TokenFile,
	})
	take("workload identity", workload, err)
	managed, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: options, ID: azidentity.ClientID(w.identity.ClientID),
	})
	take("managed identity", managed, err)
	device, err := azidentity.NewDeviceCodeCredential(&azidentity.DeviceCodeCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true, ClientID: w.desktop.ClientID, TenantID: tenant,
		UserPrompt: func(ctx context.Context, m azidentity.DeviceCodeMessage) error {
			return w.Browser(w.alice).EnterDeviceCode(ctx, m.UserCode)
		},
	})
	take("device code", device, err)
}

// Signing in at /organizations tells the tenant only afterwards.
func TestMSALGoOrganizations(t *testing.T) {
	t.Parallel()
	w := newIdentityWorld(t)
	ctx := deadline(t, 3*time.Minute)
	client, err := public.New(w.desktop.ClientID, public.WithAuthority(w.AuthorityHost()+"/organizations"),
		public.WithHTTPClient(w.HTTPClient()), public.WithInstanceDiscovery(false))
	must(t, err)
	address, err := client.AuthCodeURL(ctx, w.desktop.ClientID, "http://localhost:4711", []string{w.config.APIScope})
	must(t, err)
	back, err := w.Browser(w.alice).Open(ctx, address)
	must(t, err)
	result, err := client.AcquireTokenByAuthCode(ctx, back.Query().Get("code"), "http://localhost:4711", []string{w.config.APIScope})
	must(t, err)
	if u, err := url.Parse(result.IDToken.Issuer); err != nil || u.String() != w.V2Issuer() {
		t.Errorf("issuer %s", result.IDToken.Issuer)
	}
}
