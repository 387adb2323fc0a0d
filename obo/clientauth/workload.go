package clientauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/cache"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// WorkloadIdentity authenticates with a token that the platform writes to a file, and
// that the app registration trusts as a federated credential: on Kubernetes, the
// projected token of a service account, whose path Azure's webhook puts into
// AZURE_FEDERATED_TOKEN_FILE. If the federated credential belongs to a managed identity
// instead of the app, see [WorkloadManagedIdentity].
//
// The file is read for each exchange, because the platform rewrites it. It need not
// exist yet when the exchanger is made.
func WorkloadIdentity(file string) Method {
	return method("workload identity", func(clientcred.Environment) ([]clientcred.Source, error) {
		return []clientcred.Source{workloadSource{file}}, checkTokenPath(file)
	})
}

type workloadSource struct{ file string }

func (workloadSource) Kind() string { return "workload identity" }

// Refused reports true: the file may have another token by now.
func (workloadSource) Refused() bool { return true }

func (s workloadSource) Credential(context.Context) (clientcred.Proof, error) {
	token, err := readToken(s.file)
	if err != nil {
		return clientcred.Proof{}, err
	}
	return clientcred.Assertion(secret.New(token)), nil
}

func checkTokenPath(file string) error {
	if file == "" {
		return errors.New("the path of the projected token (AZURE_FEDERATED_TOKEN_FILE) is empty")
	}
	return nil
}

// readToken reads the platform's token.
func readToken(file string) (string, error) {
	content, err := readFile(file, maxClientAssertion)
	if err == nil {
		token := strings.TrimSpace(string(content))
		if err = checkAssertion(token); err == nil {
			return token, nil
		}
		err = fmt.Errorf("%s contains no signed JWT: %w", file, err)
	}
	return "", &clientcred.Error{
		Problem: "the server's projected token can't be read",
		Remedy:  "the operator must check the workload identity of the server's pod: its label, its service account and the mounted file (see the server's log)",
		Cause:   err,
	}
}

// WorkloadManagedIdentity authenticates with a managed identity on AKS with workload
// identity: the projected token in file is a federated credential of the user-assigned
// identity with the given client ID, and the identity is one of the app. The projected
// token is exchanged for the identity's token, which authenticates the app and is cached
// until shortly before it expires.
//
// Users report that Entra refuses such a token with AADSTS700231, because it was itself
// issued for a federated credential. If so, make the service account a federated credential
// of the app, and use [WorkloadIdentity].
//
// The file is read whenever a new token of the identity is needed.
func WorkloadManagedIdentity(file, clientID string) Method {
	return method("workload managed identity", func(env clientcred.Environment) ([]clientcred.Source, error) {
		s := &workloadIdentitySource{
			file: file, clientID: clientID, tenantID: env.TenantID, scope: env.Authority.TokenExchangeScope(),
			tokens: identityCache(env),
		}
		s.options = azcore.ClientOptions{
			Transport: env.HTTPClient,
			Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: env.Authority.String() + "/"},
			Retry:     policy.RetryOptions{RetryDelay: identityRetryDelay},
		}
		var err error
		if err = authority.CheckGUID(clientID); err != nil {
			err = fmt.Errorf("the managed identity's client ID %w", err)
		}
		return []clientcred.Source{s}, errors.Join(checkTokenPath(file), err)
	})
}

// workloadIdentitySource caches the identity's token.
type workloadIdentitySource struct {
	file, clientID, tenantID, scope string
	options                         azcore.ClientOptions
	tokens                          *cache.Cache[struct{}, secret.Text]
}

func (*workloadIdentitySource) Kind() string { return "workload managed identity" }

// Refused drops the token.
func (s *workloadIdentitySource) Refused() bool {
	s.tokens.Forget(struct{}{})
	return true
}

func (s *workloadIdentitySource) Credential(ctx context.Context) (clientcred.Proof, error) {
	token, err := s.tokens.Get(ctx, struct{}{}, s.load)
	if err != nil {
		return clientcred.Proof{}, err
	}
	return clientcred.Assertion(token), nil
}

// load requests the identity's own token, which only the token endpoint accepts. No other
// request of this package is for a token that isn't a user's. Each azidentity credential
// is used once, because it would keep tokens and the file's content.
func (s *workloadIdentitySource) load(ctx context.Context) (cache.Item[secret.Text], error) {
	var unread error
	projected := func(context.Context) (string, error) {
		token, err := readToken(s.file)
		unread = err
		return token, err
	}
	identity, err := azidentity.NewClientAssertionCredential(s.tenantID, s.clientID, projected, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions:            s.options,
		DisableInstanceDiscovery: true, // the host is configured
	})
	if err != nil {
		return cache.Item[secret.Text]{}, s.fault(cause(err))
	}
	token, err := identity.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{s.scope}})
	switch {
	case unread != nil:
		return cache.Item[secret.Text]{}, unread
	case err != nil:
		return cache.Item[secret.Text]{}, s.fault(statusOf(err))
	}
	if err := checkAssertion(token.Token); err != nil {
		return cache.Item[secret.Text]{}, s.fault(err)
	}
	return identityItem(azcore.AccessToken{Token: token.Token, ExpiresOn: token.ExpiresOn, RefreshOn: time.Time{}}), nil
}

func (s *workloadIdentitySource) fault(cause error) error {
	return &clientcred.Error{
		Problem: "the server could not exchange its projected token for its managed identity's token",
		Remedy: "try again in a moment; if it persists, the operator must make issuer, subject and audience of the federated credential of the identity " +
			s.clientID + " match the projected token's exactly, including case (see the server's log)",
		Cause: cause,
	}
}

// statusOf keeps the status of a response and nothing of its body.
func statusOf(err error) error {
	var refused *azidentity.AuthenticationFailedError
	if errors.As(err, &refused) && refused.RawResponse != nil {
		status := refused.RawResponse.StatusCode
		return fmt.Errorf("the token endpoint answered %d %s", status, http.StatusText(status))
	}
	return cause(err)
}
