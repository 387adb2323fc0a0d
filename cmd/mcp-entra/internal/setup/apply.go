package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
)

const (
	// maxReplication bounds how long a step waits for what Graph has not replicated yet.
	maxReplication = 3 * time.Minute
	// maxRounds bounds how often apply looks again, because the tenant was not as it read.
	maxRounds = 10
)

// An Applier makes a tenant as a plan says.
type Applier struct {
	Graph   *graph.Client
	Secrets *SecretFile // nil: steps that add a secret fail
	Say     func(line string)
	// Wait waits or returns the context's error. nil means on the real clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// A Result is what became of a step.
type Result struct {
	Step Step
	Done bool
	Err  error // why it isn't done
	// Skipped: it was not tried, because of another step that failed.
	Skipped bool
}

// Rotated returns the keys of the applications that have got a secret.
func Rotated(results []Result) (keys []string) {
	for _, r := range results {
		if key, what, _ := strings.Cut(r.Step.ID, "/"); what == "secret" && r.Done {
			keys = append(keys, key)
		}
	}
	return keys
}

// errLookAgain says that the tenant is not as the plan was made for: somebody else changes it.
var errLookAgain = errors.New("the tenant was changed meanwhile")

// Apply does what the plan says, and plans again where the tenant has changed meanwhile: the plan
// function reads the tenant's state, and is told what was done so far. Apply returns what became of
// each step, and the last plan.
func (a *Applier) Apply(ctx context.Context, plan func(ctx context.Context, done []Result) (*Plan, error)) ([]Result, *Plan, error) {
	var all []Result
	var p *Plan
	var last error
	for round := range maxRounds {
		next, err := plan(ctx, all)
		if err != nil {
			return all, p, err
		}
		p = next
		results, again := a.run(ctx, p)
		all = append(all, results...)
		if again == nil || ctx.Err() != nil {
			return all, p, ctx.Err()
		}
		last = again
		a.Say("looking again at what the tenant has")
		if err := a.wait(ctx, time.Second<<min(round, 4)); err != nil {
			return all, p, err
		}
	}
	return all, p, fmt.Errorf("the tenant keeps changing while this runs: another setup apply, or a pipeline, works on the same applications; let it end, and run this again (%w)", last)
}

// run does the steps in order. again says why the plan no longer fits the tenant, or
// that the context is done.
func (a *Applier) run(ctx context.Context, p *Plan) (results []Result, again error) {
	failed := map[string]bool{}
	for _, s := range p.Steps {
		r := Result{Step: s}
		if missing := a.missing(s, p, failed); missing != "" {
			r.Skipped, r.Err = true, errors.New(missing)
		} else {
			a.Say(oneLine(s.ID) + ": " + p.Text(s))
			r.Err = a.step(ctx, s, p)
		}
		if errors.Is(r.Err, errLookAgain) {
			return results, r.Err
		}
		r.Done = r.Err == nil
		failed[s.ID] = !r.Done
		results = append(results, r)
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
		if r.Done && s.LookAgain {
			return results, errLookAgain
		}
	}
	return results, nil
}

// missing says why the step can't be tried, or nothing.
func (a *Applier) missing(s Step, p *Plan, failed map[string]bool) string {
	for _, id := range s.Needs {
		if failed[id] {
			return "needs " + id
		}
	}
	for _, text := range []string{s.Path, string(s.Body), s.Read} {
		if m := placeholders.FindString(expand(text, p.Known)); m != "" {
			return "needs " + p.finder(m[2:len(m)-1])
		}
	}
	return ""
}

// finder names the step that finds an id.
func (p *Plan) finder(name string) string {
	for _, s := range p.Steps {
		if slices.ContainsFunc(s.Captures, func(c Capture) bool { return c.Name == name }) {
			return s.ID
		}
	}
	return "the id " + name + ", which is not known"
}

// step does one step: sends the request, waits until Graph shows the result, and learns the ids.
func (a *Applier) step(ctx context.Context, s Step, p *Plan) error {
	if slices.ContainsFunc(s.Captures, func(c Capture) bool { return c.Secret }) {
		return a.addSecret(ctx, s, p)
	}
	request := graph.Request{Method: s.Method, Path: expand(s.Path, p.Known), Upsert: s.Upsert, Once: s.Once}
	if s.Body != nil {
		request.Body = []byte(expand(string(s.Body), p.Known))
	}
	status, answer, err := a.send(ctx, s, request)
	if err != nil && s.Once && graph.IsUnknown(err) {
		return fmt.Errorf("%w; whether it was made is not known: wait a minute, and run this again, which finds it", err)
	}
	if err != nil {
		return err
	}
	if s.Read != "" {
		if answer, err = a.readBack(ctx, s, p, request.Body); err != nil {
			return err
		}
	}
	for _, c := range s.Captures {
		id, err := c.capture(answer)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Title, err)
		}
		p.Known[c.Name] = id
	}
	if s.Upsert && status == 204 && len(s.Captures) > 0 {
		return errLookAgain // it was there, with content that this plan knows nothing of
	}
	return nil
}

