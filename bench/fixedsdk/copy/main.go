// Copy writes a copy of the Go SDK with its decoding fixed, to run its tests and
// benchmarks on.
//
//	go run ./fixedsdk/copy DIR
package main

import (
	"context"
	"log"
	"os"

	"github.com/mcpentra/mcp-entra-go/bench/fixedsdk"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: copy DIR")
	}
	if err := fixedsdk.Copy(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
