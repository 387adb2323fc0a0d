package entratest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	devicePath     = "devicelogin" // the page for user codes, below the authority host
	deviceLifetime = 15 * time.Minute
	maxDevices     = 5000
)

// A deviceCode is a device's request to be signed in (RFC 8628).
type deviceCode struct {
	code, userCode string
	tenant         string // ID, or empty for the user's own tenant
	clientID       string
	scope          string
	claims         string
	expires        int64

	grant *grant // once the user has signed in
	gone  int    // AADSTS code if it failed
}

// A deviceBook holds the device codes in use. It drops the oldest when there are too many.
type deviceBook struct {
	mu  sync.Mutex
	all []*deviceCode
}

func (b *deviceBook) add(d *deviceCode, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// Expired codes are kept for a while, so that devices learn why they fail.
	const remembered = int64(time.Hour / time.Second)
	b.all = slices.DeleteFunc(b.all, func(old *deviceCode) bool { return now > old.expires+remembered })
	if len(b.all) >= maxDevices {
		b.all = slices.Delete(b.all, 0, len(b.all)-maxDevices+1)
	}
	b.all = append(b.all, d)
}

func (b *deviceBook) find(matches func(*deviceCode) bool) *deviceCode {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.IndexFunc(b.all, matches); i >= 0 {
		d := *b.all[i]
		return &d
	}
	return nil
}

func (b *deviceBook) byUserCode(userCode string) *deviceCode {
	userCode = strings.ToUpper(strings.TrimSpace(userCode))
	return b.find(func(d *deviceCode) bool { return d.userCode == userCode })
}

// settle records the result for a user code.
func (b *deviceBook) settle(userCode string, g *grant, gone int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.all {
		if d.userCode == userCode && d.grant == nil && d.gone == 0 {
			d.grant, d.gone = g, gone
		}
	}
}

// take removes a redeemed code, and reports whether it still existed.
func (b *deviceBook) take(code string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.all)
	b.all = slices.DeleteFunc(b.all, func(d *deviceCode) bool { return d.code == code })
	return len(b.all) < before
}

// A deviceResponse has the members of Entra's response, in the same order.
type deviceResponse struct {
	UserCode        string `json:"user_code"`
	DeviceCode      string `json:"device_code"`
	VerificationURI string `json:"verification_uri"`
	ExpiresIn       int    `json:"expires_in"` // seconds
	Interval        int    `json:"interval"`   // seconds
	Message         string `json:"message"`
}

// serveDeviceCode starts a sign-in on another device.
func (t *Tenant) serveDeviceCode(e *exchange) {
	if e.request.Method != http.MethodPost {
		e.reject(reject(900561, fmt.Sprintf("The endpoint only accepts POST requests. Received a %s request.", clip(e.request.Method))))
		return
	}
	e.form = e.request.PostForm
	d, r := t.newDeviceCode(e)
	if r != nil {
		e.reject(r)
		return
	}
	t.devices.add(d, t.now().Unix())
	page := t.authorityHost + "/" + devicePath
	e.answer(http.StatusOK, deviceResponse{
		UserCode: d.userCode, DeviceCode: d.code, VerificationURI: page,
		ExpiresIn: int(deviceLifetime / time.Second), Interval: t.options.deviceInterval(),
		Message: fmt.Sprintf("To sign in, use a web browser to open the page %s and enter the code %s to authenticate.", page, d.userCode),
	})
}

func (t *Tenant) newDeviceCode(e *exchange) (*deviceCode, *rejection) {
	if e.form.Get("client_id") == "" {
		return nil, missing("client_id")
	}
	owner := t
	if e.shared {
		owner = t.ownerOf(e, &flow{Query: "client_id=" + e.form.Get("client_id")})
	}
	client, r := owner.knownClient(e.form.Get("client_id"))
	if r == nil {
		r = client.maySignIn("")
	}
	if r != nil {
		return nil, r
	}
	if e.form.Get("scope") == "" {
		return nil, missing("scope")
	}
	if r = owner.checkResource(e.form, e.form.Get("scope")); r != nil {
		return nil, r
	}
	all, _, r := owner.parseScopes(e.form.Get("scope"))
	if r == nil {
		r = client.checkSelf(all)
	}
	if r == nil {
		_, r = parseClaims(e.form.Get("claims"))
	}
	if r != nil {
		return nil, r
	}
	d := &deviceCode{
		code: "1.A" + opaque(180), userCode: newUserCode(), clientID: client.ClientID,
		scope: e.form.Get("scope"), claims: e.form.Get("claims"), expires: t.now().Add(deviceLifetime).Unix(),
	}
	if !e.shared {
		d.tenant = t.id
	}
	return d, nil
}

