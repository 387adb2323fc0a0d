package entraauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/bridge"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// An Assertion is the caller's own token, for an On-Behalf-Of exchange by package obo.
// It can't be printed, logged or encoded, and only this module can read it.
type Assertion secret.Text

// Kind is the kind of permission that a caller has.
type Kind int

const (
	// KindUser is a user of a client application (a delegated token): a person, or an
	// agent user, which [Identity.IsPerson] tells apart.
	KindUser Kind = iota + 1
	// KindApp is an application that acts for itself (an app-only token).
	KindApp
)

// String returns "user" or "app".
func (k Kind) String() string {
	if k == KindApp {
		return "app"
	}
	return "user"
}

// ClientAuth is how the client application authenticated to Entra (claims
// appidacr and azpacr), from weak to strong.
type ClientAuth int

const (
	// ClientAuthNone means that it did not authenticate: a desktop or command-line
	// program, or a web page.
	ClientAuthNone ClientAuth = iota
	// ClientAuthSecret means by a client secret.
	ClientAuthSecret
	// ClientAuthCertificate means by a certificate or a federated credential.
	ClientAuthCertificate
)

// An Identity is the caller that a verified token names. It is immutable and may be
// shared between goroutines. Only [Verifier.Verify] makes one.
type Identity struct {
	tenantID, objectID, clientID string
	username, displayName        string
	tokenID                      string
	kind                         Kind
	clientAuth                   ClientAuth
	scopes, roles, groups        []string
	implied                      hierarchy // of the verifier
	contexts                     []string  // acrs
	groupOverage, claimsCapable  bool
	agent                        Agent
	expires                      time.Time
	assertion                    Assertion
	userID                       string     // made once, because every call needs it
	origin                       provenance // zero until the signature is verified
}

func newIdentity(token string, c *claims) *Identity {
	kind, object := KindUser, c.objectID
	if c.isApp() {
		kind = KindApp
	}
	if object == "" {
		object = c.clientID()
	}
	return &Identity{
		tenantID:    c.tenantID,
		objectID:    c.objectID,
		clientID:    c.clientID(),
		username:    printable(c.username()),
		displayName: printable(c.name),
		tokenID:     plainID(c.tokenID),
		kind:        kind,
		scopes:      c.scopeList(),
		roles:       c.roles,
		groups:      c.groups,
		contexts:    c.contexts,
		agent:       c.agent(),
		expires:     time.Unix(c.expires.seconds, 0).UTC(),
		assertion:   Assertion(secret.New(token)),
		userID:      strings.ToLower(c.tenantID + "." + object),

		clientAuth:    c.clientAuth(),
		groupOverage:  c.overage,
		claimsCapable: slices.Contains(c.abilities, "cp1"),
	}
}

// clientAuth returns how the client application authenticated.
func (c *claims) clientAuth() ClientAuth {
	acr := c.azpACR
	if c.version == "1.0" {
		acr = c.appIDACR
	}
	switch acr {
	case "2":
		return ClientAuthCertificate
	case "1":
		return ClientAuthSecret
	}
	return ClientAuthNone
}

// TenantID returns the tenant of the caller (claim tid), a GUID.
func (id *Identity) TenantID() string { return id.tenantID }

// Kind tells a user from an application that acts for itself. Both may be agents
// ([Identity.Agent]).
func (id *Identity) Kind() Kind { return id.kind }

// Agent returns what the token says about agents.
func (id *Identity) Agent() Agent { return id.agent }

// IsPerson reports whether the caller is a person, as far as the token shows: a user,
// and no agent user. A person who acts through an agent is a person. Without the optional
// claims that [Agent] names, an agent user's token looks like a person's to everybody.
func (id *Identity) IsPerson() bool {
	return id.kind == KindUser && id.agent.Role != AgentRoleUser
}

func (id *Identity) isAgentUser() bool {
	return id != nil && id.kind == KindUser && id.agent.Role == AgentRoleUser
}

// ObjectID returns the caller's object ID in its tenant (claim oid), a GUID. It
// is empty for an application without service principal in the tenant.
func (id *Identity) ObjectID() string { return id.objectID }

// UserID returns "<tenant ID>.<object ID>" in lower case: unique and stable, the
// value to authorize and to keep data by. For an application without object ID, its
// client ID takes the place of the object ID.
func (id *Identity) UserID() string { return id.userID }

// ClientID returns the application that the caller uses (claim appid or azp).
func (id *Identity) ClientID() string { return id.clientID }

// Username returns the name that the user signs in with, usually an address such as
// "alice@contoso.com" (claim preferred_username, upn or unique_name). It may be empty.
// Use it to show people who is signed in, never to authorize or to find data: it can
// change and can be given to another person. For that there is [Identity.UserID].
func (id *Identity) Username() string { return id.username }

