package entratest

// A Lag is a form of the delay with which the directory's parts learn of a change.
type Lag int

// The forms of delay, with the answers that a request gets meanwhile.
const (
	LagObject     Lag = iota + 1 // requests for a new application or service principal, and grants that name it: 404 Request_ResourceNotFound
	LagConflict                  // PATCH of a new application: 409 Directory_ConcurrencyViolation
	LagList                      // lists lack a new application or service principal
	LagBacking                   // POST of a new application's service principal: 400, detail NoBackingApplicationObject
	LagForbidden                 // the same: 403 Authorization_RequestDenied
	LagReference                 // grants and role assignments that name a new service principal: 400
	LagCredential                // reads lack a new secret, certificate or federated credential, and tokens for the latter are AADSTS70025
	LagDisabled                  // a scope or role that was disabled is still shown, and treated, as enabled
)

// lags counts the requests that still get the answer of each form.
type lags map[Lag]int

// take reports whether a request gets the answer of the form, and counts it.
func (l lags) take(form Lag) bool {
	left := l[form]
	if left > 0 {
		l[form]--
	}
	return left != 0
}

// is reports whether the next request gets the answer of the form.
func (l lags) is(form Lag) bool { return l[form] != 0 }
