package doctor

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/entraauth"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// ReadFacts returns the facts of the example server's configuration. lookup is the environment, for
// variables that are the process's own.
func ReadFacts(c serverconfig.Config, faults []serverconfig.Fault, lookup func(string) (string, bool)) Facts {
	f := Facts{
		Warnings: append(append([]string{}, c.Misspelled...), c.Warnings...),
		TenantID: c.TenantID, ClientID: c.APIAppID, AuthorityHost: c.AuthorityHost,
		ResourceURL: c.ResourceURL("http://localhost:" + strconv.Itoa(c.Port)), AppIDURIs: c.AppIDURIs, AllowedOrigins: c.AllowedOrigins, ConsentURL: c.ConsentURL,
		OBO: c.OBO, Method: c.Method, Resources: c.Audiences, StorageURL: c.StorageURL, Container: c.Container,
	}
	if c.AgentID != "" {
		f.Agents = []string{c.AgentID}
	}
	f.JudgesAgents = mentionsAgents(c.Policy())
	for _, p := range c.ToolPolicies {
		f.JudgesAgents = f.JudgesAgents || mentionsAgents(p.Policy)
	}
	if c.AuthProxy != nil {
		f.Issuer, f.ProxyClientID = c.Issuer("http://localhost:"+strconv.Itoa(c.Port)), c.AuthProxy.ClientID
		if c.AuthProxy.OwnProof {
			f.ProxyMethod = c.AuthProxy.Method
		}
	}
	if c.Port != 0 {
		f.LocalURL = "http://" + net.JoinHostPort(localHost(c.Host), strconv.Itoa(c.Port)) + serverconfig.Path
	} else if c.PublicURL == "" {
		f.ResourceURL = "" // any free port
	}
	f.TokenFile, _ = lookup("AZURE_FEDERATED_TOKEN_FILE")
	f.IdentityID, _ = lookup("UMI_CLIENT_ID")
	f.TrustFile, _ = lookup("SSL_CERT_FILE")
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if value, _ := lookup(name); unreadableProxy(value) { // its value may have a password in it
			f.Warnings = append(f.Warnings, name+" is no URL such as http://proxy.example.com:3128, so no proxy is used")
		}
	}
	for _, fault := range faults {
		f.Faults = append(f.Faults, ConfigFault{Where: fault.Where, Problem: fault.Problem, Remedy: fault.Remedy})
	}
	f.forgetFaulty()
	return f
}

// mentionsAgents reports whether a policy depends on the optional claims that identify agents.
func mentionsAgents(p entraauth.Policy) bool {
	return len(p.Agents)+len(p.AgentUsers) > 0 || p.PeopleOnly
}

// unreadableProxy reports whether net/http ignores the proxy, which it does without a word.
func unreadableProxy(value string) bool {
	_, err := url.Parse(value)
	_, err2 := url.Parse("http://" + value)
	return err != nil && err2 != nil
}

// forgetFaulty empties the fields whose variables are wrong.
func (f *Facts) forgetFaulty() {
	for _, fault := range f.Faults {
		for name, field := range map[string]*string{
			"TENANT_ID": &f.TenantID, "API_APP_ID": &f.ClientID, "AZURE_AUTHORITY_HOST": &f.AuthorityHost, "PUBLIC_URL": &f.ResourceURL, "AUTH_PROXY": &f.Issuer,
			"AZURE_STORAGE_ACCOUNT_URL": &f.StorageURL, "AZURE_STORAGE_CONTAINER": &f.Container, "PORT": &f.LocalURL, "HOST": &f.LocalURL,
		} {
			if fault.about(name) {
				*field = ""
			}
		}
		if fault.about("AGENT_ID") {
			f.Agents = nil
		}
		for _, name := range proofVariables {
			if fault.about(name) {
				f.Method = clientauth.Method{}
			}
		}
	}
}

// about reports whether the fault is one of the variable.
func (f ConfigFault) about(name string) bool {
	where, _, _ := strings.Cut(f.Where, " (")
	for one := range strings.SplitSeq(where, ", ") {
		if one == name {
			return true
		}
	}
	return false
}

// localHost is how a server that listens on the host is reached on its machine.
func localHost(host string) string {
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}
