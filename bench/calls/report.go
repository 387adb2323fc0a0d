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

// CallTables measures tools/call with the handlers called directly and renders, in
// Markdown, a table for each protocol version.
func CallTables(ctx context.Context, b *bench.Bed, rounds int) (string, error) {
	user := b.Token(nil)
	return directTables(ctx, b, rounds, []titled{
		{"`tools/call`, protocol " + New, Call(New, user)},
		{"`tools/call`, protocol " + Old, Call(Old, user)},
	})
}

// ListTables does the same for tools/list, of callers who may use all tools and of
// others.
func ListTables(ctx context.Context, b *bench.Bed, rounds int) (string, error) {
	admin := b.Token(func(_, c map[string]any) { c["roles"] = []string{AdminRole} })
	return directTables(ctx, b, rounds, []titled{
		{"`tools/list`, protocol " + New + ", of an administrator, who is shown all 12 tools", List(New, admin)},
		{"`tools/list`, protocol " + New + ", of a user, from whom policies hide 2 of them", List(New, b.Token(nil))},
	})
}

type titled struct {
	title string
	req   Request
}

func directTables(ctx context.Context, b *bench.Bed, rounds int, tables []titled) (string, error) {
	unit, err := verification(ctx, b)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, t := range tables {
		costs, err := Direct(ctx, EntraOf(b), Handlers(), t.req, unit, rounds)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s, %d rounds:\n\n", t.title, rounds)
		text.WriteString("| | ratio | quartiles | against grown | added, in RSA verifications | time | allocations | bytes |\n|---|--:|---|--:|--:|--:|--:|--:|\n")
		for _, c := range costs {
			fmt.Fprintf(&text, "| %s | %.3f | %.3f–%.3f | %.3f | %.2f | %s | %d | %d |\n", c.Name, c.Ratio.median, c.Ratio.low, c.Ratio.high,
				c.Grown.median, c.Added.median, c.Time.Round(100*time.Nanosecond), c.Allocs, c.Bytes)
		}
		text.WriteString("\n")
	}
	return text.String(), nil
}

// verification is rsa.VerifyPKCS1v15 with a key of 2,048 bits.
func verification(ctx context.Context, b *bench.Bed) (func(), error) {
	token := b.Token(nil)
	alone, _, err := bench.SignatureAlone(b, token)
	if err != nil {
		return nil, err
	}
	if err := alone(ctx, token); err != nil {
		return nil, err
	}
	return func() { _ = alone(ctx, token) }, nil // it was accepted just now
}

// LoadTables puts the entrants under load and renders, in Markdown, for each
// protocol version what each does, and how some compare.
func LoadTables(ctx context.Context, b *bench.Bed, entrants []Entrant, rounds int, each time.Duration) (string, error) {
	var text strings.Builder
	for _, version := range []string{Old, New} {
		speak := slices.DeleteFunc(slices.Clone(entrants), func(e Entrant) bool { return !slices.Contains(e.Speaks, version) })
		rates, err := Load(ctx, b, speak, []Request{Call(version, b.Token(nil))}, rounds, each)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "`tools/call`, protocol %s, %d connections, %d rounds of %s each:\n\n", version, Connections, rounds, each)
		text.WriteString("| | requests per second | CPU per request | against the Go SDK alone | memory, MB |\n|---|--:|--:|--:|--:|\n")
		for i, e := range speak {
			fmt.Fprintf(&text, "| %s | %.0f | %s | %.2f | %.0f |\n", e.Name, of(rates[i], perSecond).median,
				time.Duration(of(rates[i], cpu).median).Round(time.Microsecond), against(rates[i], rates[1], cpu).median, of(rates[i], megabytes).median)
		}
		text.WriteString("\n" + pairsTable(speak, rates) + "\n")
	}
	return text.String(), nil
}

const (
	floor = ", floor"
	fixed = ", decoding fixed"
)

// pairs are entrants whose comparison is a promise: ours, and what it is
// compared with.
var pairs = [][2]string{
	{ourServer, bareServer},
	{ourServer + fixed, bareServer + fixed},
	{ourServer + fixed, bareGrown + fixed},
	{ourServer, sdkServer},
	{ourServer + floor, sdkServer + floor},
	{ourServer + fixed, sdkServer + fixed},
	{ourServer + floor, mcpGo},
	{ourServer + floor + fixed, mcpGo},
	{ourServer + floor, mcpGo + floor},
	{ourServer + floor + fixed, mcpGo + floor},
}

// pairsTable compares the two of each pair, round by round.
func pairsTable(entrants []Entrant, rates [][]Rate) string {
	var b strings.Builder
	b.WriteString("| | against | CPU per request | quartiles | requests per second | quartiles |\n|---|---|--:|---|--:|---|\n")
	find := func(name string) int {
		return slices.IndexFunc(entrants, func(e Entrant) bool { return e.Name == name })
	}
	for _, p := range pairs {
		one, other := find(p[0]), find(p[1])
		if one < 0 || other < 0 {
			continue
		}
		work, speed := against(rates[one], rates[other], cpu), against(rates[one], rates[other], perSecond)
		fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f–%.2f | %.2f | %.2f–%.2f |\n", p[0], p[1], work.median, work.low, work.high, speed.median, speed.low, speed.high)
	}
	return b.String()
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
		if e.runtime != "" {
			out, _ := exec.CommandContext(ctx, e.command[0], "--version").Output() //nolint:gosec // G204: node or python
			versions = append(slices.Clone(versions), strings.TrimSpace(e.runtime+" "+strings.TrimLeft(string(out), "vPython ")))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e.Name, strings.Join(versions, ", "), e.Configured)
	}
	return b.String()
}
