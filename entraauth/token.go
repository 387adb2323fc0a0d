package entraauth

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
)

// Bounds on a token and on the values in it.
const (
	maxToken  = 64 << 10     // bytes; Entra's largest are about 16 KiB
	maxKeyID  = 256          // bytes of a kid that is looked up and logged
	maxID     = 256          // bytes of an id
	maxText   = 16 << 10     // bytes of any other text
	maxList   = 2 << 10      // elements of a list
	maxFacets = 256          // bytes of an agent's facets
	maxSecond = 253402300799 // the year 9999: beyond it time.Time prints and adds badly
)

// split returns the three parts of a signed JWT (RFC 7515 section 3.1).
func split(token string) (parts [3]string, err error) {
	var ok, more bool
	var rest string
	parts[0], rest, ok = strings.Cut(token, ".")
	if ok {
		parts[1], parts[2], ok = strings.Cut(rest, ".")
		more = strings.Contains(parts[2], ".")
	}
	if !ok || more {
		return parts, fmt.Errorf("%d parts where a signed JWT has 3", strings.Count(token, ".")+1)
	}
	return parts, nil
}

// base64url has one spelling for each token: no padding, no stray bits.
var base64url = base64.RawURLEncoding.Strict()

// decodePart refuses line breaks, which encoding/base64 passes over even when strict.
func decodePart(s string) ([]byte, error) {
	if strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\n') >= 0 {
		return nil, errors.New("line break")
	}
	return base64url.DecodeString(s)
}

// header is the JOSE header of a token (RFC 7515 section 4).
type header struct {
	alg, kid, typ string
	nonce, crit   bool
}

var headerMembers = map[string]reader[header]{
	"alg":   text(maxText, func(h *header) *string { return &h.alg }),
	"kid":   text(maxText, func(h *header) *string { return &h.kid }),
	"typ":   text(maxText, func(h *header) *string { return &h.typ }),
	"nonce": present(func(h *header) *bool { return &h.nonce }),
	"crit":  present(func(h *header) *bool { return &h.crit }),
}

// claims are those of a token that the rules look at.
type claims struct {
	version, issuer, audience    string
	tenantID, objectID, subject  string
	tokenID, kind                string
	appID, appIDACR              string // of v1 tokens
	azp, azpACR                  string // of v2 tokens
	scopes                       string
	roles, groups                []string
	contexts                     []string
	abilities                    []string // what the client can handle
	actorFacets, subjectFacets   facets   // xms_act_fct, xms_sub_fct
	blueprintID                  string
	agentFault                   error // of the claims about agents, for a reason of its own
	name, upn, unique, preferred string
	hasScopes                    bool
	hasProof                     bool
	overage                      bool // the groups are too many for the token
	expires, notBefore, issuedAt moment
}

// A moment is a time claim that may be absent.
type moment struct {
	seconds int64 // since 1970
	present bool
}

// local is the moment in the server's zone.
func (m moment) local() string {
	if !m.present {
		return "absent"
	}
	return time.Unix(m.seconds, 0).Local().Format(time.RFC3339)
}

