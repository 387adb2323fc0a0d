package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
)

// ofOwnProxy are variables about an application of the proxy's own.
var ofOwnProxy = []string{"AUTH_PROXY_CLIENT_ID", "AUTH_PROXY_CLIENT_SECRET", "AUTH_PROXY_COMBINED_CONSENT"}

// ofUsersConsent are variables about consent that users give, and for agents no user can.
var ofUsersConsent = []string{"AUTH_PROXY_DOWNSTREAM", "AUTH_PROXY_COMBINED_CONSENT", "CONSENT_REDIRECT_URL"}

var namesProxyApp = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?AUTH_PROXY_CLIENT_ID[ \t]*=`)

// updateDotenv sets the variables in a .env file. Its other lines stay, but for those about an
// application that the proxy no longer is, and those that don't go with agents, or without. A proxy gets a key, unless there is one, here or elsewhere.
func updateDotenv(name string, o setup.Outcome, elsewhere *setup.Saved) error {
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, hasProxy := o.Variables["AUTH_PROXY"]
	_, isOwn := o.Variables["AUTH_PROXY_CLIENT_ID"]
	wasOwn := namesProxyApp.Match(data)
	_, hasAgent := o.Variables["AGENT_ID"]
	_, exchanges := o.Variables["USE_OBO_FLOW"]
	var b strings.Builder
	var key string // its line
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n") + "\n"
		variable, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		variable = strings.TrimSpace(variable)
		_, set := o.Variables[variable]
		switch {
		case set || hasProxy && wasOwn && !isOwn && slices.Contains(ofOwnProxy, variable):
		case hasAgent && slices.Contains(ofUsersConsent, variable), exchanges && !hasAgent && variable == "AGENT_ID":
		case hasProxy && variable == setup.ProxyKeys:
			if strings.Trim(value, ` '"`) != "" {
				key = line
			}
		default:
			b.WriteString(line)
		}
	}
	if key == "" && hasProxy && (elsewhere == nil || !slices.Contains(elsewhere.Variables, setup.ProxyKeys)) {
		key = setup.ProxyKeys + "='" + newKey() + "'\n"
	}
	return writePrivate(name, []byte(b.String()+o.Dotenv()+key))
}

// newKey returns a key of 32 bytes in base64.
func newKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}
