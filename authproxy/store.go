package authproxy

import (
	"context"
	"time"
)

// A Store remembers what must be single-use: redeemed codes, the line of each family of refresh
// tokens, revocations. It must be safe for concurrent use, and shared by all replicas of a
// server. Names are hexadecimal hashes; values are sealed or say nothing about users.
type Store interface {
	// Get returns the value of the name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Swap atomically sets the value of the name for ttl if its present value is old, where nil
	// is no value, and reports whether it was. A nil value deletes the name.
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}
