package serverconfig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/blobtool"
	"github.com/mcpentra/mcp-entra-go/obo"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// The libraries define the rules for IDs, hosts, resources, secrets, and storage. Each check
// passes one configured value and otherwise valid values to a constructor, so that the error can
// be reported under the variable's name. These constructors contact no one.

const (
	goodTenant = "a0000000-0000-4000-8000-000000000001"
	goodClient = "a0000000-0000-4000-8000-000000000002"
	goodIssuer = "https://good.example"
)

// CheckTenantID accepts the ID of a directory (tenant).
func CheckTenantID(s string) error {
	_, err := obo.NewExchanger(s, goodClient, clientauth.Secret("good"), nil)
	return about("tenantID: ", err)
}

// CheckClientID accepts the ID of an application.
func CheckClientID(s string) error {
	_, err := obo.NewExchanger(goodTenant, s, clientauth.Secret("good"), nil)
	return about("clientID: ", err)
}

func checkAuthorityHost(s string) error {
	_, err := obo.NewExchanger(goodTenant, goodClient, clientauth.Secret("good"), &obo.Options{AuthorityHost: s})
	return about("Options.AuthorityHost: ", err)
}

// checkMethod logs nothing: warnings about the method are logged when the exchanger is created.
func checkMethod(m clientauth.Method) error {
	_, err := obo.NewExchanger(goodTenant, goodClient, m, &obo.Options{Logger: slog.New(slog.DiscardHandler)})
	return about("method: ", err)
}

func checkAudience(s string) error {
	_, err := obo.NewExchanger(goodTenant, goodClient, clientauth.Secret("good"), &obo.Options{Resources: []string{s}})
	return about("Options.Resources[0]: ", err)
}

func checkConsentURL(s string) error {
	_, err := obo.NewExchanger(goodTenant, goodClient, clientauth.Secret("good"), &obo.Options{RedirectURL: s})
	return about("Options.RedirectURL: ", err)
}

// checkProxy makes a proxy with these settings and valid others.
func checkProxy(issuer string, o authproxy.Options) error {
	_, err := authproxy.New(issuer, goodTenant, goodClient, clientauth.Secret("good"), [][]byte{[]byte("any key of at least 32 characters")}, &o)
	return err
}

func checkIssuer(s string) error {
	return about("issuerURL: ", checkProxy(s, authproxy.Options{}))
}

func checkPrivateScheme(s string) error {
	return about("Options.PrivateSchemes[0]: ", checkProxy(goodIssuer, authproxy.Options{PrivateSchemes: []string{s}}))
}

func checkDownstream(s string) error {
	return about("Options.Downstream[0]: ", checkProxy(goodIssuer, authproxy.Options{Downstream: []string{s}}))
}

func checkStorageURL(s string) error {
	_, err := blobtool.New(s, "good", nobody, nil)
	return about("serviceURL ", err)
}

func checkContainer(s string) error {
	_, err := blobtool.New("https://good.blob.core.windows.net", s, nobody, nil)
	return about("container ", err)
}

// nobody is the credential function of a tool set that is never called.
func nobody(context.Context) (azcore.TokenCredential, error) {
	return nil, errors.New("no credential")
}

// about returns the part of an error that follows the field's name.
func about(field string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, field); ok {
		text = after
	}
	return errors.New(text)
}

// checkFolder accepts a folder, and what can become one.
func checkFolder(path string) error {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("%q is a file, not a folder", Shorten(path))
	}
	return nil
}

// checkHost accepts what the server can listen on: an IP address or a host name.
func checkHost(s string) error {
	if net.ParseIP(s) != nil {
		return nil
	}
	if strings.ContainsAny(s, ":/[]%? ") {
		return fmt.Errorf("%q is neither an IP address nor a host name; the port goes to PORT", Shorten(s))
	}
	return nil
}

// checkOrigin accepts a scheme and host only: https, or http on this machine.
func checkOrigin(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("is not a URL with a host")
	case u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("has more than scheme, host and port")
	case strings.HasSuffix(u.Hostname(), "."):
		return errors.New("has a dot after the host, which no App ID URI has")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must begin with https://; http:// is for this machine alone", Shorten(s))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}
