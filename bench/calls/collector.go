package calls

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/mcpentra/mcp-entra-go/bench"
)

// few is how many users call examples/server: one alone would meet its limit of 100
// requests a second.
const few = 200

// CollectorTable compares Go's default garbage collection with the floor that
// examples/server keeps: on that server as shipped, and on ours with one user and
// with many, whose tokens are all cached. It renders the result in Markdown. The
// server's program is built in dir.
func CollectorTable(ctx context.Context, b *bench.Bed, dir string, many, rounds int, each time.Duration) (string, error) {
	shipped, err := exampleServer(ctx, b, dir)
	if err != nil {
		return "", err
	}
	ours := GoEntrants("")[0]
	ours.tokenCache = 2 * many
	var text strings.Builder
	text.WriteString("| | users | requests per second, `GOGC=100` | floor | ratio | quartiles | CPU per request, ratio | memory, MB, `GOGC=100` | floor |\n" +
		"|---|--:|--:|--:|--:|---|--:|--:|--:|\n")
	for _, row := range []struct {
		entrant Entrant
		floor   Entrant
		users   int
		request func(token string) Request
	}{
		{shipped, shipped, few, Ping},
		{ours, ours.withFloor(), 1, func(token string) Request { return Call(New, token) }},
		{ours, ours.withFloor(), many, func(token string) Request { return Call(New, token) }},
	} {
		reqs := requests(b, row.users, row.request)
		base := row.entrant.withGOGC100()
		if base.log != "" {
			base.log += ".base"
		}
		rates, err := Load(ctx, b, []Entrant{base, row.floor}, reqs, rounds, each)
		if err != nil {
			return "", err
		}
		speed := against(rates[1], rates[0], perSecond)
		fmt.Fprintf(&text, "| %s | %d | %.0f | %.0f | %.2f | %.2f–%.2f | %.2f | %.0f | %.0f |\n", row.entrant.Name, row.users,
			of(rates[0], perSecond).median, of(rates[1], perSecond).median, speed.median, speed.low, speed.high,
			against(rates[1], rates[0], cpu).median, of(rates[0], megabytes).high, of(rates[1], megabytes).high)
	}
	fmt.Fprintf(&text, "\n%d connections, %d rounds of %s each, on the Go SDK as it is.\n", Connections, rounds, each)
	return text.String(), nil
}

// requests are one for each of so many users.
func requests(b *bench.Bed, users int, request func(token string) Request) []Request {
	reqs := make([]Request, users)
	var minting sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		minting.Go(func() {
			for i := w; i < users; i += workers {
				reqs[i] = request(b.Token(func(_, c map[string]any) {
					c["oid"] = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
					c["sub"] = fmt.Sprintf("subject-%08x", i)
				}))
			}
		})
	}
	minting.Wait()
	return reqs
}

// exampleServer builds examples/server, to be run on the bed's tenant without
// anything that is not needed.
func exampleServer(ctx context.Context, b *bench.Bed, dir string) (Entrant, error) {
	const module = "github.com/mcpentra/mcp-entra-go"
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return Entrant{}, fmt.Errorf("go list -m %s: %w", module, err)
	}
	program := filepath.Join(dir, "server.exe")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./examples/server") //nolint:gosec // G204: the go command
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return Entrant{}, fmt.Errorf("go build ./examples/server: %w\n%s", err, out)
	}
	return Entrant{
		Name: "examples/server as shipped", Speaks: both, command: []string{program}, log: filepath.Join(dir, "server.log"),
		env: []string{
			"TENANT_ID=" + b.Tenant.ID(), "API_APP_ID=" + b.API.ClientID, "AZURE_AUTHORITY_HOST=" + b.Tenant.AuthorityHost(),
			"PORT=0", "LOG_LEVEL=info", "GOGC=", "GOMEMLIMIT=",
		},
	}, nil
}
