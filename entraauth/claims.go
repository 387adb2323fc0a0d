package entraauth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
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
	appIDACR  string // appidacr, in v1 tokens
	azpACR    string // azpacr, in v2 tokens
	scopes    string // scp
	roles     []string
	groups    []string
	contexts  []string // acrs
	abilities []string // xms_cc: what the client can handle
	name      string
	upn       string
	unique    string // unique_name
	preferred string // preferred_username
	hasScopes bool
	hasProof  bool // cnf
	overage   bool // the groups are too many for the token

	expires, notBefore, issuedAt int64 // seconds; valid where the flag is set
	hasExpires, hasNotBefore     bool
	hasIssuedAt                  bool
}

// decode decodes the payload of a token.
func (c *claims) decode(encoded string) error {
	payload, err := decodePart(encoded)
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
	case "groups":
		return texts(value, &c.groups)
	case "appidacr":
		return text(value, &c.appIDACR)
	case "azpacr":
		return text(value, &c.azpACR)
	case "acrs":
		return textOrTexts(value, &c.contexts)
	case "xms_cc":
		return textOrTexts(value, &c.abilities)
	case "hasgroups":
		c.overage = c.overage || value != "false"
	case "_claim_names":
		return c.setElsewhere(value)
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

// setElsewhere reads _claim_names, the claims that are kept elsewhere because
// there is no room for them. Only that the groups are is of interest; the URL
// given for them is never called.
func (c *claims) setElsewhere(value string) error {
	if value[0] != '{' {
		return errors.New("expected an object")
	}
	return eachMember([]byte(value), func(name, _ string) error {
		c.overage = c.overage || name == "groups"
		return nil
	})
}

// knownNames are the names above.
var knownNames = []string{
	"ver", "iss", "aud", "tid", "oid", "sub", "uti", "idtyp", "appid", "azp", "appidacr", "azpacr", "name", "upn",
	"unique_name", "preferred_username", "scp", "roles", "groups", "hasgroups", "_claim_names", "acrs", "xms_cc",
	"exp", "nbf", "iat", "cnf",
}

// knownName refuses a name that a lenient reader would take for one of the
// names above: "Aud", "ſcp".
func knownName(name string) error {
	folded := fold(name)
	if folded != name && slices.Contains(knownNames, folded) {
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
	if value[0] != '[' {
		return errors.New("expected an array of strings")
	}
	return eachElement(value, func(element string) error {
		var s string
		if err := text(element, &s); err != nil {
			return errors.New("expected an array of strings")
		}
		*into = append(*into, s)
		return nil
	})
}

// textOrTexts decodes a claim that Entra writes as one string or as several.
func textOrTexts(value string, into *[]string) error {
	if value[0] != '"' {
		return texts(value, into)
	}
	var s string
	if err := text(value, &s); err != nil {
		return err
	}
	*into = append(*into, s)
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

// clientAuth returns how that application proved itself.
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

// isApp reports whether the token is an application's own. Such a token names no
// scope, and its subject is the application's object, if it has one at all. An
// ID token has no scopes either: but it names no application that asked for it,
// and its subject is a pseudonym of the user.
func (c *claims) isApp() bool {
	if c.kind != "" {
		return c.kind == "app"
	}
	return !c.namesScope() && c.clientID() != "" && (c.objectID == "" || c.objectID == c.subject)
}

// username returns the name that the user signs in with. It is mutable and
// reusable, so it never decides anything.
func (c *claims) username() string { return cmp.Or(c.preferred, c.upn, c.unique) }

// namesScope reports whether scp names a scope. A claim that is empty, or only "/"
// and white space, does not make the caller a user.
func (c *claims) namesScope() bool { return strings.ContainsFunc(c.scopes, startsName) }

// scopeList returns the delegated permissions.
func (c *claims) scopeList() []string {
	names := strings.FieldsFunc(c.scopes, func(r rune) bool { return r == ' ' })
	return slices.DeleteFunc(names, func(name string) bool { return !strings.ContainsFunc(name, startsName) })
}

func startsName(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
