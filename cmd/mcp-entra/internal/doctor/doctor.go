// Package doctor examines the setup of an MCP server: its configuration, Entra ID, the app
// registration, the exchange of tokens, Azure Storage, and what the server answers by its public
// URL. It finds the one fault that explains the others.
//
// Each check has a stable id. A check that another one makes pointless does not run and names it,
// so one fault is reported once. docs/doctor.md describes every check.
package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/yamlfile"
)

// A Status is the outcome of a check.
type Status string

// The outcomes of a check.
const (
	OK      Status = "ok"
	Warning Status = "warning" // works, but not for everybody or not for long
	Failed  Status = "failed"
	NotRun  Status = "not run" // Result.Note says why
)

// A Result is the outcome of one check. Nothing in it is a secret or a token.
type Result struct {
	ID       string    `json:"id"`
	Status   Status    `json:"status"`
	Note     string    `json:"note,omitempty"`    // what was found, or why the check did not run
	Because  string    `json:"because,omitempty"` // the failed check that made this one pointless
	Findings []Finding `json:"findings,omitempty"`
	Docs     string    `json:"docs,omitempty"` // set unless the check is ok
}

// A Finding is one thing that is wrong.
type Finding struct {
	Problem  string `json:"problem"`
	Expected string `json:"expected,omitempty"`
	Came     string `json:"came,omitempty"` // what was there instead
	Remedy   string `json:"remedy"`
}

// docsURL is where each check has a section.
const docsURL = "https://github.com/mcpentra/mcp-entra-go/blob/main/docs/doctor.md#"

// A check is one row of the report.
type check struct {
	id string
	// needs are the checks whose failure makes this one pointless. A need that did not run for
	// lack of configuration doesn't count: run says itself what it lacks.
	needs []string
	// after are checks that must have ended first, whatever their outcome.
	after []string
	// timed checks make no sense if the clock is known to be wrong. They can't need the check clock,
	// which also looks at the times of the tokens that they get.
	timed bool
	run   func(context.Context, *exam) Result
}

// Limits of the run.
const (
	checkTimeout = 15 * time.Second
	totalTimeout = time.Minute
)

// Run examines a setup. It takes at most a minute. Its error is about the options alone; what
// is wrong with the setup is in the report.
func Run(ctx context.Context, facts Facts, opts *Options) (*Report, error) {
	x, err := newExam(facts, opts)
	if err != nil {
		return nil, err
	}
	defer x.close()
	all := checks(x.options.Clients)
	wanted, err := selected(all, x.options.Only)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	report := x.examine(ctx, all, wanted)
	report.clean(x.secrets())
	addresses := []string{x.ResourceURL, x.LocalURL, x.StorageURL, x.host.String()}
	for _, address := range slices.Clone(addresses) {
		if proxy := x.proxyFor(address); proxy != nil {
			addresses = append(addresses, proxy.String())
		}
	}
	report.names = namesOf(addresses...)
	return report, nil
}

// selected returns the ids of the checks to show: all, or those named.
func selected(all []check, only []string) ([]string, error) {
	var ids []string
	for _, c := range all {
		ids = append(ids, c.id)
	}
	for _, id := range only {
		if !slices.Contains(ids, id) {
			if near, ok := yamlfile.Nearest(id, ids); ok {
				return nil, fmt.Errorf("there is no check %s; the nearest is %s (docs/doctor.md lists all)", Shown(id), near)
			}
			return nil, fmt.Errorf("there is no check %s; the checks are %s", Shown(id), strings.Join(ids, ", "))
		}
	}
	if len(only) > 0 {
		return only, nil
	}
	return ids, nil
}

// Shown quotes a name from the command line, unless it may be a secret that was pasted there.
func Shown(name string) string {
	if len(name) > 24 || strings.ContainsFunc(name, func(r rune) bool { return r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return "of the given name, which is not shown because it may be a secret"
	}
	return strconv.Quote(name)
}

// examine runs the wanted checks and those before them, side by side where it can.
func (x *exam) examine(ctx context.Context, all []check, wanted []string) *Report {
	shown := slices.Clone(wanted) // and the faults that keep them from running
	x.runAll(ctx, closure(all, wanted))
	for _, id := range wanted {
		shown = append(shown, x.result(id).Because)
	}
	x.runAll(ctx, closure(all, shown))
	report := &Report{}
	for _, c := range all {
		if slices.Contains(shown, c.id) {
			report.Checks = append(report.Checks, x.result(c.id))
		}
	}
	return report
}

// runAll runs those of the checks that have not run yet.
func (x *exam) runAll(ctx context.Context, checks []check) {
	fresh := slices.DeleteFunc(checks, func(c check) bool { return x.running[c.id] != nil })
	for _, c := range fresh {
		x.running[c.id] = make(chan struct{})
	}
	for _, c := range fresh {
		go func() {
			defer close(x.running[c.id])
			x.record(x.runOne(ctx, c))
		}()
	}
	for _, c := range fresh {
		<-x.running[c.id]
	}
}

// closure returns the wanted checks and all that they need, in order.
func closure(all []check, wanted []string) []check {
	in := map[string]bool{}
	var add func(ids []string)
	add = func(ids []string) {
		for _, c := range all {
			if slices.Contains(ids, c.id) && !in[c.id] {
				in[c.id] = true
				add(c.needs)
				add(c.after)
			}
		}
	}
	add(wanted)
	return slices.DeleteFunc(slices.Clone(all), func(c check) bool { return !in[c.id] })
}

// runOne waits for the checks before c and runs it, unless one of them makes it pointless.
func (x *exam) runOne(ctx context.Context, c check) Result {
	for _, id := range slices.Concat(c.needs, c.after) {
		<-x.running[id]
	}
	r := x.blocked(c.needs...)
	if r == nil && c.timed && x.dateIsOff() {
		r = becauseOfClock()
	}
	if r == nil && ctx.Err() != nil {
		late := notRun("the time was over")
		r = &late
	}
	if r == nil {
		ctx, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		done := c.run(ctx, x)
		r = &done
	}
	r.ID = c.id
	if r.Status != OK {
		section := c.id
		if strings.HasPrefix(c.id, clientPrefix) {
			section = "clients"
		}
		r.Docs = docsURL + section
	}
	return *r
}

// blocked returns the result of a check that one of these checks makes pointless, or nil.
func (x *exam) blocked(ids ...string) *Result {
	for _, id := range ids {
		switch r := x.result(id); {
		case r.Status == Failed:
			return &Result{Status: NotRun, Because: id, Note: id + " failed"}
		case r.Because != "":
			return &Result{Status: NotRun, Because: r.Because, Note: r.Because + " failed"}
		}
	}
	return nil
}

func (x *exam) record(r Result) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.results[r.ID] = r
}

func (x *exam) result(id string) Result {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.results[id]
}

func ok(format string, args ...any) Result {
	return Result{Status: OK, Note: fmt.Sprintf(format, args...)}
}

func notRun(format string, args ...any) Result {
	return Result{Status: NotRun, Note: fmt.Sprintf(format, args...)}
}

func failed(findings ...Finding) Result { return Result{Status: Failed, Findings: findings} }

func warning(findings ...Finding) Result { return Result{Status: Warning, Findings: findings} }

// judged is failed with the findings, or ok without any.
func judged(findings []Finding, format string, args ...any) Result {
	if len(findings) > 0 {
		return failed(findings...)
	}
	return ok(format, args...)
}
