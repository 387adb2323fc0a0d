package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/setup"
	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/signin"
)

// A setupRun is one run of setup.
type setupRun struct {
	*process
	flags setupFlags
	spec  setup.Spec

	place  signin.Place
	caller signin.Caller
	graph  *graph.Client
	tenant graph.Organization
}

// say writes a line of progress.
func (r *setupRun) say(line string) {
	if !r.flags.asJSON {
		fmt.Fprintln(r.stderr, line)
	}
}

// signIn signs in and makes sure of the tenant. Nothing is sent to Microsoft Graph before.
func (r *setupRun) signIn(ctx context.Context) error {
	tenant := r.flags.spec.Tenant
	if tenant == "" {
		tenant = r.spec.Tenant
	}
	cloud := r.flags.spec.Cloud
	if cloud == "" {
		cloud = r.spec.Cloud
	}
	host, _ := r.lookup("AZURE_AUTHORITY_HOST")
	o := signin.Options{
		Way: r.flags.auth, Tenant: tenant, Cloud: cloud, AuthorityHost: strings.TrimSpace(host), GraphHost: r.flags.graphHost,
		Lookup: r.lookup, HTTP: r.client, Prompt: func(message string) { fmt.Fprintln(r.stderr, message) },
	}
	if o.Cloud == "public" && o.AuthorityHost != "" {
		o.Cloud = "" // the default says nothing
	}
	var err error
	if r.place, err = signin.Where(o); err != nil {
		return err
	}
	credential, err := signin.Credential(o, r.place)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	if r.caller, err = signin.Who(ctx, credential, r.place); err != nil {
		return fmt.Errorf("sign in to %s (-auth %s): %w", r.place.Authority, r.flags.auth, err)
	}
	if r.graph, err = graph.New(r.place.GraphHost, r.place.Cloud.Graph, credential, &graph.Options{HTTP: r.client, Wait: r.wait, Say: r.say}); err != nil {
		return err
	}
	return r.checkTenant(ctx, tenant)
}

// checkTenant refuses a sign-in to a tenant other than the one that -tenant or the file names.
func (r *setupRun) checkTenant(ctx context.Context, want string) error {
	var err error
	if r.tenant, err = r.graph.Organization(ctx); graph.IsForbidden(err) {
		r.tenant.ID = r.caller.TenantID // who may not read the tenant knows its id at least
	} else if err != nil {
		return err
	}
	if r.tenant.ID == "" {
		return errors.New("the answer of Microsoft Graph does not say which tenant this sign-in is for")
	}
	is := func(name string) bool {
		return strings.EqualFold(name, r.tenant.ID) || slices.ContainsFunc(r.tenant.VerifiedDomains, func(d graph.VerifiedDomain) bool { return strings.EqualFold(d.Name, name) })
	}
	for _, name := range []string{want, r.spec.Tenant} {
		if name != "" && !is(name) {
			return fmt.Errorf("this sign-in is for the tenant %s, not the one that -tenant or the file names: sign in to that one (az login --tenant TENANT), or correct the name", r.tenantName())
		}
	}
	return nil
}

// observe reads the tenant, and returns its state with what the spec wants in it.
func (r *setupRun) observe(ctx context.Context) (want, have *setup.State, err error) {
	if have, err = setup.Observe(ctx, r.graph, r.spec, r.tenant.ID); err != nil {
		return nil, nil, err
	}
	if w := r.spec.Proof.Workload; w != nil {
		note, fault := setup.CheckIssuer(ctx, r.client, w.Issuer)
		if fault != nil {
			have.Faults = append(have.Faults, fault)
		} else if note != "" {
			have.Notes = append(have.Notes, note)
		}
	}
	want, err = setup.Desired(r.spec, have, r.place.Cloud, r.place.Authority)
	return want, have, err
}

