package obo

import (
	"errors"
)

// verdict is what an AADSTS code means for the caller.
type verdict struct {
	kind            error
	problem, remedy string
}

const (
	signInAgain = "sign in again in the client; if the client offers it, let it send the claims challenge"
	newToken    = "sign out and in again in the client, so that it gets a new token"
	askAdmin    = "ask the organization's administrator"
	askOperator = "the operator of the server must "

	managedDevice = "use a device that the organization manages, or " + askAdmin
	whichPolicy   = "ask the organization's administrator which policy applies"
	inviteAccount = "sign in with an account of the organization, or ask its administrator to invite this one"
	sameApp       = askOperator + "use the same app registration for the API and for the exchange: the user's token must have it as audience"
	findApp       = askOperator + "check the client id and the tenant id (App registrations, the app, Overview), and that the app is in the tenant (Enterprise applications)"
	oneResource   = askOperator + "ask for the scopes of one resource at a time"
	permissions   = "App registrations, the app, API permissions"
	addPermission = askOperator + "add the resource's delegated permission under " + permissions + ", and consent to it"
	certificates  = "App registrations, the app, Certificates & secrets"
	federated     = askOperator + "compare issuer, subject and audience of the app's federated credential with the identity's, case included: " +
		certificates + ", Federated credentials"
	otherIdentity = askOperator + "use a user-assigned managed identity of the app's own tenant"
	addPrincipal  = askOperator + "have an administrator add the resource to the tenant (az ad sp create, with the resource's application id; " +
		"it is listed under Enterprise applications then), and consent under " + permissions
)

const serverLog = "see the server's log"

