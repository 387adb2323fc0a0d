package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
)

// A statusReport is what setup status says.
type statusReport struct {
	User        string         `json:"user"`
	App         bool           `json:"app"` // an application that signed in as itself
	Tenant      string         `json:"tenant"`
	TenantName  string         `json:"tenantName"`
	Domains     []string       `json:"domains"`
	Authority   string         `json:"authority"`
	Graph       string         `json:"graph"`
	Permissions []string       `json:"permissions"`
	Roles       []string       `json:"roles"`
	RolesRead   bool           `json:"rolesRead"` // false: the roles are not known
	Steps       []stepPossible `json:"steps"`
}

// A stepPossible says whether the sign-in has the permission for a kind of step.
type stepPossible struct {
	What       string `json:"what"`
	Permission string `json:"permission"`
	Has        bool   `json:"has"`
	Role       string `json:"role"`
}

// status shows who is signed in. It needs no file.
func (r *setupRun) status(ctx context.Context) error {
	if err := r.signIn(ctx); err != nil {
		return err
	}
	s := statusReport{
		User: r.caller.Name, App: r.caller.App, Tenant: r.tenant.ID, TenantName: r.tenant.DisplayName,
		Authority: r.place.Authority.String(), Graph: r.graph.Base(), Permissions: r.caller.Scopes, Roles: r.caller.Roles, RolesRead: len(r.caller.Roles) > 0,
	}
	for _, d := range r.tenant.VerifiedDomains {
		s.Domains = append(s.Domains, d.Name)
	}
	if !s.App {
		if me, err := r.graph.Me(ctx); err == nil {
			s.User = me.UserPrincipalName
		} else if !graph.IsForbidden(err) {
			return err
		}
		if roles, err := r.graph.MyRoles(ctx); err == nil {
			s.Roles, s.RolesRead = roles, true
		} else if !graph.IsForbidden(err) {
			return err
		}
	}
	for _, need := range setup.Needs() {
		s.Steps = append(s.Steps, stepPossible{need.What, need.Permission, slices.Contains(s.Permissions, need.Permission), need.Role})
	}
	r.printStatus(s)
	return nil
}

// tenantName returns the tenant's name and id. A sign-in may be unable to read the name.
func (r *setupRun) tenantName() string {
	if r.tenant.DisplayName == "" {
		return r.tenant.ID
	}
	return r.tenant.DisplayName + " (" + r.tenant.ID + ")"
}

func (r *setupRun) printStatus(s statusReport) {
	if r.flags.asJSON {
		_ = printJSON(r.stdout, s)
		return
	}
	kind := "user"
	if s.App {
		kind = "application"
	}
	w := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "signed in as\t%s %s\n", kind, s.User)
	fmt.Fprintf(w, "tenant\t%s\n", r.tenantName())
	if len(s.Domains) > 0 {
		fmt.Fprintf(w, "domains\t%s\n", strings.Join(s.Domains, ", "))
	}
	fmt.Fprintf(w, "authority\t%s\n", s.Authority)
	fmt.Fprintf(w, "graph\t%s\n", s.Graph)
	switch {
	case s.App:
		fmt.Fprintf(w, "roles\tan application needs none, only permissions\n")
	case !s.RolesRead:
		fmt.Fprintf(w, "roles\tnot known: this sign-in may not read them\n")
	case len(s.Roles) == 0:
		fmt.Fprintf(w, "roles\tnone\n")
	default:
		fmt.Fprintf(w, "roles\t%s\n", strings.Join(s.Roles, ", "))
	}
	fmt.Fprintf(w, "permissions\t%s\n", strings.Join(s.Permissions, " "))
	fmt.Fprintf(w, "\nFOR\tPERMISSION\tROLE OF A USER\n")
	for _, step := range s.Steps {
		has := "has    "
		if !step.Has {
			has = "MISSING"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\n", step.What, has, step.Permission, step.Role)
	}
	_ = w.Flush()
}

// nothing says that there is nothing to do.
func (r *setupRun) nothing() string {
	if r.flags.verb == "destroy" {
		return "Nothing to take back: the tenant has none of the applications that setup made for this name."
	}
	return "No change: the tenant is as wanted."
}

