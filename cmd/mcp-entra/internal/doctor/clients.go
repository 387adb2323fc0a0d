package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// clientPrefix begins the ids of the checks of known clients.
const clientPrefix = "client-"

// clientCheck says what one known client will get.
func clientCheck(c knownclients.Client) check {
	return check{
		id: clientPrefix + c.ID, after: []string{"app-id-uri", "token-version", "redirects"},
		needs: []string{"server", "host", "challenge", "resource-metadata", "advertised-scopes"},
		run:   func(_ context.Context, x *exam) Result { return x.judgeClient(c) },
	}
}

// clientsNamed returns the clients to judge.
func clientsNamed(ids []string) []knownclients.Client {
	return slices.DeleteFunc(knownclients.All(), func(c knownclients.Client) bool { return len(ids) > 0 && !slices.Contains(ids, c.ID) })
}

// judgeClient asks what is known of the client. What an earlier check has found is not reported
// again: the note says what it means for this client.
func (x *exam) judgeClient(c knownclients.Client) Result {
	if !x.published.read {
		return x.like("resource-metadata")
	}
	s := knownclients.Server{
		URL: x.ResourceURL, Resource: x.published.doc.Resource, Scopes: x.published.doc.Scopes,
		AuthorizationServers: x.published.doc.AuthorizationServers, ClientID: x.ClientID,
		AuthProxy: x.Issuer != "" && slices.Contains(x.published.doc.AuthorizationServers, x.Issuer),
	}
	s.AppIDURIs = x.uris
	if x.app != nil {
		s.TokenVersion = max(x.app.API.RequestedAccessTokenVersion, 1)
		s.PreAuthorized = []string{}
		for _, p := range x.app.API.PreAuthorized {
			s.PreAuthorized = append(s.PreAuthorized, p.AppID)
		}
	}
	v := knownclients.Judge(c, s)
	if f := x.lacksRedirect(c); f != nil && !s.AuthProxy && v.Outcome != knownclients.Refused {
		r := warning(*f)
		r.Note = c.Name
		return r
	}
	if v.Outcome != knownclients.Refused {
		return ok("%s: %s", v.Client.Name, outcome(v))
	}
	for _, id := range []string{"token-version", "app-id-uri"} {
		if r := x.result(id); r.Status == Failed && v.Code == "AADSTS9010010" {
			return Result{Status: NotRun, Because: id, Note: id + " failed; until it is fixed, " + v.Client.Name + " " + outcome(v)}
		}
	}
	r := warning(Finding{Problem: outcome(v), Expected: v.Expected, Came: v.Sent, Remedy: v.Fix})
	r.Note = v.Client.Name
	return r
}

// lacksRedirect says that a client that was asked for can't come back from its sign-in. Of the
// others it isn't known whether anybody uses them.
func (x *exam) lacksRedirect(c knownclients.Client) *Finding {
	registered := func(uri string) bool {
		return slices.ContainsFunc(x.redirects, func(r string) bool { return portless(r) == uri })
	}
	if x.app == nil || len(x.options.Clients) == 0 || len(c.Redirects) == 0 || slices.ContainsFunc(c.Redirects, registered) {
		return nil
	}
	return &Finding{Problem: "will be refused, AADSTS50011, because no client application has its redirect", Expected: "one of\n" + list(c.Redirects),
		Came: list(x.redirects), Remedy: "Add it to a client's registration, or run mcp-entra setup apply with this client"}
}

// outcome is the verdict on one line, without the client's name.
func outcome(v knownclients.Verdict) string {
	note := string(v.Outcome)
	if v.Code != "" {
		note += ", " + v.Code
	}
	if v.Because != "" {
		note += ", because " + strings.ReplaceAll(v.Because, v.Client.Name, "it")
	}
	if len(v.Provided) > 0 {
		note += ", provided that " + strings.Join(v.Provided, ", and ")
	}
	return note
}