// send sends the request, again and again while Graph has not replicated what it refers to.
func (a *Applier) send(ctx context.Context, s Step, request graph.Request) (status int, answer []byte, err error) {
	err = a.until(ctx, s, func() (bool, error) {
		status, answer, err = a.Graph.Do(ctx, request)
		switch {
		case err == nil, s.MayExist && graph.IsExisting(err), s.Method == http.MethodDelete && graph.IsNotFound(err):
			return true, nil
		case s.Method != http.MethodDelete && graph.IsNotYet(err), stillEnabled(s, err):
			return false, err
		case graph.IsExisting(err) && !refusedName(err):
			return false, fmt.Errorf("%w: %w", errLookAgain, err)
		default:
			return true, err
		}
	})
	return status, answer, err
}

// stillEnabled reports whether a scope or role, which a step before has disabled, is still enabled
// where this request went.
func stillEnabled(s Step, err error) bool {
	var e *graph.Error
	return errors.As(err, &e) && e.Has("CannotDeleteOrUpdateEnabledEntitlement") &&
		slices.ContainsFunc(s.Needs, func(id string) bool { return strings.HasSuffix(id, "-off") })
}

// refusedName reports whether another application holds a name or an App ID URI.
func refusedName(err error) bool {
	var e *graph.Error
	return errors.As(err, &e) && e.Status == 400 && (e.Has(graph.DetailConflict) || strings.Contains(e.Message, "already exists"))
}

// readBack waits until Graph shows what the step did.
func (a *Applier) readBack(ctx context.Context, s Step, p *Plan, body []byte) (answer []byte, err error) {
	path := expand(s.Read, p.Known)
	err = a.until(ctx, s, func() (bool, error) {
		_, answer, err = a.Graph.Do(ctx, graph.Request{Method: "GET", Path: path})
		switch {
		case graph.IsNotFound(err):
			return false, err
		case err != nil:
			return true, err
		case !shows(answer, body):
			return false, errors.New("the change is made, and Microsoft Graph does not show it yet")
		}
		return true, nil
	})
	return answer, err
}

// until tries until it is done, or the time is up. The waits are named.
func (a *Applier) until(ctx context.Context, s Step, try func() (done bool, err error)) error {
	var waited time.Duration
	for delay := 500 * time.Millisecond; ; delay = min(2*delay, 15*time.Second) {
		done, err := try()
		if done || errors.Is(err, errLookAgain) {
			return err
		}
		if waited += delay; waited > maxReplication {
			return fmt.Errorf("%w (waited %v for Microsoft Graph to replicate; run this again)", err, maxReplication)
		}
		a.Say(fmt.Sprintf("%s: waiting %v for Microsoft Graph to replicate: %s", s.ID, delay, brief(err)))
		if err := a.wait(ctx, delay); err != nil {
			return err
		}
	}
}

