package tenantfile

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A material is what an app's files hold.
type material struct {
	secrets      []string // as in the spec
	certificates []*x509.Certificate
	keys         []*rsa.PublicKey // of federated credentials; nil without a file
}

// A loader reads the files that a spec names, below a folder.
type loader struct {
	dir  string
	made []string // secret files that it made
}

func (l *loader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(l.dir, name)
}

// load reads the files of an app.
func (l *loader) load(a *AppSpec) (m material, err error) {
	for _, s := range a.Secrets {
		value := s.Value
		if s.File != "" {
			if value, err = l.secret(l.path(s.File)); err != nil {
				return m, fmt.Errorf("app %s: secret: %w", a.Name, err)
			}
		}
		m.secrets = append(m.secrets, value)
	}
	for _, name := range a.Certificates {
		certificate, err := readCertificate(l.path(name))
		if err != nil {
			return m, fmt.Errorf("app %s: certificate: %w", a.Name, err)
		}
		m.certificates = append(m.certificates, certificate)
	}
	for _, f := range a.FederatedCredentials {
		var key *rsa.PublicKey
		if f.PublicKey != "" {
			if key, err = readPublicKey(l.path(f.PublicKey)); err != nil {
				return m, fmt.Errorf("app %s: federated credential: %w", a.Name, err)
			}
		}
		m.keys = append(m.keys, key)
	}
	return m, nil
}

// secret reads a secret's file, or makes a secret and the file.
func (l *loader) secret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err == nil {
		value := strings.TrimSpace(string(data))
		if len(value) < 8 || strings.ContainsAny(value, "\r\n") {
			return "", fmt.Errorf("%s: expected one line of at least 8 characters; remove the file to have one made", path)
		}
		return value, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	value := "ent~" + rand.Text() // of 26 characters
	if err := WriteSecret(path, value+"\n"); err != nil {
		return "", err
	}
	l.made = append(l.made, path)
	return value, nil
}

// WriteSecret writes a file that only this user can read. It must not exist.
func WriteSecret(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func readPEM(path, kind string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == kind {
			return block.Bytes, nil
		}
	}
	return nil, fmt.Errorf("%s has no PEM block %q", path, kind)
}

func readCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, ok := certificate.PublicKey.(*rsa.PublicKey); !ok {
		return nil, fmt.Errorf("%s: its key is %T; Entra accepts RSA only", path, certificate.PublicKey)
	}
	return certificate, nil
}

func readPublicKey(path string) (*rsa.PublicKey, error) {
	der, err := readPEM(path, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%s: the key is %T; expected RSA", path, parsed)
	}
	return key, nil
}
