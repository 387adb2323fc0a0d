package calls

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// DirectTables measures the handlers that are called directly and renders, in
// Markdown, a table for each request.
func DirectTables(ctx context.Context, b *bench.Bed, rounds int) (string, error) {
	user := b.Token(nil)
	admin := b.Token(func(_, c map[string]any) { c["roles"] = []string{AdminRole} })
	var text strings.Builder
	for _, t := range []struct {
		title string
		req   Request
	}{
		{"`tools/call`, protocol " + New, Call(New, user)},
		{"`tools/call`, protocol " + Old, Call(Old, user)},
		{"`tools/list`, protocol " + New + ", of an administrator, who is shown all 12 tools", List(New, admin)},
		{"`tools/list`, protocol " + New + ", of a user, from whom policies hide 2 of them", List(New, user)},
	} {
		costs, err := Direct(ctx, EntraOf(b), Handlers(), t.req, rounds)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s, %d rounds:\n\n| | ratio | quartiles | time | allocations | bytes |\n|---|--:|---|--:|--:|--:|\n", t.title, rounds)
		for _, c := range costs {
			fmt.Fprintf(&text, "| %s | %.3f | %.3f–%.3f | %s | %d | %d |\n",
				c.Name, c.Ratio, c.Low, c.High, c.Time.Round(100*time.Nanosecond), c.Allocs, c.Bytes)
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

// LoadTables puts the entrants under load and renders, in Markdown, a table for
// each protocol version.
func LoadTables(ctx context.Context, b *bench.Bed, entrants []Entrant, rounds int, each time.Duration) (string, error) {
	var text strings.Builder
	for _, version := range []string{Old, New} {
		speak := slices.DeleteFunc(slices.Clone(entrants), func(e Entrant) bool { return !slices.Contains(e.Speaks, version) })
		rates, err := Load(ctx, b, speak, Call(version, b.Token(nil)), rounds, each)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "`tools/call`, protocol %s, %d connections, %d rounds of %s each:\n\n", version, Connections, rounds, each)
		text.WriteString("| | requests per second | CPU per request | against the Go SDK alone |\n|---|--:|--:|--:|\n")
		for i, r := range rates {
			fmt.Fprintf(&text, "| %s | %.0f | %s | %.2f |\n", speak[i].Name, r.PerSecond, r.CPU.Round(time.Microsecond), r.Ratio)
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

// ConfigurationTable renders, in Markdown, how handlers and entrants are
// configured, and in which versions.
func ConfigurationTable(ctx context.Context, entrants []Entrant) string {
	var b strings.Builder
	b.WriteString("| called directly | configured |\n|---|---|\n")
	for _, h := range Handlers() {
		fmt.Fprintf(&b, "| %s | %s |\n", h.Name, h.Configured)
	}
	b.WriteString("\n| in a process of its own | versions | configured |\n|---|---|---|\n")
	for _, e := range entrants {
		versions := e.Versions
		if e.command != nil {
			out, _ := exec.CommandContext(ctx, e.command[0], "--version").Output() //nolint:gosec // G204: node or python
			versions = append(slices.Clone(versions), strings.TrimSpace(e.runtime+" "+strings.TrimLeft(string(out), "vPython ")))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e.Name, strings.Join(versions, ", "), e.Configured)
	}
	return b.String()
}
