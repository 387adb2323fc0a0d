package clientauth

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// Secret is a client secret of the app registration: its value, not its id. It
// is meant for local development; in Azure, [ManagedIdentity] leaves no secret
// to keep and to renew. An empty secret, or one with white space around it, is
// a fault that obo.NewExchanger reports. One with the form of a GUID is almost surely
// the secret's id, which the portal shows beside it: that is a warning in the log.
func Secret(value string) Method {
	s := secretSource{secret.New(value)}
	return method("client secret", func(env clientcred.Environment) ([]clientcred.Source, error) {
		if s.looksLikeID() {
			env.Logger.Warn("the client secret has the form of a GUID: it is almost surely the secret's id (Secret ID) instead of its value",
				"remedy", "configure what the column Value shows when a secret is made: App registrations, the app, Certificates & secrets, Client secrets, New client secret")
		}
		return []clientcred.Source{s}, s.check()
	})
}

// guid is one in any of its usual forms: with hyphens or without, as a URN, in braces or
// the quotation marks of a file that it came from.
var guid = regexp.MustCompile(`^\W*((?i:urn:)?(?i:uuid:))?\W*[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\W*$`)

func (s secretSource) looksLikeID() bool { return guid.MatchString(secret.Reveal(s.value)) }

type secretSource struct{ value secret.Text }

func (s secretSource) check() error {
	v := secret.Reveal(s.value)
	switch {
	case v == "":
		return errors.New("the client secret is empty")
	case strings.TrimSpace(v) != v:
		return errors.New("the client secret begins or ends with white space: it was copied or read with a line break")
	}
	return nil
}

func (secretSource) Kind() string { return "client secret" }

func (s secretSource) Credential(context.Context) (clientcred.Proof, error) {
	return clientcred.Secret(s.value), nil
}

// Refused says that there is no other secret.
func (secretSource) Refused() bool { return false }
