package entraauth

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// claims are those of a token that the rules look at, decoded strictly: names
// exactly as Entra writes them, types exactly as Entra sends them.
type claims struct {
	version   string // ver
	issuer    string // iss
	audience  string // aud
	tenantID  string // tid
	objectID  string // oid
	subject   string // sub
	tokenID   string // uti
	kind      string // idtyp
	appID     string // appid, in v1 tokens
	azp       string // azp, in v2 tokens
	scopes    string // scp
	roles     []string
	name      string
	upn       string
	unique    string // unique_name
	preferred string // preferred_username
	hasScopes bool
	hasProof  bool // cnf

	expires, notBefore, issuedAt int64 // seconds; valid where the flag is set
	hasExpires, hasNotBefore     bool
	hasIssuedAt                  bool
}

// decode decodes the payload of a token.
func (c *claims) decode(encoded string) error {
	payload, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("claims: %w", err)
	}
	return eachMember(payload, func(name, value string) error {
		if err := c.set(name, value); err != nil {
			return fmt.Errorf("claim %q: %w", name, err)
		}
		return nil
	})
}

func (c *claims) set(name, value string) error {
	switch name {
	case "ver":
		return text(value, &c.version)
	case "iss":
		return text(value, &c.issuer)
	case "aud":
		return text(value, &c.audience)
	case "tid":
		return text(value, &c.tenantID)
	case "oid":
		return text(value, &c.objectID)
	case "sub":
		return text(value, &c.subject)
	case "uti":
		return text(value, &c.tokenID)
	case "idtyp":
		return text(value, &c.kind)
	case "appid":
		return text(value, &c.appID)
	case "azp":
		return text(value, &c.azp)
	case "name":
		return text(value, &c.name)
	case "upn":
		return text(value, &c.upn)
	case "unique_name":
		return text(value, &c.unique)
	case "preferred_username":
		return text(value, &c.preferred)
	case "scp":
		c.hasScopes = true
		return text(value, &c.scopes)
	case "roles":
		return texts(value, &c.roles)
	case "exp":
		return seconds(value, &c.expires, &c.hasExpires)
	case "nbf":
		return seconds(value, &c.notBefore, &c.hasNotBefore)
	case "iat":
		return seconds(value, &c.issuedAt, &c.hasIssuedAt)
	case "cnf":
		c.hasProof = true
	default:
		return knownName(name)
	}
	return nil
}

// knownName refuses a name that a lenient reader would take for one of the
// names above: "Aud", "ſcp".
func knownName(name string) error {
	switch folded := fold(name); folded {
	case "ver", "iss", "aud", "tid", "oid", "sub", "uti", "idtyp", "appid", "azp", "name", "upn", "unique_name",
		"preferred_username", "scp", "roles", "exp", "nbf", "iat", "cnf":
		return fmt.Errorf("claim names are case-sensitive; expected %q", folded)
	}
	return nil
}

func text(value string, into *string) (err error) {
	if value[0] != '"' {
		return errors.New("expected a string")
	}
	*into, err = unquote(value)
	return err
}

func texts(value string, into *[]string) error {
	var list []*string // null is no string
	if value[0] != '[' || json.Unmarshal([]byte(value), &list) != nil || slices.Contains(list, nil) {
		return errors.New("expected an array of strings")
	}
	for _, s := range list {
		*into = append(*into, *s)
	}
	return nil
}

// maxSeconds is the year 9999: beyond it time.Time prints and adds badly.
const maxSeconds = 253402300799

// seconds decodes a NumericDate. Entra sends whole seconds, so a fraction, an
// exponent or a sign is a sign of tampering.
func seconds(value string, into *int64, set *bool) error {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > maxSeconds {
		return errors.New("expected a time in whole seconds since 1970")
	}
	*into, *set = n, true
	return nil
}

// clientID returns the application that asked for the token. Each version has
// a claim of its own for it.
func (c *claims) clientID() string {
	if c.version == "1.0" {
		return c.appID
	}
	return c.azp
}

// displayName returns the user's name for people to read. It is mutable and
// reusable, so it never decides anything.
func (c *claims) displayName() string {
	for _, s := range []string{c.preferred, c.upn, c.unique, c.name} {
		if s != "" {
			return s
		}
	}
	return ""
}

func (c *claims) scopeList() []string { return strings.Fields(c.scopes) }
