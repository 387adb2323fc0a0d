package entraauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

// An Assertion is the caller's own token, in the form that package obo
// exchanges. Nothing prints, logs or encodes it, and only this module can read it.
type Assertion = secret.Text

// An Identity is who a verified token speaks for. It is immutable and may be
// shared between goroutines. Only [Verifier.Verify] makes one.
type Identity struct {
	tenantID, objectID, clientID string
	name, tokenID, keyID         string
	scopes, roles                []string
	expires                      time.Time
	assertion                    Assertion
}

func newIdentity(token string, h header, c *claims) *Identity {
	return &Identity{
		tenantID:  c.tenantID,
		objectID:  c.objectID,
		clientID:  c.clientID(),
		name:      c.displayName(),
		tokenID:   c.tokenID,
		keyID:     h.kid,
		scopes:    c.scopeList(),
		roles:     c.roles,
		expires:   time.Unix(c.expires, 0).UTC(),
		assertion: secret.New(token),
	}
}

// TenantID returns the tenant of the caller (claim tid), a GUID.
func (id *Identity) TenantID() string { return id.tenantID }

// ObjectID returns the caller's object id in its tenant (claim oid), a GUID.
func (id *Identity) ObjectID() string { return id.objectID }

// UserID returns "<tenant id>.<object id>" in lower case: unique and stable, the
// value to authorise and to keep data by. E-mail addresses and user principal
// names are neither: they change, and are given to other people.
func (id *Identity) UserID() string {
	return strings.ToLower(id.tenantID + "." + id.objectID)
}

// ClientID returns the application that the caller uses (claim appid or azp).
func (id *Identity) ClientID() string { return id.clientID }

// Name returns a name for people to read (preferred_username, upn, unique_name
// or name). It may be empty, and never decides anything.
func (id *Identity) Name() string { return id.name }

// TokenID returns the token's id (claim uti), which joins a log line to Entra's
// sign-in log. It may be empty.
func (id *Identity) TokenID() string { return id.tokenID }

// ExpiresOn returns when the token expires (claim exp).
func (id *Identity) ExpiresOn() time.Time { return id.expires }

// Scopes returns the delegated permissions of the token (claim scp): short
// names such as "access_as_user".
func (id *Identity) Scopes() []string { return slices.Clone(id.scopes) }

// HasScope reports whether the token has the delegated permission, a short name.
func (id *Identity) HasScope(scope string) bool { return slices.Contains(id.scopes, scope) }

// Roles returns the user's app roles (claim roles).
func (id *Identity) Roles() []string { return slices.Clone(id.roles) }

// HasRole reports whether the user has the app role.
func (id *Identity) HasRole(role string) bool { return slices.Contains(id.roles, role) }

// Assertion returns the token for an On-Behalf-Of exchange by package obo.
func (id *Identity) Assertion() Assertion { return id.assertion }

// Claims decodes all claims of the verified token into v, as [json.Unmarshal]
// does: a pointer to a struct or to a map.
func (id *Identity) Claims(v any) error {
	_, rest, _ := strings.Cut(secret.Reveal(id.assertion), ".")
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

// LogValue returns the ids of the caller, the application and the token; no
// name and nothing of the token itself.
func (id *Identity) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("user", id.UserID()),
		slog.String("client", id.clientID),
		slog.String("uti", id.tokenID),
	)
}

type contextKey struct{}

// NewContext returns a context that carries id. A nil id hides the one that
// ctx carries: [FromContext] then finds nobody.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// FromContext returns the verified caller of the request that ctx belongs to,
// or nil if there is none.
func FromContext(ctx context.Context) *Identity {
	id, _ := ctx.Value(contextKey{}).(*Identity)
	return id
}