// claimMembers are the claims, with the names and types that Entra writes.
var claimMembers = map[string]reader[claims]{
	"ver":                text(maxID, func(c *claims) *string { return &c.version }),
	"iss":                text(maxText, func(c *claims) *string { return &c.issuer }),
	"aud":                text(maxText, func(c *claims) *string { return &c.audience }),
	"tid":                text(maxID, func(c *claims) *string { return &c.tenantID }),
	"oid":                text(maxID, func(c *claims) *string { return &c.objectID }),
	"sub":                text(maxID, func(c *claims) *string { return &c.subject }),
	"uti":                text(maxID, func(c *claims) *string { return &c.tokenID }),
	"idtyp":              text(maxID, func(c *claims) *string { return &c.kind }),
	"appid":              text(maxID, func(c *claims) *string { return &c.appID }),
	"appidacr":           text(maxID, func(c *claims) *string { return &c.appIDACR }),
	"azp":                text(maxID, func(c *claims) *string { return &c.azp }),
	"azpacr":             text(maxID, func(c *claims) *string { return &c.azpACR }),
	"name":               text(maxText, func(c *claims) *string { return &c.name }),
	"upn":                text(maxText, func(c *claims) *string { return &c.upn }),
	"unique_name":        text(maxText, func(c *claims) *string { return &c.unique }),
	"preferred_username": text(maxText, func(c *claims) *string { return &c.preferred }),
	"scp":                both(present(func(c *claims) *bool { return &c.hasScopes }), text(maxText, func(c *claims) *string { return &c.scopes })),
	"roles":              texts(maxList, func(c *claims) *[]string { return &c.roles }),
	"groups":             texts(maxList, func(c *claims) *[]string { return &c.groups }),
	"hasgroups":          (*claims).readHasGroups,
	"_claim_names":       (*claims).readClaimNames,
	"acrs":               textOrTexts(maxList, func(c *claims) *[]string { return &c.contexts }),
	"xms_cc":             textOrTexts(maxList, func(c *claims) *[]string { return &c.abilities }),
	"xms_act_fct":        aboutAgents("xms_act_fct", readFacets, func(c *claims) *facets { return &c.actorFacets }),
	"xms_sub_fct":        aboutAgents("xms_sub_fct", readFacets, func(c *claims) *facets { return &c.subjectFacets }),
	"xms_par_app_azp":    aboutAgents("xms_par_app_azp", readGUID, func(c *claims) *string { return &c.blueprintID }),
	"exp":                instant(func(c *claims) *moment { return &c.expires }),
	"nbf":                instant(func(c *claims) *moment { return &c.notBefore }),
	"iat":                instant(func(c *claims) *moment { return &c.issuedAt }),
	"cnf":                present(func(c *claims) *bool { return &c.hasProof }),
}

func (c *claims) readHasGroups(value string) error {
	c.overage = c.overage || value != "false"
	return nil
}

// readClaimNames reads which claims are kept elsewhere because there is no room for
// them. It only looks for the groups; the URL given for them is never called.
func (c *claims) readClaimNames(value string) error {
	return eachMember(value, func(name, _ string) error {
		c.overage = c.overage || name == "groups"
		return nil
	})
}

// A reader decodes the value of one member. It accepts only the type that Entra sends.
type reader[T any] func(into *T, value string) error

// decodeObject decodes a part of a token. It ignores members that the table lacks, but
// rejects one that a lenient reader would take for a known one: "Aud", "ſcp".
func decodeObject[T any](encoded string, members map[string]reader[T], into *T) error {
	data, err := decodePart(encoded)
	if err != nil {
		return err
	}
	return eachMember(string(data), func(name, value string) error {
		read, known := members[name]
		if !known {
			if folded := fold(name); members[folded] != nil {
				return fmt.Errorf("%q: names are case-sensitive; expected %q", name, folded)
			}
			return nil
		}
		if err := read(into, value); err != nil {
			return fmt.Errorf("%q: %w", name, err)
		}
		return nil
	})
}

// text reads a string of at most that many bytes.
func text[T any](most int, field func(*T) *string) reader[T] {
	return func(into *T, value string) (err error) {
		*field(into), err = readText(value, most)
		return err
	}
}

func readText(value string, most int) (string, error) {
	if value[0] != '"' {
		return "", errors.New("expected a string")
	}
	s, err := unquote(value)
	if err == nil && len(s) > most {
		err = fmt.Errorf("longer than %d bytes", most)
	}
	return s, err
}

