package mcpentra_test

import (
	"strings"
	"testing"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// Where the resource URL is an App ID URI, metadata and challenges name scopes that begin with it,
// those of policies too: Entra refuses another prefix beside it (AADSTS9010010).
func TestScopesHaveTheResourceAsPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcpentra.WithToolPolicy("secure_ping", entraauth.Policy{Scopes: []string{"Mail.Read"}}))
	for name, uris := range map[string][]string{
		"the resource last": {"api://" + w.api.ClientID, resourceURL}, "the resource first": {resourceURL, "api://" + w.api.ClientID},
	} {
		var err error
		w.verifier, err = entraauth.NewVerifier(w.tenant.ID(), w.api.ClientID, &entraauth.Options{
			HTTPClient: w.tenant.HTTPClient(), AuthorityHost: w.tenant.AuthorityHost(), Logger: w.logger(), AppIDURIs: uris,
		})
		must(t, err)
		w.rebuild(t)
		for path, want := range map[string]string{
			"/mcp": "", "/.well-known/oauth-protected-resource/mcp": `"scopes_supported":["` + resourceURL + `/access_as_user"]`,
			"/.well-known/oauth-protected-resource": `"scopes_supported":["` + resourceURL + `/access_as_user"]`,
		} {
			_, header, body := do(t, "GET", strings.TrimSuffix(w.url, "/mcp")+path, "", nil)
			if !strings.Contains(body, want) || path == "/mcp" && !strings.Contains(header.Get("WWW-Authenticate"), `scope="`+resourceURL+`/access_as_user"`) {
				t.Errorf("%s: %s: %v %s, want the scope %s/access_as_user", name, path, header, body, resourceURL)
			}
		}
		status, header, _ := w.post(t, callBody("secure_ping"), w.bearer(nil))
		if want := `scope="` + resourceURL + `/access_as_user ` + resourceURL + `/Mail.Read"`; status != 403 || !strings.Contains(header.Get("WWW-Authenticate"), want) {
			t.Errorf("%s: step-up: %d %s, want 403 with %s", name, status, header.Get("WWW-Authenticate"), want)
		}
		must(t, w.verifier.Close())
	}
}
