package blobtool

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

const (
	// questionPrefix distinguishes the states of questions from those of others, such as mcpentra's.
	questionPrefix  = "blobtool1."
	questionPurpose = "blobtool confirmation"
	// questionLife is how long a user may take to answer.
	questionLife = 10 * time.Minute
	// maxQuestionState bounds a state, in bytes.
	maxQuestionState = 1024
)

// A questionState is what a client sends back with its user's answer. It is sealed to the user and
// the set, and grants nothing: all checks run again.
type questionState struct {
	Tool      string `json:"t"`
	Arguments []byte `json:"a"` // hash of all of them
	Question  []byte `json:"q"` // hash of it, which has the ETag
	Until     int64  `json:"x"` // Unix seconds
}

func hashOf(arguments []byte) []byte {
	sum := sha256.Sum256(arguments)
	return sum[:]
}

// questionStates makes and opens the states of a set.
type questionStates struct {
	sealer *seal.Sealer
	place  string // the account and container
	now    func() time.Time
	used   usedStates
}

// sealedFor is the name for which a user's states are sealed.
func (s *questionStates) sealedFor(user string) string { return user + "\n" + s.place }

// An answer is what a client says about a question.
type answer struct {
	question []byte // hash of it; nil if the state is not one of ours for this user
	state    string // that the client sent back; empty in sessions
	made     time.Time
	err      error // why it is not a yes
}

// request returns a result that asks the user. The SDK marks it as one.
func (s *questionStates) request(req *mcp.CallToolRequest, q *Question) *mcp.CallToolResult {
	plain, _ := json.Marshal(questionState{ // strings and numbers always encode
		Tool: q.Tool, Arguments: hashOf(req.Params.Arguments), Question: q.hash(), Until: s.now().Add(questionLife).Unix(),
	})
	return &mcp.CallToolResult{
		InputRequests: mcp.InputRequestMap{confirmInput: q.elicitation()},
		RequestState:  questionPrefix + s.sealer.SealText(plain, s.sealedFor(q.User)),
	}
}

// received returns the answer that a call brings, or nil if it brings none.
func (s *questionStates) received(req *mcp.CallToolRequest) *answer {
	if req == nil || req.Params == nil || req.Params.RequestState == "" {
		return nil
	}
	text := req.Params.RequestState
	state, err := s.open(text, userID(req))
	switch {
	case err != nil:
	case state.Tool != req.Params.Name || string(state.Arguments) != string(hashOf(req.Params.Arguments)):
		err = failuref(ErrNotConfirmed, "The user's answer is for another call: the tool or its arguments differ. Nothing was changed. Call again without requestState: the user is asked again.")
	case s.now().Unix() >= state.Until:
		err = failuref(ErrNotConfirmed, "The user's answer is too old: it is valid for %v. Nothing was changed. Call again without requestState: the user is asked again.", questionLife)
	default:
		err = said(req.Params.InputResponses[confirmInput])
	}
	return &answer{question: state.Question, state: text, made: time.Unix(state.Until, 0).Add(-questionLife), err: err}
}

// open opens a state of that user.
func (s *questionStates) open(text, user string) (state questionState, err error) {
	sealed, ours := strings.CutPrefix(text, questionPrefix)
	if ours && len(text) <= maxQuestionState && user != "" {
		var plain []byte
		if plain, err = s.sealer.OpenText(sealed, s.sealedFor(user)); err == nil && json.Unmarshal(plain, &state) == nil {
			return state, nil
		}
	}
	return questionState{}, &Error{Kind: ErrNotConfirmed, cause: err,
		text: "requestState is not one that this server made for this user, or was sealed with a key that this server does not have. Nothing was changed. Call again without requestState: the user is asked again."}
}

// Bounds of the states that are remembered.
const (
	maxUsed     = 1 << 10 // of a user
	maxUsedEver = 1 << 16 // of all users
)

// usedStates remembers the states that were used, as long as they are valid: an ETag ends most of
// them, but not all writes change it. Each process has its own.
type usedStates struct {
	mu    sync.Mutex
	users map[string]*usedByUser
	total int
}

// usedByUser is what a user has used.
type usedByUser struct {
	states map[[16]byte]time.Time // when they may be forgotten
	// cleared is when room was made for others. Which of the states from before were used is no
	// longer known, so none of them is good.
	cleared time.Time
}

// take uses up a state that was made at that time, or returns why it can't be used.
func (u *usedStates) take(user, state string, made, now time.Time) error {
	sum := sha256.Sum256([]byte(state))
	id := [16]byte(sum[:])
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(user, now)
	own := u.users[user]
	if own == nil {
		own = &usedByUser{states: map[[16]byte]time.Time{}}
	}
	if _, used := own.states[id]; used {
		return failuref(ErrNotConfirmed, "The user's answer was used already, by an earlier call. This call changed nothing. Read the blob before you call again without requestState.")
	}
	if !made.After(own.cleared) {
		return failuref(ErrNotConfirmed, "The server no longer knows whether the user's answer was used already. This call changed nothing. Call again without requestState: the user is asked again.")
	}
	if len(own.states) >= maxUsed || u.total >= maxUsedEver && !u.makeRoom(len(own.states), now) {
		return failuref(ErrThrottled, "Too many calls were confirmed within %v. Nothing was changed. Wait a little, then call again without requestState.", questionLife)
	}
	if u.users == nil {
		u.users = map[string]*usedByUser{}
	}
	u.users[user] = own
	own.states[id] = now.Add(questionLife + time.Second)
	u.total++
	return nil
}

// makeRoom drops what is no longer valid, and if that is nothing, all states of the user who has the
// most, if these are more than n: no user is refused because of another.
func (u *usedStates) makeRoom(n int, now time.Time) bool {
	var most *usedByUser
	for user := range u.users {
		u.forget(user, now)
		if own := u.users[user]; own != nil && (most == nil || len(own.states) > len(most.states)) {
			most = own
		}
	}
	if u.total >= maxUsedEver && most != nil && len(most.states) > n {
		u.total -= len(most.states)
		clear(most.states)
		most.cleared = now
	}
	return u.total < maxUsedEver
}

// forget drops the states of a user that are no longer valid.
func (u *usedStates) forget(user string, now time.Time) {
	own := u.users[user]
	if own == nil {
		return
	}
	for id, until := range own.states {
		if !now.Before(until) {
			delete(own.states, id)
			u.total--
		}
	}
	if len(own.states) == 0 && now.After(own.cleared.Add(questionLife+time.Second)) {
		delete(u.users, user)
	}
}
