package entraauth

// The reason codes of refusals. They are stable: logs, reports, JSON-RPC errors
// and docs/troubleshooting.md name them alike.
const (
	noTokenReason        = "no_token"
	tokenInQuery         = "token_in_query"
	severalHeaders       = "several_headers"
	severalValues        = "several_values"
	malformedToken       = "malformed"
	algorithmNotAccepted = "algorithm_not_accepted"
	criticalHeader       = "critical_header"
	otherAPI             = "other_api"
	typeNotAccepted      = "type_not_accepted"
	keyIDMissing         = "kid_missing"
	keysUnavailable      = "keys_unavailable"
	tenantNotFound       = "tenant_not_found"
	versionNotAccepted   = "version_not_accepted"
	issuerMismatch       = "issuer_mismatch"
	tenantMismatch       = "tenant_mismatch"
	audienceMismatch     = "audience_mismatch"
	expiryMissing        = "exp_missing"
	tokenExpired         = "expired"
	notYetValid          = "not_yet_valid"
	issuedInFuture       = "issued_in_future"
	boundToKey           = "bound_to_key"
	idTokenSent          = "id_token"
	kindNotAccepted      = "idtyp_not_accepted"
	keyNotFound          = "key_not_found"
	signatureInvalid     = "signature_invalid"
	objectIDMissing      = "oid_missing"
	scopeMissing         = "scope_missing"
	appOnlyToken         = "app_only"
	userNotAccepted      = "user_not_accepted"
	userRoleMissing      = "user_role_missing"
	groupMissing         = "group_missing"
	groupOverage         = "group_overage"
	appRoleMissing       = "app_role_missing"
	clientNotAllowed     = "client_not_allowed"
	clientAuthWeak       = "client_auth_weak"
	strongerSignIn       = "stronger_sign_in"
	tokenRevoked         = "revoked"
)

// summaries say what each code means, in the words that people search for.
var summaries = map[string]string{ //nolint:gosec // texts about tokens, no token
	noTokenReason:        "No Bearer token found in Authorization header",
	tokenInQuery:         "Access token in the query string",
	severalHeaders:       "More than one Authorization header",
	severalValues:        "More than one value in the Authorization header",
	malformedToken:       "Token is not a well-formed JWT",
	algorithmNotAccepted: "Signature algorithm not accepted",
	criticalHeader:       "Header extension not understood",
	otherAPI:             "Token is for another API",
	typeNotAccepted:      "Token type not accepted",
	keyIDMissing:         "Key id missing",
	keysUnavailable:      "The tenant's signing keys are not available at the moment",
	tenantNotFound:       "Tenant not found",
	versionNotAccepted:   "Token version not accepted",
	issuerMismatch:       "Issuer validation failed",
	tenantMismatch:       "Tenant validation failed",
	audienceMismatch:     "Audience validation failed",
	expiryMissing:        "Expiry missing",
	tokenExpired:         "Token expired",
	notYetValid:          "Token not yet valid",
	issuedInFuture:       "Token issued in the future",
	boundToKey:           "Token is bound to a device or key",
	idTokenSent:          "ID token sent instead of an access token",
	kindNotAccepted:      "Kind of token not accepted",
	keyNotFound:          "Signing key not found",
	signatureInvalid:     "Signature validation failed",
	objectIDMissing:      "Object id missing",
	scopeMissing:         "Required scope is missing",
	appOnlyToken:         "App-only token not accepted",
	userNotAccepted:      "User not accepted",
	userRoleMissing:      "Required app role is missing",
	groupMissing:         "Required group is missing",
	groupOverage:         "The token does not list the groups",
	appRoleMissing:       "Required application permission is missing",
	clientNotAllowed:     "Client application not allowed",
	clientAuthWeak:       "Client application not trusted enough",
	strongerSignIn:       "Stronger sign-in needed",
	tokenRevoked:         "Token no longer accepted by Microsoft Entra ID",
}
