package clientauth

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// Secret authenticates with a client secret of the app registration: its value, not its
// id. It is meant for local development; on Azure, [ManagedIdentity] needs no secret to
// protect and renew. obo.NewExchanger rejects an empty secret and one with whitespace
// around it, and logs a warning if the secret looks like a GUID: that is almost certainly
// the secret's id, which the portal shows beside the value.
func Secret(value string) Method {
	s := secretSource{secret.New(value)}
	return method("client secret", func(env clientcred.Environment) ([]clientcred.Source, error) {
		if s.looksLikeID() {
			env.Logger.Warn("the client secret looks like a GUID: it is almost certainly the secret's id (Secret ID) instead of its value",
				"remedy", "configure the Value that the portal shows when you create a secret: App registrations, the app, Certificates & secrets, Client secrets, New client secret")
		}
		return []clientcred.Source{s}, s.check()
	})
}

// guid matches a GUID in any usual form: with or without hyphens, as a URN, in braces or
// quotation marks.
var guid = regexp.MustCompile(`^\W*((?i:urn:)?(?i:uuid:))?\W*[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}\W*$`)

func (s secretSource) looksLikeID() bool { return guid.MatchString(secret.Reveal(s.value)) }

type secretSource struct{ value secret.Text }

func (s secretSource) check() error {
	v := secret.Reveal(s.value)
	switch {
	case v == "":
		return errors.New("the client secret is empty")
	case strings.TrimSpace(v) != v:
		return errors.New("the client secret begins or ends with whitespace; remove it (was it copied with a line break?)")
	}
	return nil
}

func (secretSource) Kind() string { return "client secret" }

func (s secretSource) Credential(context.Context) (clientcred.Proof, error) {
	return clientcred.Secret(s.value), nil
}

// Refused reports that there is no other secret.
func (secretSource) Refused() bool { return false }
