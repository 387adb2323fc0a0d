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
	signInAgain = "sign in again in the client, and let it send the claims challenge if it can"
	newToken    = "sign out and sign in again in the client to get a new token"
	askAdmin    = "ask your organization's administrator"
	askOperator = "the operator of the server must "

	managedDevice = "use a device that your organization manages, or " + askAdmin
	whichPolicy   = askAdmin + " which policy applies"
	inviteAccount = "sign in with an account of this organization, or ask its administrator to invite yours"
	sameApp       = askOperator + "use one app registration for the API and for the exchange: it must be the audience of the user's token"
	findApp       = askOperator + "check the client ID and the tenant ID (App registrations, the app, Overview), and that the app is in the tenant (Enterprise applications)"
	oneResource   = askOperator + "request scopes of one resource at a time"
	permissions   = "App registrations, the app, API permissions"
	addPermission = askOperator + "add the resource's delegated permission under " + permissions + ", and consent to it"
	certificates  = "App registrations, the app, Certificates & secrets"
	federated     = askOperator + "make issuer, subject and audience of the app's federated credential match the identity's exactly, including case: " +
		certificates + ", Federated credentials"
	otherIdentity = askOperator + "use a user-assigned managed identity of the app's own tenant"
	addPrincipal  = askOperator + "have an administrator add the resource to the tenant (az ad sp create --id, with the resource's application ID)"
	addAndConsent = addPrincipal + ", then consent to it under " + permissions
	lookUp        = ", and look the code up at https://login.microsoftonline.com/error"
)

const serverLog = "see the server's log"

// noConsentPage is the code for an agent identity, at the page where users consent.
const noConsentPage = 82014

