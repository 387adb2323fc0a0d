// Package knownclients describes the MCP clients that people use: how each signs in, what it needs
// at Entra, and whether it can sign in to a given server ([Judge]).
//
// The data is dated: clients change. docs/clients/ has a page for each of them, which a test holds
// to this data.
package knownclients

import (
	"slices"
	"strings"
)

// A Platform is the kind of application behind a redirect URI at Entra. It decides how the client
// redeems its code, so one app registration serves one kind.
type Platform string

// The platforms, by their names in Microsoft Graph's application type.
const (
	Public Platform = "publicClient" // "Mobile and desktop applications": no secret
	Web    Platform = "web"          // redeems with a secret (AADSTS7000218 without one)
	SPA    Platform = "spa"          // redeems in a browser, across origins (AADSTS9002327 elsewhere)
)

// A Client is an MCP client, or a program that gets tokens for one.
type Client struct {
	ID   string // stable: "vscode"
	Name string // as its users call it

	// AppID is the client's own application at Entra, if it is one of Microsoft's. Such a client is
	// pre-authorized and nothing else: it has no registration of ours and no redirect of ours.
	AppID string

	Platform  Platform // where its redirects belong; "" with AppID
	Redirects []string // as they are registered. Entra ignores the port of http://localhost.
	// RedirectShown says where the client shows its redirect, if it has another for each connection.
	RedirectShown string

	Hosted bool // runs in its maker's cloud: needs a public https URL
	// SendsResource: it sends the server's URL as resource (RFC 8707) and asks for the scopes that
	// the server publishes. Otherwise the scope is typed in, and no resource is sent.
	SendsResource bool
	ResourceOff   string // what to set for the client to leave resource out, if it can
	NeedsS256     bool   // refuses metadata without code_challenge_methods_supported, as Entra's is
	NeedsTenant   bool   // fails with authorization servers of many tenants (common, organizations)

	// Type says where the server and its client ID are entered. {NAME}, {URL}, {CLIENT_ID}
	// and {SCOPE} stand for what to enter; without braces such a word is the client's own.
	Type string
	// Known are the defects that appear after sign-in, or only on some devices.
	Known []Defect

	Run     string // how it was signed in to entratest: a package of tests, or "by hand" and the day
	Checked string // year and month in which the rest was last compared with its sources
	Sources []string
}

// A Defect is something that is known to fail with a client that can sign in.
type Defect struct {
	Code string // "AADSTS90009"; "" if it is not Entra that refuses
	Text string // what happens, and the workaround
}

// Registered reports whether the client needs an app registration of the operator's own.
func (c Client) Registered() bool { return c.AppID == "" }

// HasPage reports whether docs/clients/ID.md is about the client. docs/clients.md says enough about
// the others.
func (c Client) HasPage() bool { return !slices.Contains(withoutPage, c.ID) }

var withoutPage = []string{"azurecli", "gosdk", "typescriptsdk", "pythonsdk", "fastmcp"}

// All returns all known clients, in the order in which documentation lists them.
func All() []Client { return slices.Clone(clients) }

// ByID returns the client with this id, which people write as "azure-cli" and "Claude Code", too.
func ByID(id string) (Client, bool) {
	id = strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(id))
	i := slices.IndexFunc(clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return clients[i], true
}

// IDs returns the ids of all known clients, for help texts and errors.
func IDs() []string {
	ids := make([]string, len(clients))
	for i, c := range clients {
		ids[i] = c.ID
	}
	return ids
}
