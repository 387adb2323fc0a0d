package entratest

import (
	"strings"
	"sync/atomic"
)

// A User is a member of the tenant. Change its fields before it signs in,
// not while requests are running.
type User struct {
	ObjectID          string // the oid claim, a GUID
	UserPrincipalName string // the upn and preferred_username claims
	DisplayName       string // the name claim
	Email             string // the email claim, and mail in Graph's answers; may be empty

	// Administrator may consent for the whole tenant, and to what needs it.
	Administrator bool
	// Disabled users cannot sign in, and their refresh tokens are refused (AADSTS50057).
	Disabled bool

	tenant  *Tenant
	session string       // the sid claim of tokens that no browser has seen
	epoch   atomic.Int64 // grows with each revocation: what was issued before is void
}

// AddUser adds a user, with a new object id.
func (t *Tenant) AddUser(userPrincipalName, displayName string) *User {
	user := &User{
		ObjectID:          newGUID(),
		UserPrincipalName: userPrincipalName,
		DisplayName:       displayName,
		tenant:            t,
		session:           newGUID(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users = append(t.users, user)
	return user
}

func (u *User) principalID() string { return u.ObjectID }

// RevokeSessions voids the user's browser sessions, codes and refresh tokens
// (AADSTS50173). Access tokens stay valid until they expire.
func (u *User) RevokeSessions() { u.epoch.Add(1) }

// userByObjectID returns the user, or nil. Callers hold t.mu.
func (t *Tenant) userByObjectID(objectID string) *User {
	for _, user := range t.users {
		if strings.EqualFold(user.ObjectID, objectID) {
			return user
		}
	}
	return nil
}

// userByID is userByObjectID for those who do not hold t.mu.
func (t *Tenant) userByID(objectID string) *User {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.userByObjectID(objectID)
}
