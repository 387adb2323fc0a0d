package setup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mcpentra/mcp-entra-go/cmd/mcp-entra/internal/graph"
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
	if err := checkSecretFile(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, secretFileError(name, err)
	}
	return &SecretFile{name}, f.Close()
}

// checkSecretFile refuses a file that is there and is none for secrets. It doesn't open it: a pipe or
// a device might never answer.
func checkSecretFile(name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return secretFileError(name, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("the secret file %s is a symbolic link: name the file that it points to", shown(name))
	case !info.Mode().IsRegular():
		return fmt.Errorf("the secret file %s is not a regular file", shown(name))
	case info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/':
		return fmt.Errorf("the secret file %s can be read by others (mode %o): chmod 600 %[1]s", shown(name), info.Mode().Perm())
	}
	return nil
}

func secretFileError(name string, err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // without the name, which may be a secret
	}
	return fmt.Errorf("the secret file %s: %w", shown(name), err)
}

// Saved is what a file of secrets has.
type Saved struct {
	Variables []string // names
	Lost      []string // display names of secrets that a run asked for without saving them
}

// ReadSaved reads what the file has, once no other run is between asking for a secret and saving it.
// A file that isn't there has nothing.
func ReadSaved(ctx context.Context, name string) (*Saved, error) {
	saved := &Saved{}
	if err := checkSecretFile(name); err != nil {
		return nil, err
	}
	unlock, err := (&SecretFile{name}).lock(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return saved, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, secretFileError(name, err)
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if name, ok := strings.CutPrefix(text, pendingMark); ok {
			saved.Lost = append(saved.Lost, name)
		} else if name, ok := strings.CutPrefix(text, savedMark); ok {
			saved.Lost = slices.DeleteFunc(saved.Lost, func(s string) bool { return s == name })
		} else if name, _, ok := strings.Cut(text, "="); ok {
			saved.Variables = append(saved.Variables, strings.TrimSpace(strings.TrimPrefix(name, "export ")))
		}
	}
	return saved, nil
}

// lock keeps other runs from reading the file as long as a secret is on its way there. A run that is
// killed keeps nobody.
func (f *SecretFile) lock(ctx context.Context) (unlock func(), err error) {
	file, err := os.Open(f.name)
	if err != nil {
		return nil, secretFileError(f.name, err)
	}
	for !tryLock(file) {
		if err := graph.Wait(ctx, 50*time.Millisecond); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
	return func() { _ = file.Close() }, nil
}

// append adds lines. A line that can't be written whole is taken back.
func (f *SecretFile) append(text string) error {
	file, err := os.OpenFile(f.name, os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return secretFileError(f.name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(secretFileError(f.name, err), file.Close())
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		_, err = file.ReadAt(last, info.Size()-1)
	}
	if last[0] != '\n' {
		text = "\n" + text
	}
	if err == nil {
		_, err = file.WriteString(text)
	}
	if err = errors.Join(err, file.Sync()); err != nil {
		err = secretFileError(f.name, errors.Join(err, file.Truncate(info.Size())))
	}
	return errors.Join(err, file.Close())
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
// for the API's and the proxy's.
func SecretVariable(key string) string {
	switch key {
	case apiKey:
		return "ENTRA_APP_CLIENT_SECRET"
	case proxyKey:
		return "AUTH_PROXY_CLIENT_SECRET"
	}
	return strings.ToUpper(key) + "_CLIENT_SECRET"
}
