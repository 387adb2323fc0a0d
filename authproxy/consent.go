package authproxy

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/pages"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

const (
	// formLifetime is how long the consent page may stay open.
	formLifetime = 10 * time.Minute
	// formCookieLifetime is how long a browser keeps the token that its forms are bound to. Each
	// page renews it.
	formCookieLifetime = time.Hour
	// tokenSize is the length of that token, in bytes.
	tokenSize = 16
)

// A form is the sealed content of the consent page's form.
type form struct {
	id       transactionID
	expires  time.Time
	browser  [sha256.Size]byte // hash of the browser's token
	approval approval
	direct   bool       // the client learns of a refusal by a redirect
	extra    url.Values // to pass on to Entra
}

func (f *form) marshal() []byte {
	var w record.Writer
	w.Text(string(f.id))
	w.Number(uint64(f.expires.UnixMilli()))
	w.Blob(f.browser[:])
	w.Blob(f.approval[:])
	w.Flag(f.direct)
	w.Text(f.extra.Encode())
	return w.Bytes()
}

func unmarshalForm(b []byte) (*form, error) {
	r, f := record.NewReader(b), &form{}
	f.id = transactionID(r.Text())
	f.expires = time.UnixMilli(int64(r.Number())) //nolint:gosec // ours, sealed
	copy(f.browser[:], r.Blob())
	copy(f.approval[:], r.Blob())
	f.direct = r.Flag()
	extra, err := url.ParseQuery(r.Text())
	if err = errors.Join(err, r.Done()); err != nil {
		return nil, fmt.Errorf("form: %w", err)
	}
	f.extra = extra
	return f, nil
}

// isBoundTo reports whether the form is for the browser that has the token.
func (f *form) isBoundTo(token string) bool {
	hash := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(hash[:], f.browser[:]) == 1
}

// The names of the form's fields.
const (
	fieldForm     = "form"
	fieldDecision = "decision"
)

// answersDirectly reports whether a client learns by a redirect that it gets no code. A client that
// nobody vouches for is told by a link on a page until the user has approved it in this browser: it
// may have registered only to make this server redirect to it (RFC 9700, section 4.11.2).
func (p *Proxy) answersDirectly(r *http.Request, client *clients.Client, redirect string) bool {
	return client.IsKnown() || redirecturi.Scheme(redirect) != "" || redirecturi.IsLoopback(redirect) ||
		p.consents(r).has(p.approvalOf(client.ConsentHash(), redirect))
}

// askConsent shows the consent page.
func (p *Proxy) askConsent(w http.ResponseWriter, r *http.Request, client *clients.Client, t *transaction, extra url.Values, a approval) error {
	if err := p.begin(w, r, t, p.otherCookies(r)); err != nil {
		return err
	}
	token := browserToken(r, &p.cookies)
	p.cookies.set(w, p.cookies.form, token, formCookieLifetime)
	f := &form{id: t.id, expires: p.now().Add(formLifetime), browser: sha256.Sum256([]byte(token)), approval: a, direct: p.answersDirectly(r, client, t.redirect), extra: extra}
	days := 0
	if p.remembers(t.redirect) {
		days = int((p.opts.RememberConsent + 24*time.Hour - 1) / (24 * time.Hour))
	}
	p.pages.ShowConsent(w, r, &pages.Consent{
		ClientName: client.Name, ClientHost: client.Host, Preset: client.Preset, Configured: client.Kind == clients.Configured,
		Redirect: t.redirect, Server: p.name, Scopes: p.scopes.full, Days: days,
		Action: p.issuer + pathConsent, Fields: map[string]string{fieldForm: p.seals.form.SealText(f.marshal(), p.sealName())},
	})
	return nil
}