// DisplayName returns the user's name as people write it, such as "Alice Adams"
// (claim name). It may be empty, many users may share it, and some directories let
// users edit it. Use it to show people who is signed in, never to authorize.
func (id *Identity) DisplayName() string { return id.displayName }

// TokenID returns the token's id (claim uti), which joins a log line to Entra's
// sign-in log (UniqueTokenIdentifier): at most 64 letters, digits, hyphens and underscores. It
// is empty if the token has none, or another text.
func (id *Identity) TokenID() string { return id.tokenID }

// ExpiresOn returns when the token expires (claim exp).
func (id *Identity) ExpiresOn() time.Time { return id.expires }

// Scopes returns the delegated permissions of the token (claim scp): short
// names such as "access_as_user". Those that they imply ([Options].ImpliedScopes) are not
// among them; [Identity.HasScope] knows them.
func (id *Identity) Scopes() []string { return slices.Clone(id.scopes) }

// HasScope reports whether the token has the delegated permission, a short name, or a
// broader one that implies it ([Options].ImpliedScopes).
func (id *Identity) HasScope(scope string) bool { return id.implied.has(id.scopes, scope) }

// Roles returns the caller's app roles (claim roles). What they mean depends on
// [Identity.Kind]: a user's role is no application's permission.
func (id *Identity) Roles() []string { return slices.Clone(id.roles) }

// HasRole reports whether a caller of that kind has the app role.
func (id *Identity) HasRole(kind Kind, role string) bool {
	return id.kind == kind && slices.Contains(id.roles, role)
}

// Groups returns the object IDs of the user's groups (claim groups), if the API's
// registration asks for them. Overage means that there are more than fit into the
// token. It then lists none: the groups are unknown, which is not the same as none.
func (id *Identity) Groups() (ids []string, overage bool) {
	return slices.Clone(id.groups), id.groupOverage
}

// ClientAuth returns how the client application authenticated to Entra.
func (id *Identity) ClientAuth() ClientAuth { return id.clientAuth }

// HasAuthContext reports whether the sign-in satisfied the authentication
// context (claim acrs), such as "c1".
func (id *Identity) HasAuthContext(context string) bool {
	return slices.Contains(id.contexts, context)
}

// HandlesClaims reports whether the client declares that it understands claims
// challenges (claim xms_cc: cp1). Any other client would request the same token again.
func (id *Identity) HandlesClaims() bool { return id.claimsCapable }

// mayStepUp reports whether a claims challenge may help. An agent on its own signs nobody in.
func (id *Identity) mayStepUp() bool { return id.claimsCapable && id.agent.Role != AgentRoleAlone }

// Assertion returns the token for an On-Behalf-Of exchange by package obo:
//
//	credential := exchanger.Credential(obo.Assertion(caller.Assertion()))
func (id *Identity) Assertion() Assertion { return id.assertion }

// Claims decodes all claims of the verified token into v, as [json.Unmarshal]
// does: a pointer to a struct or to a map.
func (id *Identity) Claims(v any) error {
	_, rest, _ := strings.Cut(secret.Reveal(secret.Text(id.assertion)), ".")
	payload, _, ok := strings.Cut(rest, ".")
	if !ok {
		return errors.New("entraauth: this identity has no token")
	}
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// LogValue returns the ids of the caller, the application and the token, and of an agent
// its id, its role and its blueprint's id, if the token has that. It holds no name and no part of the token. Each
// call returns a new group, because some handlers redact in place.
func (id *Identity) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("user", id.userID), slog.String("client", id.clientID), slog.String("uti", id.tokenID)}
	if id.agent.Role != AgentRoleNone {
		attrs = append(attrs, slog.String("agent", cmp.Or(id.agent.ID, "unknown")), slog.String("agent_role", id.agent.Role.String()))
	}
	if id.agent.Role != AgentRoleNone && id.agent.BlueprintID != "" {
		attrs = append(attrs, slog.String("blueprint", id.agent.BlueprintID))
	}
	return slog.GroupValue(attrs...)
}

// An arrived Identity is one that [Verifier.Middleware] put into a request's context.
// With sessions, the MCP SDK keeps that context for all calls of the session, whoever
// sends them, so package mcpauth must tell it from the one of the call.
type arrived Identity

// NewContext returns a context that carries id. A nil id hides the one that
// ctx carries: [FromContext] then returns nil.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, bridge.CallerKey{}, id)
}

// FromContext returns the verified caller of the request that ctx belongs to,
// or nil if there is none. In tools of an MCP server without package mcpentra, use
// mcpauth.Caller instead: it notices when ctx belongs to another request of a session.
func FromContext(ctx context.Context) *Identity {
	switch id := ctx.Value(bridge.CallerKey{}).(type) {
	case *Identity:
		return id
	case *arrived:
		return (*Identity)(id)
	}
	return nil
}