// texts reads an array of at most that many strings.
func texts[T any](most int, field func(*T) *[]string) reader[T] {
	return func(into *T, value string) error {
		if value[0] != '[' {
			return errors.New("expected an array of strings")
		}
		list := make([]string, 0, min(most, strings.Count(value, ",")+1))
		err := eachElement(value, func(element string) error {
			if len(list) == most {
				return fmt.Errorf("more than %d elements", most)
			}
			s, err := readText(element, maxText)
			if err != nil {
				return fmt.Errorf("expected an array of strings: %w", err)
			}
			list = append(list, s)
			return nil
		})
		*field(into) = list
		return err
	}
}

// textOrTexts reads what Entra writes as one string or as several.
func textOrTexts[T any](most int, field func(*T) *[]string) reader[T] {
	several := texts(most, field)
	return func(into *T, value string) error {
		if value[0] != '"' {
			return several(into, value)
		}
		s, err := readText(value, maxText)
		*field(into) = []string{s}
		return err
	}
}

// instant reads a NumericDate. Entra sends whole seconds, so a fraction, an exponent or
// a sign shows tampering.
func instant[T any](field func(*T) *moment) reader[T] {
	return func(into *T, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || n > maxSecond {
			return errors.New("expected a time in whole seconds since 1970")
		}
		*field(into) = moment{n, true}
		return nil
	}
}

// present notes that the member is there, whatever its value.
func present[T any](field func(*T) *bool) reader[T] {
	return func(into *T, _ string) error {
		*field(into) = true
		return nil
	}
}

func both[T any](a, b reader[T]) reader[T] {
	return func(into *T, value string) error { return errors.Join(a(into, value), b(into, value)) }
}

// aboutAgents reads a claim about agents. A fault is kept for the rule "agent claims", which
// tells an operator more than "not a well-formed JWT".
func aboutAgents[V any](name string, read func(value string) (V, error), field func(*claims) *V) reader[claims] {
	return func(c *claims, value string) error {
		v, err := read(value)
		if err != nil {
			c.agentFault = fmt.Errorf("%s: %w", name, err)
			return nil
		}
		*field(c) = v
		return nil
	}
}

// facets are what a token says about the nature of its actor or its subject: decimal
// numbers between spaces, whose order means nothing.
type facets struct {
	text             string // as it came
	any              bool   // there is a number
	agent, agentUser bool   // 11 and 13, the only numbers with a known meaning
}

func readFacets(value string) (f facets, err error) {
	if f.text, err = readText(value, maxFacets); err != nil {
		return facets{}, err
	}
	for rest, more := f.text, true; more; {
		var number string
		number, rest, more = strings.Cut(rest, " ")
		switch {
		case number == "": // at an end, or between two spaces
			continue
		case !isDecimal(number):
			return facets{}, errors.New("expected decimal numbers between spaces")
		}
		f.any = true
		f.agent = f.agent || number == "11"
		f.agentUser = f.agentUser || number == "13"
	}
	return f, nil
}

// isDecimal reports whether s is a whole number in its only spelling, of any size.
func isDecimal(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s[0] != '0' || len(s) == 1
}

func readGUID(value string) (string, error) {
	s, err := readText(value, maxID)
	if err == nil && !authority.IsGUID(s) {
		err = errors.New("expected a GUID")
	}
	return s, err
}

// clientID returns the application that requested the token. Each version has its own
// claim for it.
func (c *claims) clientID() string {
	if c.version == "1.0" {
		return c.appID
	}
	return c.azp
}

// isApp reports whether the token is an application's own. Such a token names no
// scope, and its subject is the application's object, if it has one at all, or an agent.
// The marker shows that only while nothing else describes the subject. An ID token has no scopes either, but it names no application that requested
// it, and its subject is a pseudonym of the user.
func (c *claims) isApp() bool {
	if c.kind != "" {
		return c.kind == "app"
	}
	return !c.namesScope() && c.clientID() != "" &&
		(c.objectID == "" || c.objectID == c.subject || c.subjectFacets.agent || c.blueprintID != "" && !c.subjectFacets.any)
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
