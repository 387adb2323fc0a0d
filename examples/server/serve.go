package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// listen opens the port. Its error says what to do.
func listen(ctx context.Context, c serverconfig.Listen) (net.Listener, error) {
	address := net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("can't listen on %s: %w. Stop the program that uses the port, or set PORT (and HOST) to something else", address, reasonOf(err))
	}
	return listener, nil
}

// reasonOf removes the address from a network error, because the caller adds it.
func reasonOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// localURL returns the listener's origin for clients on this machine.
func localURL(listener net.Listener) string {
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "http://" + listener.Addr().String()
	}
	return "http://localhost:" + port
}
