package serverconfig

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// readSite reads how clients reach the server, and what may come in between.
func (v *variables) readSite(c *Config) {
	v.readPublicURL(c)
	if ip := net.ParseIP(c.Host); c.PublicURL == "" && c.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		c.Warnings = append(c.Warnings, "HOST is open to other machines and PUBLIC_URL is not set: "+
			"only clients that call this server localhost are served")
	}
	c.AllowedHosts = readEach(v, "ALLOWED_HOSTS", edge.ParseHost,
		"List host names, comma separated, such as my-app.azurewebsites.net: those that gateways send in place of PUBLIC_URL's")
	c.AllowedOrigins = readEach(v, "ALLOWED_ORIGINS", edge.ParseOrigin,
		"List origins of web pages, comma separated, such as https://app.example.com")
	c.TrustedProxies = readEach(v, "TRUSTED_PROXIES", parseNetwork,
		"List addresses or networks of your gateways, comma separated, such as 10.0.0.0/24")
	c.Sessions, _ = v.flag("SESSIONS")
}

// readPublicURL reads the origin. Clients write the host in lower case and leave out the default
// port, and Entra compares what they send with the App ID URI, character for character.
func (v *variables) readPublicURL(c *Config) {
	if c.PublicURL = strings.TrimSuffix(v.text("PUBLIC_URL"), "/"); c.PublicURL != "" {
		err := checkOrigin(c.PublicURL)
		if err == nil {
			_, err = edge.ParseResource(c.PublicURL + Path)
		}
		if origin, odd := edge.ParseOrigin(c.PublicURL); err == nil && odd == nil {
			c.PublicURL = origin // as clients send it, whatever they are given
		}
		v.check("PUBLIC_URL", err, "Set it to what clients use, such as https://mcp.example.com; "+Path+" is added to it")
	}
}

// readEach parses each part of a comma-separated variable.
func readEach[T any](v *variables, name string, parse func(string) (T, error), remedy string) []T {
	var all []T
	for _, part := range v.list(name) {
		value, err := parse(part)
		if v.check(name, err, remedy) {
			all = append(all, value)
		}
	}
	return all
}

// parseNetwork parses a network, or the address of a single proxy.
func parseNetwork(s string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(s)
	if address, addressErr := netip.ParseAddr(s); addressErr == nil && address.Zone() == "" {
		network, err = netip.PrefixFrom(address, address.BitLen()), nil
	}
	if err != nil {
		return network, fmt.Errorf("%q is not an IP network or address", Shorten(s))
	}
	if network, err = edge.ParseProxy(network); err != nil {
		return network, fmt.Errorf("%q: %w", Shorten(s), err)
	}
	return network, nil
}

// readAppIDURIs reads the API's App ID URIs. Without the variable, they are what mcp-entra setup
// registers: the URL that clients use, which Entra compares with the one that they send, if it is
// https; and the URI that the portal proposes. Behind the authorization proxy Entra gets no such URL,
// and nobody need have registered it.
func (v *variables) readAppIDURIs(c *Config) {
	const name = "APP_ID_URIS"
	resource, isPublic := c.ResourceURL(""), strings.HasPrefix(c.PublicURL, "https://")
	given := v.list(name)
	if given == nil {
		if isPublic && c.AuthProxy == nil {
			c.AppIDURIs = append(c.AppIDURIs, resource)
		}
		c.AppIDURIs = append(c.AppIDURIs, "api://"+strings.ToLower(c.APIAppID))
		return
	}
	for _, uri := range given {
		err := authority.CheckAppIDURI(uri)
		switch {
		case uri == "":
			err = errors.New("has an empty URI")
		case authority.IsGUID(uri) && strings.EqualFold(uri, c.APIAppID):
			err = fmt.Errorf("%q is the application ID; its App ID URI is api://%s", uri, uri)
		case slices.Contains(c.AppIDURIs, uri):
			err = fmt.Errorf("%q is there twice", uri)
		case err == nil:
			err = checkOwner(uri, c.APIAppID, c.TenantID)
		}
		if v.check(name, err, "List the Application ID URIs under Expose an API, comma separated, or leave it out") {
			c.AppIDURIs = append(c.AppIDURIs, uri)
		}
	}
}

// checkOwner rejects an api:// URI with the ID of another application: Entra registers such a URI
// only for the application, or for the tenant.
func checkOwner(uri string, owners ...string) error {
	host, _, _ := strings.Cut(strings.TrimPrefix(uri, "api://"), "/")
	isOwn := func(id string) bool { return strings.EqualFold(id, host) }
	if !strings.HasPrefix(uri, "api://") || !authority.IsGUID(strings.ToLower(host)) || slices.ContainsFunc(owners, isOwn) {
		return nil
	}
	return fmt.Errorf("%q has the ID of neither API_APP_ID nor TENANT_ID", uri)
}
