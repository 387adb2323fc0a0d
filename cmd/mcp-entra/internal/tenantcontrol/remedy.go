package tenantcontrol

import "fmt"

// remedies say what to do about the errors that people run into most.
var remedies = map[int]string{
	16000:   "Send a login_hint, or let the user pick an account.",
	28000:   "Ask for one resource in each token request; others come by the refresh token.",
	28003:   "Repeat the scope when you redeem the code.",
	50011:   "Register this redirect URI with the app, character for character; only the port of http://localhost is free.",
	50013:   "Send the token as the user's client sent it, to the tenant that issued it.",
	50034:   "Choose a user of this tenant.",
	50049:   "Turn instance discovery off: this authority is none of Microsoft's.",
	50057:   "The user is disabled; enable them, or choose another.",
	50058:   "Nobody is signed in: repeat the request without prompt=none.",
	50059:   "Send the request to the tenant's own endpoint, not to organizations or common.",
	50076:   "Send the user to sign in again with the claims of this error.",
	50089:   "Begin again at the application.",
	50173:   "The user's sessions were revoked: sign in again.",
	53003:   "A conditional access policy blocks the resource; no retry helps.",
	54005:   "A code can be redeemed once; begin again.",
	65001:   "Consent is missing: send the user to the authorize endpoint with this scope, or have an administrator consent.",
	65004:   "The user declined; ask again only when they want to.",
	70000:   "Use the code or refresh token with the client that got it.",
	70003:   "Use another grant_type.",
	70008:   "The code is too old; begin again.",
	70011:   "Write each scope as {App ID URI}/{name}, and .default alone.",
	70016:   "The user has not entered the code yet; keep polling.",
	70025:   "The app has no federated credential; add one.",
	90002:   "Check the tenant's id in the URL.",
	90009:   "Repeat the scope when you refresh.",
	90023:   "Correct the parameter's value.",
	90094:   "Only an administrator can consent here.",
	90095:   "The user must ask an administrator for consent; don't send prompt=consent.",
	240002:  "Send an access token, not an ID token.",
	500011:  "No app of this tenant has this client ID or App ID URI; compare the two character for character.",
	500112:  "Redeem the code with the redirect_uri of the authorization request.",
	500113:  "Register a redirect URI with the app.",
	500131:  "The app that exchanges a token must be its audience.",
	500133:  "The user's token has expired: the client must get a new one.",
	501481:  "Send the code_verifier that belongs to the code_challenge.",
	501491:  "The code_challenge is the base64url of a SHA-256, 43 characters.",
	650053:  "The resource has no such scope; a scope without App ID URI is Microsoft Graph's.",
	700016:  "No app of this tenant has this client_id.",
	700021:  "The assertion's sub must be the client ID.",
	700023:  "The assertion's aud must be the token endpoint.",
	700024:  "Check the clock of the machine that signs the assertion.",
	700025:  "A public client sends no secret and no assertion.",
	700027:  "Sign with the key of a certificate that the app has.",
	700038:  "Put the app's client ID in place of the empty one.",
	700054:  "Use response_type=code.",
	700082:  "The refresh token has expired: sign in again.",
	700211:  "The token's issuer is not that of a federated credential; they are compared exactly.",
	700212:  "The token's audience is not that of a federated credential; they are compared exactly.",
	700213:  "The token's subject is not that of a federated credential; they are compared exactly.",
	900144:  "Send the missing parameter.",
	900561:  "Send a POST request.",
	901002:  "Send scope; resource alone is not supported.",
	1002012: "Apps ask for {App ID URI}/.default.",
	7000114: "On-Behalf-Of needs a user's token.",
	7000215: "Check the secret: its value, not its id.",
	7000218: "Send client_secret or client_assertion, or register the redirect URI for desktop apps.",
	7000222: "The secret has expired; add a new one.",
	9002313: "Check the request's form.",
	9002325: "Single-page apps need PKCE: send code_challenge.",
	9002326: "A page in a browser redeems codes of spa redirects only; register this one as spa.",
	9002327: "Codes of spa redirects are redeemed by a page in a browser only; register this one as web or desktop.",
	9010010: "resource and the scopes' prefix must be the same App ID URI, character for character.",
}

// remedy returns what to do about an error, or "".
func remedy(code int) string { return remedies[code] }

// link returns Microsoft's page about an error.
func link(code int) string {
	return fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code)
}
