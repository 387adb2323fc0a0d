package families_test

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy/internal/families"
)

// at is a clock that stands still.
type at struct{ time.Time }

func (a *at) now() time.Time { return a.Time }

func newMemory() (*families.Memory, *at) {
	clock := &at{time.Unix(1_800_000_000, 0)}
	return families.NewMemory(clock.now), clock
}

func swap(t testing.TB, m *families.Memory, name, old, value string, ttl time.Duration, want bool) {
	t.Helper()
	b := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	if got, err := m.Swap(t.Context(), name, b(old), b(value), ttl); got != want || err != nil {
		t.Errorf("Swap(%s, %q, %q) = %v, %v; want %v", name, old, value, got, err, want)
	}
}

func has(t testing.TB, m *families.Memory, name, want string) {
	t.Helper()
	if got, err := m.Get(t.Context(), name); string(got) != want || err != nil {
		t.Errorf("Get(%s) = %q, %v; want %q", name, got, err, want)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	m, clock := newMemory()
	has(t, m, "a", "")
	swap(t, m, "a", "x", "y", time.Hour, false)
	swap(t, m, "a", "", "x", time.Hour, true)
	swap(t, m, "a", "", "y", time.Hour, false)
	swap(t, m, "a", "x", "y", time.Second, true) // from one shelf to the other
	has(t, m, "a", "y")
	swap(t, m, "a", "y", "", 0, true)
	swap(t, m, "a", "", "", 0, true)
	has(t, m, "a", "")
	swap(t, m, "a", "", "x", time.Second, true)
	clock.Time = clock.Add(time.Second)
	has(t, m, "a", "")
	swap(t, m, "a", "x", "y", time.Second, false)
	swap(t, m, "a", "", "y", time.Second, true)
	if _, err := m.Swap(t.Context(), "b", nil, make([]byte, 1<<20), time.Second); err == nil {
		t.Error("a value of 1 MiB is kept, want an error")
	}
	value := []byte("value")
	if _, err := m.Swap(t.Context(), "c", nil, value, time.Second); err != nil {
		t.Fatal(err)
	}
	value[0] = 'V'
	has(t, m, "c", "value")
	got, _ := m.Get(t.Context(), "c")
	got[0] = 'V'
	has(t, m, "c", "value")
}

// TestMemoryRace: of many that swap the same value, one does.
func TestMemoryRace(t *testing.T) {
	t.Parallel()
	m, _ := newMemory()
	for round := range 100 {
		name := fmt.Sprint(round)
		var wg sync.WaitGroup
		var won [8]bool
		for i := range won {
			wg.Go(func() { won[i], _ = m.Swap(t.Context(), name, nil, fmt.Append(nil, i), time.Minute) })
		}
		wg.Wait()
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d swaps succeeded, want 1", n)
		}
	}
}

// TestMemoryBounds: 100,000 families in at most 200 bytes each, the least recently used out
// first; whatever is short-lived pushes none of them out.
func TestMemoryBounds(t *testing.T) {
	const n = 100_000
	line := string(bytes.Repeat([]byte{1}, 34)) // the most that a line takes
	m, clock := newMemory()
	empty := heap()
	for i := range n {
		swap(t, m, fmt.Sprintf("%032x", i), "", line, 90*24*time.Hour, true)
	}
	full := heap() - empty
	t.Logf("%d bytes a family", full/n)
	if full/n > 200 {
		t.Errorf("%d bytes a family, want at most 200", full/n)
	}
	answer := string(bytes.Repeat([]byte{2}, 6000))
	for i := range n / 5 { // 120 MB of answers, in 200 seconds
		if swap(t, m, fmt.Sprintf("answer %d", i), "", answer, 2*time.Second, true); i%100 == 0 {
			clock.Time = clock.Add(time.Second)
		}
	}
	t.Logf("%d KiB for answers", (heap()-empty-full)>>10)
	if more := heap() - empty - full; more > 4<<20 {
		t.Errorf("%d KiB for answers that have expired, want at most 4096", more>>10)
	}
	for i := range n / 5 { // 60 MB at once
		swap(t, m, fmt.Sprintf("claim %d", i), "", answer[:i%6000+1], time.Minute, true)
	}
	t.Logf("%d KiB for answers at once", (heap()-empty-full)>>10)
	if more := heap() - empty - full; more > 48<<20 {
		t.Errorf("%d KiB for answers, want at most about 32 MiB", more>>10)
	}
	has(t, m, fmt.Sprintf("%032x", 0), line) // and is now the last to be evicted
	has(t, m, fmt.Sprintf("%032x", n-1), line)
	for i := range n / 2 {
		swap(t, m, fmt.Sprintf("other %d", i), "", line, 90*24*time.Hour, true)
	}
	has(t, m, fmt.Sprintf("%032x", 0), line)
	has(t, m, fmt.Sprintf("%032x", 1), "")
	has(t, m, fmt.Sprintf("%032x", n/2+2), line)
	for i := range n {
		swap(t, m, fmt.Sprintf("more %d", i), "", line, 90*24*time.Hour, true)
	}
	if again := heap() - empty; again > full+48<<20 {
		t.Errorf("%d KiB after 250,000 families, want about %d", again>>10, full>>10)
	}
	runtime.KeepAlive(m)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func BenchmarkMemory(b *testing.B) {
	m, _ := newMemory()
	name, value := "0123456789abcdef0123456789abcdef", []byte("value")
	for b.Loop() {
		_, _ = m.Swap(b.Context(), name, nil, value, time.Minute)
		_, _ = m.Get(b.Context(), name)
		_, _ = m.Swap(b.Context(), name, value, nil, 0)
	}
}
