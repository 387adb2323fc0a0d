//go:build redis && unix

package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpentra/mcp-entra-go/redisstore"
)

func newProxyStore(t *testing.T, client redis.UniversalClient) *redisstore.ProxyStore {
	t.Helper()
	s, err := redisstore.NewProxyStore(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestProxyStore(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newProxyStore(t, client)
	for i, step := range []struct {
		old, value string
		want       bool
		then       string
	}{
		{"x", "y", false, ""},
		{"", "\x00\xff binary", true, "\x00\xff binary"},
		{"", "other", false, "\x00\xff binary"},
		{"", "\x00\xff binary", true, "\x00\xff binary"}, // the answer was lost, and the client asks again
		{"\x00\xff binary", "next", true, "next"},
		{"\x00\xff binary", "other", false, "next"},
		{"other", "", false, "next"},
		{"next", "", true, ""},
		{"next", "", true, ""}, // likewise
	} {
		if got, err := s.Swap(t.Context(), "name", bytesOf(step.old), bytesOf(step.value), time.Minute); got != step.want || err != nil {
			t.Errorf("step %d: Swap(%q, %q) = %v, %v; want %v", i, step.old, step.value, got, err, step.want)
		}
		if got, err := s.Get(t.Context(), "name"); string(got) != step.then || (got == nil) != (step.then == "") || err != nil {
			t.Errorf("step %d: Get = %q, %v; want %q", i, got, err, step.then)
		}
	}
	if done, err := s.Swap(t.Context(), "short", nil, []byte("x"), 61_500*time.Millisecond); !done || err != nil {
		t.Errorf("Swap = %v, %v; want true", done, err)
	}
	if ttl := client.PTTL(t.Context(), "mcp-entra-go:authproxy:short").Val(); ttl <= 0 || ttl > 61_500*time.Millisecond {
		t.Errorf("the key lives for %v, want 61.5s", ttl)
	}
}

func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

// TestProxyStoreRace: of many that swap the same value, one does.
func TestProxyStoreRace(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newProxyStore(t, client)
	for round := range 50 {
		var won atomic.Int64
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				done, err := s.Swap(t.Context(), fmt.Sprint(round), nil, fmt.Append(nil, i), time.Minute)
				if err != nil {
					t.Error(err)
				}
				if done {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d swaps succeeded, want 1", won.Load())
		}
	}
}

// TestProxyStoreLostAnswer: the client asks again when an answer is lost, and learns that its
// swap took effect.
func TestProxyStoreLostAnswer(t *testing.T) {
	t.Parallel()
	_, client := startRedis(t)
	s := newProxyStore(t, client)
	if _, err := s.Swap(t.Context(), "warm", nil, []byte("x"), time.Minute); err != nil { // Redis has the script now
		t.Fatal(err)
	}
	var lose atomic.Bool
	lossy := redis.NewClient(&redis.Options{Addr: client.Options().Addr, Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return lossyConn{conn, func() bool { return lose.CompareAndSwap(true, false) }}, err
	}})
	defer func() { _ = lossy.Close() }()
	lossyStore := newProxyStore(t, lossy)
	if _, err := lossyStore.Get(t.Context(), "warm"); err != nil {
		t.Fatal(err)
	}
	lose.Store(true)
	done, err := lossyStore.Swap(t.Context(), "claim", nil, []byte("mine"), time.Minute)
	if !done || err != nil || lose.Load() {
		t.Errorf("Swap = %v, %v (answer lost: %v); want true although an answer was lost", done, err, !lose.Load())
	}
}

var errLost = errors.New("test: the answer is lost")

// TestProxyStoreDown: an error, at once or at the end of the context, and never a swap.
func TestProxyStoreDown(t *testing.T) {
	t.Parallel()
	cmd, client := startRedis(t)
	s := newProxyStore(t, client)
	_ = cmd.Process.Signal(syscall.SIGKILL)
	if got, err := s.Get(t.Context(), "name"); got != nil || err == nil {
		t.Errorf("Get = %q, %v; want an error", got, err)
	}
	if done, err := s.Swap(t.Context(), "name", nil, []byte("x"), time.Minute); done || err == nil || !strings.HasPrefix(err.Error(), "redisstore: swap: ") {
		t.Errorf("Swap = %v, %v; want an error", done, err)
	}
}

// A lossyConn closes instead of reading, when told so.
type lossyConn struct {
	net.Conn
	lose func() bool
}

func (c lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b) // the server has done its part
	if err == nil && c.lose() {
		_ = c.Close()
		return 0, errLost
	}
	return n, err
}
