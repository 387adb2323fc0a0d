package clientauth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/mcpentra/mcp-entra-go/internal/clientcred"
	"github.com/mcpentra/mcp-entra-go/obo/clientauth"
)

// Keys are slow to make under the race detector.
var keys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var two [2]*rsa.PrivateKey
	for i := range two {
		two[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return two
})

func certificate(t *testing.T, key crypto.Signer, expires time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mcp.example.com"},
		NotBefore: expires.Add(-48 * time.Hour), NotAfter: expires,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encodePEM(t *testing.T, key crypto.PrivateKey, certificates ...*x509.Certificate) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, c := range certificates {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return b.Bytes()
}

func encodePFX(t *testing.T, encoder *pkcs12.Encoder, password string, c *x509.Certificate) []byte {
	t.Helper()
	b, err := encoder.Encode(keys()[0], c, nil, password)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificateFiles(t *testing.T) {
	t.Parallel()
	key, other := keys()[0], keys()[1]
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	year := time.Now().AddDate(1, 0, 0)
	good, stranger := certificate(t, key, year), certificate(t, other, year)
	encrypted := append(encodePEM(t, key, good), []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")...)
	for _, test := range []struct {
		name     string
		content  []byte
		password string
		fault    string // empty if it is good
	}{
		{"PEM", encodePEM(t, key, good), "", ""},
		{"PEM with its issuer", encodePEM(t, key, good, stranger), "", ""},
		{"PEM, issuer first", encodePEM(t, key, stranger, good), "", ""},
		{"PFX as OpenSSL 3 writes it", encodePFX(t, pkcs12.Modern2023, "pässword", good), "pässword", ""},
		{"PFX as it was written before", encodePFX(t, pkcs12.LegacyDES, "password", good), "password", ""},
		{"PFX without password", encodePFX(t, pkcs12.Modern2023, "", good), "", ""},
		{"PFX, wrong password", encodePFX(t, pkcs12.Modern2023, "password", good), "hunter22", "password is wrong"},
		{"PEM with a password", encodePEM(t, key, good), "hunter22", "leave the password empty"},
		{"encrypted PEM", encrypted, "", "encrypted"},
		{"no certificate", encodePEM(t, key), "", "no certificates found"},
		{"no key", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Raw}), "", "no private key"},
		{"another's certificate", encodePEM(t, key, stranger), "", "belongs to the private key"},
		{"small key", encodePEM(t, small, certificate(t, small, year)), "", "2048"},
		{"no RSA", encodePEM(t, curve, certificate(t, curve, year)), "", "RSA"},
		{"expired", encodePEM(t, key, certificate(t, key, time.Now().Add(-time.Second))), "", "valid until"},
		{"empty", nil, "", "neither PEM nor"},
		{"too long", make([]byte, 2<<20), "", "more than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, filepath.Join(t.TempDir(), "app.pem"), test.content)
			source, err := open(clientauth.CertificateFile(path, test.password), environment(t, ""))
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) || !strings.Contains(err.Error(), "app.pem") {
					t.Fatalf("got %v, want a fault with %q", err, test.fault)
				}
				if test.password != "" && strings.Contains(err.Error(), test.password) {
					t.Errorf("the password is in the error: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			proof, err := source.Credential(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, proof, good)
		})
	}
	for path, fault := range map[string]string{t.TempDir(): "not a regular file", "/does/not/exist": "no such file"} {
		if _, err := open(clientauth.CertificateFile(path, ""), environment(t, "")); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: got %v, want an error with %q", path, err, fault)
		}
	}
}

// checkSigned checks the client assertion of a proof.
func checkSigned(t *testing.T, proof clientcred.Proof, leaf *x509.Certificate) {
	t.Helper()
	form := url.Values{}
	if err := proof.AddTo(form, "https://login.example.com/token"); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Parse(form.Get("client_assertion"), func(*jwt.Token) (any, error) { return leaf.PublicKey, nil },
		jwt.WithValidMethods([]string{"PS256"}), jwt.WithAudience("https://login.example.com/token"), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	thumbprint := sha256.Sum256(leaf.Raw)
	if got, want := token.Header["x5t#S256"], base64.RawURLEncoding.EncodeToString(thumbprint[:]); got != want {
		t.Errorf("x5t#S256 is %v, want %s", got, want)
	}
	if chain, _ := token.Header["x5c"].([]any); len(chain) == 0 || chain[0] != base64.StdEncoding.EncodeToString(leaf.Raw) {
		t.Errorf("x5c is %v, want the certificate first", chain)
	}
}

// TestCertificateIsReadAgain: what is good is used at once, what is not leaves
// the last good one in use until that expires.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	env := environment(t, "")
	env.Logger = slog.New(slog.NewTextHandler(&log, nil))
	now := time.Now()
	env.Now = func() time.Time { return now }
	path := filepath.Join(t.TempDir(), "app.pem")
	write(t, path, encodePEM(t, keys()[0], certificate(t, keys()[0], now.Add(time.Hour))))
	source, err := open(clientauth.CertificateFile(path, ""), env)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, []byte("-----BEGIN CERT"))
	for range 3 {
		if _, err := source.Credential(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Credential(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "level=ERROR"); got != 2 {
		t.Errorf("%d lines for 2 faults, want 2:\n%s", got, log.String())
	}
	now = now.Add(time.Hour)
	_, err = source.Credential(context.Background())
	var fault *clientcred.Error
	if !errors.As(err, &fault) || !fault.Permanent || !strings.Contains(fault.Problem, "expired") {
		t.Errorf("got %v, want a fault that it is expired", err)
	}
	renewed := certificate(t, keys()[1], now.Add(time.Hour))
	write(t, path, encodePEM(t, keys()[1], renewed))
	expires := source.(interface{ Expires() time.Time }).Expires
	if got := expires(); !got.Before(renewed.NotAfter) {
		t.Errorf("the end is %v before an exchange, want that of the last good certificate: metrics don't read files", got)
	}
	if _, err := source.Credential(t.Context()); err != nil {
		t.Errorf("the renewed certificate is not used: got %v, want nil", err)
	}
	if got := expires(); !got.Equal(renewed.NotAfter) {
		t.Errorf("the end is %v after an exchange, want %v", got, renewed.NotAfter)
	}
}
