// Command production is the documented MCP server (examples/server) as it runs in production: watched
// by OpenTelemetry and Prometheus, with replicas that share their state through Redis.
//
// It is configured by the variables of examples/server, and these:
//
//	REDIS_URL                    rediss://:PASSWORD@HOST:PORT, which the replicas share
//	STORE_KEYS                   encrypt exchanged tokens in Redis
//	METRICS_ADDR                 HOST:PORT of /metrics, for Prometheus
//	OTEL_EXPORTER_OTLP_ENDPOINT  the collector of traces and metrics, and all of OpenTelemetry's own
//	CLIENT_SECRET_EXPIRES        the end of the client secret, for an alert before it
//
// README.md has all of them. Without any of these it is examples/server without the demonstrations:
// -demo, and the tool that gives a user's token to the model.
// With -health it asks the server that runs beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/examples/internal/listening"
	"github.com/mcpentra/mcp-entra-go/examples/server/heapfloor"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, unless it follows the first immediately:
	// timeout(1) sends two.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stderr))
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: production [-health]

Without flags it serves, as the variables of the environment, or of .env in the working directory, say:
TENANT_ID, API_APP_ID and those that examples/production/README.md lists.

`

// run is the whole program, with its process's resources as parameters.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	flags := flag.NewFlagSet("production", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	health := flags.Bool("health", false, "ask the server that runs with the same HOST and PORT for its health; the exit code says whether it is 200")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintln(stderr, "production: there are no arguments; -h shows more")
		return exitUsage
	}
	dotenv, unreadable := serverconfig.ReadDotenv(serverconfig.DotenvFile)
	if *health {
		return reportHealth(ctx, lookup, dotenv, unreadable, stderr)
	}
	c, faults := serverconfig.ReadProduction(lookup, dotenv)
	faults = append(unreadable, faults...)
	log := c.Logger(stderr, c.LogLevel)
	shared, redisFault := openRedis(c, log)
	if redisFault != nil && len(faults) == 0 {
		faults = append(faults, *redisFault)
	}
	if len(faults) > 0 {
		c.ReportFaults(stderr, faults, c.Misspelled)
		return exitFailed
	}
	defer shared.close()
	if err := serve(ctx, c, shared, lookup, log); err != nil {
		c.ReportError(stderr, "the server failed", err)
		return exitFailed
	}
	return exitOK
}

func reportHealth(ctx context.Context, lookup func(string) (string, bool), dotenv []byte, unreadable []serverconfig.Fault, stderr io.Writer) int {
	c, faults := serverconfig.ReadListen(lookup, dotenv)
	if faults = append(unreadable, faults...); len(faults) > 0 {
		c.ReportFaults(stderr, faults, nil)
		return exitFailed
	}
	if err := listening.Health(ctx, c); err != nil {
		_, _ = fmt.Fprintln(stderr, "production: not healthy:", err)
		return exitFailed
	}
	return exitOK
}

// serve serves as configured until the context ends. What is measured until then is sent before it
// returns, and Prometheus may still ask while the server drains.
func serve(ctx context.Context, c serverconfig.Production, shared *redisStores, lookup func(string) (string, bool), log *slog.Logger) error {
	heapfloor.Keep(ctx, lookup, log)
	seen, err := startTelemetry(ctx, c, log)
	if err != nil {
		return err
	}
	defer seen.flush(ctx, log)
	s := documented.Surroundings{Log: log, StoreKeys: c.StoreKeys}
	shared.addTo(&s)
	shared.check(ctx, log)
	seen.addTo(&s)
	if c.MetricsAddr != "" {
		end, err := seen.serveMetrics(ctx, c.MetricsAddr, log)
		if err != nil {
			return err
		}
		defer end()
	}
	return documented.Run(ctx, c.Config, s)
}
