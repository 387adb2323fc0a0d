package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"
)

// Version returns the version of the module in this program, or "".
func Version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return ""
}

// AcceptsTable renders the rows in Markdown. What is wrong is bold.
func AcceptsTable(contestants []Contestant, rows []Row) string {
	var b strings.Builder
	b.WriteString("| | right |")
	for _, c := range contestants {
		fmt.Fprintf(&b, " %s |", c.Name)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(contestants)) + "\n")
	wrong := make([]int, len(contestants))
	for _, row := range rows {
		right := row.Right
		if right != Accepted && right != Refused {
			right = "≤ " + right
		}
		fmt.Fprintf(&b, "| %s | %s |", row.Shape, right)
		for i, cell := range row.Cells {
			if row.Wrong(i) {
				wrong[i]++
				cell = "**" + cell + "**"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	b.WriteString("| wrong | |")
	for _, n := range wrong {
		fmt.Fprintf(&b, " %d |", n)
	}
	return b.String() + "\n"
}

// RatiosTable renders the costs in Markdown.
func RatiosTable(costs []Cost) string {
	var b strings.Builder
	b.WriteString("| | ratio | quartiles | time | allocations | bytes | requests |\n|---|--:|---|--:|--:|--:|--:|\n")
	for _, c := range costs {
		fmt.Fprintf(&b, "| %s | %s | %s–%s | %s | %d | %d | %d |\n", c.Name, ratio(c.Ratio), ratio(c.Low), ratio(c.High),
			c.Time.Round(10*time.Nanosecond), c.Allocs, c.Bytes, c.Requests)
	}
	return b.String()
}

func ratio(r float64) string {
	if r < 0.1 {
		return fmt.Sprintf("%.3f", r)
	}
	return fmt.Sprintf("%.2f", r)
}

// ConfigurationTable renders versions and configurations in Markdown.
func ConfigurationTable(contestants []Contestant) string {
	var b strings.Builder
	b.WriteString("| | modules | configured |\n|---|---|---|\n")
	for _, c := range contestants {
		var modules []string
		for _, path := range c.Modules {
			modules = append(modules, strings.TrimSpace("`"+path+"` "+Version(path)))
		}
		if len(modules) == 0 {
			modules = []string{"this repository"}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, strings.Join(modules, ", "), c.Configured)
	}
	return b.String()
}

// WriteSection replaces what stands in a file between <!-- name --> and
// <!-- /name -->.
func WriteSection(file, name, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	begin, end := fmt.Appendf(nil, "<!-- %s -->\n", name), fmt.Appendf(nil, "<!-- /%s -->", name)
	before, rest, ok := bytes.Cut(data, begin)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s: no section %s", file, name)
	}
	out := bytes.Join([][]byte{before, begin, []byte("\n" + text + "\n"), end, after}, nil)
	return os.WriteFile(file, out, 0o644) //nolint:gosec // G306: a file of the repository
}
