//go:build unix

package authproxy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/mcpentra/mcp-entra-go/authproxy"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// BenchmarkEndpoints measures each endpoint without Entra, network and TLS. Beside the time that
// passes it reports the CPU that the process took, which a busy machine doesn't change. Entra's
// access token is verified each time.
func BenchmarkEndpoints(b *testing.B) {
	l := newLab(b, authproxy.Options{})
	id := l.register()
	page := l.authorize(id)
	form, before := l.decision(page, "approve"), maps.Clone(l.cookies)
	entra := l.toEntra(l.form("/consent", form))
	approved := maps.Clone(l.cookies)
	l.back(entra)
	remembered := maps.Clone(l.cookies)
	b.Run("authorize/page", func(b *testing.B) {
		measure(b, http.StatusOK, func() { clear(l.cookies) }, func() int { return l.authorize(id).Code })
	})
	b.Run("authorize/remembered", func(b *testing.B) {
		measure(b, http.StatusFound, func() { l.cookies = maps.Clone(remembered) }, func() int { return l.authorize(id).Code })
	})
	b.Run("consent", func(b *testing.B) {
		measure(b, http.StatusOK, func() { l.cookies = maps.Clone(before) }, func() int { return l.form("/consent", form).Code })
	})
	b.Run("callback", func(b *testing.B) {
		measure(b, http.StatusFound, func() { l.cookies = maps.Clone(approved) }, func() int { return l.back(entra).Code })
	})
	b.Run("register", func(b *testing.B) {
		measure(b, http.StatusCreated, func() {}, func() int { return l.post(labIssuer+"/register", "application/json", labRegistration).Code })
	})
	b.Run("metadata", func(b *testing.B) {
		measure(b, http.StatusOK, func() {}, func() int { return l.get(labIssuer + "/.well-known/oauth-authorization-server").Code })
	})
	b.Run("token/secret", func(b *testing.B) { measureToken(b, l) })
	b.Run("token/certificate", func(b *testing.B) {
		measureToken(b, newLabBy(b, authproxy.Options{}, clientauth.CertificateFile(newCertificate(b), "")))
	})
}

func measureToken(b *testing.B, l *lab) {
	id := l.register()
	b.Run("code", func(b *testing.B) {
		var code string
		measure(b, http.StatusOK, func() { clear(l.cookies); code = l.code(id) }, func() int { return l.form("/token", labCode(id, code)).Code })
	})
	b.Run("refresh", func(b *testing.B) {
		answer := l.form("/token", labCode(id, l.code(id)))
		var token string
		measure(b, http.StatusOK, func() { token = l.refreshToken(answer) }, func() int {
			answer = l.form("/token", labRefresh(id, token))
			return answer.Code
		})
	})
}

// measure runs request, which returns a status, after each prepare.
func measure(b *testing.B, want int, prepare func(), request func() int) {
	b.ReportAllocs()
	var took time.Duration
	for b.Loop() {
		b.StopTimer()
		prepare()
		start := cpuTime(b)
		b.StartTimer()
		got := request()
		b.StopTimer()
		took += cpuTime(b) - start
		if got != want {
			b.Fatalf("status %d, want %d", got, want)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime returns the CPU that this process has used.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// newCertificate writes a key of 2,048 bits and its certificate to a file.
func newCertificate(b *testing.B) string {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "app.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// BenchmarkHeap reports the live heap after all operations: with -benchtime 100000x and more, it
// must not grow with their number.
func BenchmarkHeap(b *testing.B) {
	b.Run("registrations", func(b *testing.B) {
		l := newLab(b, authproxy.Options{})
		before := liveHeap()
		for b.Loop() {
			l.register()
		}
		b.ReportMetric(float64(liveHeap()-before)/(1<<20), "heap-MiB")
	})
	b.Run("sign-ins", func(b *testing.B) {
		l := newLab(b, authproxy.Options{})
		id := l.register()
		before := liveHeap()
		for b.Loop() {
			clear(l.cookies)
			l.refreshToken(l.form("/token", labRefresh(id, l.refreshToken(l.form("/token", labCode(id, l.code(id)))))))
		}
		b.ReportMetric(float64(liveHeap()-before)/(1<<20), "heap-MiB")
		runtime.KeepAlive(l)
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
