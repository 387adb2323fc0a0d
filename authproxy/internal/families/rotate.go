package families

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/grants"
)

const (
	// patience is how long a request waits for another request with the same token.
	patience = 10 * time.Second
	// The first and the longest pause between two looks at the store.
	firstLook = 10 * time.Millisecond
	lastLook  = 160 * time.Millisecond
)

// A Request is a hash of a refresh request's parameters besides the token: scope and resource.
type Request [16]byte

// Rotate answers a refresh request by the rules of this package: with the kept answer, or with that
// of refresh, which is called once for all concurrent requests with the token, in this process and
// others. refresh runs on a context that outlives the caller's, and must return within 20 seconds,
// before the lease expires. If it fails, the token counts as unused.
//
// Errors are those of this package, of refresh, and of ctx.
func (b *Book) Rotate(ctx context.Context, t Token, req Request, refresh func(context.Context) ([]byte, error)) ([]byte, error) {
	desk, asked := b.desk(t, req), b.now() // what counts for the grace, however long others and Entra take
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		answer, lease, err := desk.look(ctx)
		switch {
		case err != nil:
			return nil, err
		case answer != nil: // even if a successor was used meanwhile, unless the family has ended
			if err := b.Check(ctx, t.Family); err != nil {
				return nil, err
			}
			return answer, nil
		case lease != nil:
			return desk.turn(context.WithoutCancel(ctx), lease, asked, refresh)
		}
		select {
		case <-time.After(pause):
		case <-timer.C:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A desk is where requests with one token meet: a value in the store that is a lease while one of
// them is answered, then the answer.
//
//	kind (1 byte) | request (16) | random (16), or the sealed answer
type desk struct {
	*Book
	token Token
	req   Request
	name  string
}

const (
	leased   = 'L'
	answered = 'A'
	headSize = 1 + len(Request{})
)

func (b *Book) desk(t Token, req Request) *desk { return &desk{b, t, req, nameOf("answer", t.ID)} }

func (d *desk) head(kind byte) []byte { return append([]byte{kind}, d.req[:]...) }

// look returns the kept answer, or else a lease. It returns neither if another request has the
// lease.
func (d *desk) look(ctx context.Context) (answer, lease []byte, err error) {
	for range maxSwaps {
		there, err := d.get(ctx, d.name)
		if err != nil || there != nil {
			answer, err = d.read(there, err)
			return answer, nil, err
		}
		random := grants.NewID()
		lease = append(d.head(leased), random[:]...)
		if mine, err := d.swap(ctx, d.name, nil, lease, leaseTime); mine || err != nil {
			return nil, lease, err
		}
	}
	return nil, nil, nil // try again later
}

// read returns the answer, or nil for a lease.
func (d *desk) read(there []byte, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, err
	case len(there) < headSize:
		return nil, fmt.Errorf("%w: %w", ErrStore, errForeign)
	case !bytes.Equal(there[1:headSize], d.req[:]):
		return nil, ErrDiffers
	case there[0] != answered:
		return nil, nil
	}
	answer, err := d.sealer.Open(there[headSize:], d.sealName())
	if err != nil {
		return nil, fmt.Errorf("%w: open a kept answer: %w", ErrStore, err)
	}
	return answer, nil
}

// turn calls refresh, for the holder of the lease, and replaces the lease by the answer. If there is
// none, it gives the lease back.
func (d *desk) turn(ctx context.Context, lease []byte, asked time.Time, refresh func(context.Context) ([]byte, error)) ([]byte, error) {
	kept := false
	defer func() {
		if !kept {
			_, _ = d.swap(ctx, d.name, lease, nil, 0) // on an error, the lease expires
		}
	}()
	if err := d.admit(ctx, d.token, asked); err != nil {
		return nil, err
	}
	answer, err := refresh(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.advance(ctx, d.token, asked); err != nil {
		return nil, err
	}
	// If the answer can't be kept, a repeated request gets a sibling.
	kept, _ = d.swap(ctx, d.name, lease, append(d.head(answered), d.sealer.Seal(answer, d.sealName())...), Kept)
	return answer, nil
}

func (d *desk) sealName() string {
	return d.scope + "\n" + hex.EncodeToString(d.token.ID[:]) + hex.EncodeToString(d.req[:])
}
