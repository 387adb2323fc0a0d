package onbehalf

import (
	"context"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

const (
	secret = "s" // of the app, at an endpoint in memory
	// MSAL, and azidentity on it, take no token that lives for less.
	msalMargin = 5 * time.Minute
)

// A Get gets the token of a user, who is known by a number and an assertion.
type Get func(ctx context.Context, user int, assertion string) error

// A Contestant is one way of acting on behalf of users.
type Contestant struct {
	// Name heads its column.
	Name string
	// Modules are the paths of its modules. Empty for ours.
	Modules []string
	// Configured says how, in a sentence.
	Configured string
	// MaxUsers bounds the users with whom it is measured. 0 is no bound.
	MaxUsers int
	// Margin is how long before a token expires it counts as expired.
	Margin time.Duration
	// Uncached is set where no call profits of another.
	Uncached bool
	// New returns it with nothing cached.
	New func(e *Entra) (Get, error)
}

// Contestants returns all: ours first.
func Contestants() []Contestant {
	azure := []string{"github.com/Azure/azure-sdk-for-go/sdk/azidentity"}
	return []Contestant{
		{
			Name:       "obo",
			Configured: "one `Exchanger`, one `Credential` for each call; `CacheBytes` of 1 GiB, for 100,000 users",
			New:        ours,
		},
		{
			Name:       "obo, caller seen before",
			Configured: "the same with the assertion kept by user, as entraauth's cache of verified tokens keeps it; still one `Credential` for each call",
			New:        oursKnown,
		},
		{
			Name:       "MSAL Go",
			Modules:    []string{"github.com/AzureAD/microsoft-authentication-library-for-go"},
			Configured: "one `confidential.Client`, `AcquireTokenOnBehalfOf` for each call; instance discovery off",
			Margin:     msalMargin,
			New:        msal,
		},
		{
			Name:       "azidentity, credential kept",
			Modules:    azure,
			Configured: "one `OnBehalfOfCredential` for each user, kept by the program in a map by user; instance discovery off",
			MaxUsers:   20_000,
			Margin:     msalMargin,
			New:        azidentityKept,
		},
		{
			Name:       "azidentity, one for each call",
			Modules:    azure,
			Configured: "an `OnBehalfOfCredential` for each call, as a handler without a map of its own makes it; instance discovery off",
			MaxUsers:   1_000,
			Uncached:   true,
			New:        azidentityPerCall,
		},
	}
}

func ours(e *Entra) (Get, error) {
	x, err := obo.NewExchanger(tenantID, clientID, clientauth.Secret(secret), &obo.Options{HTTPClient: e.Client(), CacheBytes: 1 << 30})
	if err != nil {
		return nil, err
	}
	o := policy.TokenRequestOptions{Scopes: []string{scope}}
	return func(ctx context.Context, _ int, assertion string) error {
		_, err := x.Credential(obo.NewAssertion(assertion)).GetToken(ctx, o)
		return err
	}, nil
}

// oursKnown is ours behind entraauth, which keeps the assertions of verified tokens.
func oursKnown(e *Entra) (Get, error) {
	x, err := obo.NewExchanger(tenantID, clientID, clientauth.Secret(secret), &obo.Options{HTTPClient: e.Client(), CacheBytes: 1 << 30})
	if err != nil {
		return nil, err
	}
	o := policy.TokenRequestOptions{Scopes: []string{scope}}
	var assertions sync.Map // of obo.Assertion, by token
	return func(ctx context.Context, _ int, token string) error {
		a, ok := assertions.Load(token)
		if !ok {
			a, _ = assertions.LoadOrStore(token, obo.NewAssertion(token))
		}
		_, err := x.Credential(a.(obo.Assertion)).GetToken(ctx, o)
		return err
	}, nil
}

func msal(e *Entra) (Get, error) {
	cred, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		return nil, err
	}
	client, err := confidential.New(authority, clientID, cred, confidential.WithHTTPClient(e.Client()), confidential.WithInstanceDiscovery(false))
	if err != nil {
		return nil, err
	}
	scopes := []string{scope}
	return func(ctx context.Context, _ int, assertion string) error {
		_, err := client.AcquireTokenOnBehalfOf(ctx, assertion, scopes)
		return err
	}, nil
}

func newAzidentity(e *Entra, assertion string) (azcore.TokenCredential, error) {
	return azidentity.NewOnBehalfOfCredentialWithSecret(tenantID, clientID, assertion, secret, &azidentity.OnBehalfOfCredentialOptions{
		ClientOptions:            azcore.ClientOptions{Transport: e},
		DisableInstanceDiscovery: true,
	})
}

func azidentityKept(e *Entra) (Get, error) {
	var mu sync.Mutex
	kept := make(map[int]azcore.TokenCredential)
	credential := func(user int, assertion string) (azcore.TokenCredential, error) {
		mu.Lock()
		defer mu.Unlock()
		if c := kept[user]; c != nil {
			return c, nil
		}
		c, err := newAzidentity(e, assertion)
		if err == nil {
			kept[user] = c
		}
		return c, err
	}
	o := policy.TokenRequestOptions{Scopes: []string{scope}}
	return func(ctx context.Context, user int, assertion string) error {
		c, err := credential(user, assertion)
		if err != nil {
			return err
		}
		_, err = c.GetToken(ctx, o)
		return err
	}, nil
}

func azidentityPerCall(e *Entra) (Get, error) {
	o := policy.TokenRequestOptions{Scopes: []string{scope}}
	return func(ctx context.Context, _ int, assertion string) error {
		c, err := newAzidentity(e, assertion)
		if err != nil {
			return err
		}
		_, err = c.GetToken(ctx, o)
		return err
	}, nil
}