// newPlan reads the tenant and returns the steps to take, and the state that they lead to.
func (r *setupRun) newPlan(ctx context.Context, options setup.Options) (p *setup.Plan, want *setup.State, err error) {
	want, have, err := r.observe(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(have.Faults...); err != nil {
		return nil, nil, err
	}
	if r.flags.secretFile != "" {
		if options.Saved, err = setup.ReadSaved(ctx, r.flags.secretFile); err != nil {
			return nil, nil, err
		}
	}
	options.Now = time.Now()
	p, err = setup.NewPlan(r.spec, want, have, r.graph.Base(), options)
	return p, want, err
}

// start reads the spec and signs in.
func (r *setupRun) start(ctx context.Context) (saved *setup.Plan, err error) {
	if r.spec, saved, err = r.flags.readSpec(); err != nil {
		return nil, err
	}
	return saved, r.signIn(ctx)
}

func (r *setupRun) plan(ctx context.Context) error {
	if _, err := r.start(ctx); err != nil {
		return err
	}
	p, want, err := r.newPlan(ctx, setup.Options{Rotate: r.flags.rotate, Deleted: r.flags.deleted})
	if err != nil {
		return err
	}
	if r.flags.print != "" && len(r.spec.Agents) > 0 {
		return errors.New("there is no script for agents: az rest sends the Azure CLI's token, which Microsoft Graph refuses there, and what Bicep knows of blueprints is not documented; use setup apply")
	}
	if refused := setup.AgentsRefused(p, r.caller.Scopes); refused != nil {
		p.Notes = append(p.Notes, "setup apply will refuse to start: "+refused.Error())
	}
	if r.flags.out != "" {
		if err := writePrivate(r.flags.out, append(encode(p), '\n')); err != nil {
			return err
		}
	}
	switch r.flags.print {
	case "az":
		return setup.PrintAz(r.stdout, p)
	case "bicep":
		return setup.PrintBicep(r.stdout, r.spec, want)
	}
	r.printPlan(p)
	return planResult(p)
}

// planResult makes the exit code of a plan: 2 if there is something to do.
func planResult(p *setup.Plan) error {
	switch {
	case !p.Empty():
		return errDiffers
	case len(p.Unread) > 0:
		return errors.New("not all could be read: " + p.Unread[0].What + ", which needs " + p.Unread[0].Permission)
	}
	return nil
}

func (r *setupRun) check(ctx context.Context) error { return r.plan(ctx) }

func (r *setupRun) apply(ctx context.Context) error {
	saved, err := r.start(ctx)
	if err != nil {
		return err
	}
	if saved != nil && !strings.EqualFold(saved.Tenant, r.tenant.ID) {
		return fmt.Errorf("the plan is for the tenant %s, and this sign-in for %s", saved.Tenant, r.tenant.ID)
	}
	if saved != nil && saved.Graph != r.graph.Base() {
		return fmt.Errorf("the plan is for %s, and this sign-in for %s", setup.Shown(saved.Graph), r.graph.Base())
	}
	applier := setup.Applier{Graph: r.graph, Say: r.say, Wait: r.wait}
	results, last, err := applier.Apply(ctx, func(ctx context.Context, done []setup.Result) (*setup.Plan, error) {
		o := setup.Options{Rotate: r.flags.rotate, Deleted: r.flags.deleted}
		if saved != nil {
			o = saved.Options
		}
		o.Rotated = setup.Rotated(done)
		p, _, err := r.newPlan(ctx, o)
		if err != nil {
			return nil, err
		}
		if saved != nil {
			if err := saved.Covers(p); err != nil {
				return nil, err
			}
		}
		if err := setup.AgentsRefused(p, r.caller.Scopes); err != nil {
			return nil, err
		}
		return p, r.openSecrets(&applier, p)
	})
	if last == nil {
		return err
	}
	return r.applied(ctx, results, last, err)
}

// openSecrets opens the secret file before anything is changed, if the plan adds one.
func (r *setupRun) openSecrets(a *setup.Applier, p *setup.Plan) (err error) {
	if !p.AddsSecret() || a.Secrets != nil {
		return nil
	}
	if r.flags.secretFile == "" {
		return errors.New("this adds a secret: name the file for it with -secret-file FILE; it will be readable by its owner alone")
	}
	a.Secrets, err = setup.OpenSecretFile(r.flags.secretFile)
	return err
}

// applied prints what was done, and what the server and its clients are configured with.
func (r *setupRun) applied(ctx context.Context, results []setup.Result, last *setup.Plan, err error) error {
	report := setup.NewReport(r.spec, results, last)
	if last.Known["api.appId"] != "" && ctx.Err() == nil {
		api, readErr := r.graph.Application(ctx, graph.ApplicationByAppID(last.Known["api.appId"]))
		if readErr == nil {
			report.SetOutcome(r.spec, last.Known, api.IdentifierURIs, r.place.Cloud, r.place.Authority)
		}
	}
	r.printReport(report)
	if err == nil && report.Failed() {
		err = fmt.Errorf("not done: %d of %d steps, named above with what to do; running this again goes on from here", report.NotDone(), len(report.Steps))
	}
	if err == nil && len(last.Unread) > 0 {
		err = planResult(&setup.Plan{Unread: last.Unread})
	}
	if r.flags.env != "" && report.Outcome != nil { // also if a step failed: it says what is registered
		err = errors.Join(err, r.writeEnv(ctx, *report.Outcome))
	}
	return err
}

// writeEnv writes the server's variables to the file that -env names.
func (r *setupRun) writeEnv(ctx context.Context, o setup.Outcome) (err error) {
	var secrets *setup.Saved
	if file := r.flags.secretFile; file != "" && file != r.flags.env {
		if secrets, err = setup.ReadSaved(ctx, file); err != nil {
			return err
		}
	}
	return updateDotenv(r.flags.env, o, secrets)
}

func (r *setupRun) destroy(ctx context.Context) error {
	if _, err := r.start(ctx); err != nil {
		return err
	}
	plan := func(ctx context.Context, _ []setup.Result) (*setup.Plan, error) {
		want, have, err := r.observe(ctx)
		if err != nil {
			return nil, err
		}
		return setup.NewDestroyPlan(r.spec, want, have, r.graph.Base(), r.flags.purge)
	}
	first, err := plan(ctx, nil)
	if err != nil {
		return err
	}
	if err := setup.AgentsRefused(first, r.caller.Scopes); err != nil {
		return err
	}
	if r.terminal && !first.Empty() {
		r.printPlan(first)
		fmt.Fprintf(r.stderr, "Take this back in the tenant %s? Type yes: ", r.tenantName())
		var answer string
		if _, err := fmt.Fscanln(r.stdin, &answer); err != nil || answer != "yes" {
			return errors.New("nothing was changed")
		}
	}
	applier := setup.Applier{Graph: r.graph, Say: r.say, Wait: r.wait}
	results, last, err := applier.Apply(ctx, plan)
	if last == nil {
		return err
	}
	report := setup.NewReport(r.spec, results, last)
	r.printReport(report)
	if err == nil && report.Failed() {
		err = fmt.Errorf("not done: %d of %d steps, named above with what to do", report.NotDone(), len(report.Steps))
	}
	return err
}

func encode(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("mcp-entra: " + err.Error()) // of structs of texts
	}
	return data
}
