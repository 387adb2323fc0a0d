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
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/internal/secret"
)

const (
	maxCertificateFile = 1 << 20
	// minKeyBits is what the Baseline Requirements of the CA/Browser Forum ask for.
	minKeyBits = 2048
	// assertionLifetime is how long a signed assertion is valid.
	assertionLifetime = 10 * time.Minute
)

// CertificateFile proves the app with a certificate of the app registration. The
// file holds the certificate, its RSA private key and, if there are any, the
// certificates of its issuers, in either form:
//
//   - PEM, whose key is not encrypted; the password must be empty then.
//   - PFX (PKCS #12), with its password, which may be empty.
//
// Each exchange carries an assertion signed with the key (PS256, the
// certificate's SHA-256 thumbprint, valid for 10 minutes by the host's clock) and
// the chain, so that an app registration which trusts a subject name and issuer
// instead of one certificate accepts it.
//
// The file is read for each exchange: a renewed certificate is used at once. A
// file that is broken, half written or gone leaves the last good certificate in
// use, and is logged. At the start all of that is a fault, as is an expired
// certificate.
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
	logged  string // the fault of the file that was logged last
}

func (*certificateSource) Kind() string { return "certificate" }

// Refused lets the exchange be signed again: by a newer certificate if there is
// one, or at least at a later time.
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
		s.logger.LogAttrs(ctx, slog.LevelError, "the certificate can't be read again; the one read before is used",
			slog.String("path", s.path), slog.String("cause", s.logged), slog.Time("expires", s.last.expires()))
	}
	if !s.now().Before(s.last.expires()) {
		return clientcred.Proof{}, s.fault("the server's certificate is expired",
			fmt.Errorf("it was valid until %s", s.last.expires().UTC().Format(time.RFC3339)))
	}
	return clientcred.Signed(s.signer(s.last)), nil
}

// signer signs assertions with the certificate: also those of a request that is
// retried after the next certificate was read.
func (s *certificateSource) signer(c *certificate) func(tokenURL string) (string, error) {
	return func(tokenURL string) (string, error) { return c.sign(s.clientID, tokenURL, s.now()) }
}

func (s *certificateSource) fault(problem string, cause error) error {
	return &clientcred.Error{
		Permanent: true,
		Problem:   problem,
		Remedy:    "the operator must renew the certificate's file (see the server's log)",
		Cause:     cause,
	}
}

// reload reads the file, and parses it if it is not what was read last.
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
	return nil
}

// A certificate is what a file holds.
type certificate struct {
	key   *rsa.PrivateKey
	leaf  *x509.Certificate
	chain []string // leaf first, in base64
}

func (c *certificate) expires() time.Time { return c.leaf.NotAfter }

// sign returns a client assertion in the form that Entra documents ("Certificate
// credentials"), with the chain, which trust by subject name and issuer needs.
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
		return nil, fmt.Errorf("its RSA key has %d bits; at least %d are needed", bits, minKeyBits)
	}
	i := slices.IndexFunc(certificates, func(c *x509.Certificate) bool { return private.PublicKey.Equal(c.PublicKey) })
	if i < 0 {
		return nil, errors.New("no certificate in it belongs to the private key")
	}
	c := &certificate{key: private, leaf: certificates[i]}
	for _, next := range append([]*x509.Certificate{c.leaf}, slices.Delete(certificates, i, i+1)...) {
		c.chain = append(c.chain, base64.StdEncoding.EncodeToString(next.Raw))
	}
	return c, nil
}

// decodeCertificates knows both forms. PFX is not left to azidentity's parser: it
// can't read what OpenSSL 3 and Windows write by default (SHA-256 and AES).
func decodeCertificates(content []byte, password string) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		switch {
		case bytes.Contains(content, []byte("ENCRYPTED")):
			return nil, nil, errors.New("its private key is encrypted, which PEM files must not be here; " +
				"protect the file by its permissions, or use PFX with a password")
		case password != "":
			return nil, nil, errors.New("it is a PEM file, which has no password; leave the password empty")
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

// readFile reads a file of at most limit bytes. Its error names the file and
// holds nothing of its content.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("can't open the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	// Neither a directory nor a pipe, which would block.
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
