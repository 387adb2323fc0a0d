package doctor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/mcpentra/mcp-entra-go/internal/knownclients"
)

// A Report is the outcome of a run.
type Report struct {
	Checks []Result `json:"checks"`

	names *regexp.Regexp // hosts that don't look like any, such as "proxy"
}

// Failed reports whether a check failed.
func (r *Report) Failed() bool {
	for _, c := range r.Checks {
		if c.Status == Failed {
			return true
		}
	}
	return false
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteText writes a table, and below it what to do about each check that is not ok.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	wide := 0
	for _, c := range r.Checks {
		wide = max(wide, len(c.ID))
	}
	counts := map[Status]int{}
	for _, c := range r.Checks {
		counts[c.Status]++
		fmt.Fprintf(&b, "%-8s %-*s  %s\n", c.Status, wide, c.ID, c.summary())
	}
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d failed, %d not run\n", counts[OK], counts[Warning], counts[Failed], counts[NotRun])
	for _, status := range []Status{Failed, Warning} {
		for i, c := range r.Checks {
			if c.Status == status && !slices.ContainsFunc(r.Checks[:i], c.likeIt) {
				c.writeFindings(&b, r.Checks[i:])
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// summary is the check's line in the table.
func (r Result) summary() string {
	first, _, more := strings.Cut(r.Note, "\n")
	switch {
	case r.Status == NotRun:
		return "because " + first
	case len(r.Findings) > 0 && first != "":
		return first + ": " + r.Findings[0].Problem
	case len(r.Findings) > 0:
		return r.Findings[0].Problem
	case more:
		return first + ", …"
	}
	return first
}

// likeIt reports whether the other result has the same findings, as several clients can have.
func (r Result) likeIt(other Result) bool {
	return r.Status == other.Status && slices.Equal(r.Findings, other.Findings)
}

// writeFindings writes what was expected, what came, and the remedy, once for all of the results
// that have these findings.
func (r Result) writeFindings(b *strings.Builder, results []Result) {
	var ids []string
	for _, one := range results {
		if r.likeIt(one) {
			ids = append(ids, one.ID)
		}
	}
	fmt.Fprintf(b, "\n%s: %s\n", strings.Join(ids, ", "), r.Status)
	for _, f := range r.Findings {
		fmt.Fprintf(b, "  %s\n", f.Problem)
		for _, row := range [][2]string{{"expected", f.Expected}, {"came", f.Came}, {"to fix", f.Remedy}} {
			if row[1] != "" {
				fmt.Fprintf(b, "    %-9s %s\n", row[0], strings.ReplaceAll(row[1], "\n", "\n              "))
			}
		}
	}
	fmt.Fprintf(b, "    %-9s %s\n", "see", r.Docs)
}

// clean removes from all texts what must not be shown: control characters, which could steer a
// terminal, the secrets themselves, and anything that looks like a token.
func (r *Report) clean(secrets []string) {
	var hide []string
	for _, s := range secrets {
		if s != "" {
			hide = append(hide, s, hidden)
		}
	}
	known := strings.NewReplacer(hide...)
	for i := range r.Checks {
		r.Checks[i].change(func(s string) string { return tokenLike.ReplaceAllString(withoutControls(known.Replace(s)), hidden) })
	}
}

const hidden = "[hidden]"

// change applies a function to all texts of the result.
func (r *Result) change(f func(string) string) {
	r.Note = f(r.Note)
	for i := range r.Findings {
		g := &r.Findings[i]
		g.Problem, g.Expected, g.Came, g.Remedy = f(g.Problem), f(g.Expected), f(g.Came), f(g.Remedy)
	}
}

// tokenLike matches the beginning of a JWT and what follows.
var tokenLike = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*`)

func withoutControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, s)
}

// printable shortens a text that came from elsewhere.
func printable(s string) string {
	const most = 200
	s = strings.TrimSpace(withoutControls(strings.ReplaceAll(s, "\n", " ")))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// masks replace ids and hosts in a report that is shared.
type masks struct {
	ids, hosts map[string]string
}

var (
	guid     = regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`)
	hostname = regexp.MustCompile(`(?i)\b(?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z][a-z0-9-]+\b|\b(?:\d{1,3}\.){3}\d{1,3}\b|` +
		`(?:[0-9a-f]{1,4}:){3,7}[0-9a-f:]{1,4}|[0-9a-f:]*::[0-9a-f:]*`)
	// userName is a user principal name or e-mail address.
	userName = regexp.MustCompile(`[\p{L}0-9._%+#'-]+@((?i:[a-z0-9-]+\.)+[a-zA-Z]{2,})`)
	// public are names that everybody knows, and names of files and members that look like hosts.
	// Below Azure's domains, what has more labels than the service's own name is a customer's.
	public = regexp.MustCompile(`(?i)(^|\.)(microsoftonline\.(com|us|cn)|microsoft\.com|cloud\.microsoft|` +
		`github\.com|claude\.ai|claude\.com|chatgpt\.com|cursor\.com|vscode\.dev|azure-apim\.net|doctor\.invalid)$|` +
		`^[a-z]+\.(windows\.net|azure\.(com|net|cn)|chinacloudapi\.cn|usgovcloudapi\.net|microsoft\.us)$|` +
		`^127\.|^::1$|^(docs|troubleshooting|doctor|api|read|user|application|directory|resolv)\.[a-z.]+$`)
)

// Mask replaces ids by id-1, id-2, …, and hosts and addresses by host-1, host-2, …, everywhere
// alike, so that the report can be shared and still shows what equals what. Microsoft's own ids
// and hosts, those of known clients and loopback addresses stay. A host that is in capital
// letters gets a mask in capital letters, because the difference may be the fault. Names that
// are no ids (containers, scopes, display names) stay.
func (r *Report) Mask() {
	m := &masks{map[string]string{}, map[string]string{}}
	for i := range r.Checks {
		r.Checks[i].change(func(s string) string {
			if r.names != nil {
				s = r.names.ReplaceAllStringFunc(s, m.host)
			}
			s = userName.ReplaceAllString(s, "user@$1")
			s = guid.ReplaceAllStringFunc(s, func(id string) string { return m.id(id) })
			return hostname.ReplaceAllStringFunc(s, m.host)
		})
	}
}

// namesOf matches the hosts of the addresses that are one word, except this machine.
func namesOf(addresses ...string) *regexp.Regexp {
	var words []string
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err == nil && u.Hostname() != "" && !strings.ContainsAny(u.Hostname(), ".:") && u.Hostname() != "localhost" {
			words = append(words, regexp.QuoteMeta(u.Hostname()))
		}
	}
	if words == nil {
		return nil
	}
	return regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
}

func (m *masks) id(id string) string {
	key := strings.ToLower(id)
	if key == exchangeApp || slices.ContainsFunc(knownclients.All(), func(c knownclients.Client) bool { return c.AppID == key }) {
		return id
	}
	m.ids[key] = cmp.Or(m.ids[key], fmt.Sprintf("id-%d", len(m.ids)+1))
	return m.ids[key]
}

func (m *masks) host(host string) string {
	if public.MatchString(host) {
		return host
	}
	key := strings.ToLower(host)
	m.hosts[key] = cmp.Or(m.hosts[key], fmt.Sprintf("host-%d", len(m.hosts)+1))
	if host != key {
		return strings.ToUpper(m.hosts[key])
	}
	return m.hosts[key]
}
