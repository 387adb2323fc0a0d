package entraauth

// What a server learns about a good token only when it acts on the user's behalf.
// The errors here turn that into an answer that the user's client acts on
// ([Verifier.Refuse]).

// ClaimsRequiredError returns the refusal of a token for which Entra demands more, such
// as a second factor: 401 insufficient_claims with the claims, a JSON object as
// Entra's token endpoint or a protected service states it. A caller whose client
// does not handle claims challenges ([Identity.HandlesClaims]) would ask for the
// same token forever: the error for it is of kind [ErrNotPermitted].
func ClaimsRequiredError(id *Identity, claims string) *Error {
	e := &Error{Kind: ErrInsufficientClaims, Rule: "claims", Reason: strongerSignIn, Claims: claims,
		Expected: "the sign-in that the challenge's claims describe", Remedy: "Sign in again with the claims of the challenge", caller: id}
	if id == nil || !id.claimsCapable {
		e.Kind, e.Claims = ErrNotPermitted, ""
		e.Remedy = "Sign in with a client that understands claims challenges; this one can't ask for it"
	}
	return e
}

// RevokedError returns the refusal of a token that Entra no longer exchanges, although
// it has not expired: the password was changed, the sessions were ended, or the
// account was disabled (401 invalid_token).
func RevokedError(id *Identity) *Error {
	return &Error{Kind: ErrInvalidToken, Rule: "revocation", Reason: tokenRevoked,
		Expected: "a token that Microsoft Entra ID still exchanges", Remedy: "Sign in again", caller: id}
}