func brief(err error) string {
	if e, ok := errors.AsType[*graph.Error](err); ok {
		return fmt.Sprintf("%d %s", e.Status, e.Code)
	}
	return err.Error()
}

func (a *Applier) wait(ctx context.Context, d time.Duration) error {
	if a.Wait != nil {
		return a.Wait(ctx, d)
	}
	return graph.Wait(ctx, d)
}

// addSecret adds a secret and writes it to the file. Of two runs at once the first keeps its own.
func (a *Applier) addSecret(ctx context.Context, s Step, p *Plan) error {
	if a.Secrets == nil {
		return errors.New("it adds a secret: name the file for it with -secret-file")
	}
	key, _, _ := strings.Cut(s.ID, "/")
	unlock, err := a.Secrets.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	name, err := a.Secrets.ask()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"passwordCredential": map[string]any{"displayName": name}})
	if err != nil {
		return err
	}
	_, answer, err := a.send(ctx, s, graph.Request{Method: s.Method, Path: expand(s.Path, p.Known), Body: body, Once: true})
	if err != nil {
		if refused, ok := errors.AsType[*graph.Error](err); ok && refused.Status < 500 && refused.Code != "" {
			return errors.Join(err, a.Secrets.forget(name))
		}
		return fmt.Errorf("%w; whether the secret was added is not known: run this again with the same -secret-file, which removes it", err)
	}
	var secret struct{ KeyID, SecretText string }
	if err := json.Unmarshal(answer, &secret); err != nil || secret.SecretText == "" {
		return errors.New("the answer of Microsoft Graph has no secret: run this again with the same -secret-file, which removes it")
	}
	first, err := a.isFirst(ctx, s, p, secret.KeyID)
	if err != nil {
		return err
	}
	if first {
		if err := a.Secrets.save(name, SecretVariable(key), secret.SecretText); err != nil {
			return fmt.Errorf("%w; the secret was added, and its text is lost: run this again with the same -secret-file, which removes it and adds another", err)
		}
		return nil
	}
	a.Say(s.ID + ": another run has added a secret at the same moment; this one is removed again")
	body, _ = json.Marshal(map[string]string{"keyId": secret.KeyID}) // a map of strings
	if _, _, err := a.send(ctx, s, graph.Request{Method: "POST", Path: strings.Replace(expand(s.Path, p.Known), "addPassword", "removePassword", 1), Body: body}); err != nil {
		return err
	}
	if err := a.Secrets.forget(name); err != nil {
		return err
	}
	return errLookAgain
}

// isFirst reports whether no other secret of ours was added since the plan was made, and before this
// or in the same second: then both runs may find that the other was first, and try again.
func (a *Applier) isFirst(ctx context.Context, s Step, p *Plan, keyID string) (first bool, err error) {
	path := strings.TrimSuffix(expand(s.Path, p.Known), "/addPassword")
	err = a.until(ctx, s, func() (bool, error) {
		app, err := a.Graph.Application(ctx, path)
		if err != nil {
			return !graph.IsNotFound(err), err
		}
		own := slices.DeleteFunc(app.PasswordCredentials, func(c graph.PasswordCredential) bool {
			return !ownSecret(c) || slices.Contains(p.HadSecrets, c.KeyID)
		})
		mine := slices.IndexFunc(own, func(c graph.PasswordCredential) bool { return strings.EqualFold(c.KeyID, keyID) })
		if mine < 0 {
			return false, errors.New("the new secret is not there yet")
		}
		first = !slices.ContainsFunc(own, func(c graph.PasswordCredential) bool {
			return c.KeyID != own[mine].KeyID && !c.StartDateTime.After(own[mine].StartDateTime)
		})
		return true, nil
	})
	return first, err
}
