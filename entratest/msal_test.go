package entratest_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// Microsoft's own client libraries accept the tenant as Entra. They use the real clock, so these
// tenants do too.

func newRealTime(t *testing.T) *contoso {
	t.Helper()
	c := &contoso{Tenant: entratest.NewTenant(nil)}
	t.Cleanup(c.Close)
	c.alice = c.AddUser("alice@contoso.com", "Alice")
	c.client = c.AddClient("Client")
	c.api = c.AddApp("API", "access_as_user")
	c.secret = c.api.AddSecret()
	c.Consent(c.api, c.Storage())
	return c
}

func (c *contoso) msal(t *testing.T, credential confidential.Credential) confidential.Client {
	t.Helper()
	client, err := confidential.New(c.AuthorityHost()+"/"+c.ID(), c.api.ClientID, credential,
		confidential.WithHTTPClient(c.HTTPClient()), confidential.WithInstanceDiscovery(false))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (c *contoso) checkStorageToken(t *testing.T, token string, acr string) {
	t.Helper()
	if err := verify(c.Tenant, token); err != nil {
		t.Error(err)
	}
	_, claims := decode(t, token)
	if claims["aud"] != "https://storage.azure.com" || claims["oid"] != c.alice.ObjectID || claims["appidacr"] != acr {
		t.Errorf("claims: %v", claims)
	}
}

var storageScopes = []string{"https://storage.azure.com/.default"}

func TestMSALWithSecret(t *testing.T) {
	t.Parallel()
	c := newRealTime(t)
	credential, err := confidential.NewCredFromSecret(c.secret)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	client := c.msal(t, credential)
	assertion := c.Token(c.alice, c.client, c.api)
	result, err := client.AcquireTokenOnBehalfOf(ctx, assertion, storageScopes)
	if err != nil {
		t.Fatal(err)
	}
	c.checkStorageToken(t, result.AccessToken, "1")
	if life := time.Until(result.ExpiresOn); life < 59*time.Minute || life > 91*time.Minute {
		t.Errorf("MSAL says that the token lasts %v", life)
	}
	if result.IDToken.Oid != c.alice.ObjectID || result.Account.HomeAccountID != c.alice.ObjectID+"."+c.ID() {
		t.Errorf("MSAL's account is %+v", result.Account)
	}
	if _, err := client.AcquireTokenOnBehalfOf(ctx, assertion, storageScopes); err != nil || c.Count(entratest.EndpointToken) != 1 {
		t.Errorf("MSAL did not take its cached token: %v, %d requests", err, c.Count(entratest.EndpointToken))
	}
	app, err := client.AcquireTokenByCredential(ctx, storageScopes)
	if err != nil {
		t.Fatal(err)
	}
	if _, claims := decode(t, app.AccessToken); claims["scp"] != nil || claims["oid"] != c.api.ObjectID {
		t.Errorf("app-only: %v", claims)
	}
}

func TestMSALSeesErrors(t *testing.T) {
	t.Parallel()
	c := newRealTime(t)
	c.RevokeConsent(c.api, c.Storage())
	credential, err := confidential.NewCredFromSecret(c.secret)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.msal(t, credential).AcquireTokenOnBehalfOf(context.Background(), c.Token(c.alice, c.client, c.api), storageScopes)
	var call msalerrors.CallErr
	if !errors.As(err, &call) || call.Resp.StatusCode != http.StatusBadRequest {
		t.Fatalf("%T %v", err, err)
	}
	_ = call.Resp.Body.Close()
}

func TestMSALWithManagedIdentity(t *testing.T) {
	c := newRealTime(t)
	identity := c.AddManagedIdentity("umi")
	c.api.AddFederatedCredential(c.V2Issuer(), identity.ObjectID, exchangeURI)
	endpoint, header := c.ManagedIdentityEndpoint()
	t.Setenv("IDENTITY_ENDPOINT", endpoint)
	t.Setenv("IDENTITY_HEADER", header)
	managed, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{Transport: c.HTTPClient()},
		ID:            azidentity.ClientID(identity.ClientID),
	})
	if err != nil {
		t.Fatal(err)
	}
	credential := confidential.NewCredFromAssertionCallback(func(ctx context.Context, _ confidential.AssertionRequestOptions) (string, error) {
		token, err := managed.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{exchangeURI + "/.default"}})
		return token.Token, err
	})
	result, err := c.msal(t, credential).AcquireTokenOnBehalfOf(context.Background(), c.Token(c.alice, c.client, c.api), storageScopes)
	if err != nil {
		t.Fatal(err)
	}
	c.checkStorageToken(t, result.AccessToken, "2")
	if n := c.Count(entratest.EndpointManagedIdentity); n != 1 {
		t.Errorf("%d requests for the managed identity, want 1", n)
	}
}

func TestMSALWithWorkloadIdentity(t *testing.T) {
	t.Parallel()
	c := newRealTime(t)
	kubernetes := c.AddIssuer(cluster)
	c.api.AddFederatedCredential(cluster, account, exchangeURI)
	credential := confidential.NewCredFromAssertionCallback(func(context.Context, confidential.AssertionRequestOptions) (string, error) {
		return kubernetes.Token(account, exchangeURI, nil), nil
	})
	result, err := c.msal(t, credential).AcquireTokenOnBehalfOf(context.Background(), c.Token(c.alice, c.client, c.api), storageScopes)
	if err != nil {
		t.Fatal(err)
	}
	c.checkStorageToken(t, result.AccessToken, "2")
}