func (r *setupRun) printPlan(p *setup.Plan) {
	if r.flags.asJSON {
		_ = printJSON(r.stdout, p)
		return
	}
	fmt.Fprintf(r.stdout, "Tenant %s, signed in as %s.\n", r.tenantName(), r.caller.Name)
	if p.Empty() {
		fmt.Fprintln(r.stdout, r.nothing())
	} else {
		w := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
		var need string // of the steps above
		for _, s := range p.Steps {
			if n := s.Permission + ", and for a user the role " + s.Role; n != need {
				need = n
				fmt.Fprintf(w, "\nNeeds %s:\n", need)
			}
			fmt.Fprintf(w, "  %s\t%s\n", s.ID, p.Text(s))
		}
		_ = w.Flush()
		fmt.Fprintf(r.stdout, "\nSteps: %d.\n", len(p.Steps))
	}
	r.printRest(p.Kept, p.Unread, p.Notes)
}

// printRest prints what a plan and a report have in common.
func (r *setupRun) printRest(kept []setup.Kept, unread []setup.Blocked, notes []string) {
	if len(kept) > 0 {
		fmt.Fprintln(r.stdout, "\nNot in the file, and kept:")
		for _, k := range kept {
			fmt.Fprintf(r.stdout, "  %s: %s\n", k.App, k.What)
		}
	}
	if len(unread) > 0 {
		fmt.Fprintln(r.stdout, "\nNot known, because this sign-in may not read it:")
		for _, b := range unread {
			fmt.Fprintf(r.stdout, "  %s\n    needs %s, and for a user the role %s\n", b.What, b.Permission, b.Role)
		}
	}
	if len(notes) > 0 {
		fmt.Fprintln(r.stdout)
		for _, n := range notes {
			fmt.Fprintf(r.stdout, "Note: %s\n", n)
		}
	}
}

func (r *setupRun) printReport(report *setup.Report) {
	if r.flags.asJSON {
		_ = printJSON(r.stdout, report)
		return
	}
	if len(report.Steps) == 0 {
		fmt.Fprintln(r.stdout, r.nothing())
	}
	w := tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	for _, s := range report.Steps {
		title := s.Title
		if s.State == "not run" {
			title += " (" + s.Error + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", strings.ToUpper(s.State[:1])+s.State[1:], s.ID, title)
	}
	_ = w.Flush()
	for _, s := range report.Steps {
		if s.State != "failed" {
			continue
		}
		fmt.Fprintf(r.stdout, "\n%s %s: %s\n", s.ID, s.State, s.Error)
		if s.Remedy != "" {
			fmt.Fprintf(r.stdout, "  To fix this: %s\n", s.Remedy)
		}
	}
	r.printRest(report.Kept, report.Unread, report.Notes)
	if report.Outcome == nil {
		return
	}
	fmt.Fprintf(r.stdout, "\nThe server's variables:\n\n%s", report.Outcome.Dotenv())
	fmt.Fprintf(r.stdout, "\nThe clients' scope: %s\n", report.Outcome.Scope)
	if further := report.Outcome.FurtherScopes; len(further) > 0 {
		fmt.Fprintf(r.stdout, "Further scopes, which clients ask for by step-up: %s\n", strings.Join(further, " "))
	}
	for _, a := range report.Outcome.Agents {
		fmt.Fprintf(r.stdout, "The agent identity %s: %s\n", a.Name, a.ID)
	}
	w = tabwriter.NewWriter(r.stdout, 0, 0, 2, ' ', 0)
	for _, c := range report.Outcome.Clients {
		what := c.App
		if what == "" {
			what = "its maker's, pre-authorized"
		}
		fmt.Fprintf(w, "%s\tclient ID %s\t%s\n", c.Client.ID, c.ClientID, what)
	}
	_ = w.Flush()
	if len(report.Manual) > 0 {
		fmt.Fprint(r.stdout, "\nLeft to do by hand:\n\n")
		setup.PrintManual(r.stdout, report.Manual)
	}
}