// verdicts lists the AADSTS codes that an On-Behalf-Of exchange can return. Other
// codes are judged by their family, then by the answer's claims, error and suberror.
// See "Microsoft Entra authentication and authorization error codes" in Microsoft's
// documentation.
var verdicts = map[int]verdict{
	// Consent.
	65001: {ErrConsentRequired, "neither the user nor an administrator has consented to the server's use of this resource", ""},
	65004: {ErrConsentRequired, "the user declined to consent to the server's use of this resource", ""},
	90094: {ErrConsentRequired, "an administrator must consent to the server's use of this resource", ""},
	90095: {ErrConsentRequired, "an administrator must consent to the server's use of this resource", ""},

	noConsentPage: {ErrConsentRequired, "nobody can consent for an agent identity on a page", askAdmin},

	// The user must do something.
	50058:  {ErrInteractionRequired, "the user must sign in again", signInAgain},
	50072:  {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50074:  {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50076:  {ErrInteractionRequired, "the user must sign in with a second factor", signInAgain},
	50078:  {ErrInteractionRequired, "the user's last multi-factor sign-in was too long ago", signInAgain},
	50079:  {ErrInteractionRequired, "the user must register for multi-factor authentication", signInAgain},
	50097:  {ErrInteractionRequired, "the user must sign in on a registered device", signInAgain},
	50158:  {ErrInteractionRequired, "the user must first pass an external check, such as terms of use", signInAgain},
	500121: {ErrInteractionRequired, "the user failed multi-factor authentication", signInAgain},

	// Conditional Access, without a challenge that the user could meet.
	50005:  {ErrBlocked, "Conditional Access doesn't allow this kind of device", managedDevice},
	50131:  {ErrBlocked, "Conditional Access blocks access", whichPolicy},
	53000:  {ErrBlocked, "Conditional Access requires a compliant device", managedDevice},
	53001:  {ErrBlocked, "Conditional Access requires a domain-joined device", managedDevice},
	53002:  {ErrBlocked, "Conditional Access requires an approved client application", "use a client that your organization has approved, or " + askAdmin},
	53003:  {ErrBlocked, "Conditional Access blocks access to this resource", whichPolicy},
	530032: {ErrBlocked, "a security policy of the organization blocks access to this resource", whichPolicy},
	53011:  {ErrBlocked, "the user is blocked because of a detected risk", askAdmin},
	135010: {ErrBlocked, "the user's device is no longer in the directory", managedDevice},
	135011: {ErrBlocked, "the user's device is disabled", managedDevice},

	// The user has no access.
	50014:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	50020:  {ErrBlocked, "the user's account does not belong to this tenant", inviteAccount},
	50034:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	51004:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	90072:  {ErrBlocked, "the user's account does not exist in this tenant", inviteAccount},
	50053:  {ErrBlocked, "the user's account is locked, or its address is blocked", askAdmin},
	50057:  {ErrBlocked, "the user's account is disabled", askAdmin},
	50105:  {ErrBlocked, "the user is not assigned to the application", askAdmin + " to assign you to it (Enterprise applications, the app, Users and groups)"},
	500021: {ErrBlocked, "tenant restrictions block access to this tenant", askAdmin},
	500212: {ErrBlocked, "the cross-tenant access policy of the user's organization blocks access", askAdmin},
	500213: {ErrBlocked, "the cross-tenant access policy of this tenant blocks access", askAdmin},

	// The user's token or sign-in is no longer valid.
	50055:  {ErrAssertionExpired, "the user's password has expired", newToken},
	50089:  {ErrAssertionExpired, "the user's sign-in has expired", newToken},
	50132:  {ErrAssertionExpired, "a password change or an administrator ended the user's session", newToken},
	50133:  {ErrAssertionExpired, "the user's session ended because the password expired or was changed", newToken},
	50144:  {ErrAssertionExpired, "the user's password has expired", newToken},
	50173:  {ErrAssertionExpired, "the user's sign-in was revoked", newToken},
	70008:  {ErrAssertionExpired, "the user's sign-in has expired or was revoked", newToken},
	70043:  {ErrAssertionExpired, "the user's sign-in is too old for the organization's policy", newToken},
	500133: {ErrAssertionExpired, "the user's token has expired", newToken},

	// The assertion is not a user's token for this app.
	7000114: {ErrAssertionInvalid, "the caller is an application; On-Behalf-Of needs a user", "call as a signed-in user"},
	240002:  {ErrAssertionInvalid, "the client sent an ID token instead of an access token", "the client's developer must request an access token for the server's API scope"},
	50027:   {ErrAssertionInvalid, "the user's token is malformed", newToken},
	50013:   {ErrMisconfigured, "the user's token is for another app than the one that exchanges it, or its signature is invalid", sameApp},
	50107:   {ErrMisconfigured, "another tenant issued the user's token", askOperator + "check the tenant ID and the authority host: both must be those of the users' tokens"},
	500131:  {ErrMisconfigured, "the user's token is for another app than the one that exchanges it", sameApp},
	900384:  {ErrMisconfigured, "the signature of the user's token or of the server's client assertion is invalid", sameApp},

	// The app's own credential.
	70001:  {ErrMisconfigured, "the tenant has no app with the server's client ID, or the app is disabled", findApp},
	700011: {ErrMisconfigured, "the tenant has no app with the server's client ID", findApp},
	700016: {ErrMisconfigured, "the tenant has no app with the server's client ID", findApp},
	700038: {ErrMisconfigured, "the server's client ID is the empty GUID, which is not an app's id", findApp},
	700021: {ErrMisconfigured, "the server's client assertion names another app",
		askOperator + "check the client ID: subject and issuer of the client assertion must be the app's"},
	700023: {ErrMisconfigured, "the server's client assertion is for another tenant or cloud",
		askOperator + "check the tenant ID and the authority host: the audience of the client assertion must be the tenant's token endpoint"},
	700024: {ErrMisconfigured, "the server's client assertion has expired or is not valid yet",
		askOperator + "check the host's clock and the source of the client assertion"},
	700025: {ErrMisconfigured, "the app is registered as a public client, which can't authenticate",
		askOperator + "register it as a web app: App registrations, the app, Authentication"},
	700027: {ErrMisconfigured, "the signature of the server's client assertion can't be verified",
		askOperator + "add the certificate to the app registration (" + certificates + ", Certificates), or configure the right certificate"},
	700030: {ErrMisconfigured, "the app doesn't trust the subject name of the server's certificate",
		askOperator + "make the certificate match the app registration's trusted subject name and issuer, or add the certificate itself: " + certificates + ", Certificates"},
	70002:   {ErrMisconfigured, "the server's client secret is invalid", wrongSecret},
	7000215: {ErrMisconfigured, "the server's client secret is invalid", wrongSecret},
	7000216: {ErrMisconfigured, "the request carried no credential of the app", noProof},
	7000218: {ErrMisconfigured, "the request carried no credential of the app", noProof},
	7000222: {ErrMisconfigured, "the server's client secret has expired",
		askOperator + "create a new secret (" + certificates + ", Client secrets) and configure its value, or use a managed identity"},
	70021:   {ErrMisconfigured, "no federated credential of the app matches the identity", federated},
	700211:  {ErrMisconfigured, "no federated credential of the app has this issuer", federated},
	700212:  {ErrMisconfigured, "no federated credential of the app has this audience", federated},
	700213:  {ErrMisconfigured, "no federated credential of the app has this subject", federated},
	7002137: {ErrMisconfigured, "no federated credential of the app has this subject", federated},
	7002138: {ErrMisconfigured, "the subject of the app's federated credential differs in case", federated},
	700222:  {ErrMisconfigured, "this identity's token can't be used as a federated credential", otherIdentity},
	700229:  {ErrMisconfigured, "this identity's token can't be used as a federated credential", otherIdentity},
	700231: {ErrMisconfigured, "the identity's token was itself issued for a federated credential, so it can't be one",
		askOperator + "let the app itself trust the Kubernetes service account as a federated credential, and use clientauth.WorkloadIdentity in place of WorkloadManagedIdentity"},
	700236:  {ErrMisconfigured, "this identity's token can't be used as a federated credential", otherIdentity},
	700238:  {ErrMisconfigured, "this identity's token can't be used as a federated credential", otherIdentity},
	5002741: {ErrMisconfigured, "the server's client assertion has several audiences", askOperator + "check the source of the client assertion: it must have one audience"},
	70025:   {ErrMisconfigured, "the app has no federated credential", askOperator + "add the identity to the app registration: " + certificates + ", Federated credentials"},
	50012:   {ErrMisconfigured, "Entra ID rejects the app's credential", askOperator + "check the client secret, certificate or federated credential: " + certificates},
	50048:   {ErrMisconfigured, "subject and issuer of the server's client assertion differ", askOperator + "check the source of the client assertion: both must be the client ID"},
	7000112: {ErrMisconfigured, "the server's app is disabled in the tenant", askOperator + "have an administrator enable the app: Enterprise applications, the app, Properties"},

	// Agent identities. Microsoft doesn't list these codes; they are reported by those who met them.
	82001: {ErrMisconfigured, "Entra ID gives the app, an agent identity blueprint, no token of its own for this resource",
		askOperator + "check the authority host: each cloud has its own scope for token exchange"},
	82002: {ErrMisconfigured, "the app is an agent identity blueprint, which exchanges users' tokens only as one of its agent identities",
		askOperator + "configure the agent identity (Options.Agents) and name it for each user"},
	82008: {ErrMisconfigured, "the app is an agent identity blueprint, and its request names no agent identity (fmi_path)",
		askOperator + "configure the agent identity (Options.Agents), and check any proxy on the way to Entra ID"},

	// The tenant.
	50049:  {ErrMisconfigured, "the authority host doesn't know the cloud", askOperator + "check the authority host"},
	50194:  {ErrMisconfigured, "the app is registered for a single tenant", askOperator + "change its supported account types: App registrations, the app, Authentication"},
	90002:  {ErrMisconfigured, "the tenant doesn't exist", askOperator + "check the tenant ID and the authority host"},
	90038:  {ErrMisconfigured, "the tenant is in another cloud", askOperator + "check the authority host"},
	900432: {ErrMisconfigured, "the user's tenant and the app are in different clouds", askOperator + "check the tenant ID and the authority host"},

	// The resource or the scope. Some come with invalid_client, although the credential is fine.
	50001:  {ErrMisconfigured, "the tenant has no resource with this identifier, or it is disabled", addAndConsent},
	50146:  {ErrMisconfigured, "the resource's app registration needs its own signing key", askOperator + "have the resource's owner add a signing key to its app registration, or remove its claims mapping"},
	501461: {ErrMisconfigured, "the resource's app maps claims, but its App ID URI has no verified domain", askOperator + "have the resource's owner use a URI with a verified domain, or its own signing key"},
	65002:  {ErrMisconfigured, "the app is a Microsoft app that the resource has not authorized", askOperator + "use the organization's own app registration"},
	65005:  {ErrMisconfigured, "the app registration doesn't list this resource among its API permissions", addPermission},
	650051: {ErrMisconfigured, "the tenant has no usable service principal for the resource", addAndConsent},
	650052: {ErrMisconfigured, "the tenant has no service principal for the resource, or no subscription to its service", addAndConsent},
	650054: {ErrMisconfigured, "the app registration lists a resource that no longer exists", askOperator + "remove it under " + permissions},
	650056: {ErrMisconfigured, "the app registration lists no permission for this resource, or nobody has consented to it", addPermission},
	650057: {ErrMisconfigured, "the app registration doesn't list this resource among its API permissions", addPermission},
	650053: {ErrMisconfigured, "the resource has no such scope", askOperator + "check the scope's name and its resource"},
	70011:  {ErrMisconfigured, "the scope is invalid", askOperator + "check the configured resources: each, followed by /.default, must be a valid scope"},
	500011: {ErrMisconfigured, "the tenant has no resource with this identifier", askOperator + "check the spelling of the configured resource, and that its app has a service principal in the tenant (Enterprise applications)"},
	500014: {ErrMisconfigured, "the resource is disabled in the tenant", askOperator + "have an administrator enable it: Enterprise applications, the resource, Properties"},
	700022: {ErrMisconfigured, "the scopes belong to more than one resource", oneResource},
	28000:  {ErrMisconfigured, "the scopes belong to more than one resource", oneResource},
	90009:  {ErrMisconfigured, "the server requests a token for its own API", askOperator + "remove the API itself from the configured resources"},

	// Try again later.
	50196: {ErrThrottled, "Entra ID got the same request too often", "wait, then try again; if it persists, the client is in a loop"},
	90055: {ErrThrottled, "Entra ID gets too many requests", "wait, then try again"},
	50033: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	50087: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	90006: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	90012: {ErrUnavailable, "Entra ID took too long", "try again in a moment"},
	90033: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	90090: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	90091: {ErrUnavailable, "Entra ID has a temporary problem", "try again in a moment"},
	90024: {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
}

const (
	wrongSecret = askOperator + "configure the value (not the id) of a secret of this app registration: " + certificates + ", Client secrets"
	noProof     = askOperator + "configure a client secret or a managed identity, and register the app as a web app instead of a public client: App registrations, the app, Authentication"
)

// families are codes whose refinements, with more digits, mean the same. Entra
// keeps adding those: 70021 became 700211 to 7002138 within three years.
var families = map[int]bool{
	65001: true, 65005: true, 70021: true, 53000: true, 53003: true, 50020: true, 50027: true, 50034: true, 50057: true,
	50076: true, 50079: true, 50105: true, 70008: true,
}

// lookup returns a code's own verdict, or its family's.
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

// blamesResource reports whether the code concerns the requested resource or scope,
// and not the app as a whole.
func blamesResource(code int) bool {
	switch code {
	case 28000, 50001, 50146, 65002, 70011, 90009, 500011, 500014, 501461, 650053, 700022:
		return true
	}
	return familyOf(code) == 65005
}

// asksConsent reports whether consent is missing.
func (v verdict) asksConsent() bool { return errors.Is(v.kind, ErrConsentRequired) }

// byError are verdicts for answers whose code is unknown, by the OAuth error
// (RFC 6749, section 5.2; RFC 8707, section 2; OpenID Connect Core, section
// 3.1.2.6).
var byError = map[string]verdict{
	"interaction_required": {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"login_required":       {ErrInteractionRequired, "the user must sign in again", signInAgain},
	"consent_required":     {ErrConsentRequired, "a user or an administrator must consent to the server's use of this resource", ""},
	"invalid_client": {ErrMisconfigured, "Entra ID rejects the app: its credential, its registration or its access to the resource",
		askOperator + "look the code up at https://login.microsoftonline.com/error, then check the client ID, " + permissions + ", and its Certificates & secrets"},
	"unauthorized_client":     {ErrMisconfigured, "the app is not allowed to exchange tokens on behalf of users", askOperator + "check the app registration"},
	"invalid_request":         {ErrMisconfigured, "Entra ID doesn't understand the request", askOperator + "check the client ID, the tenant ID and the configured resources"},
	"invalid_scope":           {ErrMisconfigured, "the scope is invalid", askOperator + "check the configured resources"},
	"invalid_resource":        {ErrMisconfigured, "the resource is invalid", askOperator + "check the configured resources"},
	"invalid_target":          {ErrMisconfigured, "the resource is invalid", askOperator + "check the configured resources"},
	"unsupported_grant_type":  {ErrMisconfigured, "the authority doesn't support the On-Behalf-Of flow", askOperator + "check the authority host"},
	"access_denied":           {ErrBlocked, "Entra ID denies access", askAdmin},
	"temporarily_unavailable": {ErrUnavailable, "Entra ID is busy", "try again in a moment"},
	"server_error":            {ErrUnavailable, "Entra ID has a problem", "try again in a moment"},
}

// bySuberror refine invalid_grant where the code is unknown.
var bySuberror = map[string]verdict{
	"consent_required":      {ErrConsentRequired, "a user or an administrator must consent to the server's use of this resource", ""},
	"bad_token":             {ErrAssertionExpired, "the user's token has expired or was revoked", newToken},
	"token_expired":         {ErrAssertionExpired, "the user's token has expired", newToken},
	"user_password_expired": {ErrAssertionExpired, "the user's password has expired", newToken},
	"message_only":          {ErrBlocked, "a policy of the organization blocks access to this resource", whichPolicy},
}
