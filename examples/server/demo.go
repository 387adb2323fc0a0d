package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/mcpentra/mcp-entra-go/examples/internal/documented"
	"github.com/mcpentra/mcp-entra-go/examples/internal/listening"
	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// inspectorOrigin is the origin of MCP Inspector's web page, which the demo allows.
const inspectorOrigin = "http://localhost:6274"

// A demonstration is what the flags ask for.
type demonstration struct {
	proxy bool // clients sign in through the server
	once  bool // exit after the tour
}

// runDemo demonstrates the documented server with its own tenant and storage. Unless it is to be
// shown once, it then keeps serving until the context ends. The exit code reports whether every
// step passed.
func runDemo(ctx context.Context, c serverconfig.Listen, d demonstration, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	listener, err := listenForDemo(ctx, c, d.once)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = listener.Close() }()
	w, err := newWorld()
	if err != nil {
		return fail(err)
	}
	defer w.close()
	log, level := demoLogger(c, stderr)
	origin := listening.Origin(listener)
	published := w.publish(c, origin)
	if d.proxy {
		published.AuthProxy = w.publishProxy(published.CallbackURL(origin))
	}
	server, verifier, err := documented.NewServer(published, origin+serverconfig.Path, documented.Surroundings{
		TokenTool: true, Log: log, Authority: w.tenant.HTTPClient(), Storage: w.blobs.HTTPClient(), LoopbackDocuments: d.proxy,
	})
	if err != nil {
		return fail(err)
	}
	defer func() { _ = verifier.Close() }()

	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()

	p := &page{w: stdout}
	w.introduce(p, origin+serverconfig.Path)
	passed := takeTour(ctx, p, w, origin+serverconfig.Path, d.proxy)
	if passed && !d.once {
		level.Set(max(c.LogLevel, slog.LevelWarn))
		if c.LevelIsSet {
			level.Set(c.LogLevel)
		}
		if err := w.invite(p, origin+serverconfig.Path, d.proxy, time.Now()); err != nil {
			return fail(err)
		}
		select {
		case <-ctx.Done():
		case err := <-served:
			return fail(err)
		}
		p.line("Stopped.")
	}
	stop()
	if err := <-served; err != nil {
		return fail(err)
	}
	if !passed {
		return exitFailed
	}
	return exitOK
}

// listenForDemo opens the port. With once, it uses any free port if the default is taken.
func listenForDemo(ctx context.Context, c serverconfig.Listen, once bool) (net.Listener, error) {
	listener, err := listening.Open(ctx, c)
	if err != nil && once && !c.PortIsSet {
		c.Port = 0
		return listening.Open(ctx, c)
	}
	return listener, err
}

// silent is above every level that is used.
const silent = slog.Level(1000)

// demoLogger logs nothing until its level is lowered, so that log entries don't interrupt the
// tour. If the user sets a level, it uses that.
func demoLogger(c serverconfig.Listen, stderr io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(silent)
	if c.LevelIsSet {
		level.Set(c.LogLevel)
	}
	return c.Logger(stderr, level), level
}
