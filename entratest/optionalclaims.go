package entratest

import (
	"github.com/golang-jwt/jwt/v5"
)

// maxGroups is how many groups a token holds.
const maxGroups = 200

// A Group is a security group.
type Group struct {
	ObjectID string // what the groups claim has
	Name     string

	members map[string]bool // object ids
}

// AddGroup adds a group with these members.
func (t *Tenant) AddGroup(name string, members ...*User) *Group {
	group := &Group{ObjectID: newGUID(), Name: name, members: map[string]bool{}}
	for _, user := range members {
		group.members[user.ObjectID] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.groups = append(t.groups, group)
	return group
}

// addOptional adds the claims that a resource has only by its registration.
func (t *Tenant) addOptional(claims map[string]any, aim target, user profile) {
	for _, name := range aim.resource.OptionalClaims {
		switch {
		case name == "idtyp":
			claims[name] = "user"
		case name == "email" && user.email != "":
			claims[name] = user.email
		case name == "upn":
			claims[name] = user.userPrincipalName
		case name == "xms_cc" && len(user.capabilities) > 0:
			claims[name] = user.capabilities
		}
	}
	if roles := t.roles(user.objectID, aim.resource); len(roles) > 0 {
		claims["roles"] = roles
	}
	if aim.resource.GroupClaims {
		t.addGroups(claims, user)
	}
}

// addGroups adds the groups claim, or says where the groups are if they are too many
// (https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles).
func (t *Tenant) addGroups(claims map[string]any, user profile) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var groups []string
	for _, group := range t.groups {
		if group.members[user.objectID] {
			groups = append(groups, group.ObjectID)
		}
	}
	if len(groups) > maxGroups {
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{
			"endpoint": "https://graph.windows.net/" + t.id + "/users/" + user.objectID + "/getMemberObjects",
		}}
		return
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
}

// signInNote is what the aio claim says to Entra alone: how the user signed in,
// which v2 tokens do not show.
type signInNote struct {
	Time     int64    `json:"a"`
	MFA      bool     `json:"m"`
	Contexts []string `json:"c"`
}

// addSignIn adds how the user signed in.
func (t *Tenant) addSignIn(claims map[string]any, user profile) {
	if len(user.contexts) > 0 {
		claims["acrs"] = user.contexts
	}
	if user.authTime > 0 {
		claims["aio"] = t.sealer.seal("aio", signInNote{user.authTime, user.approved(), user.contexts})
	}
}

// readSignIn reads from an assertion how its user signed in.
func (t *Tenant) readSignIn(claims jwt.MapClaims, p *profile) {
	var note signInNote
	if text, ok := claims["aio"].(string); ok && t.sealer.open("aio", text, &note) {
		p.contexts, p.authTime = note.Contexts, note.Time
		if note.MFA && !p.approved() {
			p.methods = append(p.methods, "mfa")
		}
	}
	met, _ := claims["acrs"].([]any)
	for _, context := range met {
		if name, ok := context.(string); ok {
			p.contexts = union(p.contexts, []string{name})
		}
	}
}
