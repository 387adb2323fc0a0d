package mcpentra

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
	"github.com/mcpentra/mcp-entra-go/obo"
)

const (
	// consentInput is the key of the input request for consent.
	consentInput = "consent"
	// maxRounds is how often one call asks for the same consent: "accept" means that
	// the client opened the page, not that the user has finished.
	maxRounds = 3
	// modern is the first protocol version in which a result can ask for input.
	modern = "2026-07-28"
)

// consent asks users to consent, and resumes the calls that wait for it.
type consent struct {
	states    *seal.Sealer // nil without keys
	waiting   waiting      // sessions that asked
	exchanger *obo.Exchanger
	log       *slog.Logger
}

// ask returns the answer to a tool call that failed because Entra needs the user's
// consent: a request to open the page if there is one and the client can, otherwise the
// failure itself, whose text contains the URL. There is none for an agent user.
func (c *consent) ask(m *rpcMessage, call *mcp.CallToolRequest, e *obo.Error) (mcp.Result, error) {
	if !opensURLs(call) || e.ConsentURL == "" {
		return m.result, nil
	}
	if !isModern(call.Session) {
		if call.Session.ID() == "" { // the client can't be notified, so it must retry by itself
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
		Tool: keptFor(call.Params),
	})), nil
}

// opensURLs reports whether the client can show its user a page to open.
func opensURLs(call *mcp.CallToolRequest) bool {
	c := call.ClientCapabilities()
	return c != nil && c.Elicitation != nil && c.Elicitation.URL != nil
}

// isModern reports whether the request uses protocol 2026-07-28 or later, which has no
// sessions. In a session, the version is what the client asked for, not what it got.
func isModern(session *mcp.ServerSession) bool {
	p := session.InitializeParams()
	return session.ID() == "" && p != nil && p.ProtocolVersion >= modern
}

// consentMessage returns the text for the user.
func consentMessage(e *obo.Error, round int) string {
	if round > 1 {
		return "Consent has not been given yet. Finish on the page that was opened, then accept here to continue."
	}
	text := "This tool acts on your behalf at " + e.Resource + ", which needs your consent once. Open the page, accept, and come back."
	if e.AdminConsentURL != "" {
		text += " If an administrator must decide in your organization, send them " + e.AdminConsentURL
	}
	return text
}

// withState adds the elicitation's id to the URL, so that the landing page can notify the
// client.
func withState(consentURL, id string) string {
	return consentURL + "&state=" + url.QueryEscape(id)
}

// inputRequired returns a result that asks for input. Only the SDK can set the field that
// says so, and its decoder does.
func inputRequired(requests mcp.InputRequestMap, state string) mcp.Result {
	var r mcp.CallToolResult
	if err := json.Unmarshal([]byte(`{"resultType":"input_required"}`), &r); err != nil {
		panic(err) // a constant: every test would see it
	}
	r.Content, r.InputRequests, r.RequestState = nil, requests, state
	return &r
}

// resume is the stage of calls that are retried after the user has been asked for
// consent. It removes what ask added.
func (c *consent) resume(m *rpcMessage) error {
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
		m.result, m.cause = declined, errDeclined
		return nil
	}
	c.given(state.User) // on the replica that serves this call
	params, again := *call.Params, *call
	params.RequestState, params.InputResponses = state.Tool.State, state.Tool.Answers
	again.Params = &params
	m.req, m.round = &again, state.Round
	return nil
}

// given makes the user's next call ask Entra again. user is "" if unknown: the landing
// page's visitor is unauthenticated.
func (c *consent) given(user string) {
	if c.exchanger != nil {
		c.exchanger.ForgetRefusals(user)
	}
}

// errDeclined is the error of a call whose user declined to consent.
var errDeclined error = &credentialError{
	text:   "The user did not open the consent page, so the tool can't act on the user's behalf. Nothing was done. Call it again to be asked again.",
	reason: "consent_declined",
}

// check returns an error if the state belongs to another caller or call.
func (r requestState) check(id *entraauth.Identity, p *mcp.CallToolParamsRaw) error {
	switch {
	case id == nil || r.User != id.UserID():
		return fmt.Errorf("%w (it belongs to another user)", errState)
	case !bytes.Equal(r.Call, callHash(p)):
		return fmt.Errorf("%w (it belongs to another call)", errState)
	case time.Now().Unix() >= r.Until:
		return errState
	}
	return nil
}

// maxWaiting is how many consents a user's sessions may wait for.
const maxWaiting = 16

// waiting holds the consents for which sessions wait, by elicitation id. They end with
// their session.
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
// dropped: its client is not notified, and must retry by itself.
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
	// statePrefix distinguishes our request states from those of tools.
	statePrefix = "mcpentra1."
	// stateLife is how long a user has to finish in the browser.
	stateLife = 10 * time.Minute
	// statePurpose and cursorPurpose separate states from cursors under one key.
	statePurpose, cursorPurpose = "mcpentra request state", "mcpentra cursor"
	// maxState bounds a state, in bytes, and maxKept what it has for the tool.
	maxState = 4096
	maxKept  = 2048
)

// A requestState is what a client returns when it retries a call after its user has been
// in the browser. It is sealed: the client can neither read nor change it, and any
// replica with the key opens it. It grants nothing; the caller's token does. It is bound
// to one user and one call.
type requestState struct {
	User  string `json:"u"`
	Call  []byte `json:"c"` // hash of tool and arguments
	Until int64  `json:"t"` // Unix seconds
	Round int    `json:"r"`
	Tool  kept   `json:"k,omitzero"`
}

// kept is what the call had for its tool, which may have asked the user something itself: the retry
// has it again.
type kept struct {
	State   string               `json:"s,omitempty"`
	Answers mcp.InputResponseMap `json:"a,omitempty"`
}

// keptFor returns what to keep of a call. Where it is too much, the tool has to ask again.
func keptFor(p *mcp.CallToolParamsRaw) kept {
	k := kept{p.RequestState, p.InputResponses}
	if k.State == "" {
		return kept{}
	}
	if text, err := json.Marshal(k); err != nil || len(text) > maxKept {
		return kept{}
	}
	return k
}

// callHash identifies a call by tool and arguments.
func callHash(p *mcp.CallToolParamsRaw) []byte {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d:%s", len(p.Name), p.Name) // never fails
	_, _ = h.Write(p.Arguments)
	return h.Sum(nil)
}

// sealState returns the text of a state.
func sealState(s *seal.Sealer, state requestState) string {
	plain, _ := json.Marshal(state) // strings and numbers always encode
	return statePrefix + s.SealText(plain, "")
}

var errState = errors.New("the request state is not from this server or has expired: retry the call without it")

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
