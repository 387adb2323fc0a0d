package setup

import (
	"slices"

	"github.com/mcpentra/mcp-entra-go/internal/authority"
	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// A Report is what became of a plan.
type Report struct {
	Steps   []StepReport `json:"steps"`
	Kept    []Kept       `json:"kept,omitempty"`
	Unread  []Blocked    `json:"unread,omitempty"`
	Notes   []string     `json:"notes,omitempty"`
	Outcome *Outcome     `json:"outcome,omitempty"`
	Manual  []ManualStep `json:"manual,omitempty"`
}

// A StepReport is what became of a step.
type StepReport struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	State  string `json:"state"`           // done, failed, not run
	Error  string `json:"error,omitempty"` // why it isn't done
	Remedy string `json:"remedy,omitempty"`
}

// NewReport reports the last result of each step.
func NewReport(spec Spec, results []Result, last *Plan) *Report {
	r := &Report{Steps: []StepReport{}, Kept: last.Kept, Unread: last.Unread, Notes: last.Notes}
	for _, result := range results {
		s := StepReport{ID: result.Step.ID, Title: last.Text(result.Step), State: "done"}
		if result.Err != nil {
			s.State, s.Error, s.Remedy = "failed", result.Err.Error(), Remedy(spec, result.Step, result.Err)
		}
		if result.Skipped {
			s.State = "not run"
		}
		r.Steps = slices.DeleteFunc(r.Steps, func(other StepReport) bool { return other.ID == s.ID })
		r.Steps = append(r.Steps, s)
	}
	return r
}

// NotDone returns how many steps are not done.
func (r *Report) NotDone() int {
	n := 0
	for _, s := range r.Steps {
		if s.State != "done" {
			n++
		}
	}
	return n
}

// Failed reports whether a step is not done.
func (r *Report) Failed() bool { return r.NotDone() > 0 }

// SetOutcome adds what the server and its clients are configured with, what is left to do by hand,
// and which clients are locked out.
func (r *Report) SetOutcome(spec Spec, known map[string]string, uris []string, place authority.Cloud, host authority.Host) {
	o := NewOutcome(spec, known, uris, place, host)
	r.Outcome = &o
	r.Manual = ManualSteps(spec, o)
	if len(spec.Servers) > 0 && o.Variables["PUBLIC_URL"] == "" {
		r.Notes = append(r.Notes, "the example server's endpoint is /mcp, which "+spec.Servers[0]+" is not: PUBLIC_URL is left out of its variables")
	}
	for _, c := range knownclients.Causes(LockedOut(spec, o.APIAppID, uris, host, o.Tenant)) {
		c.Fix = "" // it is to apply what was just refused
		r.Notes = append(r.Notes, "locked out: "+c.String())
	}
}
