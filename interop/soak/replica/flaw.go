//go:build unix

package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/mcpentra/mcp-entra-go/mcpentra"
)

// A flaw is a fault of the server on purpose: the soak must notice it. The empty one is none.
type flaw struct {
	kind string

	mu    sync.Mutex
	calls int
	kept  [][]byte
	last  azcore.TokenCredential
}

func newFlaw(kind string) (*flaw, error) {
	switch kind {
	case "", "goroutines", "heap", "identity":
		return &flaw{kind: kind}, nil
	}
	return nil, fmt.Errorf("SOAK_FLAW is %q, want goroutines, heap or identity", kind)
}

// credential is mcpentra.Credential, as the tools use it, with the flaw.
func (f *flaw) credential(ctx context.Context) (azcore.TokenCredential, error) {
	own, err := mcpentra.Credential(ctx)
	if err != nil || f.kind == "" {
		return own, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	switch {
	case f.kind == "heap":
		f.kept = append(f.kept, make([]byte, 1<<10))
	case f.kind == "goroutines" && f.calls%50 == 0:
		go func() { select {} }()
	case f.kind == "identity" && f.calls%1000 == 0:
		return f.last, nil
	}
	f.last = own
	return own, nil
}
