package heapfloor

import (
	"context"
	"log/slog"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"testing/fstest"
	"time"
)

const mb = 1 << 20

func TestPercentFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		live, room uint64
		want       int
	}{
		{0, 64 * mb, 1600},
		{3 * mb, 64 * mb, 1675},
		{16 * mb, 64 * mb, 400},
		{63 * mb, 64 * mb, 101},
		{64 * mb, 64 * mb, 100},
		{430 * mb, 64 * mb, 100},
		{3 * mb, 8 * mb, 266},
		{mb, 2 * mb, 100}, // less than Go's minimum of 4 MB
		{mb, 0, 100},
	} {
		got := percentFor(test.live, test.room)
		if got != test.want {
			t.Errorf("percentFor(%d MB, %d MB) = %d, want %d", test.live/mb, test.room/mb, got, test.want)
		}
		// The same calculation as in runtime/mgcpacer.go.
		starts := max(test.live+test.live*uint64(got)/100, minHeap*uint64(got)/100)
		if most := max(test.live+test.room, 2*test.live, minHeap); starts > most || starts < most*98/100 {
			t.Errorf("live %d, room %d: a collection starts at %d, want %d", test.live, test.room, starts, most)
		}
	}
}

func TestWorthwhile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		percent, wanted int
		want            bool
	}{{100, 100, false}, {1675, 1600, false}, {1675, 1500, true}, {400, 440, true}, {101, 100, true}, {100, 101, false}} {
		if got := worthwhile(test.percent, test.wanted); got != test.want {
			t.Errorf("worthwhile(%d, %d) = %t, want %t", test.percent, test.wanted, got, test.want)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		files map[string]string
		want  uint64
		room  uint64
	}{
		{"another system", nil, 0, 64 * mb},
		{"version 2, container", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 * mb, 16 * mb},
		{"version 2, large", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4294967296\n"}, 4096 * mb, 64 * mb},
		{"version 2, unlimited", map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0, 64 * mb},
		{"version 2, limit above", map[string]string{"proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "268435456\n", "sys/fs/cgroup/a/b/memory.max": "max\n"}, 256 * mb, 32 * mb},
		{"version 2, path of a parent", map[string]string{"proc/self/cgroup": "0::/../x\n", "sys/fs/cgroup/memory.max": "134217728\n"}, 128 * mb, 16 * mb},
		{"version 1, path of the host", map[string]string{"proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n"}, 256 * mb, 32 * mb},
		{"version 1, unlimited", map[string]string{"proc/self/cgroup": "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0, 64 * mb},
		{"not understood", map[string]string{"proc/self/cgroup": "?\n::\n", "sys/fs/cgroup/memory.max": "-1"}, 0, 64 * mb},
	} {
		root := fstest.MapFS{}
		for name, text := range test.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		got := memoryLimit(root)
		if got != test.want {
			t.Errorf("%s: memoryLimit() = %d, want %d", test.name, got, test.want)
		}
		if room := roomIn(got); room != test.room {
			t.Errorf("%s: room %d, want %d", test.name, room, test.room)
		}
	}
}

// changes is a log that sends each new percentage to a channel.
type changes struct {
	slog.Handler
	percent chan int
}

func (c *changes) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "percent" {
			c.percent <- int(a.Value.Int64())
		}
		return true
	})
	return nil
}

// next collects garbage until the percentage changes. One collection may not be enough, because
// another may already be running.
func (c *changes) next(t *testing.T) int {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		select {
		case percent := <-c.percent:
			return percent
		default:
			runtime.GC()
		}
	}
	t.Fatal("the percentage does not change")
	return 0
}

// A small heap gets the room, a large one GOGC=100, and the previous setting is restored when the
// context ends.
func TestKeep(t *testing.T) { // not parallel: it changes a setting of the process
	before := debug.SetGCPercent(200)
	defer debug.SetGCPercent(before)
	log := &changes{slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}), make(chan int, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		Keep(ctx, func(n string) (string, bool) { return "1", n == name }, slog.New(log))
		if got := percentNow(); got != 200 {
			t.Fatalf("with %s set: GOGC is %d, want what it was, 200", name, got)
		}
	}
	Keep(ctx, func(string) (string, bool) { return "", false }, slog.New(log))
	if got := log.next(t); got < 500 {
		t.Errorf("with a small heap GOGC is %d, want more than 500", got)
	}
	large := make([]byte, maxRoom)
	if got := log.next(t); got != 100 {
		t.Errorf("with a large heap GOGC is %d, want 100", got)
	}
	runtime.KeepAlive(large)
	if got := log.next(t); got < 500 {
		t.Errorf("with a small heap again GOGC is %d, want more than 500", got)
	}
	cancel()
	for deadline := time.Now().Add(30 * time.Second); percentNow() != 200; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("afterwards GOGC is %d, want what it was, 200", percentNow())
		}
	}
}

func percentNow() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func TestResident(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "linux" && resident(system) < mb {
		t.Errorf("resident() = %d, want more than 1 MB", resident(system))
	}
	if got := resident(fstest.MapFS{}); got != 0 {
		t.Errorf("resident() elsewhere = %d, want 0", got)
	}
}
