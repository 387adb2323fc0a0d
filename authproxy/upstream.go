package authproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
)

// maxUpstream bounds the query of an authorization request to Entra, in bytes. Entra answers
// longer ones with AADSTS90015. Without hints and claims, the query has about 355.
const maxUpstream = 1800

// upstreamURL returns the authorization request with which the user signs in at Entra. extra is
// from passedOn.
func (p *Proxy) upstreamURL(t *transaction, extra url.Values) string {
	return p.host.Tenant(p.tenantID) + "/oauth2/v2.0/authorize?" + p.upstreamQuery(t, extra)
}

func (p *Proxy) upstreamQuery(t *transaction, extra url.Values) string {
	challenge := sha256.Sum256([]byte(base64.RawURLEncoding.EncodeToString(t.code.Verifier[:])))
	q := url.Values{
		"client_id":             {p.clientID},
		"response_type":         {"code"},
		"response_mode":         {"query"}, // a form_post would come without our SameSite=Lax cookies
		"redirect_uri":          {p.callbackURL()},
		"scope":                 {p.upstreamScope(t.code.Scopes, t.code.Refresh)},
		"state":                 {string(t.id)},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	}
	maps.Copy(q, extra)
	return encodeQuery(q)
}

// upstreamSize returns the length of the query for the scopes, without hints and claims.
func (p *Proxy) upstreamSize(names []string) int {
	t := &transaction{id: newTransactionID()}
	t.code.Scopes, t.code.Refresh = names, true
	return len(p.upstreamQuery(t, nil))
}

// upstreamScope returns the scope parameter of the authorization request, which decides what the
// user consents to.
func (p *Proxy) upstreamScope(names []string, refresh bool) string {
	scopes := p.scopes.entraForm(names)
	switch {
	case p.scopes.self:
		scopes = append(scopes, p.opts.Downstream...)
	case p.opts.CombinedConsent: // nothing may stand beside .default (AADSTS70011)
		prefix, _ := cutScope(p.scopes.full[0])
		scopes = []string{prefix + "/.default"}
	}
	if refresh {
		scopes = append(scopes, offlineAccess)
	}
	return strings.Join(scopes, " ")
}

// adminConsentURL returns the URL where an administrator consents to Options.Downstream for the API.
func (p *Proxy) adminConsentURL() string {
	return p.host.Tenant(p.tenantID) + "/v2.0/adminconsent?" + encodeQuery(url.Values{
		"client_id": {p.verifier.Registration().ClientID},
		"scope":     {strings.Join(p.opts.Downstream, " ")},
	})
}

// promptValues are the values of prompt that the proxy accepts: those of OpenID Connect Core,
// section 3.1.2.1, and Entra's create.
var promptValues = []string{"none", "login", "select_account", "consent", "create"}

// passedOn returns the parameters of a client's request that are passed on to Entra, and whether
// the client handles claims challenges.
func passedOn(form url.Values) (extra url.Values, cp1 bool, err error) {
	extra = url.Values{}
	for _, name := range []string{"login_hint", "domain_hint", "max_age"} {
		if value := form.Get(name); value != "" {
			extra.Set(name, value)
		}
	}
	if age := extra.Get("max_age"); len(age) > 10 || strings.Trim(age, "0123456789") != "" {
		return nil, false, oauth.Errorf(oauth.InvalidRequest, "max_age must be a number of seconds, of at most 10 digits")
	}
	prompts := strings.Fields(form.Get("prompt"))
	for _, prompt := range prompts {
		if !slices.Contains(promptValues, prompt) {
			return nil, false, oauth.Errorf(oauth.InvalidRequest, "prompt must be one of %s", strings.Join(promptValues, ", "))
		}
		if prompt == "none" && len(prompts) > 1 {
			return nil, false, oauth.Errorf(oauth.InvalidRequest, "prompt must be none alone, or other values without it")
		}
	}
	// prompt=consent shows our page. At Entra, it would lock out users who are no administrators
	// even after one has consented (AADSTS90095). Entra takes one value.
	if i := slices.IndexFunc(promptValues, func(s string) bool { return s != "consent" && slices.Contains(prompts, s) }); i >= 0 {
		extra.Set("prompt", promptValues[i])
	}
	claims, cp1, err := readClaims(form.Get("claims"), form.Get("acr_values"))
	if claims != "" {
		extra.Set("claims", claims)
	}
	return extra, cp1, err
}

// authenticationContext matches the ID of an authentication context of Conditional Access.
var authenticationContext = regexp.MustCompile(`^c[1-9][0-9]?$`)

// readClaims returns a claims parameter (OpenID Connect Core, section 5.5) that also requests the
// authentication contexts of acr_values, which Entra doesn't support, in the access token. It
// reports whether the claims declare the capability cp1.
func readClaims(claims, acrValues string) (merged string, cp1 bool, err error) {
	var contexts []string
	for value := range strings.FieldsSeq(acrValues) {
		if authenticationContext.MatchString(value) && !slices.Contains(contexts, value) {
			contexts = append(contexts, value)
		}
	}
	if claims == "" && len(contexts) == 0 {
		return "", false, nil
	}
	fault := oauth.Errorf(oauth.InvalidRequest, "claims must be a JSON object of at most %d bytes; so must its member access_token", maxUpstream)
	if len(claims) > maxUpstream || !utf8.ValidString(claims) {
		return "", false, fault
	}
	all, token := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if claims != "" && (json.Unmarshal([]byte(claims), &all) != nil || all == nil) {
		return "", false, fault
	}
	if raw := all["access_token"]; raw != nil && json.Unmarshal(raw, &token) != nil {
		return "", false, fault
	}
	var capabilities struct{ Values []string }
	cp1 = token["xms_cc"] != nil && json.Unmarshal(token["xms_cc"], &capabilities) == nil && slices.Contains(capabilities.Values, "cp1")
	if own := token["acrs"]; len(contexts) > 0 && (own == nil || string(own) == "null") { // the client's own demand is more exact
		if token == nil { // "access_token": null
			token = map[string]json.RawMessage{}
		}
		token["acrs"] = demand(contexts)
		all["access_token"], err = json.Marshal(token)
		if err != nil {
			return "", false, fault
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", false, fault
	}
	return string(text), cp1, nil
}

// demand returns a claims request for one of the authentication contexts.
func demand(contexts []string) json.RawMessage {
	var d struct {
		Essential bool     `json:"essential"`
		Value     string   `json:"value,omitempty"`
		Values    []string `json:"values,omitempty"`
	}
	d.Essential = true
	if d.Value = contexts[0]; len(contexts) > 1 {
		d.Value, d.Values = "", contexts
	}
	text, _ := json.Marshal(d) // strings can't fail
	return text
}
