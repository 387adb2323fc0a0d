package clientauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	// identityTimeout is shorter than an exchange's, so that the error on a host without
	// managed identity says so, and not just that something took too long.
	identityTimeout = 20 * time.Second

	// identityRetryDelay is the pause before the first retry; later ones are longer.
	// azidentity's defaults don't fit into identityTimeout.
	identityRetryDelay = 250 * time.Millisecond

	// An identity's token lives for about 24 hours. It is not sent in its last minute,
	// because it might expire on the way, and it is renewed when the platform suggests
	// it or in its last ten minutes.
	identityMargin  = time.Minute
	identityRefresh = 10 * time.Minute

	// anyClaims keep MSAL from using its process-wide cache, which would outlive this
	// source and return tokens that Entra has rejected. They are not sent.
	anyClaims = "{}"
)

// ManagedIdentity authenticates with a token of a user-assigned managed identity that
// the app registration trusts as a federated credential, so there is no secret. clientID
// is the identity's client ID, not the app's; a system-assigned identity can't be a
// federated credential. Identity and app must be in the same tenant.
//
// azidentity gets the token in Azure's own ways: App Service and Container Apps
// (IDENTITY_ENDPOINT, IDENTITY_HEADER), virtual machines and AKS nodes (IMDS). Its
// audience is the exchanger's cloud's, api://AzureADTokenExchange in the public cloud. It
// is cached until shortly before it expires, and renewed in the background.
func ManagedIdentity(clientID string) Method {
	return method("managed identity", func(env clientcred.Environment) ([]clientcred.Source, error) {
		s, err := newIdentitySource(clientID, env)
		return []clientcred.Source{s}, err
	})
}

// identitySource caches the identity's token.
type identitySource struct {
	clientID string
	scope    string
	now      func() time.Time
	identity *azidentity.ManagedIdentityCredential
	tokens   *cache.Cache[struct{}, secret.Text]
}

func newIdentitySource(clientID string, env clientcred.Environment) (*identitySource, error) {
	if err := authority.CheckGUID(clientID); err != nil {
		return nil, fmt.Errorf("the managed identity's client ID %w", err)
	}
	identity, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{
		ClientOptions: azcore.ClientOptions{
			Transport: env.HTTPClient,
			Retry:     policy.RetryOptions{RetryDelay: identityRetryDelay},
		},
		ID: azidentity.ClientID(clientID),
	})
	if err != nil {
		return nil, fmt.Errorf("the managed identity can't be used on this host: %w", err)
	}
	return &identitySource{
		clientID: clientID,
		scope:    env.Authority.TokenExchangeScope(),
		now:      env.Now,
		identity: identity,
		tokens:   identityCache(env),
	}, nil
}

// identityCache holds one token.
func identityCache(env clientcred.Environment) *cache.Cache[struct{}, secret.Text] {
	return cache.New[struct{}, secret.Text](cache.Options{MaxBytes: 1 << 20, LoadTimeout: identityTimeout, Now: env.Now})
}

func (*identitySource) Kind() string { return "managed identity" }

func (s *identitySource) Credential(ctx context.Context) (clientcred.Proof, error) {
	token, err := s.tokens.Get(ctx, struct{}{}, s.load)
	if err != nil {
		return clientcred.Proof{}, err
	}
	return clientcred.Assertion(token), nil
}

// Refused drops the token, so that the next one comes from the platform.
func (s *identitySource) Refused() bool {
	s.tokens.Forget(struct{}{})
	return true
}

func (s *identitySource) load(ctx context.Context) (cache.Item[secret.Text], error) {
	token, err := s.identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.scope}, Claims: anyClaims})
	if err != nil {
		return cache.Item[secret.Text]{}, s.explain(err)
	}
	if err := checkAssertion(token.Token); err != nil {
		return cache.Item[secret.Text]{}, &clientcred.Error{
			Problem: "the managed identity endpoint did not return a token",
			Remedy:  "the operator must check what answers at the host's managed identity endpoint",
			Cause:   err,
		}
	}
	return identityItem(token), nil
}

// identityItem decides how long an identity's token is used.
func identityItem(token azcore.AccessToken) cache.Item[secret.Text] {
	refresh := token.ExpiresOn.Add(-identityRefresh)
	if !token.RefreshOn.IsZero() && token.RefreshOn.Before(refresh) {
		refresh = token.RefreshOn
	}
	return cache.Item[secret.Text]{
		Value:     secret.New(token.Token),
		ExpiresAt: token.ExpiresOn.Add(-identityMargin),
		RefreshAt: refresh,
		Size:      len(token.Token),
	}
}

// explain says what went wrong. It keeps nothing of a response but its status.
func (s *identitySource) explain(err error) error {
	var refused *azidentity.AuthenticationFailedError
	if !errors.As(err, &refused) || refused.RawResponse == nil {
		return &clientcred.Error{
			Problem: "the managed identity endpoint can't be reached",
			Remedy: "the operator must check that the identity is assigned to this host; " +
				"hosts outside Azure have no managed identity and need a client secret",
			Cause: cause(err),
		}
	}
	status := refused.RawResponse.StatusCode
	e := &clientcred.Error{
		Problem: "the managed identity endpoint rejected the request",
		Remedy:  "try again in a moment; if it persists, the operator must check the host's managed identity",
		Cause:   fmt.Errorf("the managed identity endpoint answered %d %s", status, http.StatusText(status)),
	}
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		e.Permanent = true
		e.Remedy = fmt.Sprintf("the operator must assign the user-assigned identity %s to this host (client ID, not object ID)", s.clientID)
	}
	return e
}

// cause returns err if it is a context's, else only its type: azidentity puts response
// bodies into its error texts.
func cause(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return known
		}
	}
	return fmt.Errorf("%T", err)
}
