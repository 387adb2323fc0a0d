package setup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Plan is what has to be done in a tenant so that it has what the spec says, in order. Its JSON is
// what -out saves.
type Plan struct {
	Spec    Spec    `json:"spec"`
	Options Options `json:"options,omitzero"`
	Tenant  string  `json:"tenant"` // tenant ID; "" if planned without one
	Graph   string  `json:"graph"`  // https://graph.microsoft.com/v1.0

	// Known are ids that the tenant already has, by placeholder: "api.appId" is the value of
	// ${api.appId} in requests.
	Known map[string]string `json:"known,omitempty"`
	Steps []Step            `json:"steps"`
	// HadSecrets are the key ids of secrets of ours that were there.
	HadSecrets []string `json:"hadSecrets,omitempty"`
	Kept       []Kept   `json:"kept,omitempty"`
	// Unread is what this sign-in may not read: whether it is as the spec says is not known.
	Unread []Blocked `json:"unread,omitempty"`
	// Notes are what the operator should know besides: what is left out and why.
	Notes []string `json:"notes,omitempty"`
}

// A Step is one request to Microsoft Graph. All of its strings may have placeholders such as
// ${api.id}: ids that are known (Plan.Known) or that an earlier step captures.
//
// Placeholders: ${tenant}; for each application, ${api.…}, ${public.…}, ${web.…}, ${spa.…},
// ${public2.…}: .id (object ID), .appId (client ID), .sp (service principal's object ID); for each
// resource, ${storage.appId}, ${storage.sp}, ${storage.scope.user_impersonation}, where an App ID
// URI is resource1, resource2, ... in order; ${identity.sp}, the managed identity's principal id;
// ${agent.id}, ${agent2.id}, ..., the agent identities.
type Step struct {
	ID    string `json:"id"`    // stable: "api/create", "grant/api/storage"
	Title string `json:"title"` // "Create the API's application", with names

	Permission string `json:"permission"` // of Microsoft Graph: "Application.ReadWrite.All"
	Role       string `json:"role"`       // of the user, in words: "Cloud Application Administrator"

	Method string          `json:"method"`           // GET (looks something up), POST, PATCH or DELETE
	Path   string          `json:"path"`             // below Plan.Graph: "/applications/${api.id}"
	Upsert bool            `json:"upsert,omitempty"` // send Prefer: create-if-missing; the answer is 201 with a body or 204 without
	Body   json.RawMessage `json:"body,omitempty"`

	// Once: it is not sent again if its answer is lost, for that would make two.
	Once bool `json:"once,omitempty"`
	// MayExist: the answers 409, and 400 that says so, mean that it is done.
	MayExist bool `json:"mayExist,omitempty"`
	// Read is the path that shows the result once it is replicated. For a write, every member of
	// Body that it returns must then be as in Body. "" means that there is nothing to read.
	Read string `json:"read,omitempty"`
	// LookAgain: what the tenant has afterwards is not known before; the rest is planned anew.
	LookAgain bool `json:"lookAgain,omitempty"`
	// Needs are the steps without which this one makes no sense. Steps whose ids it uses are not listed.
	Needs []string `json:"needs,omitempty"`
	// Captures are ids found in what Read returns (in the answer, if Read is "").
	Captures []Capture `json:"captures,omitempty"`
}

// A Capture is an id that a step learns.
type Capture struct {
	Name string `json:"name"` // "api.appId"
	// Member of the answer: "appId". With Where it is a list, such as oauth2PermissionScopes, and
	// the id is that of its item whose value is Where.
	Member string `json:"member"`
	Where  string `json:"where,omitempty"`
	// Secret: the value goes to a 0600 file, never to output.
	Secret bool `json:"secret,omitempty"`
}

// JMESPath returns the query that finds the id, for az rest --query.
func (c Capture) JMESPath() string {
	if c.Where == "" {
		return c.Member
	}
	return c.Member + "[?value=='" + c.Where + "'].id | [0]"
}

