package blobtool_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpentra/mcp-entra-go/blobtool"
)

// manual is a client that does not answer questions by itself.
func manual() *mcp.ClientOptions {
	o := agrees().options()
	o.MultiRoundTrip = &mcp.MultiRoundTripOptions{Disabled: true}
	return o
}

// retry calls a tool with what the user answered.
func retry(t testing.TB, session *mcp.ClientSession, tool string, a args, state string, response mcp.InputResponse) *mcp.CallToolResult {
	t.Helper()
	p := &mcp.CallToolParams{Name: tool, Arguments: a, RequestState: state}
	if response != nil {
		p.InputResponses = mcp.InputResponseMap{"confirm": response}
	}
	res, err := session.CallTool(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// ask calls a tool that asks its user, and returns the state.
func ask(t testing.TB, session *mcp.ClientSession, tool string, a args) string {
	t.Helper()
	res := retry(t, session, tool, a, "", nil)
	if !res.NeedsInput() || len(res.InputRequests) != 1 || len(res.Content) != 0 || res.StructuredContent != nil || res.RequestState == "" {
		t.Fatalf("%s: got %+v, want a question and nothing else", tool, res)
	}
	if len(res.RequestState) > 400 {
		t.Errorf("the state has %d bytes, want at most 400", len(res.RequestState))
	}
	return res.RequestState
}

// ticked is the response of a user who agrees.
var ticked = &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}

// A state is good for its user, tool, arguments and blob, for ten minutes, and once.
func TestQuestionState(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Now()}
	w := newAskWorld(t, false, func(o *blobtool.Options) { o.Now = now.Now })
	alice, bob := w.connectWith(t, "alice", manual()), w.connectWith(t, "bob", manual())
	w.storage.Put("docs", "b.txt", []byte("old"), "text/plain")
	of := func(blob string) args { return args{"blob_path": blob, "if_match": etag(t, alice, blob)} }
	a := of("a.txt")
	with := func(key string, value any) args {
		changed := maps.Clone(a)
		changed[key] = value
		return changed
	}
	flip := func(s string, at int) string {
		b := []byte(s)
		if b[at] == 'A' {
			b[at] = 'B'
		} else {
			b[at] = 'A'
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		session  *mcp.ClientSession
		tool     string
		a        args
		state    func(string) string
		response mcp.InputResponse
		later    time.Duration
		says     string
	}{
		"another user":          {session: bob, says: "not one that this server made for this user"},
		"another blob":          {a: of("b.txt"), says: "another call"},
		"another argument":      {a: with("delete_snapshots", true), says: "another call"},
		"a default spelled out": {a: with("delete_snapshots", false), says: "another call"},
		"another etag":          {a: with("if_match", `"`+a["if_match"].(string)+`"`), says: "another call"},
		"another tool":          {tool: "edit_blob", a: args{"blob_path": "a.txt", "old_text": "old", "new_text": "x"}, says: "another call"},
		"truncated":             {state: func(s string) string { return s[:len(s)-1] }, says: "not one that this server made"},
		"truncated more":        {state: func(s string) string { return s[:20] }, says: "not one that this server made"},
		"the prefix alone":      {state: func(string) string { return "blobtool1." }, says: "not one that this server made"},
		"longer":                {state: func(s string) string { return s + "A" }, says: "not one that this server made"},
		"changed at its end":    {state: func(s string) string { return flip(s, len(s)-3) }, says: "not one that this server made"},
		"changed in the middle": {state: func(s string) string { return flip(s, len(s)/2) }, says: "not one that this server made"},
		"another key id":        {state: func(s string) string { return flip(s, 11) }, says: "not one that this server made"},
		"another prefix":        {state: func(s string) string { return "blobtool2." + strings.TrimPrefix(s, "blobtool1.") }, says: "not one that this server made"},
		"mcpentra's prefix":     {state: func(s string) string { return "mcpentra1." + strings.TrimPrefix(s, "blobtool1.") }, says: "not one that this server made"},
		"unsealed": {state: func(string) string {
			return "blobtool1." + base64.RawURLEncoding.EncodeToString([]byte(`{"t":"delete_blob"}`))
		}, says: "not one that this server made"},
		"huge":                   {state: func(s string) string { return s + strings.Repeat("A", 100_000) }, says: "not one that this server made"},
		"expired":                {later: 10 * time.Minute, says: "too old"},
		"no answer":              {response: (*mcp.ElicitResult)(nil), says: "no answer from the user"},
		"a result of other kind": {response: &mcp.ListRootsResult{}, says: "no answer from the user"}, //nolint:staticcheck // still sent by older clients
		"declined":               {response: &mcp.ElicitResult{Action: "decline", Content: map[string]any{"confirm": true}}, says: "did not agree"},
		"canceled":               {response: &mcp.ElicitResult{Action: "cancel"}, says: "did not agree"},
		"unchecked":              {response: &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": false}}, says: "did not agree"},
		"a text":                 {response: &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": "true"}}, says: "did not agree"},
		"a number":               {response: &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": 1}}, says: "did not agree"},
		"another box":            {response: &mcp.ElicitResult{Action: "accept", Content: map[string]any{"Confirm": true}}, says: "did not agree"},
		"no content":             {response: &mcp.ElicitResult{Action: "accept"}, says: "did not agree"},
	} {
		state := ask(t, alice, "delete_blob", a)
		if c.state != nil {
			state = c.state(state)
		}
		if c.session == nil {
			c.session = alice
		}
		if c.tool == "" {
			c.tool = "delete_blob"
		}
		if c.a == nil {
			c.a = a
		}
		if c.response == nil {
			c.response = ticked
		} else if r, ok := c.response.(*mcp.ElicitResult); ok && r == nil {
			c.response = nil
		}
		now.pass(c.later)
		w.storage.ForgetRequests()
		out := outputOf(t, retry(t, c.session, c.tool, c.a, state, c.response), nil)
		if out.Outcome != "refused" || out.Reason != "not_confirmed" || !strings.Contains(out.Message, c.says) || !strings.Contains(out.Message, "Nothing was changed") {
			t.Errorf("%s: got %+v, want it refused: not_confirmed, with %q", name, out, c.says)
		}
		// A state of ours lets the user look at the blob, once. For others nothing is sent.
		n, looked := len(w.storage.Requests()), !strings.HasPrefix(c.says, "not one")
		if looked != (n == 1) || looked != (out.ETag == etag(t, alice, c.a["blob_path"].(string))) || looked != (out.Exists != nil && *out.Exists) {
			t.Errorf("%s: %d requests to Azure, %+v; want one and the etag: %t, or none", name, n, out, looked)
		}
	}
	// Without a state, an answer is none, and the user is asked again.
	if res := retry(t, alice, "delete_blob", a, "", ticked); !res.NeedsInput() {
		t.Errorf("an answer without a state: got %+v, want a question", res)
	}
	// Nothing above has used it up.
	state := ask(t, alice, "delete_blob", a)
	now.pass(10*time.Minute - time.Second)
	if out := outputOf(t, retry(t, alice, "delete_blob", a, state, ticked), nil); out.Outcome != "done" {
		t.Errorf("the user's answer: got %+v, want it done", out)
	}
}

// A state that was used is refused, also if the same content is there again, and also if the write
// failed.
func TestQuestionStateIsUsedOnce(t *testing.T) {
	t.Parallel()
	w := newAskWorld(t, false, nil)
	alice := w.connectWith(t, "alice", manual())
	a := args{"blob_path": "a.txt", "old_text": "old", "new_text": "new"}
	state := ask(t, alice, "edit_blob", a)
	if out := outputOf(t, retry(t, alice, "edit_blob", a, state, ticked), nil); out.Outcome != "done" {
		t.Fatalf("got %+v, want it done", out)
	}
	if out := outputOf(t, retry(t, alice, "edit_blob", a, state, ticked), nil); out.Outcome != "refused" {
		t.Errorf("again, with the blob changed: got %+v, want it refused", out)
	}
	w.storage.Put("docs", "a.txt", []byte("old"), "text/plain")
	if out := outputOf(t, retry(t, alice, "edit_blob", a, state, ticked), nil); out.Reason != "not_confirmed" || !strings.Contains(out.Message, "has changed since") {
		t.Errorf("again, with the same content: got %+v, want it refused, with has changed since", out)
	}
	del := args{"blob_path": "a.txt", "if_match": etag(t, alice, "a.txt")}
	state = ask(t, alice, "delete_blob", del)
	w.storage.SetLegalHold("docs", "", true)
	if out := outputOf(t, retry(t, alice, "delete_blob", del, state, ticked), nil); out.Reason != "locked" {
		t.Fatalf("got %+v, want it locked", out)
	}
	w.storage.SetLegalHold("docs", "", false)
	if out := outputOf(t, retry(t, alice, "delete_blob", del, state, ticked), nil); out.Reason != "not_confirmed" || !strings.Contains(out.Message, "used already") {
		t.Errorf("after a failure: got %+v, want used already", out)
	}
	// Of many at once, one is let through.
	b := args{"blob_path": "a.txt", "old_text": "old", "new_text": "older"}
	state = ask(t, alice, "edit_blob", b)
	var mu sync.Mutex
	var wg sync.WaitGroup
	outcomes := map[string]int{}
	for range 8 {
		wg.Go(func() {
			out := outputOf(t, retry(t, alice, "edit_blob", b, state, ticked), nil)
			mu.Lock()
			defer mu.Unlock()
			outcomes[out.Outcome]++
		})
	}
	wg.Wait()
	if outcomes["done"] != 1 || outcomes["refused"] != 7 {
		t.Errorf("got %v, want 1 done and 7 refused", outcomes)
	}
}

// Replicas with the same keys take each other's states; other servers, accounts and keys don't.
func TestQuestionStateElsewhere(t *testing.T) {
	t.Parallel()
	key := func(b byte) []byte { return []byte(strings.Repeat(string(b), 32)) }
	keys := func(k ...[]byte) func(*blobtool.Options) {
		return func(o *blobtool.Options) { o.Write.StateKeys = k }
	}
	w := newAskWorld(t, false, keys(key('a')))
	alice := w.connectWith(t, "alice", manual())
	a := args{"blob_path": "a.txt", "if_match": etag(t, alice, "a.txt")}
	state := ask(t, alice, "delete_blob", a)
	for name, c := range map[string]struct {
		account, container string
		k                  [][]byte
		ok                 bool
	}{
		"another key":       {w.storage.URL(), "docs", [][]byte{key('b')}, false},
		"no keys":           {w.storage.URL(), "docs", nil, false},
		"another container": {w.storage.URL(), "other", [][]byte{key('a')}, false},
		"a rotated key":     {w.storage.URL(), "docs", [][]byte{key('b'), key('a')}, true}, // last: it deletes the blob
	} {
		o := &blobtool.Options{HTTPClient: w.storage.HTTPClient(), Write: &blobtool.WriteOptions{Allow: []string{c.container}}}
		keys(c.k...)(o)
		set, err := blobtool.New(c.account, c.container, w.findCredential, o)
		if err != nil {
			t.Fatal(err)
		}
		other := &world{storage: w.storage, alice: w.alice, bob: w.bob, set: set}
		other.frontOf(t, &mcp.StreamableHTTPOptions{Stateless: true})
		session := other.connectWith(t, "alice", manual())
		b := a
		if c.ok {
			w.storage.Put("docs", name, []byte("old"), "text/plain")
			b = args{"blob_path": name, "if_match": etag(t, alice, name)}
			state := ask(t, alice, "delete_blob", b)
			if out := outputOf(t, retry(t, session, "delete_blob", b, state, ticked), nil); out.Outcome != "done" {
				t.Errorf("%s: got %+v, want it done", name, out)
			}
			if out := outputOf(t, retry(t, alice, "delete_blob", b, state, ticked), nil); out.Outcome != "refused" || out.Reason != "not_found" {
				t.Errorf("%s, then at the first: got %+v, want it refused: not_found", name, out)
			}
			continue
		}
		if out := outputOf(t, retry(t, session, "delete_blob", b, state, ticked), nil); out.Reason != "not_confirmed" || !strings.Contains(out.Message, "not one that this server made") {
			t.Errorf("%s: got %+v, want it refused: not_confirmed", name, out)
		}
	}
}

// The memory of used states is bounded, for each user and in all, and forgets what has expired.
func TestUsedStates(t *testing.T) {
	t.Parallel()
	var u blobtool.UsedStates
	now := time.Now()
	fill := func(user string, n int) error {
		for i := range n {
			if err := u.Take(user, fmt.Sprint(user, i), now, now); err != nil {
				return fmt.Errorf("%s, %d: %w", user, i, err)
			}
		}
		return nil
	}
	for i := range blobtool.MaxUsedEver / blobtool.MaxUsed {
		if err := fill(fmt.Sprint("user", i), blobtool.MaxUsed); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		user, state string
		made, later time.Duration
		want        error
	}{
		{"user0", "user00", 0, 0, blobtool.ErrNotConfirmed},
		{"user0", "another", 0, 0, blobtool.ErrThrottled},
		{"newcomer", "x", time.Second, time.Second, nil}, // another user's are forgotten, and none of them is good
		{"newcomer", "x", time.Second, 2 * time.Second, blobtool.ErrNotConfirmed},
		{"newcomer", "y", 3 * time.Second, 3 * time.Second, nil},
		{"newcomer", "x", time.Second, 10*time.Minute + time.Second, blobtool.ErrNotConfirmed},
		{"newcomer", "x", 11 * time.Minute, 10*time.Minute + 3*time.Second, nil},
		{"newcomer", "x", 11 * time.Minute, 10*time.Minute + 3*time.Second, blobtool.ErrNotConfirmed},
	} {
		if err := u.Take(c.user, c.state, now.Add(c.made), now.Add(c.later)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s %s after %v: got %v, want %v", c.user, c.state, c.later, err, c.want)
		}
	}
}

// Nobody is refused because of others who confirm much, and what is forgotten for that is not good
// twice.
func TestUsedStatesOfTheUserWithTheMost(t *testing.T) {
	t.Parallel()
	var u blobtool.UsedStates
	now := time.Now()
	for i := range blobtool.MaxUsedEver {
		if err := u.Take(fmt.Sprint("user", i/blobtool.MaxUsed), fmt.Sprint(i), now, now); err != nil {
			t.Fatal(err)
		}
	}
	later := now.Add(time.Minute)
	if err := u.Take("newcomer", "x", now, later); err != nil {
		t.Errorf("a newcomer: got %v, want no error", err)
	}
	cleared := 0
	for i := range blobtool.MaxUsedEver / blobtool.MaxUsed {
		user := fmt.Sprint("user", i)
		if err := u.Take(user, fmt.Sprint(i*blobtool.MaxUsed), now, later); !errors.Is(err, blobtool.ErrNotConfirmed) {
			t.Errorf("%s, again: got %v, want %v", user, err, blobtool.ErrNotConfirmed)
		}
		if err := u.Take(user, "unused", now, later); errors.Is(err, blobtool.ErrNotConfirmed) {
			cleared++
			if err := u.Take(user, "new", later.Add(time.Second), later.Add(time.Second)); err != nil {
				t.Errorf("%s, a newer one: got %v, want no error", user, err)
			}
		} else if !errors.Is(err, blobtool.ErrThrottled) {
			t.Errorf("%s, another: got %v, want %v", user, err, blobtool.ErrThrottled)
		}
	}
	if cleared != 1 {
		t.Errorf("the states of %d users were forgotten, want 1", cleared)
	}
}
