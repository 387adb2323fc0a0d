package doctor

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/entrawire"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// A tokenAnswer is what the token endpoint said. A token in it is dropped at once.
type tokenAnswer struct {
	accepted bool // Entra issued a token
	status   int
	code     int // AADSTS
	err      error
	issued   issued
	keyID    string // that signed the token
	// entraTime is the time by Entra's clock when it issued the token, and sent and received are
	// the local ones. It is zero if the token doesn't show it.
	entraTime, sent, received time.Time
}

// issued are the claims that matter of an application token. The token itself is dropped.
type issued struct {
	Audience string `json:"aud"`
	Version  string `json:"ver"`
	Expires  int64  `json:"exp"`
}

// A proofAnswer is the app's proof, as it goes into a token request, and what Entra said of it.
type proofAnswer struct {
	form   url.Values // holds the secret or the assertion
	claims *assertionClaims
	answer tokenAnswer
}

// postToken sends a request to the tenant's token endpoint.
func (x *exam) postToken(ctx context.Context, form url.Values) tokenAnswer {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.tokenURL(), strings.NewReader(form.Encode()))
	if err != nil {
		return tokenAnswer{err: errors.New("the token endpoint's URL can't be used")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	sent := x.options.Now()
	resp, err := x.client.Do(req)
	if err != nil {
		return tokenAnswer{err: bare(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return tokenAnswer{err: err}
	}
	success, err := entrawire.Parse(resp.StatusCode, resp.Header, body, x.options.Now())
	if err == nil {
		a := tokenAnswer{accepted: true, status: resp.StatusCode}
		a.keyID = keyIDOf(success.AccessToken)
		if readClaims(success.AccessToken, &a.issued) && a.issued.Expires != 0 { // not opaque
			a.entraTime, a.sent, a.received = time.Unix(a.issued.Expires, 0).Add(-success.Lifetime), sent, x.options.Now()
		}
		return a
	}
	a := tokenAnswer{status: resp.StatusCode}
	if refused, ok := errors.AsType[*entrawire.RefusalError](err); ok {
		a.code = refused.Code(func(code int) bool { _, known := proofCodes[code]; return known })
	}
	return a
}

func (x *exam) tokenURL() string {
	return x.host.Tenant(strings.ToLower(x.TenantID)) + "/oauth2/v2.0/token"
}

// proofVariables are how the example server is told the app's proof.
var proofVariables = []string{"ENTRA_APP_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "UMI_CLIENT_ID", "USE_OBO_FLOW"}

// identity gets the app's proof from where the server gets it: a file, or the platform's
// managed identity endpoint.
func (x *exam) identity(ctx context.Context) Result {
	switch {
	case !x.OBO && x.Issuer != "" && x.kind() == "":
		return notRun("the proxy has an app of its own")
	case !x.OBO && x.Issuer == "" && !x.faulty("USE_OBO_FLOW"):
		return notRun("USE_OBO_FLOW is off: the server doesn't act as its users")
	case x.kind() == "" && x.faulty(proofVariables...):
		return *misconfigured()
	case x.kind() == "":
		return notRun("not configured: one of %s", strings.Join(proofVariables, ", "))
	}
	sources, err := x.openProof(x.Method, x.ClientID)
	if err != nil || len(sources) == 0 {
		f := Finding{Problem: "the app's " + x.kind() + " can't be used", Came: fmt.Sprint(err), Remedy: "Correct the variable that names it"}
		if strings.Contains(x.kind(), "certificate") {
			f.Remedy = "Set AZURE_CLIENT_CERTIFICATE_PATH (and AZURE_CLIENT_CERTIFICATE_PASSWORD for a PFX) to a file with an RSA key and its certificate, valid now; " +
				"upload a new certificate to the registration, too (Certificates & secrets)"
		}
		return failed(f)
	}
	form, err := x.proofFrom(ctx, sources[0])
	if err != nil {
		return failed(x.noProof(ctx, err))
	}
	x.proof = &proofAnswer{form: form, claims: readAssertion(form.Get("client_assertion"))}
	return ok("%s", x.kind())
}

// openProof prepares an app's method.
func (x *exam) openProof(m clientauth.Method, app string) ([]clientcred.Source, error) {
	return clientcred.Method(m).Open(clientcred.Environment{
		HTTPClient: entrawire.Bounded(x.client), Now: x.options.Now, Logger: slog.New(slog.DiscardHandler),
		Authority: x.host, TenantID: strings.ToLower(x.TenantID), ClientID: strings.ToLower(app),
	})
}

// proofFrom returns a proof, as it goes into a token request.
func (x *exam) proofFrom(ctx context.Context, source clientcred.Source) (url.Values, error) {
	proof, err := source.Credential(ctx)
	if err != nil {
		return nil, err
	}
	form := url.Values{}
	return form, proof.AddTo(form, x.tokenURL())
}

// noProof says why the app has no proof.
func (x *exam) noProof(ctx context.Context, err error) Finding {
	f := Finding{Problem: "the server can't get its " + x.kind(), Expected: "a " + x.kind(), Came: err.Error(), Remedy: "Correct the variable that names it"}
	if errors.Is(err, context.DeadlineExceeded) {
		f.Came, f.Remedy = "no answer in time", "Check that the identity is assigned to this host; hosts outside Azure have no managed identity"
	}
	if known, ok := errors.AsType[*clientcred.Error](err); ok {
		f.Problem, f.Remedy = known.Problem, sentence(known.Remedy)
		if known.Cause != nil {
			f.Came = known.Cause.Error()
		}
	}
	x.addProjected(ctx, &f)
	return f
}

// addProjected says what the projected token has that is exchanged for a managed identity's, and
// why Entra refuses it.
func (x *exam) addProjected(ctx context.Context, f *Finding) {
	content, err := os.ReadFile(x.TokenFile)
	c := readAssertion(strings.TrimSpace(string(content)))
	if err != nil || c == nil {
		return
	}
	f.Expected = "a federated credential of the managed identity " + x.IdentityID + " with\n" + c.lines()
	if x.IdentityID == "" {
		return
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {x.IdentityID}, "scope": {x.host.TokenExchangeScope()}}
	_ = clientcred.Assertion(secret.New(strings.TrimSpace(string(content)))).AddTo(form, "") // it is signed already
	if a := x.postToken(ctx, form); a.code != 0 {
		f.Came = fmt.Sprintf("AADSTS%d: %s", a.code, orElse(proofCodes[a.code].problem, f.Came))
	}
}

// readClaims reads the claims of a JWT, unverified.
func readClaims(token string, into any) bool { return readPart(token, 1, into) }

// keyIDOf returns the id of the key that a JWT names, or "".
func keyIDOf(token string) string {
	var header struct {
		KeyID string `json:"kid"`
	}
	readPart(token, 0, &header)
	return header.KeyID
}

func readPart(token string, i int, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	part, err := base64.RawURLEncoding.DecodeString(parts[i])
	return err == nil && json.Unmarshal(part, into) == nil
}

// prove sends the proof with a request for a token for the app itself, which gives access to
// nothing: the app has no roles on itself, and the server refuses application tokens.
func (x *exam) prove(ctx context.Context) {
	x.proof.answer = x.askForItself(ctx, x.ClientID, x.ClientID, x.proof.form)
}

// askForItself asks for a token for the app itself, by one of its identifiers, with its proof.
func (x *exam) askForItself(ctx context.Context, app, identifier string, proof url.Values) tokenAnswer {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {app}, "scope": {identifier + "/.default"}}
	maps.Copy(form, proof)
	return x.postToken(ctx, form)
}

// federated is whether the proof is another issuer's token.
func (x *exam) federated() bool {
	return strings.HasSuffix(x.kind(), "identity")
}

// kind is what the proof is: client secret, certificate, managed identity, workload identity, or
// workload managed identity. It is "" if there is none.
func (x *exam) kind() string {
	if x.Method.String() == (clientauth.Method{}).String() {
		return ""
	}
	return x.Method.String()
}

// proofAccepted asks Entra whether it takes the app's proof.
func (x *exam) proofAccepted(context.Context) Result {
	if x.proof == nil {
		return x.like("identity")
	}
	a := x.proof.answer
	if f := x.unknownApp(a.code); f != nil {
		return failed(*f)
	}
	if x.signedOutOfTime() {
		return *becauseOfClock()
	}
	known, blamed := proofCodes[a.code]
	switch {
	case a.err != nil:
		return failed(Finding{Problem: "the token endpoint did not answer", Came: a.err.Error(), Remedy: "Try again; check the way to " + x.tokenURL()})
	case blamed:
		f := Finding{Problem: known.problem, Expected: "a token for the app itself", Came: fmt.Sprintf("AADSTS%d", a.code), Remedy: known.remedy}
		x.refineSecret(&f)
		if other := x.tokensApp(); other != "" {
			f.Problem += "; the user's token is for another application, too"
			f.Remedy = "Set API_APP_ID=" + other + ", if that is the API: the application of the token. If it is not: " + f.Remedy
		}
		return failed(f)
	case a.code == 0 && (a.status == http.StatusTooManyRequests || a.status >= http.StatusInternalServerError):
		return failed(Finding{Problem: "the token endpoint has a problem", Expected: "a token, or an AADSTS code",
			Came: fmt.Sprintf("HTTP status %d", a.status), Remedy: "Try again in some minutes, and see https://status.cloud.microsoft; check what answers at " + x.tokenURL()})
	case a.code == 0 && !a.accepted:
		return failed(Finding{Problem: "the token endpoint's answer can't be used", Expected: "a token, or an AADSTS code",
			Came: fmt.Sprintf("HTTP status %d", a.status), Remedy: "Check what answers at " + x.tokenURL()})
	}
	if end := x.secretEnds(); !end.IsZero() {
		return warning(Finding{Problem: "the client secret expires soon", Expected: "more than 30 days", Came: end.UTC().Format(time.RFC3339), Remedy: renew})
	}
	return ok("Entra ID accepts the %s", x.kind()) // another refusal comes after the proof
}

// signedOutOfTime reports whether Entra found the time of an assertion wrong that was signed here.
func (x *exam) signedOutOfTime() bool {
	return x.proof != nil && x.proof.answer.code == 700024 && !x.federated()
}

// secretEnds returns when the last of the registration's secrets expires, if that is soon.
func (x *exam) secretEnds() (last time.Time) {
	if x.app == nil || x.proof.form.Get("client_secret") == "" {
		return last
	}
	for _, s := range x.app.PasswordCredentials {
		if s.EndDateTime.IsZero() || s.EndDateTime.Sub(x.options.Now()) > 30*24*time.Hour {
			return time.Time{}
		}
		if s.EndDateTime.After(last) {
			last = s.EndDateTime
		}
	}
	return last
}

// tokensApp returns the application that the user's token is for, if it is another one than
// configured, and not one of Microsoft's.
func (x *exam) tokensApp() string {
	var claims struct {
		Audience string `json:"aud"`
		Tenant   string `json:"tid"`
	}
	if !readClaims(secret.Reveal(x.options.UserToken), &claims) || !strings.EqualFold(claims.Tenant, x.TenantID) {
		return ""
	}
	app := strings.ToLower(strings.TrimPrefix(claims.Audience, "api://"))
	if !authority.IsGUID(app) || strings.EqualFold(app, x.ClientID) || app == graphApp {
		return ""
	}
	return app
}

// graphApp is Microsoft Graph.
const graphApp = "00000003-0000-0000-c000-000000000000"

// refineSecret says what the secret looks like, if it looks wrong.
func (x *exam) refineSecret(f *Finding) {
	value := x.proof.form.Get("client_secret")
	switch {
	case authority.IsGUID(strings.Trim(value, `"'{} `)):
		f.Problem += ": the configured one looks like the secret's ID"
		f.Remedy = "Configure the secret's Value, which the portal shows only when it is created, not its Secret ID. Create a new one under Certificates & secrets"
	case strings.ContainsFunc(value, unicode.IsSpace):
		f.Problem += ": the configured one has white space or a line break in it"
		f.Remedy = "Copy the value again, on one line"
	case strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'"):
		f.Problem += ": the configured one begins with a quotation mark"
		f.Remedy = "Leave the quotation marks out where the platform takes values as they are"
	}
}

// like is the result of a check for which another one left nothing to do.
func (x *exam) like(id string) Result {
	if r := x.blocked(id); r != nil {
		return *r
	}
	return notRun("%s", x.result(id).Note)
}

// A proofCode is an AADSTS code that blames the app's proof.
type proofCode struct{ problem, remedy string }

const renew = "Create a new secret under App registrations, the app, Certificates & secrets, and configure its value; or use a managed identity"

var proofCodes = map[int]proofCode{
	7000215: {"Entra ID rejects the client secret", "Configure the value (not the ID) of a current secret of this application. " + renew},
	7000222: {"the client secret has expired", renew},
	7000218: {"Entra ID got no proof", "Configure a secret, a certificate or a managed identity, and register the application as a web app rather than a public client"},
	700025:  {"the application is a public client, which has no proof", "Set Allow public client flows to No: App registrations, the app, Authentication"},
	700024:  {"the client assertion is not valid now", "Check the clock, and that the projected token's file is renewed"},
	700027:  {"Entra ID does not know the key of the client assertion", "Upload this certificate to the registration (Certificates & secrets); for a federated credential, check that the issuer publishes its keys"},
	700021:  {"the client assertion names another application", "Make issuer and subject of the client assertion the application's id"},
	700023:  {"the client assertion has another audience", "Check AZURE_AUTHORITY_HOST and TENANT_ID"},
	50012:   {"Entra ID rejects the app's proof", "Check secret, certificate or federated credential under Certificates & secrets"},
	50027:   {"the client assertion is malformed", "Check the file or endpoint that it comes from"},
	5002741: {"the client assertion has several audiences", "Configure one audience"},
	7000229: {}, 700016: {}, 70001: {}, 700011: {}, 700038: {}, 7000112: {}, // see unknownApp
	70025:   {"the application has no federated credential", ""},
	70021:   {"no federated credential matches", ""},
	700211:  {"no federated credential has this issuer", ""},
	700212:  {"no federated credential has this audience", ""},
	700213:  {"no federated credential has this subject", ""},
	7002131: {"no federated credential's expression matches", ""},
	7002137: {"no federated credential has this subject", ""},
	7002138: {"the subject of the federated credential differs in case", ""},
	7002381: {"a policy of the tenant forbids federated credentials of this issuer", ""},
	700222:  {"this identity's token can't be used as a federated credential", ""},
	700229:  {"this identity's token can't be used as a federated credential", ""},
	700236:  {"this identity's token can't be used as a federated credential", ""},
	700238:  {"this identity's token can't be used as a federated credential", ""},
}

// isFederated reports whether a code blames a federated credential.
func isFederated(code int) bool {
	return proofCodes[code] != proofCode{} && proofCodes[code].remedy == ""
}

// secrets are what the report must not show.
func (x *exam) secrets() []string {
	all := []string{secret.Reveal(x.options.UserToken)}
	all = append(all, x.proxyForm.Get("client_secret"), x.proxyForm.Get("client_assertion"))
	if x.proof != nil {
		all = append(all, x.proof.form.Get("client_secret"), x.proof.form.Get("client_assertion"))
	}
	for _, token := range x.exchanged.tokens {
		all = append(all, secret.Reveal(token))
	}
	return all
}