// browserToken returns the random token that binds forms to a browser (CSRF): the browser's own,
// or a new one.
func browserToken(r *http.Request, names *cookieNames) string {
	if token := cookie(r, names.form, isToken); token != "" {
		return token
	}
	b := make([]byte, tokenSize)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

func isToken(value string) bool {
	b, err := base64.RawURLEncoding.DecodeString(value)
	return err == nil && len(b) == tokenSize
}

// otherCookies returns how many bytes the proxy's cookies other than transactions take in a
// request's header.
func (p *Proxy) otherCookies(r *http.Request) int {
	size := sizeOf(p.cookies.form, "") + base64.RawURLEncoding.EncodedLen(tokenSize)
	if value := cookie(r, p.cookies.consent, p.isConsents); value != "" {
		size += sizeOf(p.cookies.consent, value)
	} else if len(r.CookiesNamed(p.cookies.consent)) > 0 { // of a key that is gone, but still sent
		size += maxConsentCookie
	}
	return size
}

// serveConsent takes the user's decision. Its errors are pages: a form that another site sent must
// cause no redirect.
func (p *Proxy) serveConsent(w http.ResponseWriter, r *http.Request) {
	f, decision, fault := p.readForm(w, r)
	if fault != nil {
		p.showPage(w, r, fault)
		return
	}
	t := p.transaction(r, f.id)
	if t == nil {
		p.showPage(w, r, badRequest(pages.Finished, "the sign-in is over; start again at the client"))
		return
	}
	to := ""
	if decision == "approve" {
		reserved := p.otherCookies(r)
		if p.remembers(t.redirect) {
			reserved = p.remember(w, r, f.approval) + sizeOf(p.cookies.form, "") + base64.RawURLEncoding.EncodedLen(tokenSize)
		}
		t.approved = true
		if err := p.begin(w, r, t, reserved); err != nil { // it fit before
			p.log.ErrorContext(r.Context(), "a sign-in failed", slog.Any("error", err))
			p.showPage(w, r, &pageError{status: http.StatusInternalServerError, problem: pages.ServerProblem})
			return
		}
		to = p.upstreamURL(t, f.extra)
	} else {
		noteRefusal(r, string(pages.Denied))
		p.end(w, t.id)
		p.forget(w, r, f.approval)
		to = p.errorURL(t.redirect, t.state, oauth.Errorf(oauth.AccessDenied, "the user did not approve the client"))
	}
	p.log.InfoContext(r.Context(), "a user decided about a client", slog.String("decision", decision), slog.String("host", redirecturi.Host(t.redirect)))
	next := template.URL(to) //nolint:gosec // Entra's, or checked against the registration
	if decision == "deny" && !f.direct {
		p.pages.ShowError(w, r, http.StatusOK, &pages.ErrorPage{Problem: pages.Denied, Back: next})
		return
	}
	p.pages.ShowContinue(w, r, next)
}

// readForm checks that the form is from our page in this browser, and recent.
func (p *Proxy) readForm(w http.ResponseWriter, r *http.Request) (f *form, decision string, fault *pageError) {
	foreign := &pageError{status: http.StatusForbidden, problem: pages.Foreign, detail: "the form must be sent by this server's own page"}
	if !p.isOwnPage(r) {
		return nil, "", foreign
	}
	values, err := oauth.ReadForm(w, r, fieldForm, fieldDecision)
	if err != nil {
		status := http.StatusBadRequest
		if e, ok := errors.AsType[*oauth.Error](err); ok && e.Status != 0 {
			status = e.Status
		}
		return nil, "", &pageError{status: status, problem: pages.BadRequest, detail: "the form is malformed or too large"}
	}
	plain, err := p.seals.form.OpenText(values.Get(fieldForm), p.sealName())
	if err == nil {
		f, err = unmarshalForm(plain)
	}
	if err != nil {
		return nil, "", foreign
	}
	switch {
	case cookie(r, p.cookies.form, isToken) == "" || !p.now().Before(f.expires):
		return nil, "", badRequest(pages.Expired, "the page is older than 10 minutes, or the browser keeps no cookies")
	case cookie(r, p.cookies.form, f.isBoundTo) == "":
		return nil, "", foreign
	}
	decision = values.Get(fieldDecision)
	if decision != "approve" && decision != "deny" {
		return nil, "", badRequest(pages.BadRequest, "the decision must be approve or deny")
	}
	return f, decision, nil
}

// isOwnPage reports whether the request's headers say that the form comes from a page of this
// origin, or say nothing, as those of old browsers.
func (p *Proxy) isOwnPage(r *http.Request) bool {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		return len(origins) == 1 && origins[0] == edge.OriginOf(p.base)
	}
	sites := r.Header.Values("Sec-Fetch-Site")
	return len(sites) == 0 || len(sites) == 1 && sites[0] == "same-origin"
}
