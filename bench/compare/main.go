// Compare prints what the ways of verifying Entra's tokens accept, and what they
// cost against the signature check alone.
//
//	go run ./compare                    # both
//	go run ./compare -ratios=false      # what is accepted
//	go run ./compare -write README.md   # put it there as well
package main

import "github.com/mcpentra/mcp-entra-go/bench"

func main() { bench.Main(bench.Contestants()) }
