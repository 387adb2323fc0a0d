package bench_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// bed is the one of the process: see [bench.NewBed].
var bed *bench.Bed

func TestMain(m *testing.M) {
	var err error
	if bed, err = bench.NewBed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	bed.Close()
	os.Exit(code)
}
