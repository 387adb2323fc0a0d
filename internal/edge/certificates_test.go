package edge_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpentra/mcp-entra-go/internal/edge"
)

// A pair is a certificate and its key, in PEM.
type pair struct{ cert, key []byte }

// newPair returns a certificate for localhost that is valid since an hour ago.
func newPair(t testing.TB, name string, valid time.Duration) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(valid), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pair{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})}
}

// files are the files of a served certificate.
type files struct{ cert, key string }

func newFiles(t testing.TB, p pair) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
	write(t, f.cert, p.cert)
	write(t, f.key, p.key)
	return f
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	must(t, os.WriteFile(name, data, 0o600))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// served returns the name of the certificate that a handshake gets.
func servedBy(t testing.TB, c *edge.Certificate) string {
	t.Helper()
	cert, err := c.Get(&tls.ClientHelloInfo{})
	must(t, err)
	return cert.Leaf.Subject.CommonName
}

// Each step of a change, and what handshakes get after it and at the next two checks.
func TestCertificateReloads(t *testing.T) {
	t.Parallel()
	type step struct {
		name   string
		change func(t *testing.T, f files, next pair)
		want   string
		log    string // the second check's line, or ""
	}
	for _, row := range []struct {
		name  string
		steps []step
	}{
		{"at once", []step{
			{"nothing changes", func(*testing.T, files, pair) {}, "old", ""},
			{"both", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert); write(t, f.key, next.key) }, "next", "level=INFO"},
		}},
		{"one after the other", []step{
			{"the certificate", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert) }, "old", "level=ERROR"},
			{"the key", func(t *testing.T, f files, next pair) { write(t, f.key, next.key) }, "next", "level=INFO"},
		}},
		{"the key first", []step{
			{"the key", func(t *testing.T, f files, next pair) { write(t, f.key, next.key) }, "old", "level=ERROR"},
			{"the certificate", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert) }, "next", "level=INFO"},
		}},
		{"a file is gone for a while", []step{
			{"removed", func(t *testing.T, f files, _ pair) { must(t, os.Remove(f.key)) }, "old", "level=ERROR"},
			{"still removed", func(*testing.T, files, pair) {}, "old", ""},
			{"written", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert); write(t, f.key, next.key) }, "next", "level=INFO"},
		}},
		{"half a file", []step{
			{"empty", func(t *testing.T, f files, _ pair) { write(t, f.cert, nil) }, "old", "level=ERROR"},
			{"half", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert[:100]) }, "old", ""},
			{"huge", func(t *testing.T, f files, _ pair) { write(t, f.cert, bytes.Repeat([]byte("x"), 2<<20)) }, "old", ""},
			{"whole", func(t *testing.T, f files, next pair) { write(t, f.cert, next.cert); write(t, f.key, next.key) }, "next", "level=INFO"},
		}},
		{"of the same size and time", []step{
			{"both", func(t *testing.T, f files, next pair) {
				info, err := os.Stat(f.cert)
				must(t, err)
				write(t, f.cert, next.cert)
				write(t, f.key, next.key)
				must(t, os.Chtimes(f.cert, info.ModTime(), info.ModTime()))
				must(t, os.Chtimes(f.key, info.ModTime(), info.ModTime()))
			}, "next", "level=INFO"},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, next := newFiles(t, newPair(t, "old", 24*time.Hour)), newPair(t, "next", 24*time.Hour)
				var log lines
				c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.NewTextHandler(&log, nil)))
				must(t, err)
				for _, s := range row.steps {
					before, logged := servedBy(t, c), len(log.String())
					s.change(t, f, next)
					pass(4 * time.Second)
					if got := servedBy(t, c); got != before {
						t.Errorf("%s, before the next check: got %q, want %q", s.name, got, before)
					}
					for range 3 {
						pass(5 * time.Second)
						if got := servedBy(t, c); got != s.want {
							t.Errorf("%s: got %q, want %q", s.name, got, s.want)
						}
					}
					if got := log.String()[logged:]; strings.Count(got, "\n") != min(len(s.log), 1) || !strings.Contains(got, s.log) {
						t.Errorf("%s: logged %q, want one line with %q", s.name, got, s.log)
					}
				}
			})
		})
	}
}

