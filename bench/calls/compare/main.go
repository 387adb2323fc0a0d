// Compare prints what answering an authenticated MCP request costs: ours beside
// the Go SDK alone, and beside servers made with other libraries and languages.
//
//	go run ./calls/compare                    # what is installed; some minutes
//	go run ./calls/compare -write README.md   # all, and put it there as well
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"runtime"
	"slices"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/calls"
)

func main() {
	calls.ServeIfAsked()
	log.SetFlags(0)
	var (
		rounds = flag.Int("rounds", 100, "how often each handler that is called directly has its turn; 0 leaves them out")
		loads  = flag.Int("loads", 3, "how often each server is put under load; 0 leaves them out")
		each   = flag.Duration("each", 5*time.Second, "how long each time")
		dir    = flag.String("dir", "calls", "the `directory` with the servers in other languages")
		file   = flag.String("write", "", "the `file` whose sections are replaced")
	)
	flag.Parse()
	if err := compare(context.Background(), *rounds, *loads, *each, *dir, *file); err != nil {
		log.Fatal(err)
	}
}

func compare(ctx context.Context, rounds, loads int, each time.Duration, dir, file string) error {
	b, err := bench.NewBed()
	if err != nil {
		return err
	}
	defer b.Close()
	entrants := calls.Entrants(dir)
	installed := slices.DeleteFunc(slices.Clone(entrants), func(e calls.Entrant) bool {
		if missing := e.Missing(); missing != "" {
			log.Print(e.Name, " is ", missing)
			return true
		}
		return false
	})
	if file != "" && len(installed) < len(entrants) {
		return fmt.Errorf("%s is for all of them", file)
	}
	write := func(section, text string) error {
		fmt.Println(text)
		if file == "" {
			return nil
		}
		return bench.WriteSection(file, section, text)
	}
	when := fmt.Sprintf("%s, %s, %s/%s, %d cores.\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if rounds > 0 {
		text, err := calls.DirectTables(ctx, b, rounds)
		if err != nil {
			return err
		}
		if err := write("calls", when+text); err != nil {
			return err
		}
	}
	if loads > 0 {
		text, err := calls.LoadTables(ctx, b, installed, loads, each)
		if err != nil {
			return err
		}
		if err := write("calls-load", when+text); err != nil {
			return err
		}
	}
	return write("calls-configured", calls.ConfigurationTable(ctx, installed))
}