// verdicts are the AADSTS codes that an On-Behalf-Of exchange meets. A code
// that is not here is judged by its family, then by the answer's claims, error
// and suberror. The numbers are Entra's; see "Microsoft Entra authentication and
// authorization error codes" in Microsoft's documentation.
var verdicts = map[int]verdict{
	// Consent.
	65001: {ErrConsentRequired, "neither the user nor an administrator has consented to the server's use of this resource", ""},
	65004: {ErrConsentRequired, "the user declined to consent to the server's use of this resource", ""},
	90094: {ErrConsentRequired, "an administrator must consent to the server's use of this resource", ""},
	90095: {ErrConsentRequired, "an administrator must consent to the server's use of this resource", ""},

	// The user must do something.
	50058:  {ErrInteractionRequired, "the user must sign in again", signInAgain},
	50072:  {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50074:  {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50076:  {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50078:  {ErrInteractionRequired, "the user's second factor is too long ago", signInAgain},
	50079:  {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50097:  {ErrInteractionRequired, "the user must sign in on a registered device", signInAgain},
	50158:  {ErrInteractionRequired, "an external check, such as terms of use, must be passed first", signInAgain},
	500121: {ErrInteractionRequired, "the user did not pass the second factor", signInAgain},

	// Conditional access without a challenge that could be met.
	50005:  {ErrBlocked, "conditional access doesn't admit this kind of device", managedDevice},
	50131:  {ErrBlocked, "conditional access forbids access", whichPolicy},
	53000:  {ErrBlocked, "conditional access wants a compliant device", managedDevice},
	53001:  {ErrBlocked, "conditional access wants a domain-joined device", managedDevice},
	53002:  {ErrBlocked, "conditional access wants an approved application", "use a client that the organization has approved, or " + askAdmin},
	53003:  {ErrBlocked, "conditional access forbids access to this resource", whichPolicy},
	530032: {ErrBlocked, "a security policy of the organization forbids access to this resource", whichPolicy},
	53011:  {ErrBlocked, "the user is blocked because of a risk", askAdmin},
	135010: {ErrBlocked, "the user's device is not in the directory any more", managedDevice},
	135011: {ErrBlocked, "the user's device is disabled", managedDevice},

	// The user may not.
	50014:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	50020:  {ErrBlocked, "the user's account does not belong to this tenant", inviteAccount},
	50034:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	51004:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	90072:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	50053:  {ErrBlocked, "the user's account is locked, or its address is blocked", askAdmin},
	50057:  {ErrBlocked, "the user's account is disabled", askAdmin},
	50105:  {ErrBlocked, "the user is not assigned to the application", "ask the organization's administrator to assign the user to it (Enterprise applications, the app, Users and groups)"},
	500021: {ErrBlocked, "tenant restrictions forbid access to this tenant", askAdmin},
	500212: {ErrBlocked, "the cross-tenant access policy of the user's organization forbids access", askAdmin},
	500213: {ErrBlocked, "the cross-tenant access policy of this tenant forbids access", askAdmin},

	// The user's token has had its time.
	50055:  {ErrAssertionExpired, "the user's password is expired", newToken},
	50089:  {ErrAssertionExpired, "the user's sign-in is expired", newToken},
	50132:  {ErrAssertionExpired, "the user's session was ended, by a new password or by an administrator", newToken},
	50133:  {ErrAssertionExpired, "the user's session ended because the password expired or changed", newToken},
	50144:  {ErrAssertionExpired, "the user's password is expired", newToken},
	50173:  {ErrAssertionExpired, "the user's sign-in was revoked", newToken},
	70008:  {ErrAssertionExpired, "the user's sign-in is expired or was revoked", newToken},
	70043:  {ErrAssertionExpired, "the user's sign-in is too old for the organization's policy", newToken},
	500133: {ErrAssertionExpired, "the user's token is expired", newToken},

	// The user's token is the wrong one.
	7000114: {ErrAssertionInvalid, "the caller is an application; acting on behalf of somebody needs a user", "call as a signed-in user"},
	240002:  {ErrAssertionInvalid, "an ID token was sent where an access token belongs", "the client's developer must request an access token for the server's API scope"},
	50027:   {ErrAssertionInvalid, "the user's token is malformed", newToken},
	50013:   {ErrMisconfigured, "the user's token is not meant for the app that exchanges it, or its signature is wrong", sameApp},
	50107:   {ErrMisconfigured, "the user's token was not issued by the tenant that exchanges it", askOperator + "check the tenant id and the authority host: both must be those of the users' tokens"},
	500131:  {ErrMisconfigured, "the user's token is not meant for the app that exchanges it", sameApp},
	900384:  {ErrMisconfigured, "the signature of the user's token, or of the server's client assertion, is wrong", sameApp},

	// The app's own proof.
	70001:  {ErrMisconfigured, "the tenant knows no app with the server's client id, or the app is disabled", findApp},
	700011: {ErrMisconfigured, "the tenant knows no app with the server's client id", findApp},
	700016: {ErrMisconfigured, "the tenant knows no app with the server's client id", findApp},
	700038: {ErrMisconfigured, "the server's client id is the empty GUID, which is not an app's id", findApp},
	700021: {ErrMisconfigured, "the server's client assertion names another app",
		askOperator + "check the client id: subject and issuer of the client assertion must be the app's"},
	700023: {ErrMisconfigured, "the server's client assertion is meant for another tenant or cloud",
		askOperator + "check the tenant id and the authority host: the client assertion's audience must be the tenant's token endpoint"},
	700024: {ErrMisconfigured, "the server's client assertion is outside its period of validity",
		askOperator + "check the host's clock and the source of the client assertion"},
	700025: {ErrMisconfigured, "the app is registered as a public client, which proves nothing",
		askOperator + "register it as a web app: App registrations, the app, Authentication"},
	700027: {ErrMisconfigured, "the signature of the server's client assertion can't be verified",
		askOperator + "add the certificate to the app registration (" + certificates + ", Certificates), or correct which one the server uses"},
	700030: {ErrMisconfigured, "the subject name of the server's certificate is not one that the app trusts",
		askOperator + "compare the certificate with the app registration's trusted subject name and issuer, or add the certificate itself: " + certificates + ", Certificates"},
	70002:   {ErrMisconfigured, "the server's client secret is wrong", wrongSecret},
	7000215: {ErrMisconfigured, "the server's client secret is wrong", wrongSecret},
	7000216: {ErrMisconfigured, "the request had no proof of the app", noProof},
	7000218: {ErrMisconfigured, "the request had no proof of the app", noProof},
	7000222: {ErrMisconfigured, "the server's client secret is expired",
		askOperator + "make a new secret (" + certificates + ", Client secrets) and configure its value, or change to a managed identity"},
	70021:   {ErrMisconfigured, "no federated credential of the app matches the identity", federated},
	700211:  {ErrMisconfigured, "no federated credential of the app has this issuer", federated},
	700212:  {ErrMisconfigured, "no federated credential of the app has this audience", federated},
	700213:  {ErrMisconfigured, "no federated credential of the app has this subject", federated},
	7002137: {ErrMisconfigured, "no federated credential of the app has this subject", federated},
	7002138: {ErrMisconfigured, "the subject of the app's federated credential differs in upper and lower case", federated},
	700222:  {ErrMisconfigured, "this identity's token can't serve as a federated credential", otherIdentity},
	700229:  {ErrMisconfigured, "this identity's token can't serve as a federated credential", otherIdentity},
	700236:  {ErrMisconfigured, "this identity's token can't serve as a federated credential", otherIdentity},
	700238:  {ErrMisconfigured, "this identity's token can't serve as a federated credential", otherIdentity},
	5002741: {ErrMisconfigured, "the server's client assertion has several audiences", askOperator + "check the source of the client assertion: it must have one audience"},
	70025:   {ErrMisconfigured, "the app has no federated credential", askOperator + "add the identity to the app registration: " + certificates + ", Federated credentials"},
	50012:   {ErrMisconfigured, "Entra ID doesn't accept the server's proof of the app", askOperator + "check the client secret, certificate or federated credential: " + certificates},
	50048:   {ErrMisconfigured, "subject and issuer of the server's client assertion differ", askOperator + "check the source of the client assertion: both must be the client id"},
	7000112: {ErrMisconfigured, "the server's app is disabled in the tenant", askOperator + "have an administrator enable the app: Enterprise applications, the app, Properties"},

	// The tenant.
	50049:  {ErrMisconfigured, "the authority does not know the cloud", askOperator + "check the authority host"},
	50194:  {ErrMisconfigured, "the app is not registered for several tenants", askOperator + "change its supported account types: App registrations, the app, Authentication"},
	90002:  {ErrMisconfigured, "there is no such tenant", askOperator + "check the tenant id and the authority host"},
	90038:  {ErrMisconfigured, "the tenant belongs to another cloud", askOperator + "check the authority host"},
	900432: {ErrMisconfigured, "the user's tenant belongs to another cloud than the app's", askOperator + "check the tenant id and the authority host"},

	// The resource or the scope. Some come with invalid_client, though no proof is wrong.
	50001:  {ErrMisconfigured, "the tenant knows no resource of this name, or it is disabled", addPrincipal},
	50146:  {ErrMisconfigured, "the resource's app needs a signing key of its own", askOperator + "have the resource's owner give its app registration a signing key, or remove its claims mapping"},
	501461: {ErrMisconfigured, "the resource's app maps claims under an App ID URI that is not of a verified domain", askOperator + "have the resource's owner use a URI of a verified domain, or a signing key of its own"},
	65002:  {ErrMisconfigured, "the app is one of Microsoft's, which the resource has not authorized", askOperator + "use an app registration of the organization's own"},
	65005:  {ErrMisconfigured, "the app registration doesn't list this resource among its API permissions", addPermission},
	650051: {ErrMisconfigured, "the tenant has no usable service principal of the resource", addPrincipal},
	650052: {ErrMisconfigured, "the tenant has no service principal of the resource, or no subscription to its service", addPrincipal},
	650054: {ErrMisconfigured, "the app registration lists a resource that no longer exists", askOperator + "remove it under " + permissions},
	650056: {ErrMisconfigured, "the app registration lists no permission for this resource, or nobody has consented to it", addPermission},
	650057: {ErrMisconfigured, "the app registration doesn't list this resource among its API permissions", addPermission},
	650053: {ErrMisconfigured, "the resource has no such scope", askOperator + "check the scope's name and which resource it belongs to"},
	70011:  {ErrMisconfigured, "the scope is not valid", askOperator + "check the configured resources: with /.default after it, each must be a scope"},
	500011: {ErrMisconfigured, "the tenant knows no resource of this name", askOperator + "check the spelling of the configured resource, and that its app has a service principal in the tenant (Enterprise applications)"},
	500014: {ErrMisconfigured, "the resource is disabled in the tenant", askOperator + "have an administrator enable it: Enterprise applications, the resource, Properties"},
	700022: {ErrMisconfigured, "the scopes belong to more than one resource", oneResource},
	28000:  {ErrMisconfigured, "the scopes belong to more than one resource", oneResource},
	90009:  {ErrMisconfigured, "the server asks for a token for its own API", askOperator + "take the API itself out of the configured resources"},

	// Later.
	50196: {ErrThrottled, "Entra ID saw the same request too often", "wait, then try again; if it persists, the client is in a loop"},
	90055: {ErrThrottled, "Entra ID receives too many requests", "wait, then try again"},
	50033: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	50087: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90006: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90012: {ErrUnavailable, "Entra ID took too long", "try again in a moment"},
	90033: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90090: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90091: {ErrUnavailable, "Entra ID has a passing problem", "try again in a moment"},
	90024: {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
}

const (
	wrongSecret = askOperator + "configure the secret's value (not its id), of this app registration: " + certificates + ", Client secrets"
	noProof     = askOperator + "configure a client secret or a managed identity, and register the app as a web app, not as a public client: App registrations, the app, Authentication"
)

// families are codes whose finer ones, with more digits, mean the same. Entra
// keeps adding those: 70021 became 700211 to 7002138 within three years.
var families = map[int]bool{
	65001: true, 65005: true, 70021: true, 53000: true, 53003: true, 50020: true, 50027: true, 50034: true, 50057: true,
	50076: true, 50079: true, 50105: true, 70008: true,
}

// lookup returns what is known of a code: its own verdict, or its family's.
func lookup(code int) (verdict, bool) {
	if v, ok := verdicts[code]; ok {
		return v, true
	}
	parent := familyOf(code)
	return verdicts[parent], parent != 0
}

func familyOf(code int) int {
	for ; code > 0; code /= 10 {
		if families[code] {
			return code
		}
	}
	return 0
}

// blamesProof reports whether the code means that the app's proof was not
// accepted, so that the same one must not be sent again.
func blamesProof(code int) bool {
	switch code {
	case 50012, 50048, 5002741, 70002, 70025, 700021, 700023, 700024, 700027, 700030, 7000215, 7000222, 700222, 700229, 700236, 700238:
		return true
	}
	return familyOf(code) == 70021
}

// blamesResource reports whether the code is about the resource or the scope that was
// asked for, and not about the app as a whole.
func blamesResource(code int) bool {
	switch code {
	case 28000, 50001, 50146, 65002, 70011, 90009, 500011, 500014, 501461, 650053, 700022:
		return true
	}
	return familyOf(code) == 65005
}

// outdated reports whether the code means that a new proof of the same kind may
// be accepted: this one was too old or too young, or its key has been replaced.
func outdated(code int) bool { return code == 700024 || code == 700027 }

// asksConsent reports whether a consent is what is missing.
func (v verdict) asksConsent() bool { return errors.Is(v.kind, ErrConsentRequired) }

// byError are verdicts for answers whose code is unknown, by the OAuth error
// (RFC 6749, section 5.2; RFC 8707, section 2; OpenID Connect Core, section
// 3.1.2.6).
var byError = map[string]verdict{
	"interaction_required": {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"login_required":       {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"consent_required":     {ErrConsentRequired, "somebody must consent to the server's use of this resource", ""},
	"invalid_client": {ErrMisconfigured, "Entra ID doesn't accept the app: its proof, its registration or its access to the resource",
		askOperator + "look the code up at https://login.microsoftonline.com/error, then check the client id, " + permissions + ", and its Certificates & secrets"},
	"unauthorized_client":     {ErrMisconfigured, "the app may not exchange tokens on behalf of users", askOperator + "check the app registration"},
	"invalid_request":         {ErrMisconfigured, "Entra ID doesn't understand the request", askOperator + "check the client id, the tenant id and the configured resources"},
	"invalid_scope":           {ErrMisconfigured, "the scope is not valid", askOperator + "check the configured resources"},
	"invalid_resource":        {ErrMisconfigured, "the resource is not valid", askOperator + "check the configured resources"},
	"invalid_target":          {ErrMisconfigured, "the resource is not valid", askOperator + "check the configured resources"},
	"unsupported_grant_type":  {ErrMisconfigured, "the authority doesn't know the On-Behalf-Of flow", askOperator + "check the authority host"},
	"access_denied":           {ErrBlocked, "Entra ID refuses access", askAdmin},
	"temporarily_unavailable": {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
	"server_error":            {ErrUnavailable, "Entra ID has a problem", "try again in a moment"},
}

// bySuberror refine invalid_grant where the code is unknown.
var bySuberror = map[string]verdict{
	"consent_required":      {ErrConsentRequired, "somebody must consent to the server's use of this resource", ""},
	"bad_token":             {ErrAssertionExpired, "the user's token is expired or revoked", newToken},
	"token_expired":         {ErrAssertionExpired, "the user's token is expired", newToken},
	"user_password_expired": {ErrAssertionExpired, "the user's password is expired", newToken},
	"message_only":          {ErrBlocked, "a policy of the organization forbids access to this resource", whichPolicy},
}
