package entratest

import (
	"bytes"
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

// OpenCA reads the CA from two PEM files, its certificate and its key. If neither exists, it makes
// a new CA and writes both, the key with mode 0600. One file without the other, a key that is not
// the certificate's, and a CA that expires within the next 90 days are errors.
func OpenCA(certificateFile, keyFile string) (*CA, error) {
	certificate, err := os.ReadFile(certificateFile)
	key, keyErr := os.ReadFile(keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist):
		return createCA(certificateFile, keyFile)
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("entratest: %s is the key of a CA, but its certificate %s is missing; remove the key to make a new CA", keyFile, certificateFile)
	case errors.Is(keyErr, fs.ErrNotExist):
		return nil, fmt.Errorf("entratest: %s is the certificate of a CA, but its key %s is missing; remove the certificate to make a new CA", certificateFile, keyFile)
	case err != nil || keyErr != nil:
		return nil, fmt.Errorf("entratest: cannot read the CA: %w", errors.Join(err, keyErr))
	}
	ca, err := parseCA(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("entratest: %s and %s are not a CA of this program: %w; remove both to make a new CA", certificateFile, keyFile, err)
	}
	return ca, nil
}

func parseCA(certificatePEM, keyPEM []byte) (*CA, error) {
	first, _ := pem.Decode(certificatePEM)
	second, _ := pem.Decode(keyPEM)
	if first == nil || second == nil {
		return nil, errors.New("they are not PEM")
	}
	certificate, err := x509.ParseCertificate(first.Bytes)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(second.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	switch {
	case !ok || !key.PublicKey.Equal(certificate.PublicKey):
		return nil, errors.New("the key is not the certificate's")
	case !certificate.IsCA:
		return nil, errors.New("the certificate is not a CA's")
	case time.Now().Add(serverLifetime).After(certificate.NotAfter):
		return nil, fmt.Errorf("the CA expires at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	return &CA{certificate, key}, nil
}

func createCA(certificateFile, keyFile string) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
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
	certificate, err := x509.ParseCertificate(der)
	must(err)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	err = writeNew(keyFile, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	if err == nil {
		if err = writeNew(certificateFile, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			_ = os.Remove(keyFile) // alone it would be in the way of the next run
		}
	}
	if err != nil {
		return nil, fmt.Errorf("entratest: cannot write the CA: %w", err)
	}
	return &CA{certificate, key}, nil
}

// writeNew writes a file that must not exist: a link that somebody put there is not followed.
func writeNew(path string, mode fs.FileMode, block *pem.Block) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(pem.EncodeToMemory(block)).WriteTo(file)
	return errors.Join(err, file.Close())
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
