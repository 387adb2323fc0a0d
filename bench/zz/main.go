package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mcpentra/mcp-entra-go/bench"
)

func main() {
	rounds, _ := strconv.Atoi(os.Args[1])
	b, err := bench.NewBed()
	if err != nil {
		panic(err)
	}
	defer b.Close()
	var ours []bench.Contestant
	for _, c := range bench.Contestants() {
		if strings.HasPrefix(c.Name, "entraauth") {
			ours = append(ours, c)
		}
	}
	token := b.Tenant.Token(b.User, b.Client, b.API, bench.Scope)
	costs, err := bench.Ratios(context.Background(), b, ours, token, rounds)
	if err != nil {
		panic(err)
	}
	for _, c := range costs {
		fmt.Printf("%-50s %.3f [%.3f %.3f] %v %d allocs %d B\n", c.Name, c.Ratio, c.Low, c.High, c.Time, c.Allocs, c.Bytes)
	}
	fmt.Println(len(token))
}
