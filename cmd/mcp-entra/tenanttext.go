package main

import (
	"fmt"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantcontrol"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/tenantfile"
)

// tenantText is what mcp-entra tenant prints when it is ready.
func tenantText(w *tenantfile.World, info *tenantcontrol.Info, key string) string {
	var b strings.Builder
	fmt.Fprintln(&b, "A test double, not Microsoft Entra ID: anyone on this machine may sign in as anyone.")
	for i := range info.Tenants {
		writeTenant(&b, &info.Tenants[i])
	}
	for _, path := range w.Made {
		fmt.Fprintf(&b, "\nMade a client secret in %s (mode 0600).\n", path)
	}
	if info.CA != "" {
		writeTrust(&b, info.CA)
	} else {
		fmt.Fprint(&b, "\nPlain HTTP, which Entra never has: no TLS is checked, cookies are not marked Secure, and MSAL and\nazidentity refuse it. Use it for clients that can't be given a CA; use https for all others.\n")
	}
	t := info.Tenants[0]
	if info.CA != "" {
		fmt.Fprintf(&b, "\nSetup     AZURE_AUTHORITY_HOST=%[1]s mcp-entra setup plan -auth device -graph-host %[1]s", info.AuthorityHost)
	}
	state := "" // which the other commands need, too
	if usual, err := stateFile(""); err != nil || usual != info.KeyFile {
		state = " -state " + shellQuote(info.KeyFile)
	}
	fmt.Fprintf(&b, `
Page      %s?key=%s
Control   %s (key in %s)
Token     mcp-entra tenant token%s%s
Libraries take the authority as above, with instance discovery (authority validation) off.
Stop it with Ctrl+C or SIGTERM; nothing is kept but the files named here.
`, info.Page, key, info.Control, info.KeyFile, state, tokenExample(&t))
	return b.String()
}

func writeTenant(b *strings.Builder, t *tenantcontrol.TenantInfo) {
	fmt.Fprintf(b, "\nTenant %s\n  id         %s\n  authority  %s\n  issuer     %s\n", t.Name, t.ID, t.Authority, t.Issuer)
	for _, a := range t.Apps {
		kind, note := "app", ""
		switch {
		case a.Public:
			kind = "client"
		case a.Kind != "":
			kind = a.Kind
		}
		switch {
		case a.Parent != "":
			note = ", agent identity of " + a.Parent
		case a.Kind == "agent":
			note = ", agent identity"
		}
		fmt.Fprintf(b, "  %-9s  %s  %s%s\n", kind, a.ClientID, a.Name, note)
		for _, scope := range a.Scopes {
			fmt.Fprintf(b, "               scope %s\n", scope)
		}
	}
	for _, m := range t.Identities {
		fmt.Fprintf(b, "  identity   %s  %s\n", m.ClientID, m.Name)
	}
	for _, c := range t.Clusters {
		fmt.Fprintf(b, "  cluster    %s  %s\n", c.Issuer, c.Name)
	}
	for _, u := range t.Users {
		note := ""
		if u.Admin {
			note = ", administrator"
		}
		if u.Disabled {
			note += ", disabled"
		}
		if u.Agent != "" {
			note += ", agent user of " + u.Agent
		}
		fmt.Fprintf(b, "  user       %s  %s%s\n", u.ObjectID, u.UPN, note)
	}
	if t.IdentityEndpoint != "" {
		fmt.Fprintf(b, "  managed identities: IDENTITY_ENDPOINT=%s IDENTITY_HEADER=%s\n", t.IdentityEndpoint, t.IdentityHeader)
	}
}

// writeTrust prints how programs of each language trust the CA.
func writeTrust(b *strings.Builder, ca string) {
	quoted := shellQuote(ca)
	fmt.Fprintf(b, `
Programs trust it by its CA, in their own shell only:
  Go, .NET on Linux, Ruby, PHP, curl   export SSL_CERT_FILE=%[1]s
  Python: MSAL, azure-identity         export REQUESTS_CA_BUNDLE=%[1]s
  Python: httpx, aiohttp, MCP's SDK    export SSL_CERT_FILE=%[1]s
  Node                                 export NODE_EXTRA_CA_CERTS=%[1]s
  Java                                 keytool -importcert -noprompt -alias entratest -file %[1]s -keystore entratest.p12 -storepass changeit
                                       export JAVA_TOOL_OPTIONS="-Djavax.net.ssl.trustStore=entratest.p12 -Djavax.net.ssl.trustStorePassword=changeit"
SSL_CERT_FILE and REQUESTS_CA_BUNDLE replace the machine's own CAs. On macOS and Windows, Go and .NET
read the system's store only; the CA signs for localhost alone, so nobody can misuse its key elsewhere.
`, quoted)
}

// shellQuote quotes a path for a POSIX shell if that is needed.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:\\", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// tokenExample returns the flags of a token that the tenant can give.
func tokenExample(t *tenantcontrol.TenantInfo) string {
	var client, api string
	for _, a := range t.Apps {
		if a.Public && client == "" {
			client = a.Name
		}
		if len(a.Scopes) > 0 && api == "" {
			api = a.Name
		}
	}
	if client == "" {
		client = api
	}
	if api == "" || len(t.Users) == 0 {
		return " -h"
	}
	user, _, _ := strings.Cut(t.Users[0].UPN, "@")
	return fmt.Sprintf(" -user %s -client %s -api %s", shellQuote(user), shellQuote(client), shellQuote(api))
}
