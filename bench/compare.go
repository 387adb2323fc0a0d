package bench

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"time"
)

// Main is the main function of a program that compares the contestants, by its
// flags.
func Main(contestants []Contestant) {
	log.SetFlags(0)
	var what Comparison
	flag.BoolVar(&what.Accepts, "accepts", true, "print what each accepts")
	flag.BoolVar(&what.Ratios, "ratios", true, "print what each costs")
	flag.IntVar(&what.Rounds, "rounds", 100, "how often each has its turn")
	flag.StringVar(&what.File, "write", "", "the `file` whose sections are replaced")
	flag.Parse()
	if err := Compare(context.Background(), os.Stdout, contestants, what); err != nil {
		log.Fatal(err)
	}
}

// A Comparison is what [Compare] is to do.
type Comparison struct {
	// Accepts asks for the table of what is accepted, Ratios for those of costs.
	Accepts, Ratios bool
	// Rounds is how often each has its turn. Defaults to 100.
	Rounds int
	// File is a file whose sections accepts, ratios and configured are replaced. May be empty.
	File string
}

// Compare tries the contestants and prints the tables in Markdown.
func Compare(ctx context.Context, w io.Writer, contestants []Contestant, what Comparison) error {
	b, err := NewBed()
	if err != nil {
		return err
	}
	defer b.Close()
	if what.Rounds == 0 {
		what.Rounds = 100
	}
	write := func(section, text string) error {
		fmt.Fprintln(w, text)
		if what.File == "" {
			return nil
		}
		return WriteSection(what.File, section, text)
	}
	when := fmt.Sprintf("%s, %s, %s/%s, %d cores.\n\n", time.Now().UTC().Format(time.DateOnly),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if what.Accepts {
		plain := Plain(contestants)
		rows, err := Accepts(ctx, b, plain)
		if err != nil {
			return err
		}
		if err := write("accepts", when+AcceptsTable(plain, rows)); err != nil {
			return err
		}
	}
	if what.Ratios {
		var text strings.Builder
		text.WriteString(when)
		for _, t := range []struct{ name, token string }{{"25 claims", b.Token(nil)}, {"the same and 200 groups", b.TokenWithGroups()}} {
			costs, err := Ratios(ctx, b, contestants, t.token, what.Rounds)
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, "RS256, 2048 bits, %s, %d bytes, %d rounds:\n\n%s\n", t.name, len(t.token), what.Rounds, RatiosTable(costs))
		}
		if err := write("ratios", text.String()); err != nil {
			return err
		}
	}
	return write("configured", ConfigurationTable(contestants))
}
