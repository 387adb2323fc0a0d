// Package listening is where the example servers listen: the port, its origin, and the health check of
// the server that listens there.
package listening

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/serverconfig"
)

// Open opens the port. Its error says what to do.
func Open(ctx context.Context, c serverconfig.Listen) (net.Listener, error) {
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

// Origin returns the listener's origin for clients on this machine.
func Origin(listener net.Listener) string {
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "http://" + listener.Addr().String()
	}
	return "http://localhost:" + port
}

// Health asks the server that runs with the same HOST and PORT, as the health check of a container
// does. Its error says why the server is not healthy.
func Health(ctx context.Context, c serverconfig.Listen) error {
	if c.Port == 0 {
		return errors.New("PORT is 0, so the server's port is not known; set PORT to a number")
	}
	host := c.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() { // it listens on every address
		if host = "127.0.0.1"; ip.To4() == nil {
			host = "::1" // by address: an image without /etc/hosts does not know localhost
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second) // the server itself waits 2 seconds for keys
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, strconv.Itoa(c.Port))+"/health", nil)
	if err != nil {
		return fmt.Errorf("HOST: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true} // and no proxy, whatever HTTP_PROXY says
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return fmt.Errorf("%s does not answer: %w. Start the server, or set HOST and PORT to its own", r.URL, reasonOf(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // what there is of it
		return fmt.Errorf("%s answers %s, want 200: %s", r.URL, answer.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
