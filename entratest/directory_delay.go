package entratest

// A Lag is a form of the delay with which the directory's parts learn of a change.
type Lag int

// The forms of delay, with the answers that a request gets meanwhile.
const (
	LagObject     Lag = iota + 1 // GET, PATCH and the like of a new application or service principal: 404 Request_ResourceNotFound
	LagConflict                  // PATCH of a new application: 409 Directory_ConcurrencyViolation
	LagList                      // lists lack a new application or service principal
	LagBacking                   // POST of a new application's service principal: 400, detail NoBackingApplicationObject
	LagForbidden                 // the same: 403 Authorization_RequestDenied
	LagReference                 // grants and role assignments that name a new service principal: 400
	LagCredential                // reads lack a new secret, certificate or federated credential, and tokens for the latter are AADSTS70025
	LagDisabled                  // a scope or role that was disabled is still shown, and treated, as enabled
)

// Delay makes changes slow to spread from now on: for each change, the first requests that it
// concerns get the answers of these lags. A negative number means all requests until
// [Directory.Settle]. Without lags, later changes spread at once.
func (d *Directory) Delay(requests int, forms ...Lag) {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	d.delay, d.lags = requests, forms
}

// Settle ends the delay of all earlier changes.
func (d *Directory) Settle() {
	d.tenant.mu.Lock()
	defer d.tenant.mu.Unlock()
	for _, app := range append(d.deletedApps(), d.tenant.apps...) {
		clear(app.entry.lags)
		for _, secret := range app.secrets {
			clear(secret.lags)
		}
		for _, certificate := range app.certificates {
			clear(certificate.lags)
		}
		for _, credential := range app.federated {
			clear(credential.lags)
		}
	}
}

// lags counts the requests that still get the answer of each form.
type lags map[Lag]int

// newLags returns the lags of a change that is being made now. Callers hold the tenant's mu.
func (d *Directory) newLags() lags {
	l := lags{}
	for _, form := range d.lags {
		l[form] = d.delay
	}
	return l
}

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
