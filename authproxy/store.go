package authproxy

import (
	"context"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
	"github.com/mcpentra/mcp-entra-go/internal/seal"
)

// A Store remembers what must be single-use: redeemed codes, the line of each family of refresh
// tokens, revocations, and for two seconds the answers to refreshes. It must be safe for
// concurrent use, and shared by all replicas of a server. Names are hexadecimal hashes; values
// are sealed or say nothing about users. Package redisstore has one on Redis.
//
// If a Store fails, refreshes and revocations are refused until it works again
// (503 temporarily_unavailable); sign-ins go on. Each call is bounded to a second.
type Store interface {
	// Get returns the value of the name, or nil if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// Swap atomically sets the value of the name for ttl if its present value is old, where nil
	// is no value, and reports whether it was. A nil value deletes the name. Values are never
	// empty. A Store whose requests may arrive twice also reports true if the present value is
	// already the new one.
	Swap(ctx context.Context, name string, old, value []byte, ttl time.Duration) (bool, error)
}

// openStore prepares the memory of what must be single-use.
func (p *Proxy) openStore() error {
	if p.store == nil {
		p.store = families.NewMemory(p.now)
	}
	sealer, err := seal.New("authproxy answer", p.keys)
	p.families = families.NewBook(p.store, sealer, p.sealName(), p.now)
	return err
}
