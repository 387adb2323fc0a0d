package entratest

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpentra/mcp-entra-go/entratest/internal/odata"
)

// maxFederated limits the federated credentials of an application.
const maxFederated = 20

// federated returns the place of the credential that the second key in the path names.
func (c *graphCall) federated(app *App, key odata.Segment) (int, *graphFault) {
	place := slices.IndexFunc(app.federated, func(f federatedCredential) bool {
		switch key.Property {
		case "name":
			return f.Name == key.Text
		case "", "id": // a name does too
			return strings.EqualFold(f.ID, key.Text) || key.Property == "" && f.Name == key.Text
		default:
			return false
		}
	})
	if place < 0 {
		return place, notFound(key.Text)
	}
	if app.federated[place].lags.take(LagCredential) {
		return place, notFound(key.Text)
	}
	return place, nil
}

func (c *graphCall) listFederated() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	var all []federatedIdentityCredential
	for _, credential := range app.federated {
		if !credential.lags.take(LagCredential) {
			all = append(all, credential.federatedIdentityCredential)
		}
	}
	return list(c, "applications('"+app.entry.id+"')/federatedIdentityCredentials", all, "name", "issuer", "subject")
}

func (c *graphCall) getFederated() (graphResult, *graphFault) {
	app, f := c.application(c.keys[0])
	if f != nil {
		return graphResult{}, f
	}
	place, f := c.federated(app, c.keys[1])
	if f != nil {
		return graphResult{}, f
	}
	return c.entity(http.StatusOK, "applications('"+app.entry.id+"')/federatedIdentityCredentials", app.federated[place].federatedIdentityCredential)
}

func (c *graphCall) createFederated() (graphResult, *graphFault) { return c.addFederated("") }

// addFederated creates a credential from the request's body. If name is not empty, it has that name.
func (c *graphCall) addFederated(name string) (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f != nil {
		return graphResult{}, f
	}
	credential := federatedIdentityCredential{ID: newGUID(), Name: name}
	old := credential
	if f := c.read(&credential); f != nil {
		return graphResult{}, f
	}
	if credential.ID != old.ID || name != "" && credential.Name != name {
		return graphResult{}, badRequest("Property 'id' is read-only, and the name in the body must be the one in the address.")
	}
	if f := app.checkFederated(credential, -1); f != nil {
		return graphResult{}, f
	}
	if len(app.federated) >= maxFederated {
		return graphResult{}, badRequest("The number of federated identity credentials on an application can't exceed %d.", maxFederated)
	}
	app.federated = append(app.federated, federatedCredential{credential, c.d.newLags()})
	return c.entity(http.StatusCreated, "applications('"+app.entry.id+"')/federatedIdentityCredentials", credential)
}

// updateFederated changes a credential, or creates it if the request prefers that.
func (c *graphCall) updateFederated() (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f != nil {
		return graphResult{}, f
	}
	place, f := c.federated(app, c.keys[1])
	if place < 0 && c.keys[1].Property == "name" && c.createsIfMissing() {
		return c.addFederated(c.keys[1].Text)
	}
	if f != nil {
		return graphResult{}, f
	}
	old := app.federated[place].federatedIdentityCredential
	credential := copied(old)
	if f := c.read(&credential); f != nil {
		return graphResult{}, f
	}
	if credential.ID != old.ID || credential.Name != old.Name {
		return graphResult{}, badRequest("Properties 'id' and 'name' of a federated identity credential are immutable.")
	}
	if f := app.checkFederated(credential, place); f != nil {
		return graphResult{}, f
	}
	app.federated = slices.Clone(app.federated)
	app.federated[place].federatedIdentityCredential = credential
	return noContent, nil
}

func (c *graphCall) deleteFederated() (graphResult, *graphFault) {
	app, f := c.ownApplication()
	if f != nil {
		return graphResult{}, f
	}
	place, f := c.federated(app, c.keys[1])
	if f != nil {
		return graphResult{}, f
	}
	app.federated = slices.Delete(slices.Clone(app.federated), place, place+1)
	return noContent, nil
}

var federatedName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`)

// checkFederated checks the form of a credential and that it is the only one of its kind. Nobody
// checks whether the issuer and the subject exist.
func (a *App) checkFederated(credential federatedIdentityCredential, place int) *graphFault {
	for target, value := range map[string]string{"issuer": credential.Issuer, "subject": credential.Subject} {
		if n := utf8.RuneCountInString(value); n == 0 || n > 600 || strings.Contains(value, "*") {
			return invalid(target, "want 1 to 600 characters without wildcards")
		}
	}
	switch {
	case !federatedName.MatchString(credential.Name):
		return invalid("name", "want 3 to 120 letters, digits, '-' and '_'")
	case len(credential.Audiences) != 1 || credential.Audiences[0] == "" || utf8.RuneCountInString(credential.Audiences[0]) > 600:
		return invalid("audiences", "want exactly one audience")
	case !strings.HasPrefix(credential.Issuer, "https://"):
		return invalid("issuer", "want an https URL")
	}
	for i, other := range a.federated {
		if i == place {
			continue
		}
		if other.Name == credential.Name {
			return sameKey("FederatedIdentityCredential with name " + credential.Name + " already exists.")
		}
		if other.Issuer == credential.Issuer && other.Subject == credential.Subject {
			return sameKey("FederatedIdentityCredential with the same issuer and subject already exists.")
		}
	}
	return nil
}
