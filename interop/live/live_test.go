package live_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/entratest"
)

// stranger is a client ID that no cloud knows, and a tenant that none has.
const stranger = "5d0b1c1e-0f3a-4c1e-9a52-0123456789ab"

// A shape is what of an answer does not depend on who answers.
type shape struct {
	status  int
	members []string // of the JSON object
	kind    string   // error
	codes   []int    // error_codes
}

// A probe is a request that anybody may send. The path is below the authority host.
type probe struct {
	name, method, path string
	form               url.Values
	member             string // compare the objects of this list instead
}

var probes = []probe{
	{name: "metadata", method: http.MethodGet, path: "/organizations/v2.0/.well-known/openid-configuration"},
	{name: "v1 metadata", method: http.MethodGet, path: "/common/.well-known/openid-configuration"},
	{name: "keys", method: http.MethodGet, path: "/organizations/discovery/v2.0/keys", member: "keys"},
	{name: "v1 keys", method: http.MethodGet, path: "/common/discovery/keys", member: "keys"},
	{name: "unknown tenant", method: http.MethodGet, path: "/" + stranger + "/v2.0/.well-known/openid-configuration"},
	{name: "token by GET", method: http.MethodGet, path: "/organizations/oauth2/v2.0/token"},
	{name: "nothing", method: http.MethodPost, path: "/organizations/oauth2/v2.0/token", form: url.Values{}},
	{name: "no grant type", method: http.MethodPost, path: "/organizations/oauth2/v2.0/token", form: url.Values{"client_id": {stranger}}},
	{name: "odd grant type", method: http.MethodPost, path: "/organizations/oauth2/v2.0/token",
		form: url.Values{"client_id": {stranger}, "grant_type": {"odd"}}},
	{name: "device code of a stranger", method: http.MethodPost, path: "/organizations/oauth2/v2.0/devicecode",
		form: url.Values{"client_id": {stranger}, "scope": {"openid"}}},
	{name: "authorization server metadata (RFC 8414)", method: http.MethodGet, path: "/.well-known/oauth-authorization-server/organizations/v2.0"},
}

func TestShape(t *testing.T) {
	tenant := entratest.NewTenant(nil)
	defer tenant.Close()
	hosts := map[string]*http.Client{tenant.AuthorityHost(): tenant.HTTPClient()}
	if os.Getenv("ENTRA_LIVE") == "1" {
		live := &http.Client{Timeout: 20 * time.Second}
		hosts = map[string]*http.Client{
			"https://login.microsoftonline.com":        live,
			"https://login.microsoftonline.us":         live,
			"https://login.partner.microsoftonline.cn": live,
		}
	}
	for host, client := range hosts {
		for _, p := range probes {
			ours := p.ask(t, tenant.HTTPClient(), tenant.AuthorityHost())
			theirs := p.ask(t, client, host)
			for _, difference := range ours.differences(theirs) {
				t.Errorf("%s: %s: %s", host, p.name, difference)
			}
		}
	}
}

func (s shape) differences(theirs shape) []string {
	var all []string
	for _, member := range theirs.members {
		if !slices.Contains(s.members, member) {
			all = append(all, "theirs has the member "+member)
		}
	}
	for _, member := range s.members {
		if !slices.Contains(theirs.members, member) {
			all = append(all, "ours alone has the member "+member)
		}
	}
	if s.status != theirs.status {
		all = append(all, "status "+http.StatusText(s.status)+", theirs "+http.StatusText(theirs.status))
	}
	if s.kind != theirs.kind || !slices.Equal(s.codes, theirs.codes) {
		a, _ := json.Marshal([]any{s.kind, s.codes})
		b, _ := json.Marshal([]any{theirs.kind, theirs.codes})
		all = append(all, "error "+string(a)+", theirs "+string(b))
	}
	return all
}

// ask sends the request and returns the answer's shape.
func (p probe) ask(t *testing.T, client *http.Client, host string) shape {
	t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), p.method, host+p.path, strings.NewReader(p.form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if p.form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	s := shape{status: response.StatusCode}
	var object map[string]any
	if json.Unmarshal(body, &object) != nil {
		return s // a page: the status is all that is compared
	}
	if list, ok := object[p.member].([]any); ok && len(list) > 0 {
		object, _ = list[0].(map[string]any)
	}
	s.members = slices.Sorted(maps.Keys(object))
	s.kind, _ = object["error"].(string)
	codes, _ := object["error_codes"].([]any)
	for _, code := range codes {
		number, _ := code.(float64)
		s.codes = append(s.codes, int(number))
	}
	return s
}