// Blocked is what this sign-in may not read or do.
type Blocked struct {
	What       string `json:"what"`
	Permission string `json:"permission"`
	Role       string `json:"role"`
	Reason     string `json:"reason"` // Graph's answer
}

// Kept is something that others added. It stays.
type Kept struct {
	App  string `json:"app"`  // the application's display name
	What string `json:"what"` // "redirect URI https://…"
}

// Empty reports whether the tenant is as the spec says.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// ReadPlan reads a saved plan.
func ReadPlan(data []byte) (*Plan, error) {
	var p Plan
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	if err == nil && !errors.Is(d.Decode(new(json.RawMessage)), io.EOF) {
		err = errors.New("there is more after it")
	}
	if err == nil {
		err = errors.Join(append(p.Spec.check(), p.Spec.checkValues())...)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not a plan that setup plan -out has saved: %w", err)
	}
	return &p, nil
}

// removesLost is in the ids of steps that remove secrets whose text nobody got.
const removesLost = "/remove-lost-secret-"

// Covers returns an error if a plan made now has a step that this saved one has not: then the tenant
// is no longer as it was. Steps that are done already are missing in the new plan, which is fine.
func (p *Plan) Covers(now *Plan) error {
	was := map[string]bool{}
	for _, s := range p.Steps {
		was[s.request(now.Known)] = true
	}
	var others []string
	for _, s := range now.Steps {
		if !was[s.request(now.Known)] && !strings.Contains(s.ID, removesLost) { // which an interrupted run of this plan has added
			others = append(others, s.ID)
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("the tenant is no longer as it was when the plan was saved; it does not have these steps: %s. Nothing was changed by this run: plan again", strings.Join(others, ", "))
	}
	return nil
}

// request is the step's request as text, with the ids that are known.
func (s Step) request(known map[string]string) string {
	var body bytes.Buffer
	if err := json.Compact(&body, s.Body); err != nil { // a step without one
		body.Reset()
	}
	return s.Method + " " + expand(s.Path, known) + " " + expand(body.String(), known)
}

// AddsSecret reports whether a step adds a secret.
func (p *Plan) AddsSecret() bool {
	return slices.ContainsFunc(p.Steps, func(s Step) bool {
		return slices.ContainsFunc(s.Captures, func(c Capture) bool { return c.Secret })
	})
}

// An Outcome is what exists once a plan is applied: what clients and the server are configured with.
type Outcome struct {
	Tenant    string   `json:"tenant"`
	APIAppID  string   `json:"apiAppId"`
	AppIDURIs []string `json:"appIdUris"` // as registered
	Scope     string   `json:"scope"`     // in full: "https://mcp.example.com/mcp/access_as_user"
	// FurtherScopes are those that clients step up to, in full.
	FurtherScopes []string `json:"furtherScopes,omitempty"`

	Agents    []AgentOutcome    `json:"agents,omitempty"`
	Clients   []ClientOutcome   `json:"clients"`
	Variables map[string]string `json:"variables"` // for the example server's environment
}

// An AgentOutcome is an agent identity that the server acts as for people.
type AgentOutcome struct {
	Name string `json:"name"`
	ID   string `json:"id"` // client ID and object ID
}

// A ClientOutcome is what one client is configured with.
type ClientOutcome struct {
	Client   Client `json:"client"`
	ClientID string `json:"clientId"`         // its own, if it is pre-authorized only
	App      string `json:"app,omitempty"`    // unique name of its application; "" if it is pre-authorized only
	Secret   bool   `json:"secret,omitempty"` // it has one, in the secret file
}

// Text returns the step's title with the ids that are known, and the names of the others.
func (p *Plan) Text(s Step) string {
	return oneLine(placeholders.ReplaceAllStringFunc(expand(s.Title, p.Known), func(m string) string { return m[1:] }))
}
