package mcpentra

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/safelog"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/obo"
)

const (
	// consentInput names the input request in which the client is asked.
	consentInput = "consent"
	// maxRounds is how often one call asks for the same consent: a client that
	// says "accept" has opened the page, and its user may not be done.
	maxRounds = 3
	// modern is the first protocol version in which a result can ask for input.
	modern = "2026-07-28"
)

// consent asks users for theirs, and takes up the calls that wait for it.
type consent struct {
	states    *seal.Sealer // nil without keys
	waiting   waiting      // sessions that asked
	exchanger *obo.Exchanger
	log       *slog.Logger
}

// ask returns the answer to a tool call that failed because Entra wants the user's
// consent: a request to open the page, to clients that can, and else the failure itself,
// whose text has the URL.
func (c *consent) ask(m *message, call *mcp.CallToolRequest, e *obo.Error) (mcp.Result, error) {
	if !opensURLs(call) || e.ConsentURL == "" {
		return m.result, nil
	}
	if !isModern(call.Session) {
		if call.Session.ID() == "" { // nobody to notify: the client must make the call itself
			return m.result, nil
		}
		elicitation := c.waiting.add(m.caller.UserID(), call.Session)
		return nil, mcp.URLElicitationRequiredError([]*mcp.ElicitParams{{
			Mode: "url", Message: consentMessage(e, 1), URL: withState(e.ConsentURL, elicitation), ElicitationID: elicitation,
		}})
	}
	if c.states == nil || m.round >= maxRounds {
		return m.result, nil
	}
	return inputRequired(mcp.InputRequestMap{
		consentInput: &mcp.ElicitParams{Mode: "url", Message: consentMessage(e, m.round+1), URL: e.ConsentURL, ElicitationID: newID()},
	}, sealState(c.states, requestState{
		User: m.caller.UserID(), Call: callHash(call.Params), Until: time.Now().Add(stateLife).Unix(), Round: m.round + 1,
	})), nil
}

// opensURLs reports whether the client can show its user a page to open.
func opensURLs(call *mcp.CallToolRequest) bool {
	c := call.ClientCapabilities()
	return c != nil && c.Elicitation != nil && c.Elicitation.URL != nil
}

// isModern reports whether the request is one of protocol 2026-07-28 or later. Those
// have no session; in one, the version is what its client asked for, not what it got.
func isModern(session *mcp.ServerSession) bool {
	p := session.InitializeParams()
	return session.ID() == "" && p != nil && p.ProtocolVersion >= modern
}

// consentMessage is for the user.
func consentMessage(e *obo.Error, round int) string {
	if round > 1 {
		return "The consent is not there yet. Finish on the page that was opened, then accept here to go on."
	}
	text := "This tool acts on your behalf at " + e.Resource + ", and needs your consent for that once. Open the page, accept, and come back."
	if e.AdminConsentURL != "" {
		text += " If your organization wants an administrator to decide, send them " + e.AdminConsentURL
	}
	return text
}

// withState marks the page's way back, so that the landing page knows whom to tell.
func withState(consentURL, id string) string {
	return consentURL + "&state=" + url.QueryEscape(id)
}

// inputRequired returns a result that asks for input. That it is one is a field of
// the SDK's that only it can set, and its decoder does.
func inputRequired(requests mcp.InputRequestMap, state string) mcp.Result {
	var r mcp.CallToolResult
	if err := json.Unmarshal([]byte(`{"resultType":"input_required"}`), &r); err != nil {
		panic(err) // a constant: every test would see it
	}
	r.Content, r.InputRequests, r.RequestState = nil, requests, state
	return &r
}

