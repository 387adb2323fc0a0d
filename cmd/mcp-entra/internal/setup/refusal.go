package setup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

// Remedy says what to do about a step that Graph refused, or nothing if the error says it.
func Remedy(spec Spec, s Step, err error) string {
	var e *graph.Error
	if !errors.As(err, &e) {
		return ""
	}
	if remedy := remedyForAgents(s, e); remedy != "" {
		return remedy
	}
	switch {
	case e.Code == graph.CodeForbidden:
		return fmt.Sprintf("This sign-in may not do it. It needs the Microsoft Graph permission %s and, for a user, the role %s. "+
			"Sign in with one who has them (setup status shows what this sign-in has), or have them run the same command: what is done already stays.", s.Permission, s.Role)
	case e.Code == graph.CodeQuota:
		return "This user has made as many objects as the tenant allows (250 for users without a role): delete some, permanently, or sign in as an administrator."
	case strings.HasSuffix(s.ID, "server-uris"):
		return remedyForURIs(spec, e)
	case strings.HasSuffix(s.ID, "/preauthorized"):
		return "Entra knows no application with one of these client IDs: correct app-id in the file; an application of another tenant must be known in this one first."
	case strings.HasSuffix(s.ID, "/secret"):
		return "A policy of this tenant restricts secrets. Prove the API with a managed identity, a workload identity or a certificate instead (proof in the file), " +
			"or ask a Cloud Application Administrator to exempt this application from the app management policy."
	case refusedName(err):
		return "Another application holds it, perhaps a deleted one: App registrations, Deleted applications in the portal (https://entra.microsoft.com) shows them for 30 days; delete it there permanently, or choose another name."
	case e.Status == 401:
		return "The sign-in has ended: sign in again."
	}
	return ""
}

// remedyForURIs says why a tenant refuses servers' URLs as App ID URIs, and the ways out.
func remedyForURIs(spec Spec, e *graph.Error) string {
	ways := "Ways: verify the domain in the tenant (Custom domain names); have a Cloud Application Administrator exempt this application from the app management policy; " +
		"sign clients in through the server's authorization proxy, which needs no such URI (auth-proxy in the file); " +
		"or leave it: clients that send no resource still sign in with the scope of api://."
	if len(spec.Servers) > 1 {
		ways += " One refused URL keeps the others out: take the one that the answer names out of servers."
	}
	isHTTP := slices.ContainsFunc(spec.Servers, func(s string) bool { return strings.HasPrefix(s, "http://") })
	switch {
	case refusedName(e):
		return "Another application has this App ID URI: remove it there, also from the deleted ones, which hold it for 30 days, or adopt that application (-adopt CLIENT_ID)."
	case isHTTP && !strings.Contains(e.Code, "AsPerAppPolicy"):
		return "Entra can't be relied on to take an http URL as App ID URI. Ways: serve https; or leave it: clients that send no resource still sign in with the scope of api://. One refused URL keeps the others out."
	case e.Has("HostNameNotOnVerifiedDomain") && spec.MultiTenant:
		return "An application for users of several tenants can have App ID URIs on verified domains only. " + ways + " A single-tenant application (audience: single) could have it."
	case e.Has("HostNameNotOnVerifiedDomain"):
		return "The tenant does not take this host. " + ways
	case strings.Contains(e.Code, "AsPerAppPolicy"):
		return "A policy of this tenant forbids it. " + ways
	}
	return ways
}