// newUserCode returns nine letters and digits that cannot be confused.
func newUserCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32 of them: no bias
	b := make([]byte, 9)
	_, err := rand.Read(b)
	must(err)
	for i := range b {
		b[i] = letters[b[i]%32]
	}
	return string(b)
}

// deviceErrand returns the errand of a user code. It ends with a page, because the device polls
// for the result.
func (t *Tenant) deviceErrand(e *exchange, f *flow) (*errand, *rejection) {
	d := t.devices.byUserCode(f.Query)
	if d == nil || d.grant != nil || d.gone != 0 || t.now().Unix() > d.expires {
		return nil, reject(70019, "The code that you entered is wrong or has expired. Ask the device for a new one.")
	}
	client, r := t.knownClient(d.clientID)
	if r != nil {
		return nil, r
	}
	scopes, _, r := t.parseScopes(d.scope)
	if r != nil {
		return nil, r
	}
	claims, r := parseClaims(d.claims)
	if r != nil {
		return nil, r
	}
	return &errand{
		client: client, scopes: scopes, claims: claims, prompt: "select_account",
		done: func(user *User, s signIn) {
			t.devices.settle(d.userCode, t.deviceGrant(d, user, s), 0)
			e.page(http.StatusOK, messagePage{Title: client.name(), Text: "You have signed in to the application on your device. You may now close this window."})
		},
		fail: func(r *rejection) {
			t.devices.settle(d.userCode, nil, 70018)
			e.page(http.StatusOK, messagePage{Title: "You have not signed in", Text: r.Error(), Detail: e.ids()})
		},
	}, nil
}

func (t *Tenant) deviceGrant(d *deviceCode, user *User, s signIn) *grant {
	return &grant{
		ID: opaque(12), Tenant: t.id, User: user.ObjectID, Client: d.clientID, Scope: d.scope,
		Platform: PlatformDesktop, SignIn: s, Issued: t.now().Unix(),
	}
}

// serveDevicePage asks for a user code and then signs the user in.
func (t *Tenant) serveDevicePage(e *exchange) {
	page := devicePage{
		Title: "Enter code", Action: "/" + devicePath,
		Check: t.sealer.seal("device", e.browser()), Code: clip(e.request.URL.Query().Get("otc")),
	}
	if e.request.Method != http.MethodPost {
		e.page(http.StatusOK, page)
		return
	}
	var browser string
	if form := e.request.PostForm; !t.sealer.open("device", form.Get("check"), &browser) || browser != e.browser() {
		e.page(http.StatusBadRequest, page)
		return
	}
	userCode := strings.ToUpper(strings.TrimSpace(e.request.PostForm.Get("otc")))
	f := &flow{Kind: flowDevice, Query: userCode}
	d := t.devices.byUserCode(userCode)
	if d == nil {
		e.refusePage(reject(70019, "The code that you entered is wrong or has expired. Ask the device for a new one."))
		return
	}
	f.Shared = d.tenant == ""
	if owner := t.tenant(d.tenant); owner != nil {
		t = owner
	}
	t.proceed(e, f)
}

// pollDevice answers a device's poll for its tokens.
func (t *Tenant) pollDevice(e *exchange) (*tokenResponse, *rejection) {
	code := e.form.Get("device_code")
	if code == "" {
		code = e.form.Get("code") // the name in older libraries
	}
	if code == "" {
		return nil, missing("device_code")
	}
	d := t.devices.find(func(d *deviceCode) bool { return d.code == code })
	switch {
	case d == nil || !strings.EqualFold(d.clientID, e.clientID()):
		return nil, reject(70019, "Verification code expired or unknown.")
	case d.gone != 0:
		return nil, reject(d.gone, "The user denied the request.")
	case t.now().Unix() > d.expires:
		return nil, reject(70020, "The provided value for the input parameter 'device_code' is not valid. This device code has expired.")
	case d.grant == nil:
		return nil, reject(70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling.")
	}
	client, acr, r := t.authenticateHolder(e, *d.grant)
	if r != nil {
		return nil, r
	}
	if !client.isPublic() && acr == acrPublic {
		return nil, reject(7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	}
	owner := t.tenant(d.grant.Tenant)
	response, r := owner.userToken(e, *d.grant, client, acr, d.scope)
	if r == nil && !t.devices.take(code) {
		return nil, reject(70019, "Verification code expired or unknown.")
	}
	return response, r
}

// deviceInterval returns how long devices must wait between polls.
func (o *Options) deviceInterval() int {
	if o.DeviceInterval > 0 {
		return int((o.DeviceInterval + time.Second - 1) / time.Second)
	}
	return 5
}
