package families

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

const (
	// maxFamilies bounds the number of long-lived entries: the lines of families.
	maxFamilies = 100_000
	// maxFamily bounds their average size, in bytes.
	maxFamily = 200
	// maxBrief bounds the short-lived entries, in bytes: kept answers, leases, claims of codes.
	maxBrief = 32 << 20
	// brief is the longest time to live of an entry that counts as short-lived.
	brief = 10 * time.Minute
	// maxValue bounds a value, in bytes: an answer has two tokens.
	maxValue = 256 << 10
)

// A Memory is a Store in this process's memory. Short-lived entries have a shelf of their own, so
// that they don't evict families. It has no goroutines and needs no closing. Make one with
// [NewMemory].
type Memory struct {
	now func() time.Time

	mu    sync.Mutex
	long  shelf
	short shelf
}

// NewMemory returns an empty store.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{now: now, long: newShelf(maxFamilies, maxFamilies*maxFamily), short: newShelf(maxBrief/nodeSize, maxBrief)}
}

// Get implements [Store].
func (m *Memory) Get(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(keyOf(name))
	if n == nil {
		return nil, nil
	}
	return bytes.Clone(n.value), nil
}

var errTooLarge = errors.New("the value is too large")

// Swap implements [Store].
func (m *Memory) Swap(_ context.Context, name string, old, value []byte, ttl time.Duration) (bool, error) {
	if len(value) > maxValue {
		return false, errTooLarge
	}
	k := keyOf(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.find(k)
	if n == nil && old != nil || n != nil && (old == nil || !bytes.Equal(n.value, old)) {
		return false, nil
	}
	m.long.drop(k)
	m.short.drop(k)
	if value == nil {
		return true, nil
	}
	on := &m.long
	if ttl <= brief {
		on = &m.short
	}
	now := m.now()
	on.put(&node{key: k, expires: now.Add(ttl).UnixNano(), value: bytes.Clone(value)})
	on.tidy(now.UnixNano())
	return true, nil
}

// find returns the entry, unless it has expired, and marks it as the most recently used.
func (m *Memory) find(k key) *node {
	now := m.now().UnixNano()
	for _, s := range []*shelf{&m.long, &m.short} {
		n := s.nodes[k]
		if n == nil {
			continue
		}
		if now >= n.expires {
			s.drop(k)
			return nil
		}
		s.touch(n)
		return n
	}
	return nil
}

// A key is a hash of a name, of fixed length.
type key [16]byte

func keyOf(name string) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:16])
}

// A shelf is a bounded map whose least recently used entries are evicted.
type shelf struct {
	maxNodes, maxBytes int

	nodes map[key]*node
	ring  node // next is the most, prev the least recently used
	bytes int
	puts  int // since expired entries were removed
}

type node struct {
	next, prev *node
	expires    int64 // Unix nanoseconds
	value      []byte
	key        key
}

// nodeSize is a node's size besides its value, in bytes, with its slot in the map.
const nodeSize = 64 + 48

func newShelf(maxNodes, maxBytes int) shelf {
	return shelf{maxNodes: maxNodes, maxBytes: maxBytes, nodes: map[key]*node{}}
}

func (s *shelf) put(n *node) {
	if s.ring.next == nil {
		s.ring.next, s.ring.prev = &s.ring, &s.ring
	}
	s.nodes[n.key] = n
	s.bytes += nodeSize + len(n.value)
	s.link(n)
	for len(s.nodes) > s.maxNodes || s.bytes > s.maxBytes {
		s.drop(s.ring.prev.key)
	}
}

func (s *shelf) link(n *node) {
	n.prev, n.next = &s.ring, s.ring.next
	n.prev.next, n.next.prev = n, n
}

func (s *shelf) unlink(n *node) { n.prev.next, n.next.prev = n.next, n.prev }

func (s *shelf) touch(n *node) {
	s.unlink(n)
	s.link(n)
}

func (s *shelf) drop(k key) {
	n := s.nodes[k]
	if n == nil {
		return
	}
	delete(s.nodes, k)
	s.bytes -= nodeSize + len(n.value)
	s.unlink(n)
}

// tidy removes expired entries once half of the entries are new, at a constant cost per entry.
func (s *shelf) tidy(now int64) {
	if s.puts++; 2*s.puts <= len(s.nodes) {
		return
	}
	s.puts = 0
	for k, n := range s.nodes {
		if now >= n.expires {
			s.drop(k)
		}
	}
}
