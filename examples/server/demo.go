package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"
)

// inspectorOrigin is the web page of MCP Inspector, which the demo allows.
const inspectorOrigin = "http://localhost:6274"

// runDemo shows the documented server on a world of its own, and then keeps
// serving until the context ends, unless once is set. The exit code says whether
// each step of the tour passed.
func runDemo(ctx context.Context, c listenConfig, once bool, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	listener, err := listenForDemo(ctx, c, once)
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
	origin := localURL(listener)
	server, closeAll, err := assemble(w.config(c), origin, surroundings{
		log: log, authority: w.tenant.HTTPClient(), storage: w.blobs.HTTPClient(), origins: []string{inspectorOrigin},
	})
	if err != nil {
		return fail(err)
	}
	defer closeAll()

	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(serving, listener) }()

	p := &page{w: stdout}
	w.introduce(p, origin+"/mcp")
	passed := takeTour(ctx, p, w, origin+"/mcp")
	if passed && !once {
		level.Set(max(c.logLevel, slog.LevelWarn))
		if c.levelIsSet {
			level.Set(c.logLevel)
		}
		w.invite(p, origin+"/mcp", time.Now())
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

// listenForDemo opens the port. With once, it takes any port if the default one is
// taken.
func listenForDemo(ctx context.Context, c listenConfig, once bool) (net.Listener, error) {
	listener, err := listen(ctx, c)
	if err != nil && once && !c.portIsSet {
		c.port = 0
		return listen(ctx, c)
	}
	return listener, err
}

// silent is above every level that is logged.
const silent = slog.Level(1000)

// demoLogger logs nothing until its level is lowered, so that the refusals of the
// tour don't interrupt it, unless the user asks for a level.
func demoLogger(c listenConfig, stderr io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(silent)
	if c.levelIsSet {
		level.Set(c.logLevel)
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level})), level
}
