package entratest

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// A Browser is a user at a browser, for tests that start with a sign-in. It goes through the
// tenant's pages as the user would, with its own cookies. Create one with [Tenant.Browser]. It is
// not safe for concurrent use.
type Browser struct {
	// Decline makes the user decline to consent.
	Decline bool

	tenant *Tenant
	user   *User
	client *http.Client
}

// Browser returns a browser in which user signs in, approves, and consents to everything.
func (t *Tenant) Browser(user *User) *Browser {
	jar, err := cookiejar.New(nil)
	must(err)
	client := t.HTTPClient()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Browser{tenant: t, user: user, client: client}
}

// maxSteps exceeds the number of pages on any path.
const maxSteps = 12

var (
	formAction  = regexp.MustCompile(`<form method="post"[^>]* action="([^"]*)"`)
	formHidden  = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	pageMessage = regexp.MustCompile(`(?s)<h1>.*?</h1>\s*<p>(.*?)</p>`)
)

// Open opens the URL of an authorization request or of the admin consent page. It returns the URL
// that the user is redirected to, with the code or the error. For response_mode=form_post, the
// form's values are in the query. If the page is an error page, from which Entra does not
// redirect, Open returns its text as an error.
func (b *Browser) Open(ctx context.Context, address string) (*url.URL, error) {
	text, back, err := b.do(ctx, http.MethodGet, address, nil)
	for range maxSteps {
		if err != nil || back != nil {
			return back, err
		}
		if strings.Contains(text, `name="hiddenform"`) {
			return formTarget(text)
		}
		form, ok := b.answer(text)
		if !ok {
			return nil, fmt.Errorf("entratest: the sign-in ended at a page: %s", message(text))
		}
		text, back, err = b.do(ctx, http.MethodPost, b.tenant.authorityHost+attribute(text, formAction), form)
	}
	return nil, fmt.Errorf("entratest: more than %d pages at %s", maxSteps, address)
}

// EnterDeviceCode signs in the device that shows the user code.
func (b *Browser) EnterDeviceCode(ctx context.Context, userCode string) error {
	page := b.tenant.authorityHost + "/" + devicePath
	text, _, err := b.do(ctx, http.MethodGet, page, nil)
	form := url.Values{"otc": {userCode}}
	for range maxSteps {
		if err != nil {
			return err
		}
		for _, hidden := range formHidden.FindAllStringSubmatch(text, -1) {
			form.Set(hidden[1], html.UnescapeString(hidden[2]))
		}
		if text, _, err = b.do(ctx, http.MethodPost, b.tenant.authorityHost+attribute(text, formAction), form); err != nil {
			return err
		}
		if strings.Contains(text, "You have signed in") {
			return nil
		}
		var ok bool
		if form, ok = b.answer(text); !ok {
			return fmt.Errorf("entratest: the device's sign-in ended at a page: %s", message(text))
		}
	}
	return fmt.Errorf("entratest: more than %d pages", maxSteps)
}

// answer fills in a page's form.
func (b *Browser) answer(text string) (url.Values, bool) {
	form := url.Values{}
	for _, hidden := range formHidden.FindAllStringSubmatch(text, -1) {
		form.Set(hidden[1], html.UnescapeString(hidden[2]))
	}
	switch {
	case strings.Contains(text, `name="name"`): // the account picker
		form.Set("action", "account")
		form.Set("user", b.user.ObjectID)
	case strings.Contains(text, `value="approve"`):
		form.Set("action", "approve")
	case strings.Contains(text, `value="consent"`) && b.Decline:
		form.Set("action", "cancel")
	case strings.Contains(text, `value="consent"`):
		form.Set("action", "consent")
	default:
		return nil, false
	}
	return form, true
}

func (b *Browser) do(ctx context.Context, method, address string, form url.Values) (text string, back *url.URL, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", nil, err
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if location := response.Header.Get("Location"); location != "" {
		back, err = url.Parse(location)
		return "", back, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	return string(body), nil, err
}

func formTarget(text string) (*url.URL, error) {
	back, err := url.Parse(attribute(text, formAction))
	if err != nil {
		return nil, err
	}
	query := back.Query()
	for _, hidden := range formHidden.FindAllStringSubmatch(text, -1) {
		query.Set(hidden[1], html.UnescapeString(hidden[2]))
	}
	back.RawQuery = query.Encode()
	return back, nil
}

func attribute(text string, pattern *regexp.Regexp) string {
	if found := pattern.FindStringSubmatch(text); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

func message(text string) string {
	if found := pageMessage.FindStringSubmatch(text); found != nil {
		return html.UnescapeString(found[1])
	}
	return "(no text)"
}
