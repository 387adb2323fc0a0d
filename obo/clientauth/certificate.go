package clientauth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	maxCertificateFile = 1 << 20
	// minKeyBits is the CA/Browser Forum's minimum (Baseline Requirements).
	minKeyBits = 2048
	// assertionLifetime is how long a signed assertion is valid.
	assertionLifetime = 10 * time.Minute
)

// CertificateFile authenticates with a certificate of the app registration. The file
// contains the certificate, its RSA private key and any issuers' certificates, as one of:
//
//   - PEM, with an unencrypted key; the password must be empty.
//   - PFX (PKCS #12), with its password, which may be empty.
//
// Each exchange sends an assertion signed with the key (PS256, the certificate's SHA-256
// thumbprint, valid for 10 minutes by the host's clock), and the chain, for app
// registrations that trust a subject name and issuer instead of one certificate.
//
// The file is read for each exchange, so a renewed certificate is used at once. If the
// file is broken, half written or gone, the last good certificate stays in use, and that
// is logged. obo.NewExchanger rejects such a file and an expired certificate.
func CertificateFile(path, password string) Method {
	hidden := secret.New(password)
	return method("certificate", func(env clientcred.Environment) ([]clientcred.Source, error) {
		s := &certificateSource{path: path, password: hidden, clientID: env.ClientID, now: env.Now, logger: env.Logger}
		if _, err := s.Credential(context.Background()); err != nil {
			var fault *clientcred.Error
			if errors.As(err, &fault) && fault.Cause != nil {
				err = fault.Cause
			}
			return nil, fmt.Errorf("the certificate %q: %w", path, err)
		}
		return []clientcred.Source{s}, nil
	})
}

// certificateSource keeps the last good certificate.
type certificateSource struct {
	path     string
	password secret.Text
	clientID string
	now      func() time.Time
	logger   *slog.Logger

	mu      sync.Mutex
	content []byte // of the last good certificate
	last    *certificate
	logged  string // the last logged fault of the file

	ends atomic.Int64 // when it ends, in Unix time; read without mu, which is held while the file is read
}

func (*certificateSource) Kind() string { return "certificate" }

// Refused reports true: the next assertion has a new time, and perhaps a newer
// certificate.
func (*certificateSource) Refused() bool { return true }

func (s *certificateSource) Credential(ctx context.Context) (clientcred.Proof, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.reload()
	switch {
	case err != nil && s.last == nil:
		return clientcred.Proof{}, s.fault("the server's certificate can't be used", err)
	case err == nil:
		s.logged = ""
	case err.Error() != s.logged:
		s.logged = err.Error()
		s.logger.LogAttrs(ctx, slog.LevelError, "can't reload the certificate; using the last good one",
			slog.String("path", s.path), slog.String("cause", s.logged), slog.Time("expires", s.last.expires()))
	}
	if !s.now().Before(s.last.expires()) {
		return clientcred.Proof{}, s.fault("the server's certificate has expired",
			fmt.Errorf("it was valid until %s", s.last.expires().UTC().Format(time.RFC3339)))
	}
	return clientcred.Signed(s.signer(s.last)), nil
}

// Expires returns when the last good certificate ends. It does not read the file, so that a volume
// that hangs does not hold up whoever collects metrics: the next exchange does.
func (s *certificateSource) Expires() time.Time { return time.Unix(s.ends.Load(), 0) }

// signer signs assertions with one certificate, also when a request is retried after a
// newer certificate was read.
func (s *certificateSource) signer(c *certificate) func(tokenURL string) (string, error) {
	return func(tokenURL string) (string, error) { return c.sign(s.clientID, tokenURL, s.now()) }
}

func (s *certificateSource) fault(problem string, cause error) error {
	return &clientcred.Error{
		Permanent: true,
		Problem:   problem,
		Remedy:    "the operator must renew the certificate file (see the server's log)",
		Cause:     cause,
	}
}

// reload reads the file, and parses it if it has changed.
func (s *certificateSource) reload() error {
	content, err := readFile(s.path, maxCertificateFile)
	if err != nil {
		return err
	}
	if s.last != nil && bytes.Equal(content, s.content) {
		return nil
	}
	c, err := parseCertificate(content, secret.Reveal(s.password))
	if err != nil {
		return err
	}
	s.content, s.last = content, c
	s.ends.Store(c.expires().Unix())
	return nil
}

// A certificate is a certificate file's content.
type certificate struct {
	key   *rsa.PrivateKey
	leaf  *x509.Certificate
	chain []string // leaf first, in base64
}

func (c *certificate) expires() time.Time { return c.leaf.NotAfter }

// sign returns a client assertion as Entra documents it ("Certificate credentials"),
// with the chain for trust by subject name and issuer.
func (c *certificate) sign(clientID, tokenURL string, now time.Time) (string, error) {
	thumbprint := sha256.Sum256(c.leaf.Raw)
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
		"aud": tokenURL, "iss": clientID, "sub": clientID, "jti": rand.Text(),
		"nbf": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	token.Header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(thumbprint[:])
	token.Header["x5c"] = c.chain
	return token.SignedString(c.key)
}

func parseCertificate(content []byte, password string) (*certificate, error) {
	certificates, key, err := decodeCertificates(content, password)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("its private key is a %T; Entra ID accepts RSA only", key)
	}
	if bits := private.N.BitLen(); bits < minKeyBits {
		return nil, fmt.Errorf("its RSA key has %d bits; at least %d are required", bits, minKeyBits)
	}
	i := slices.IndexFunc(certificates, func(c *x509.Certificate) bool { return private.PublicKey.Equal(c.PublicKey) })
	if i < 0 {
		return nil, errors.New("none of its certificates belongs to the private key")
	}
	c := &certificate{key: private, leaf: certificates[i]}
	for _, next := range append([]*x509.Certificate{c.leaf}, slices.Delete(certificates, i, i+1)...) {
		c.chain = append(c.chain, base64.StdEncoding.EncodeToString(next.Raw))
	}
	return c, nil
}

// decodeCertificates decodes PEM and PFX. azidentity's parser can't read the PFX files
// that OpenSSL 3 and Windows write by default (SHA-256 and AES).
func decodeCertificates(content []byte, password string) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		switch {
		case bytes.Contains(content, []byte("ENCRYPTED")):
			return nil, nil, errors.New("its private key is encrypted; " +
				"use an unencrypted key protected by the file's permissions, or PFX with a password")
		case password != "":
			return nil, nil, errors.New("a PEM file has no password; leave the password empty")
		}
		certificates, key, err := confidential.CertFromPEM(content, "")
		if err != nil {
			return nil, nil, fmt.Errorf("it can't be read as PEM: %w", err)
		}
		return certificates, key, nil
	}
	key, leaf, issuers, err := pkcs12.DecodeChain(content, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return nil, nil, errors.New("its password is wrong")
	case err != nil:
		return nil, nil, errors.New("it is neither PEM nor a PFX file with a certificate and its private key")
	}
	return append([]*x509.Certificate{leaf}, issuers...), key, nil
}

// readFile reads a file of at most limit bytes. Its errors name the file and contain
// nothing of its content.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't open the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	// A pipe would block.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't read the file: %w", err)
	case int64(len(b)) > limit:
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("more than %d bytes", limit)}
	}
	return b, nil
}
