// Compare prints what ways of acting on behalf of users cost, and what they ask
// of Entra. It takes a minute or two and 2 GB of memory.
//
//	go run ./onbehalf/compare                    # the table
//	go run ./onbehalf/compare -write README.md   # put it there as well
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"runtime"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
	"github.com/mcpentra/mcp-entra-go/bench/onbehalf"
)

func main() {
	log.SetFlags(0)
	users := flag.Int("users", 100_000, "how many users are many")
	rounds := flag.Int("rounds", 50, "how often each has its turn")
	file := flag.String("write", "", "the `file` whose sections are replaced")
	flag.Parse()
	contestants := onbehalf.Contestants()
	table, err := onbehalf.Table(context.Background(), contestants, *users, *rounds)
	if err != nil {
		log.Fatal(err)
	}
	table = fmt.Sprintf("%s, %s, %s/%s, %d cores, %d rounds.\n\n%s", time.Now().UTC().Format(time.DateOnly),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), *rounds, table)
	var configured strings.Builder
	configured.WriteString("| | modules | configured |\n|---|---|---|\n")
	for _, c := range contestants {
		module := "this repository"
		if len(c.Modules) > 0 {
			module = "`" + c.Modules[0] + "` " + bench.Version(c.Modules[0])
		}
		fmt.Fprintf(&configured, "| %s | %s | %s |\n", c.Name, module, c.Configured)
	}
	for name, text := range map[string]string{"onbehalf": table, "onbehalf-configured": configured.String()} {
		fmt.Println(text)
		if *file == "" {
			continue
		}
		if err := bench.WriteSection(*file, name, text); err != nil {
			log.Fatal(err)
		}
	}
}
