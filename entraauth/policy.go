package entraauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// A Policy says what a caller needs besides a valid token. All of it must hold.
// Policies only add up: one that is empty adds nothing to the verifier's, and
// the verifier's is never empty.
type Policy struct {
	// Scopes are delegated permissions (claim scp) that the token must have, all
	// of them, as short names: "access_as_user".
	Scopes []string
	// Clients are the application ids (claim appid or azp) that may call. Empty
	// adds no restriction: which applications may ask for the API's scopes is the
	// tenant's consent.
	Clients []string
}

// Check returns nil if the policy allows the caller, and else an *[Error] of
// kind [ErrInsufficientScope] or [ErrNotPermitted]. Nobody (nil) is refused
// with [ErrNoToken].
func (p Policy) Check(id *Identity) error {
	if id == nil {
		return noToken("")
	}
	if err := p.check(id); err != nil {
		return err
	}
	return nil
}

func (p Policy) check(id *Identity) *Error {
	for _, scope := range p.Scopes {
		if !id.HasScope(scope) {
			return &Error{Kind: ErrInsufficientScope, Rule: "scope", Summary: "Required scope is missing",
				Expected: strings.Join(p.Scopes, " "), Actual: actual(strings.Join(id.scopes, " ")),
				Remedy: "Ask for a new token with the scopes that the challenge names"}
		}
	}
	if len(p.Clients) > 0 && !slices.Contains(p.Clients, strings.ToLower(id.clientID)) {
		return &Error{Kind: ErrNotPermitted, Rule: "client", Summary: "Client application not allowed",
			Expected: "a client application on this server's allow-list", Actual: actual(id.clientID),
			Remedy: "Ask this server's operator to add the client's application id"}
	}
	return nil
}

// normalized returns a copy of p with client ids in lower case, or what is
// wrong with it, each fault named by field.
func (p Policy) normalized(field string) (Policy, error) {
	var faults []error
	p.Scopes = slices.Clone(p.Scopes)
	for _, scope := range p.Scopes {
		if scope == "" || strings.ContainsAny(scope, "/ \"\\") {
			faults = append(faults, fmt.Errorf("%s.Scopes: %q is not a short scope name such as access_as_user", field, scope))
		}
	}
	p.Clients = slices.Clone(p.Clients)
	for i, client := range p.Clients {
		if err := authority.CheckGUID(client); err != nil {
			faults = append(faults, fmt.Errorf("%s.Clients: %w", field, err))
		}
		p.Clients[i] = strings.ToLower(client)
	}
	return p, errors.Join(faults...)
}