// resume is the stage of calls that are made once more, after the user has been asked
// for consent. It takes out of them what ask put in.
func (c *consent) resume(m *message) error {
	call, ok := m.req.(*mcp.CallToolRequest)
	if !ok || call.Params == nil || !strings.HasPrefix(call.Params.RequestState, statePrefix) {
		return nil
	}
	state, err := openState(c.states, call.Params.RequestState)
	if err == nil {
		err = state.check(m.caller, call.Params)
	}
	if err != nil {
		return &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: err.Error()}
	}
	if answer, _ := call.Params.InputResponses[consentInput].(*mcp.ElicitResult); answer == nil || answer.Action != "accept" {
		declined := &mcp.CallToolResult{}
		declined.SetError(errDeclined)
		m.result = declined
		return nil
	}
	c.given(state.User) // on whichever replica this call has come to
	params, again := *call.Params, *call
	params.RequestState, params.InputResponses = "", nil
	again.Params = &params
	m.req, m.round = &again, state.Round
	return nil
}

// given lets the user's next call find out what Entra says now; "" if it is unknown whose
// consent it was: the landing page's visitor is unauthenticated.
func (c *consent) given(user string) {
	if c.exchanger != nil {
		c.exchanger.ForgetRefusals(user)
	}
}

// errDeclined is the failure of a call whose user did not want to consent.
var errDeclined error = credentialError("The user did not open the consent page, so the tool can't act on the user's behalf. Nothing was done. Call it again to be asked again.")

// check returns an error if the state is not of this caller and call.
func (r requestState) check(id *entraauth.Identity, p *mcp.CallToolParamsRaw) error {
	switch {
	case id == nil || r.User != id.UserID():
		return fmt.Errorf("%w (it is another user's)", errState)
	case !bytes.Equal(r.Call, callHash(p)):
		return fmt.Errorf("%w (it is another call's)", errState)
	case time.Now().Unix() >= r.Until:
		return errState
	}
	return nil
}

// maxWaiting is how many consents the sessions of a user may wait for.
const maxWaiting = 16

// waiting are the consents for which sessions wait, by elicitation id. They end with their
// session.
type waiting struct {
	mu     sync.Mutex
	byID   map[string]*pendingConsent
	byUser map[string][]*pendingConsent // oldest first
}

type pendingConsent struct {
	id, user string
	session  *mcp.ServerSession
	until    time.Time
}

// add returns the id of a new elicitation. If the user has too many, the oldest is
// dropped: its client is not notified, and tries again by itself.
func (w *waiting) add(user string, session *mcp.ServerSession) string {
	now := time.Now()
	x := &pendingConsent{newID(), user, session, now.Add(stateLife)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(user, func(old *pendingConsent) bool { return !now.Before(old.until) })
	if all := w.byUser[user]; len(all) >= maxWaiting {
		oldest := all[0]
		w.remove(user, func(old *pendingConsent) bool { return old == oldest })
	}
	if w.byID == nil {
		w.byID, w.byUser = map[string]*pendingConsent{}, map[string][]*pendingConsent{}
	}
	w.byID[x.id] = x
	w.byUser[user] = append(w.byUser[user], x)
	return x.id
}

// take removes an elicitation and returns its session, or nil if there is none.
func (w *waiting) take(id string) *mcp.ServerSession {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.byID[id]
	if x == nil {
		return nil
	}
	w.remove(x.user, func(old *pendingConsent) bool { return old == x })
	return x.session
}

// drop removes the elicitations of a session that has ended.
func (w *waiting) drop(user string, session *mcp.ServerSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(user, func(old *pendingConsent) bool { return old.session == session })
}

func (w *waiting) remove(user string, which func(*pendingConsent) bool) {
	left := slices.DeleteFunc(w.byUser[user], func(x *pendingConsent) bool {
		gone := which(x)
		if gone {
			delete(w.byID, x.id)
		}
		return gone
	})
	if len(left) > 0 {
		w.byUser[user] = left
	} else {
		delete(w.byUser, user)
	}
}

const (
	// statePrefix tells our request states from those of tools.
	statePrefix = "mcpentra1."
	// stateLife is how long a user has for what a browser asks for.
	stateLife = 10 * time.Minute
	// statePurpose and cursorPurpose keep states and cursors apart under one key.
	statePurpose, cursorPurpose = "mcpentra request state", "mcpentra cursor"
	// maxState bounds what is opened, in bytes.
	maxState = 1024
)

// A requestState is what a client hands back when it makes a call once more, after
// its user has been in a browser. It is sealed: the client can neither read nor
// change it, and any replica with the key opens it. It gives no rights; the
// caller's token does. It says whose it is and of which call, so that it is of
// use for nothing else.
type requestState struct {
	User  string `json:"u"`
	Call  []byte `json:"c"` // hash of tool and arguments
	Until int64  `json:"t"` // Unix seconds
	Round int    `json:"r"`
}

// callHash is the name of a call: tool and arguments.
func callHash(p *mcp.CallToolParamsRaw) []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d:%s", len(p.Name), p.Name) // never fails
	_, _ = h.Write(p.Arguments)
	return h.Sum(nil)
}

