package authproxy

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/oauth"
	"github.com/mcpentra/mcp-entra-go/authproxy/internal/record"
)

const (
	// transactionLifetime is how long a user may take to sign in.
	transactionLifetime = 10 * time.Minute
	// maxTransactions is how many sign-ins a browser can have in progress.
	maxTransactions = 5
	// maxRemoved bounds how many cookies one answer removes: others may have set any number that
	// looks like ours, and gateways bound the header of an answer.
	maxRemoved = 30
)

// A transactionID names a sign-in: 128 random bits as base64url. It is the state towards Entra.
type transactionID string

const transactionIDSize = 16

func newTransactionID() transactionID {
	b := make([]byte, transactionIDSize)
	_, _ = rand.Read(b) // never fails
	return transactionID(base64.RawURLEncoding.EncodeToString(b))
}

// A transaction is a sign-in in progress, sealed into a cookie: what the proxy must know when the
// user comes back from Entra.
type transaction struct {
	id       transactionID
	expires  time.Time
	approved bool // by the user, for this client
	redirect string
	state    string      // of the client; "" if it sent none
	code     grants.Code // what the client will get, without Entra's code
}

func (t *transaction) marshal() []byte {
	var w record.Writer
	w.Number(uint64(t.expires.UnixMilli()))
	w.Flag(t.approved)
	w.Text(t.redirect)
	w.Text(t.state)
	w.Blob(t.code.Marshal())
	return w.Bytes()
}

func unmarshalTransaction(id transactionID, b []byte) (*transaction, error) {
	r, t := record.NewReader(b), &transaction{id: id}
	t.expires = time.UnixMilli(int64(r.Number())) //nolint:gosec // ours, sealed
	t.approved, t.redirect, t.state = r.Flag(), r.Text(), r.Text()
	code, err := grants.UnmarshalCode(r.Blob())
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return nil, fmt.Errorf("transaction: %w", err)
	}
	t.code = *code
	return t, nil
}

// transaction returns the browser's transaction with the ID, or nil if there is none or it has
// expired.
func (p *Proxy) transaction(r *http.Request, id transactionID) *transaction {
	if len(id) != base64.RawURLEncoding.EncodedLen(transactionIDSize) {
		return nil
	}
	for _, c := range r.CookiesNamed(p.cookies.transaction + string(id)) {
		if t := p.openTransaction(id, c.Value); t != nil {
			return t
		}
	}
	return nil
}

func (p *Proxy) openTransaction(id transactionID, value string) *transaction {
	plain, err := p.seals.transaction.OpenText(value, p.sealName()+"\n"+string(id))
	if err != nil {
		return nil
	}
	t, err := unmarshalTransaction(id, plain)
	if err != nil || !p.now().Before(t.expires) {
		return nil
	}
	return t
}

// begin sets the transaction's cookie and removes those of the oldest others for which there is no
// room. reserved is how many bytes the proxy's other cookies take.
func (p *Proxy) begin(w http.ResponseWriter, r *http.Request, t *transaction, reserved int) error {
	name := p.cookies.transaction + string(t.id)
	value := p.seals.transaction.SealText(t.marshal(), p.sealName()+"\n"+string(t.id))
	if len(name)+len(value) > maxCookie {
		return oauth.Errorf(oauth.InvalidRequest, "redirect_uri, state and resource together are too long; shorten the state")
	}
	size, count, removed := sizeOf(name, value)+reserved, 1, 0
	seen := map[string]bool{name: true}
	for _, other := range p.transactions(r) {
		if seen[other.name] { // one that is good came before
			continue
		}
		seen[other.name] = true
		size, count = size+other.size, count+1 // once there is no room, all older ones go
		if (count > maxTransactions || size > maxCookies || other.at.IsZero()) && removed < maxRemoved {
			p.cookies.remove(w, other.name)
			removed++
		}
	}
	p.cookies.set(w, name, value, t.expires.Sub(p.now()))
	return nil
}

// end removes the transaction's cookie.
func (p *Proxy) end(w http.ResponseWriter, id transactionID) {
	p.cookies.remove(w, p.cookies.transaction+string(id))
}

// A heldTransaction is a transaction's cookie in a request.
type heldTransaction struct {
	name string
	size int
	at   time.Time // zero if it can't be opened, or has expired
}

// transactions returns the transactions' cookies, the newest first.
func (p *Proxy) transactions(r *http.Request) (held []heldTransaction) {
	for _, c := range r.Cookies() {
		id, ok := strings.CutPrefix(c.Name, p.cookies.transaction)
		if !ok {
			continue
		}
		h := heldTransaction{name: c.Name, size: sizeOf(c.Name, c.Value)}
		if t := p.openTransaction(transactionID(id), c.Value); t != nil {
			h.at = t.expires
		}
		held = append(held, h)
	}
	slices.SortStableFunc(held, func(a, b heldTransaction) int { return b.at.Compare(a.at) })
	return held
}
