package authproxy

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/clients"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/redirecturi"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// maxConsentCookie bounds the cookie of remembered consents, with its name.
const maxConsentCookie = 2000

// An approval is a hash of what a user approved: a client, its redirect, and the list of scopes.
type approval [16]byte

// approvalOf returns the approval of a client at a redirect, for all scopes of this proxy.
func (p *Proxy) approvalOf(client clients.Hash, redirect string) approval {
	var w record.Writer
	w.Blob(client[:])
	w.Text(redirect)
	w.Texts(p.scopes.full)
	sum := sha256.Sum256(w.Bytes())
	return approval(sum[:])
}

// remembers reports whether approvals for the redirect are remembered. Those for the user's own
// computer are not: any program on it can listen on a loopback port or register a scheme.
func (p *Proxy) remembers(redirect string) bool {
	return p.opts.RememberConsent > 0 && redirecturi.Scheme(redirect) == "" && !redirecturi.IsLoopback(redirect) && !slices.Contains(forwarders, strings.ToLower(redirecturi.Host(redirect)))
}

// consents are the approvals that a browser remembers, each with its time, the newest first.
type consents []remembered

type remembered struct {
	approval approval
	at       time.Time
}

// entrySize is the length of an entry: the approval and its time in seconds.
const entrySize = len(approval{}) + 4

// consents reads the browser's cookie. Expired approvals are left out.
func (p *Proxy) consents(r *http.Request) (list consents) {
	plain, _ := p.openConsents(cookie(r, p.cookies.consent, p.isConsents))
	for entry := range slices.Chunk(plain, entrySize) {
		at := time.Unix(int64(binary.BigEndian.Uint32(entry[len(approval{}):])), 0)
		if p.now().Sub(at) < p.opts.RememberConsent {
			list = append(list, remembered{approval(entry[:len(approval{})]), at})
		}
	}
	return list
}

func (p *Proxy) isConsents(value string) bool {
	_, ok := p.openConsents(value)
	return ok
}

func (p *Proxy) openConsents(value string) ([]byte, bool) {
	plain, err := p.seals.consent.OpenText(value, p.sealName())
	return plain, err == nil && len(plain)%entrySize == 0
}

func (c consents) has(a approval) bool {
	return slices.ContainsFunc(c, func(r remembered) bool { return r.approval == a })
}

// remember adds the approval to the browser's cookie. It returns how many bytes the cookie takes
// in a request's header.
func (p *Proxy) remember(w http.ResponseWriter, r *http.Request, a approval) int {
	others := slices.DeleteFunc(p.consents(r), func(r remembered) bool { return r.approval == a })
	return p.keep(w, append(consents{{a, p.now()}}, others...))
}

// forget removes the approval from the browser's cookie.
func (p *Proxy) forget(w http.ResponseWriter, r *http.Request, a approval) {
	if list := p.consents(r); list.has(a) {
		p.keep(w, slices.DeleteFunc(list, func(r remembered) bool { return r.approval == a }))
	}
}

// keep sets the browser's cookie to as many approvals as it has room for. It returns how many
// bytes the cookie takes in a request's header.
func (p *Proxy) keep(w http.ResponseWriter, list consents) int {
	room := base64.RawURLEncoding.DecodedLen(maxConsentCookie-len(p.cookies.consent)) - seal.Overhead
	list = list[:min(len(list), room/entrySize)]
	var plain []byte
	for _, entry := range list {
		plain = append(plain, entry.approval[:]...)
		plain = binary.BigEndian.AppendUint32(plain, uint32(entry.at.Unix())) //nolint:gosec // until 2106
	}
	value := p.seals.consent.SealText(plain, p.sealName())
	p.cookies.set(w, p.cookies.consent, value, p.opts.RememberConsent)
	return sizeOf(p.cookies.consent, value)
}
