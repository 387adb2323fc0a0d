package serverconfig

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// keyOf returns a key that the letter makes, as the variables have it.
func keyOf(letter string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

// withProxy turns the proxy on, with the API's own app and secret.
func withProxy(more ...string) map[string]string {
	variables := with("AUTH_PROXY", "true", "AUTH_PROXY_KEYS", keyOf("a"), "ENTRA_APP_CLIENT_SECRET", testSecret)
	maps.Copy(variables, with(more...))
	for name, value := range variables {
		if value == "" {
			delete(variables, name)
		}
	}
	return variables
}

func TestAuthProxy(t *testing.T) {
	t.Parallel()
	const cursor = "cursor://anysphere.cursor-mcp/oauth/callback"
	type summary struct {
		app, method, issuer string
		keys                int
		schemes, downstream []string
		combined, replicas  bool
	}
	for name, c := range map[string]struct {
		variables map[string]string
		dotenv    string
		want      summary
	}{
		"the API's app, its secret": {withProxy(), "", summary{testApp, "client secret", "http://localhost:8000", 1, nil, nil, false, false}},
		"from the file": {with(), "AUTH_PROXY=on\nENTRA_APP_CLIENT_SECRET=x~y\nAUTH_PROXY_KEYS=" + keyOf("a") + "," + keyOf("b"),
			summary{testApp, "client secret", "http://localhost:8000", 2, nil, nil, false, false}},
		"an identity without On-Behalf-Of": {withProxy("ENTRA_APP_CLIENT_SECRET", "", "UMI_CLIENT_ID", testIdentity), "", summary{testApp, "managed identity", "http://localhost:8000", 1, nil, nil, false, false}},
		"an app of its own": {withProxy("ENTRA_APP_CLIENT_SECRET", "", "AUTH_PROXY_CLIENT_ID", testIdentity, "AUTH_PROXY_CLIENT_SECRET", testSecret, "PUBLIC_URL", "https://MCP.example.com/"), "",
			summary{testIdentity, "client secret", "https://mcp.example.com", 1, nil, nil, false, false}},
		"an app of its own, by the identity": {withProxy("AUTH_PROXY_CLIENT_ID", testIdentity, "ENTRA_APP_CLIENT_SECRET", "", "UMI_CLIENT_ID", testIdentity), "",
			summary{testIdentity, "managed identity", "http://localhost:8000", 1, nil, nil, false, false}},
		"all": {withProxy("AUTH_PROXY_PRIVATE_SCHEMES", cursor, "AUTH_PROXY_DOWNSTREAM", StorageResource+"/user_impersonation, https://graph.microsoft.com/User.Read",
			"AUTH_PROXY_COMBINED_CONSENT", "yes", "KUBERNETES_SERVICE_HOST", "10.0.0.1"), "",
			summary{testApp, "client secret", "http://localhost:8000", 1, []string{cursor}, []string{StorageResource + "/user_impersonation", "https://graph.microsoft.com/User.Read"}, true, true}},
		"on Container Apps":                 {withProxy("CONTAINER_APP_REPLICA_NAME", "x"), "", summary{testApp, "client secret", "http://localhost:8000", 1, nil, nil, false, true}},
		"on App Service":                    {withProxy("WEBSITE_INSTANCE_ID", "x"), "", summary{testApp, "client secret", "http://localhost:8000", 1, nil, nil, false, true}},
		"a platform's variable in the file": {withProxy(), "WEBSITE_INSTANCE_ID=x", summary{testApp, "client secret", "http://localhost:8000", 1, nil, nil, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := mustRead(t, c.variables, c.dotenv)
			p := config.AuthProxy
			if p == nil {
				t.Fatal("there is no proxy, want one")
			}
			got := summary{p.ClientID, p.Method.String(), config.Issuer("http://localhost:8000"), len(p.Keys), p.PrivateSchemes, p.Downstream, p.CombinedConsent, p.Replicas}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if want := []string{"api://" + testApp}; !slices.Equal(config.AppIDURIs, want) {
				t.Errorf("got the App ID URIs %q, want %q", config.AppIDURIs, want)
			}
			if want := got.issuer + "/oauth/callback"; config.CallbackURL("http://localhost:8000") != want {
				t.Errorf("got the callback %s, want %s", config.CallbackURL("http://localhost:8000"), want)
			}
		})
	}
}

func TestAuthProxyFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables map[string]string
		where     []string // in order
		text      string
	}{
		"the switch":         {withProxy("AUTH_PROXY", "maybe"), []string{"ENTRA_APP_CLIENT_SECRET", "AUTH_PROXY"}, "neither on"},
		"no key":             {withProxy("AUTH_PROXY_KEYS", ""), []string{"AUTH_PROXY_KEYS"}, "openssl rand -base64 32"},
		"a short key":        {withProxy("AUTH_PROXY_KEYS", keyOf("a")+",c2hvcnQ="), []string{"AUTH_PROXY_KEYS"}, "key 2 is not base64 of 32 bytes"},
		"a key of zeros":     {withProxy("AUTH_PROXY_KEYS", keyOf("\x00")), []string{"AUTH_PROXY_KEYS"}, "all zero"},
		"no credential":      {withProxy("ENTRA_APP_CLIENT_SECRET", ""), []string{"ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID"}, "AUTH_PROXY is on"},
		"another app":        {withProxy("AUTH_PROXY_CLIENT_ID", testIdentity), []string{"AUTH_PROXY_CLIENT_SECRET"}, "is of API_APP_ID"},
		"an app by its name": {withProxy("AUTH_PROXY_CLIENT_ID", "proxy", "UMI_CLIENT_ID", testIdentity, "ENTRA_APP_CLIENT_SECRET", ""), []string{"AUTH_PROXY_CLIENT_ID"}, "is not a GUID"},
		"the tenant as app":  {withProxy("AUTH_PROXY_CLIENT_ID", testTenant, "UMI_CLIENT_ID", testIdentity, "ENTRA_APP_CLIENT_SECRET", ""), []string{"AUTH_PROXY_CLIENT_ID"}, "is the value of TENANT_ID"},
		"a bad secret":       {withProxy("ENTRA_APP_CLIENT_SECRET", "", "AUTH_PROXY_CLIENT_SECRET", testSecret+"\n"), []string{"AUTH_PROXY_CLIENT_SECRET"}, "whitespace"},
		"another loopback":   {withProxy("PUBLIC_URL", "http://127.0.0.2:8000"), []string{"PUBLIC_URL"}, "https"},
		"http on a host":     {withProxy("PUBLIC_URL", "http://mcp.example.com"), []string{"PUBLIC_URL"}, "must begin with https"}, // once
		"downstream, bare":   {withProxy("AUTH_PROXY_DOWNSTREAM", "User.Read"), []string{"AUTH_PROXY_DOWNSTREAM"}, "in full"},
		"combined, of none":  {withProxy("AUTH_PROXY_COMBINED_CONSENT", "on"), []string{"AUTH_PROXY_COMBINED_CONSENT"}, "names no scope"},
		"all at once": {with("AUTH_PROXY", "1", "AUTH_PROXY_DOWNSTREAM", "User.Read", "AUTH_PROXY_CLIENT_ID", "x", "PORT", "x"),
			[]string{"ENTRA_APP_CLIENT_SECRET, UMI_CLIENT_ID", "PORT", "AUTH_PROXY_CLIENT_ID", "AUTH_PROXY_KEYS", "AUTH_PROXY_DOWNSTREAM"}, ""},
		"a secret of which nobody knows": {withProxy("AUTH_PROXY_CLIENT_SECRET", testSecret), []string{"ENTRA_APP_CLIENT_SECRET"}, "is set and USE_OBO_FLOW is not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := Read(lookupIn(c.variables), nil)
			var where []string
			for _, f := range faults {
				where = append(where, f.Where)
				if strings.Contains(f.String(), testSecret) || strings.Contains(f.String(), keyOf("a")) {
					t.Errorf("a fault shows a secret: %s", f)
				}
			}
			if !slices.Equal(where, c.where) && (name != "the switch" || !slices.Contains(where, "AUTH_PROXY")) {
				t.Fatalf("got faults %v, want those of %v", faults, c.where)
			}
			if all := fmt.Sprint(faults); !strings.Contains(all, c.text) {
				t.Errorf("got %s, want %q", all, c.text)
			}
		})
	}
}

// Without the switch nothing is read, and forgotten keys are said.
func TestAuthProxyOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		variables map[string]string
		warned    bool
	}{
		"nothing":              {with(), false},
		"keys alone":           {with("AUTH_PROXY_KEYS", keyOf("a")), true},
		"off, with keys":       {with("AUTH_PROXY", "false", "AUTH_PROXY_KEYS", "nonsense"), false},
		"off, with nonsense":   {with("AUTH_PROXY", "off", "AUTH_PROXY_CLIENT_ID", "x", "AUTH_PROXY_DOWNSTREAM", "x"), false},
		"keys, and it's empty": {with("AUTH_PROXY", "", "AUTH_PROXY_KEYS", keyOf("a")), true},
	} {
		config := mustRead(t, c.variables, "")
		if warned := strings.Contains(strings.Join(config.Warnings, "\n"), "AUTH_PROXY_KEYS is set"); config.AuthProxy != nil || warned != c.warned {
			t.Errorf("%s: got %+v, warned %v; want no proxy, %v", name, config.AuthProxy, warned, c.warned)
		}
	}
}
