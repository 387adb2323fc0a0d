package obo

// verdict is what an AADSTS code means for the caller.
type verdict struct {
	kind            error
	problem, remedy string
}

const (
	signInAgain = "sign in again in the client; if the client offers it, let it send the claims challenge"
	newToken    = "sign out and in again in the client, so that it gets a new token"
	askOperator = "the operator of the server must "
)

// verdicts are the AADSTS codes that an On-Behalf-Of exchange meets. A code
// that is not here is judged by the answer's claims, error and suberror. The
// numbers are Entra's; see "Microsoft Entra authentication and authorization
// error codes" in Microsoft's documentation.
var verdicts = map[int]verdict{
	// Consent.
	65001: {ErrConsentRequired, "neither the user nor an administrator has consented to the server's use of this resource", ""},
	65004: {ErrConsentRequired, "the user declined to consent to the server's use of this resource", ""},
	90094: {ErrConsentRequired, "an administrator must consent to the server's use of this resource", ""},

	// The user must do something.
	50072: {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50074: {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50076: {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50078: {ErrInteractionRequired, "the user's second factor is too long ago", signInAgain},
	50079: {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50158: {ErrInteractionRequired, "an external check, such as terms of use, must be passed first", signInAgain},

	// Conditional access without a challenge that could be met.
	53000:  {ErrBlocked, "conditional access wants a compliant device", "use a device that the organisation manages, or ask its administrator"},
	53001:  {ErrBlocked, "conditional access wants a domain-joined device", "use a device that the organisation manages, or ask its administrator"},
	53002:  {ErrBlocked, "conditional access wants an approved application", "use a client that the organisation has approved, or ask its administrator"},
	53003:  {ErrBlocked, "conditional access forbids access to this resource", "ask the organisation's administrator which policy applies"},
	530032: {ErrBlocked, "a security policy of the organisation forbids access to this resource", "ask the organisation's administrator which policy applies"},

	// The user may not.
	50020: {ErrBlocked, "the user's account does not belong to this tenant", "sign in with an account of the organisation, or ask its administrator to invite this one"},
	50057: {ErrBlocked, "the user's account is disabled", "ask the organisation's administrator"},
	50105: {ErrBlocked, "the user is not assigned to the application", "ask the organisation's administrator to assign the user to it"},

	// The user's token has had its time.
	50132:  {ErrAssertionExpired, "the user's session was ended, by a new password or by an administrator", newToken},
	50133:  {ErrAssertionExpired, "the user's session ended because the password expired or changed", newToken},
	50173:  {ErrAssertionExpired, "the user's sign-in was revoked", newToken},
	70043:  {ErrAssertionExpired, "the user's sign-in is too old for the organisation's policy", newToken},
	500133: {ErrAssertionExpired, "the user's token is expired", newToken},

	// The user's token is the wrong one.
	7000114: {ErrAssertionInvalid, "the caller is an application; acting on behalf of somebody needs a user", "call as a signed-in user"},
	240002:  {ErrAssertionInvalid, "an ID token was sent where an access token belongs", "the client's developer must request an access token for the server's API scope"},
	50027:   {ErrAssertionInvalid, "the user's token is malformed", newToken},
	50013: {ErrMisconfigured, "the user's token is not meant for the app that exchanges it, or its signature is wrong",
		askOperator + "use the same app registration for the API and for the exchange: the user's token must have it as audience"},
	500131: {ErrMisconfigured, "the user's token is not meant for the app that exchanges it",
		askOperator + "use the same app registration for the API and for the exchange: the user's token must have it as audience"},

	// The app's own proof.
	700016: {ErrMisconfigured, "the tenant knows no app with the server's client id",
		askOperator + "check the client id and the tenant id, and that the app has a service principal in the tenant"},
	700024: {ErrMisconfigured, "the server's client assertion is outside its period of validity",
		askOperator + "check the host's clock and the source of the client assertion"},
	700027: {ErrMisconfigured, "the signature of the server's client assertion can't be verified",
		askOperator + "add the certificate to the app registration, or correct which one the server uses"},
	7000215: {ErrMisconfigured, "the server's client secret is wrong",
		askOperator + "configure the secret's value (not its id), of this app registration"},
	7000218: {ErrMisconfigured, "the request had no proof of the app",
		askOperator + "configure a client secret or a managed identity, and register the app as a web app, not as a public client"},
	7000222: {ErrMisconfigured, "the server's client secret is expired",
		askOperator + "make a new secret in the app registration and configure it, or change to a managed identity"},
	700211: {ErrMisconfigured, "no federated credential of the app has this issuer", federated},
	700213: {ErrMisconfigured, "no federated credential of the app has this subject", federated},
	700229: {ErrMisconfigured, "this identity's token can't serve as a federated credential",
		askOperator + "use a user-assigned managed identity of the app's own tenant"},
	700212:  {ErrMisconfigured, "no federated credential of the app has this audience", federated},
	7002138: {ErrMisconfigured, "the subject of the app's federated credential differs in upper and lower case", federated},
	70025:   {ErrMisconfigured, "the app has no federated credential", askOperator + "add the identity to the app registration: Certificates & secrets, Federated credentials"},
	50012:   {ErrMisconfigured, "Entra ID doesn't accept the server's proof of the app", askOperator + "check the client secret or the federated credential"},
	7000112: {ErrMisconfigured, "the server's app is disabled in the tenant", askOperator + "have an administrator enable the app"},
	90002:   {ErrMisconfigured, "there is no such tenant", askOperator + "check the tenant id and the authority host"},

	// The resource or the scope.
	650057: {ErrMisconfigured, "the app registration doesn't list this resource among its API permissions",
		askOperator + "add the resource's delegated permission under API permissions, and consent to it"},
	70011:  {ErrMisconfigured, "the scope is not valid", askOperator + "check the configured resources: <resource>/.default must be a scope"},
	500011: {ErrMisconfigured, "the tenant knows no resource of this name", askOperator + "check the spelling of the configured resource, and that its app has a service principal in the tenant"},
	700022: {ErrMisconfigured, "the scopes belong to more than one resource", askOperator + "ask for the scopes of one resource at a time"},

	28000:  {ErrMisconfigured, "the scopes belong to more than one resource", askOperator + "ask for the scopes of one resource at a time"},
	650053: {ErrMisconfigured, "the resource has no such scope", askOperator + "check the scope's name and which resource it belongs to"},

	// Later.
	50196: {ErrThrottled, "Entra ID saw the same request too often", "wait, then try again; if it stays, the client is in a loop"},
	90055: {ErrThrottled, "Entra ID receives too many requests", "wait, then try again"},
	50033: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90006: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90033: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90024: {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
}

const federated = askOperator + "compare issuer, subject and audience of the app's federated credential with the identity's: case counts"

// blamesProof reports whether the code means that the app's proof was not
// accepted, so that the same one must not be sent again.
func blamesProof(code int) bool {
	switch code {
	case 50012, 70025, 700024, 700027, 7000215, 7000222, 700211, 700212, 700213, 7002138, 700229:
		return true
	}
	return false
}

// outdated reports whether the code means that a new proof of the same kind may
// be accepted: this one was too old or too young, or its key has been replaced.
func outdated(code int) bool { return code == 700024 || code == 700027 }

// byError are verdicts for answers whose code is unknown, by the OAuth error
// (RFC 6749, section 5.2; RFC 8707, section 2; OpenID Connect Core, section
// 3.1.2.6).
var byError = map[string]verdict{
	"interaction_required":    {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"login_required":          {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"consent_required":        {ErrConsentRequired, "somebody must consent to the server's use of this resource", ""},
	"invalid_client":          {ErrMisconfigured, "Entra ID doesn't accept the server's proof of the app", askOperator + "check the client id and its secret or federated credential"},
	"unauthorized_client":     {ErrMisconfigured, "the app may not exchange tokens on behalf of users", askOperator + "check the app registration"},
	"invalid_request":         {ErrMisconfigured, "Entra ID doesn't understand the request", askOperator + "check the client id, the tenant id and the configured resources"},
	"invalid_scope":           {ErrMisconfigured, "the scope is not valid", askOperator + "check the configured resources"},
	"invalid_resource":        {ErrMisconfigured, "the resource is not valid", askOperator + "check the configured resources"},
	"invalid_target":          {ErrMisconfigured, "the resource is not valid", askOperator + "check the configured resources"},
	"unsupported_grant_type":  {ErrMisconfigured, "the authority doesn't know the On-Behalf-Of flow", askOperator + "check the authority host"},
	"access_denied":           {ErrBlocked, "Entra ID refuses access", "ask the organisation's administrator"},
	"temporarily_unavailable": {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
	"server_error":            {ErrUnavailable, "Entra ID has a problem", "try again in a moment"},
}

// bySuberror refine invalid_grant where the code is unknown.
var bySuberror = map[string]verdict{
	"consent_required":      {ErrConsentRequired, "somebody must consent to the server's use of this resource", ""},
	"bad_token":             {ErrAssertionExpired, "the user's token is expired or revoked", newToken},
	"token_expired":         {ErrAssertionExpired, "the user's token is expired", newToken},
	"user_password_expired": {ErrAssertionExpired, "the user's password is expired", newToken},
	"message_only":          {ErrBlocked, "a policy of the organisation forbids access to this resource", "ask the organisation's administrator which policy applies"},
}
