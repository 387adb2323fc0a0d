package main

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	dashboardFile = "../../deploy/grafana/mcp-server.json"
	rulesFile     = "../../deploy/prometheus/rules.yml"
)

// A query is PromQL of a panel or an alert.
type query struct{ of, expr string }

// panels returns the dashboard's queries.
func panels(t *testing.T) (all []query) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	data, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(data, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if (len(p.Targets) == 0) != (p.Type == "row") {
			t.Errorf("panel %q of type %s has %d queries", p.Title, p.Type, len(p.Targets))
		}
		for _, target := range p.Targets {
			all = append(all, query{p.Title, target.Expr})
		}
	}
	return all
}

// An alert is a rule.
type alert struct {
	Alert, Expr string
	Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	data, err := os.ReadFile(rulesFile)
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// A scrape is the names of the metrics that /metrics has, with their labels and the labels' values.
type scrape map[string]map[string][]string

var (
	sample = regexp.MustCompile(`(?m)^([a-z_:]+)(?:\{(.*)\})? \S+$`)
	label  = regexp.MustCompile(`(\w+)(=|!=|=~|!~)"((?:[^"\\]|\\.)*)"`)
)

func parseScrape(text string) scrape {
	s := scrape{"up": {"job": nil, "instance": nil}} // Prometheus's own
	for _, m := range sample.FindAllStringSubmatch(text, -1) {
		if s[m[1]] == nil {
			s[m[1]] = map[string][]string{"job": nil, "instance": nil} // which Prometheus adds
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			s[m[1]][l[1]] = append(s[m[1]][l[1]], l[3])
		}
	}
	return s
}

var (
	selector = regexp.MustCompile(`([a-z_:]+)\{([^}]*)\}`)
	grouping = regexp.MustCompile(`\b(?:by|on|ignoring)\s*\(([^)]*)\)`)
	metric   = regexp.MustCompile(`\b(?:mcp|mcpentra|go|process)_[a-z_]+`)
	word     = regexp.MustCompile(`^[a-z_/]+$`)
)

// missing returns what a query names and the scrape does not have.
func (s scrape) missing(expr string) (names []string) {
	used := map[string]bool{}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		used[m[1]] = true
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			values, ok := s[m[1]][l[1]]
			if !ok {
				names = append(names, m[1]+"{"+l[1]+"}")
				continue
			}
			for value := range strings.SplitSeq(l[3], "|") {
				if word.MatchString(value) && values != nil && !slices.Contains(values, value) {
					names = append(names, m[1]+"{"+l[1]+`="`+value+`"}`)
				}
			}
		}
	}
	rest := selector.ReplaceAllString(expr, "")
	for _, m := range metric.FindAllString(grouping.ReplaceAllString(rest, ""), -1) {
		used[m] = true
	}
	labels := map[string]bool{}
	for name := range used {
		if s[name] == nil {
			names = append(names, name)
		}
		for l := range s[name] {
			labels[l] = true
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(rest, -1) {
		for l := range strings.SplitSeq(m[1], ",") {
			if l = strings.TrimSpace(l); !labels[l] {
				names = append(names, "by ("+l+")")
			}
		}
	}
	return names
}

// onlyTLS is a metric of servers that serve TLS themselves; this one is behind a TLS proxy.
const onlyTLS = "mcpentra_certificate_expiry_seconds"

// TestNames: the dashboard and the rules use the names that a scrape of the running program has, so
// that a renamed metric, label or value fails here.
func TestNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.start(t, nil)
	w.load(t, p)
	_, text := get(t, p.metrics)
	s := parseScrape(text)
	all := panels(t)
	for _, a := range alerts(t) {
		all = append(all, query{a.Alert, a.Expr})
	}
	if len(all) < 40 {
		t.Errorf("%d queries, want 40 or more", len(all))
	}
	for _, q := range all {
		for _, name := range s.missing(q.expr) {
			if name != onlyTLS && name != onlyTLS+"{job}" && name != onlyTLS+"{instance}" {
				t.Errorf("%s uses %s, which the scrape does not have", q.of, name)
			}
		}
	}
	for _, wrong := range []string{"mcpentra_requests", `rate(mcpentra_requests_total{mcpentra_outcom="ok"}[1m])`, `mcpentra_refusals_total{mcpentra_reason="no_tokn"}`,
		"sum by (tool) (mcpentra_requests_total)"} {
		if len(s.missing(wrong)) == 0 {
			t.Errorf("the test does not see that %s is wrong", wrong)
		}
	}
	if t.Failed() {
		t.Logf("the scrape:\n%s", text)
	}
	p.stop(t)
}

// Each alert has a section of docs/runbook.md with four parts, and each section an alert.
func TestRunbook(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, section := range strings.Split(string(data), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	for _, a := range alerts(t) {
		text, ok := sections[a.Alert]
		delete(sections, a.Alert)
		for _, part := range []string{"**What it means.**", "**What users see.**", "**What to look at.**", "**What to do.**"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: docs/runbook.md has a section: %v, and not %q", a.Alert, ok, part)
			}
		}
		if want := "/docs/runbook.md#" + strings.ToLower(a.Alert); !strings.HasSuffix(a.Annotations["runbook_url"], want) || a.Annotations["summary"] == "" {
			t.Errorf("%s: annotations %v, want a summary and a runbook_url that ends in %s", a.Alert, a.Annotations, want)
		}
	}
	for name := range sections {
		t.Errorf("docs/runbook.md has a section %q for no alert", name)
	}
}
