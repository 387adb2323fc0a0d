package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A privateFile becomes a file that only its owner can read, with its whole content at once. A link
// with its name is replaced, not followed.
type privateFile struct {
	temporary *os.File
	name      string
}

// writePrivate replaces the file, or makes it.
func writePrivate(name string, content []byte) error {
	f, err := createPrivate(name)
	if err != nil {
		return err
	}
	defer f.discard()
	return f.keep(content)
}

// createPrivate begins a file, so that a name that can't be written fails before the work is done.
func createPrivate(name string) (*privateFile, error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; name another", name)
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".mcp-entra-*") // with mode 0600
	if err != nil {
		return nil, err
	}
	return &privateFile{temporary, name}, nil
}

// keep gives the file its content and its name.
func (f *privateFile) keep(content []byte) error {
	_, err := f.temporary.Write(content)
	if err = errors.Join(err, f.temporary.Close()); err != nil {
		return err
	}
	return os.Rename(f.temporary.Name(), f.name)
}

// discard removes what was not kept.
func (f *privateFile) discard() {
	_ = f.temporary.Close()
	_ = os.Remove(f.temporary.Name())
}