// sealState returns the text of a state.
func sealState(s *seal.Sealer, state requestState) string {
	plain, _ := json.Marshal(state) // texts and numbers: it encodes
	return statePrefix + s.SealText(plain, "")
}

var errState = errors.New("the request state is not one of this server's, or its time is up: make the call without it")

func openState(s *seal.Sealer, text string) (state requestState, err error) {
	sealed, ours := strings.CutPrefix(text, statePrefix)
	if !ours || len(text) > maxState {
		return state, errState
	}
	plain, err := s.OpenText(sealed, "")
	if err != nil || json.Unmarshal(plain, &state) != nil {
		return requestState{}, errState
	}
	return state, nil
}

// newID returns an identifier that can't be guessed.
func newID() string { return rand.Text() }

// consentPath is where Entra sends the browser after a consent: the redirect URI
// to register with the app, and to give to the exchanger as Options.RedirectURL.
const consentPath = "/consent/done"

// The page is deliberately generic: its visitor is unauthenticated. The next call learns
// the outcome.
const (
	donePage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%title%</title>
<style>
body { font: 18px/1.5 system-ui, sans-serif; margin: 15vh auto 0; max-width: 26em; padding: 0 1.5em; color: #1b1b1b; background: #fff }
h1 { font-size: 1.5em; font-weight: 600; margin: 0 0 .4em }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #1b1b1b } }
</style>
</head>
<body>
<h1>%title%</h1>
<p>%text%</p>
</body>
</html>
`
	doneTitle    = "Done"
	doneText     = "You can close this window and go back to where you came from. If the assistant does not go on by itself, ask it to try again."
	refusedTitle = "Nothing was changed"
	refusedText  = "The consent was not given. You can close this window. If your organization wants an administrator to decide, ask yours; then try again."
)

// landing is where a consent ends. The authorization code in the query is of use
// to nobody without the app's proof, and is thrown away: the browser is sent on to
// the page without it, so that it stays in no history.
func (c *consent) landing(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	if q := r.URL.Query(); q.Has("code") || q.Has("state") || q.Has("error") || q.Has("admin_consent") {
		if !q.Has("error") {
			c.given("")
		}
		if session := c.waiting.take(q.Get("state")); session != nil && !q.Has("error") {
			c.tell(r.Context(), session, q.Get("state"))
		}
		// Relative: what stands before this path, a gateway or http.StripPrefix may
		// have taken off.
		to := path.Base(consentPath)
		if q.Has("error") {
			to += "?refused"
		}
		h.Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	title, text := doneTitle, doneText
	if r.URL.Query().Has("refused") {
		title, text = refusedTitle, refusedText
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = strings.NewReplacer("%title%", title, "%text%", text).WriteString(w, donePage)
}

// tell notifies the session's client that its user is back from the page.
func (c *consent) tell(ctx context.Context, session *mcp.ServerSession, elicitation string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := session.NotifyElicitationComplete(ctx, &mcp.ElicitationCompleteParams{ElicitationID: elicitation}); err != nil {
		c.log.InfoContext(ctx, "a client was not told of a consent", "cause", safelog.Cut(err.Error(), safelog.MaxText))
	}
}
