package entratest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A CA is a certificate authority for tenants' TLS certificates (see [Options.CA]). Its own
// certificate limits it to localhost and loopback addresses (RFC 5280 section 4.2.1.10), so that
// nobody who gets the key can impersonate other sites to those who trust it.
type CA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// The lifetimes of the CA and of the certificates that it signs. Some clients refuse server
// certificates of more than 398 days.
const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 90 * 24 * time.Hour
)

// OpenCA reads the CA from two PEM files, its certificate and its key. Files that are missing it
// makes: the key with mode 0600, and a certificate for the key. A certificate without key, a key
// that is not the certificate's, and a CA that expires within the next 90 days are errors. Several
// processes may call it at once.
func OpenCA(certificateFile, keyFile string) (*CA, error) {
	_, err := os.Stat(certificateFile)
	_, keyErr := os.Stat(keyFile)
	if err == nil && errors.Is(keyErr, fs.ErrNotExist) {
		return nil, fmt.Errorf("entratest: %s is the certificate of a CA, but its key %s is missing; remove the certificate to make a new CA", certificateFile, keyFile)
	}
	ca, err := openCA(certificateFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("entratest: no CA in %s and %s: %w", certificateFile, keyFile, err)
	}
	return ca, nil
}

var errForeign = errors.New("they are not a CA of this package; remove both to make a new one")

func openCA(certificateFile, keyFile string) (*CA, error) {
	encoded, err := readOrMake(keyFile, 0o600, newCAKey)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(encoded)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, errForeign
	}
	der, err := readOrMake(certificateFile, 0o644, func() *pem.Block { return newCACertificate(key) })
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	switch {
	case err != nil || !certificate.IsCA:
		return nil, errForeign
	case !key.PublicKey.Equal(certificate.PublicKey):
		return nil, errors.New("the key is not the certificate's; remove both to make a new CA")
	case time.Now().Add(serverLifetime).After(certificate.NotAfter):
		return nil, fmt.Errorf("the CA expires at %s; remove both to make a new one", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return &CA{certificate, key}, nil
}

// readOrMake returns the content of a PEM file. It makes the file if it is missing, whole or not at
// all, and never replaces one.
func readOrMake(path string, mode fs.FileMode, create func() *pem.Block) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeWhole(path, mode, pem.EncodeToMemory(create())); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		data, err = os.ReadFile(path) // ours, or that of a process that was faster
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errForeign
	}
	return block.Bytes, nil
}

func writeWhole(path string, mode fs.FileMode, data []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".entratest-") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(data)
	if err = errors.Join(err, temporary.Close(), os.Chmod(temporary.Name(), mode)); err != nil {
		return err
	}
	return os.Link(temporary.Name(), path) // unlike a rename, it fails if the file exists
}

func newCAKey() *pem.Block {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: encoded}
}

func newCACertificate(key *ecdsa.PrivateKey) *pem.Block {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:                newSerial(),
		Subject:                     pkix.Name{CommonName: "entratest CA for localhost", Organization: []string{notice}},
		NotBefore:                   now.Add(-24 * time.Hour),
		NotAfter:                    now.Add(caLifetime),
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         []string{"localhost"},
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	return &pem.Block{Type: "CERTIFICATE", Bytes: der}
}

// issue makes a TLS certificate for a tenant.
func (ca *CA) issue() serverCertificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: "localhost", Organization: []string{notice}},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(serverLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return serverCertificate{der: der, leaf: leaf, key: key, ca: ca}
}

// root returns the certificate that clients must trust.
func (c *serverCertificate) root() *x509.Certificate {
	if c.ca != nil {
		return c.ca.certificate
	}
	return c.leaf
}
