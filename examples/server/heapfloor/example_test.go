package heapfloor_test

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mcpentra/mcp-entra-go/examples/server/heapfloor"
)

func ExampleKeep() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	heapfloor.Keep(ctx, os.LookupEnv, slog.Default())
	server := &http.Server{Addr: ":8000", ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Print(server.ListenAndServe())
}
