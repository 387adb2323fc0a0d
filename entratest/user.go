package entratest

import "strings"

// A User is a member of the tenant. Change its fields before it signs in,
// not while requests are running.
type User struct {
	ObjectID          string // the oid claim, a GUID
	UserPrincipalName string // the upn and preferred_username claims
	DisplayName       string // the name claim

	session string // the sid claim: one browser session
}

// AddUser adds a user, with a new object id.
func (t *Tenant) AddUser(userPrincipalName, displayName string) *User {
	user := newUser(userPrincipalName, displayName)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.users = append(t.users, user)
	return user
}

func newUser(userPrincipalName, displayName string) *User {
	return &User{
		ObjectID:          newGUID(),
		UserPrincipalName: userPrincipalName,
		DisplayName:       displayName,
		session:           newGUID(),
	}
}

// userByObjectID returns the user, or nil. Callers hold t.mu.
func (t *Tenant) userByObjectID(objectID string) *User {
	for _, user := range t.users {
		if strings.EqualFold(user.ObjectID, objectID) {
			return user
		}
	}
	return nil
}
