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
	// checkInterval is how often the files of a certificate are read, at most.
	checkInterval = 5 * time.Second
	// maxCertificateFile bounds what is read of a file, in bytes.
	maxCertificateFile = 1 << 20
)

// A Certificate is that of a server, from two PEM files that are read again when they
// have changed. It compares what is in them: modification times miss changes, and links
// to other files, as Kubernetes makes them for secrets.
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	current atomic.Pointer[tls.Certificate] // the last good one

	mu       sync.Mutex
	checked  time.Time
	read     [sha256.Size]byte // of the files that current came from
	failures int               // checks in a row
	invalid  bool              // the log knows that current has expired
}

// LoadCertificate returns the certificate in the files. The certificate file may have
// intermediate certificates after the server's own.
func LoadCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.checked = time.Now()
	c.checkValidity(c.checked)
	return c, nil
}

// Get returns the certificate; it is a GetCertificate of tls.Config. While the files
// can't be read, or don't match, that is the last good one.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.mu.TryLock() { // else another handshake checks the files: nobody waits for a slow disk
		defer c.mu.Unlock()
		if now := time.Now(); now.Sub(c.checked) >= checkInterval {
			c.checked = now
			c.check()
			c.checkValidity(now)
		}
	}
	return c.current.Load(), nil
}

// check loads the files if they have changed. What fails once may be a change of two
// files that is under way; what fails twice is logged, once.
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

// load makes the files' certificate the current one, unless it is.
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

// checkValidity logs once that clients will not accept the certificate.
func (c *Certificate) checkValidity(now time.Time) {
	leaf := c.current.Load().Leaf
	if c.invalid || !now.Before(leaf.NotBefore) && !now.After(leaf.NotAfter) {
		return
	}
	c.invalid = true
	c.log.Error("the TLS certificate is expired or not yet valid: clients will not connect",
		"file", c.certFile, "not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
}