// A check during a change of both files does not report an error.
func TestCertificateChangeUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, next := newFiles(t, newPair(t, "old", 24*time.Hour)), newPair(t, "next", 24*time.Hour)
		var log lines
		c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.NewTextHandler(&log, nil)))
		must(t, err)
		pass(5 * time.Second)
		write(t, f.cert, next.cert)
		if got := servedBy(t, c); got != "old" {
			t.Errorf("between the two files: got %q, want old", got)
		}
		write(t, f.key, next.key)
		pass(5 * time.Second)
		if got := servedBy(t, c); got != "next" || strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("after them: got %q and the log %s, want next and no ERROR", got, log.String())
		}
	})
}

// Kubernetes links ..data to another directory when a secret changes.
func TestCertificateOfASecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"old", "next"} {
			p := newPair(t, name, 24*time.Hour)
			must(t, os.Mkdir(filepath.Join(dir, ".."+name), 0o700))
			write(t, filepath.Join(dir, ".."+name, "tls.crt"), p.cert)
			write(t, filepath.Join(dir, ".."+name, "tls.key"), p.key)
		}
		data := filepath.Join(dir, "..data")
		f := files{filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")}
		if err := os.Symlink("..old", data); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
		must(t, os.Symlink(filepath.Join("..data", "tls.crt"), f.cert))
		must(t, os.Symlink(filepath.Join("..data", "tls.key"), f.key))
		c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.DiscardHandler))
		must(t, err)
		must(t, os.Symlink("..next", data+"_tmp"))
		must(t, os.Rename(data+"_tmp", data))
		pass(5 * time.Second)
		if got := servedBy(t, c); got != "next" {
			t.Errorf("after the link has moved: got %q, want next", got)
		}
	})
}

func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFiles(t, newPair(t, "old", time.Minute))
		var log lines
		c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.NewTextHandler(&log, nil)))
		must(t, err)
		pass(50 * time.Second)
		servedBy(t, c)
		if log.String() != "" {
			t.Errorf("logged while the certificate is valid: %s", log.String())
		}
		for range 3 {
			pass(20 * time.Second)
			servedBy(t, c)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "expired") {
			t.Errorf("logged %q, want one ERROR that it has expired", got)
		}
		_, err = edge.LoadCertificate(f.cert, f.key, slog.New(slog.NewTextHandler(&log, nil)))
		must(t, err)
		if got := strings.Count(log.String(), "expired"); got != 2 {
			t.Errorf("a server that starts with it: %d lines in all, want 2: %s", got, log.String())
		}
	})
}

func TestLoadCertificateFails(t *testing.T) {
	t.Parallel()
	one, other := newPair(t, "one", time.Hour), newPair(t, "other", time.Hour)
	f := newFiles(t, pair{one.cert, other.key})
	good := newFiles(t, one)
	for _, row := range []struct{ name, cert, key, want string }{
		{"no certificate", f.cert + "x", f.key, f.cert + "x"},
		{"no key", f.cert, f.key + "x", f.key + "x"},
		{"not a pair", f.cert, f.key, "does not match"},
		{"the wrong way round", good.key, good.cert, "in PEM"},
		{"a folder", filepath.Dir(f.cert), f.key, filepath.Dir(f.cert)},
		{"nothing", "", "", "open"},
	} {
		c, err := edge.LoadCertificate(row.cert, row.key, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), row.want) || c != nil {
			t.Errorf("%s: got %v, want an error with %q", row.name, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: the error shows what is in a file: %v", row.name, err)
		}
	}
}

// Concurrent handshakes while the files change, for the race detector.
func TestCertificateConcurrently(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, next := newFiles(t, newPair(t, "old", time.Hour)), newPair(t, "next", time.Hour)
		c, err := edge.LoadCertificate(f.cert, f.key, slog.New(slog.DiscardHandler))
		must(t, err)
		write(t, f.cert, next.cert)
		write(t, f.key, next.key)
		var handshakes sync.WaitGroup
		for range 20 {
			handshakes.Go(func() {
				pass(6 * time.Second)
				if cert, err := c.Get(nil); err != nil || cert == nil {
					t.Errorf("Get = %v, %v, want a certificate", cert, err)
				}
			})
		}
		handshakes.Wait()
		if got := servedBy(t, c); got != "next" {
			t.Errorf("got %q, want next", got)
		}
	})
}
