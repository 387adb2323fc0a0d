package authproxy_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/mcpentra/mcp-entra-go/authproxy"
)

// BenchmarkCallback measures the way back from Entra.
func BenchmarkCallback(b *testing.B) {
	o := newLab(b, authproxy.Options{})
	entra := o.toEntra(o.form("/consent", o.decision(o.authorize(o.register()), "approve")))
	cookies := maps.Clone(o.cookies)
	b.ReportAllocs()
	for b.Loop() {
		o.cookies = maps.Clone(cookies)
		if w := o.back(entra); w.Code != http.StatusFound && w.Code != http.StatusSeeOther {
			b.Fatalf("status %d, want a redirect", w.Code)
		}
	}
}

func BenchmarkRegister(b *testing.B) {
	o := newLab(b, authproxy.Options{})
	b.ReportAllocs()
	for b.Loop() {
		o.register()
	}
}

// BenchmarkToken measures redemptions of codes and refresh tokens. Entra's part takes no time
// (see instantEntra), but its token is verified each time.
func BenchmarkToken(b *testing.B) {
	for name, method := range benchMethods(b) {
		o := newLabBy(b, authproxy.Options{}, method)
		id := o.register()
		b.Run(name+"/code", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				clear(o.cookies)
				form := offlineCode(id, o.code(id))
				b.StartTimer()
				if w := o.form("/token", form); w.Code != http.StatusOK {
					b.Fatalf("status %d: %s; want 200", w.Code, w.Body)
				}
			}
		})
		token := o.refreshToken(o.form("/token", offlineCode(id, o.code(id))))
		b.Run(name+"/refresh", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				token = o.refreshToken(o.form("/token", offlineRefresh(id, token)))
			}
		})
	}
}

func BenchmarkMetadata(b *testing.B) {
	o := newLab(b, authproxy.Options{})
	r := httptest.NewRequest(http.MethodGet, offlineIssuer+"/.well-known/oauth-authorization-server", nil)
	b.ReportAllocs()
	for b.Loop() {
		o.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// BenchmarkHeap reports the live heap after all operations: with -benchtime 100000x and more, it
// must not grow with their number.
func BenchmarkHeap(b *testing.B) {
	b.Run("registrations", func(b *testing.B) {
		o := newLab(b, authproxy.Options{})
		before := liveHeap()
		for b.Loop() {
			o.register()
		}
		b.ReportMetric(float64(liveHeap()-before)/(1<<20), "heap-MiB")
	})
	b.Run("sign-ins", func(b *testing.B) {
		o := newLab(b, authproxy.Options{})
		id := o.register()
		before := liveHeap()
		for b.Loop() {
			clear(o.cookies)
			o.refreshToken(o.form("/token", offlineRefresh(id, o.refreshToken(o.form("/token", offlineCode(id, o.code(id)))))))
		}
		b.ReportMetric(float64(liveHeap()-before)/(1<<20), "heap-MiB")
		runtime.KeepAlive(o)
	})
}

// liveHeap returns the bytes of reachable objects.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
