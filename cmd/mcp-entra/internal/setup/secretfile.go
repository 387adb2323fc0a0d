package setup

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// A SecretFile is where new secrets go: NAME=value lines, readable by its owner alone. It is only
// ever appended to, so that two runs at once lose nothing. Before a secret is asked for, its
// display name is noted, and that it was saved afterwards: so a later run finds a secret whose text
// nobody got.
type SecretFile struct{ name string }

const (
	pendingMark = "# asking for the secret "
	savedMark   = "# done with the secret "
)

// OpenSecretFile returns the file, which is made if it isn't there.
func OpenSecretFile(name string) (*SecretFile, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the secret file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the secret file %s is not a regular file", name)
	case info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/':
		return nil, fmt.Errorf("the secret file %s can be read by others (mode %o): chmod 600 %s", name, info.Mode().Perm(), name)
	}
	return &SecretFile{name}, nil
}

// LostSecrets returns the display names of secrets that a run asked for without saving them. A
// file that isn't there has none.
func LostSecrets(name string) ([]string, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the secret file: %w", err)
	}
	var lost []string
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if name, ok := strings.CutPrefix(text, pendingMark); ok {
			lost = append(lost, name)
		}
		if name, ok := strings.CutPrefix(text, savedMark); ok {
			lost = slices.DeleteFunc(lost, func(s string) bool { return s == name })
		}
	}
	return lost, nil
}

func (f *SecretFile) append(text string) error {
	file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("the secret file: %w", err)
	}
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("the secret file: %w", err)
	}
	return nil
}

// ask notes that a secret is about to be asked for, and returns its display name.
func (f *SecretFile) ask() (displayName string, err error) {
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails
	displayName = ownName + " " + hex.EncodeToString(id)
	return displayName, f.append(pendingMark + displayName + "\n")
}

// save writes the secret.
func (f *SecretFile) save(displayName, variable, value string) error {
	if strings.ContainsAny(value, "'\r\n") {
		return errors.New("the secret has characters that don't fit a line of the file")
	}
	return f.append(fmt.Sprintf("%s='%s'\n%s%s\n", variable, value, savedMark, displayName))
}

// forget notes that there is no such secret.
func (f *SecretFile) forget(displayName string) error {
	return f.append(savedMark + displayName + "\n")
}

// SecretVariable is the name of an application's secret in the file: what the example server reads,
// for the API's.
func SecretVariable(key string) string {
	if key == apiKey {
		return "ENTRA_APP_CLIENT_SECRET"
	}
	return strings.ToUpper(key) + "_CLIENT_SECRET"
}
