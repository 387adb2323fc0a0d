//go:build unix

// Command replica is a replica of the server that package soak loads: one process, configured by a JSON
// document on standard input. It prints its addresses as JSON, and serves until SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// config is what a replica is told. Replicas of one server are told the same.
type config struct {
	Tenant, AuthorityHost  string
	APIAppID, APISecret    string
	SignInAppID, AppSecret string // of the authorization proxy
	Certificates           string // PEM, of Entra and storage
	StorageURL, Container  string
	RedisAddr              string
	Keys                   [][]byte
	URL, SessionsURL       string // the resources, without and with sessions
	Folder                 string // for saved copies
	Flaw                   string
	PreStop                time.Duration // between the end of /ready and that of serving
}

// addresses are where a replica listens.
type addresses struct{ Calls, Sessions, State string }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var c config
	if err := json.NewDecoder(os.Stdin).Decode(&c); err != nil {
		return err
	}
	// Each request has its line, as in production, which would be too much to keep.
	lines := slog.NewJSONHandler(io.Discard, nil) //nolint:sloglint // slog.DiscardHandler would not make them
	log := slog.New(slog.NewMultiHandler(lines, slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	r, err := assemble(c, log)
	if err != nil {
		return err
	}
	defer r.close()
	var listeners [3]net.Listener
	for i := range listeners {
		if listeners[i], err = (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	at := func(i int) string { return listeners[i].Addr().String() }
	if err := json.NewEncoder(os.Stdout).Encode(addresses{at(0), at(1), at(2)}); err != nil {
		return err
	}
	state := &http.Server{Handler: r.state(), ReadHeaderTimeout: time.Minute}
	go func() { _ = state.Serve(listeners[2]) }()
	defer func() { _ = state.Close() }()
	return r.serve(ctx, listeners[:2], c.PreStop)
}

// serve serves until the context ends. Then /ready says so, while calls are still answered: a balancer
// needs that time to send them elsewhere.
func (r *replica) serve(ctx context.Context, listeners []net.Listener, preStop time.Duration) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	go func() {
		<-ctx.Done()
		for _, s := range r.servers {
			s.Drain()
		}
		time.AfterFunc(preStop, stop)
	}()
	failed := make([]error, len(listeners))
	var wg sync.WaitGroup
	for i, l := range listeners {
		wg.Go(func() {
			failed[i] = r.servers[i].Serve(serving, l)
			stop()
		})
	}
	wg.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}
