// Compare prints what answering an authenticated MCP request costs: ours beside
// the Go SDK alone, and beside servers made with other libraries and languages.
//
//	go run ./calls/compare                              # what is installed; twenty minutes
//	go run ./calls/compare -parts call                  # one part: call, list, load, collector, configured
//	go run ./calls/compare -others=false -parts load    # without those in other languages
//	go run ./calls/compare -write README.md             # all, and put it there as well
//
// It listens and calls on loopback only, and ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/calls"
	"github.com/mcpentra/mcp-entra-go/bench/fixedsdk"
)

// A comparison is what is asked for, and what it stands on.
type comparison struct {
	rounds, loads, many int
	each                time.Duration
	fixed, others       bool
	dir, file           string
	bed                 *bench.Bed
	entrants            []calls.Entrant
	temp                string
	fixedProgram        string // "" without fixed
}

func main() {
	calls.ServeIfAsked()
	log.SetFlags(0)
	var c comparison
	parts := flag.String("parts", "call,list,load,collector,configured", "what to measure and print")
	flag.IntVar(&c.rounds, "rounds", 40, "how often each handler that is called directly has its turn")
	flag.IntVar(&c.loads, "loads", 24, "how often each server is put under load")
	flag.DurationVar(&c.each, "each", 500*time.Millisecond, "how long each time")
	flag.IntVar(&c.many, "users", 100_000, "how many users are many")
	flag.BoolVar(&c.fixed, "fixed", true, "measure with the Go SDK's decoding fixed as well")
	flag.BoolVar(&c.others, "others", true, "measure servers in other languages as well")
	flag.StringVar(&c.dir, "dir", "calls", "the `directory` with these servers")
	flag.StringVar(&c.file, "write", "", "the `file` whose sections are replaced")
	flag.Parse()
	if err := c.run(context.Background(), strings.Split(*parts, ",")); err != nil {
		log.Fatal(err)
	}
}

func (c *comparison) run(ctx context.Context, parts []string) (err error) {
	if c.temp, err = os.MkdirTemp("", "bench-calls-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(c.temp) }()
	if c.fixed {
		if c.fixedProgram, err = fixedsdk.Build(ctx, c.temp, "./calls/compare"); err != nil {
			return err
		}
	}
	if c.bed, err = bench.NewBed(); err != nil {
		return err
	}
	defer c.bed.Close()
	if err := c.install(); err != nil {
		return err
	}
	when := fmt.Sprintf("%s, %s, %s/%s, %d cores.\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, part := range parts {
		var text string
		switch part {
		case "call":
			text, err = c.calls(ctx)
		case "list":
			text, err = calls.ListTables(ctx, c.bed, c.rounds)
		case "load":
			text, err = calls.LoadTables(ctx, c.bed, c.entrants, c.loads, c.each)
		case "collector":
			text, err = calls.CollectorTable(ctx, c.bed, c.temp, c.many, c.loads/2, 6*c.each) // a large heap is collected every few seconds
		case "configured":
			text = calls.ConfigurationTable(ctx, c.entrants)
		default:
			err = fmt.Errorf("no part %q", part)
		}
		if err != nil {
			return err
		}
		if err := c.write("calls-"+part, when+text); err != nil {
			return err
		}
	}
	return nil
}

// install finds the entrants that can run.
func (c *comparison) install() error {
	if !c.others {
		c.entrants = calls.GoEntrants(c.fixedProgram)
		return nil
	}
	all := calls.Entrants(c.dir, c.fixedProgram)
	c.entrants = slices.DeleteFunc(slices.Clone(all), func(e calls.Entrant) bool {
		missing := e.Missing()
		if missing != "" {
			log.Print(e.Name, " is ", missing)
		}
		return missing != ""
	})
	if c.file != "" && len(c.entrants) < len(all) {
		return fmt.Errorf("%s is for all of them", c.file)
	}
	return nil
}

// calls measures tools/call, called directly: here, and in the program with the fixed
// SDK.
func (c *comparison) calls(ctx context.Context) (string, error) {
	text, err := calls.CallTables(ctx, c.bed, c.rounds)
	if err != nil || !c.fixed {
		return text, err
	}
	cmd := exec.CommandContext(ctx, c.fixedProgram, "-fixed=false", "-others=false", "-parts", "call", "-rounds", strconv.Itoa(c.rounds)) //nolint:gosec // G204: this program
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("with the fixed SDK: %w", err)
	}
	_, tables, _ := strings.Cut(string(out), "\n\n") // after the date
	return text + "On the Go SDK with its decoding fixed:\n\n" + tables, nil
}

func (c *comparison) write(section, text string) error {
	fmt.Println(text)
	if c.file == "" {
		return nil
	}
	return bench.WriteSection(c.file, section, text)
}
