package edge

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// checkInterval is the shortest time between two checks of a certificate's files.
	checkInterval = 5 * time.Second
	// maxCertificateFile limits the size of a file, in bytes.
	maxCertificateFile = 1 << 20
)

// A Certificate is a server certificate in two PEM files. It reloads them when their content
// changes. It compares content because modification times miss changes, and because Kubernetes
// updates secrets by switching symbolic links.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate] // the last valid certificate

	mu       sync.Mutex
	checked  time.Time
	read     [sha256.Size]byte // hash of the files of current
	failures int               // consecutive failed checks
	invalid  bool              // logged that current is outside its validity period
}

// LoadCertificate loads the certificate from the files. Intermediate certificates may follow the
// server's own in the certificate file.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.checked = time.Now()
	c.checkValidity(c.checked)
	return c, nil
}

// Get returns the certificate; use it as tls.Config.GetCertificate. While the files are unreadable
// or don't match, it returns the last valid certificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.mu.TryLock() { // otherwise another handshake is checking: don't wait for a slow disk
		defer c.mu.Unlock()
		if now := time.Now(); now.Sub(c.checked) >= checkInterval {
			c.checked = now
			c.check()
			c.checkValidity(now)
		}
	}
	return c.current.Load(), nil
}

// check reloads the files if they have changed. One failure may mean that someone is replacing the
// two files right now, so only the second failure in a row is logged, once.
func (c *Certificate) check() {
	before := c.current.Load()
	if err := c.load(); err != nil {
		if c.failures++; c.failures == 2 {
			c.log.Error("the TLS certificate can't be reloaded: the last good one is served",
				"error", err, "file", c.certFile, "key_file", c.keyFile, "not_after", before.Leaf.NotAfter)
		}
		return
	}
	c.failures = 0
	if now := c.current.Load(); now != before {
		c.log.Info("the TLS certificate was reloaded", "file", c.certFile, "not_after", now.Leaf.NotAfter)
	}
}

// load makes the certificate in the files current, unless it already is.
func (c *Certificate) load() error {
	cert, err := readFile(c.certFile)
	if err != nil {
		return err
	}
	key, err := readFile(c.keyFile)
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, _ = hash.Write(cert) // never fails
	_, _ = hash.Write(key)
	read := [sha256.Size]byte(hash.Sum(nil))
	if read == c.read {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s are not a certificate and its key in PEM: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	c.read, c.invalid = read, false
	return nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificateFile+1))
	if err == nil && len(data) > maxCertificateFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxCertificateFile)
	}
	return data, err
}

// checkValidity logs once when the certificate is outside its validity period.
func (c *Certificate) checkValidity(now time.Time) {
	leaf := c.current.Load().Leaf
	if c.invalid || !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter) {
		return
	}
	c.invalid = true
	c.log.Error("the TLS certificate is expired or not yet valid: clients will not connect",
		"file", c.certFile, "not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
}
