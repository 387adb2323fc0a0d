package blobtool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// download is a copy of a blob that is being written, under a name of its own
// until it is complete.
type download struct {
	store  *store
	root   *os.Root // the user's folder: nothing outside can be reached through it
	folder string
	path   string // below root
	size   int64
	cost   int64

	partial string
	file    *os.File
	written int64
}

// begin reserves the space and creates the unfinished file.
func (d *download) begin() *refusal {
	if r := d.store.reserve(d); r != nil {
		return r
	}
	err := d.root.MkdirAll(filepath.Dir(d.path), 0o700)
	if err == nil {
		d.partial = newPartialName()
		d.file, err = d.root.OpenFile(d.partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		if err = allocate(d.file, d.size); err != nil {
			_ = d.file.Close()
			_ = d.root.Remove(d.partial)
		}
	}
	if err != nil {
		d.store.release(d)
		return diskRefusal(err)
	}
	return nil
}

// Write appends to the copy.
func (d *download) Write(p []byte) (int, error) {
	if d.written+int64(len(p)) > d.size {
		return 0, fmt.Errorf("more than the %d bytes announced", d.size)
	}
	n, err := d.file.Write(p)
	d.written += int64(n)
	return n, err
}

// commit gives the complete copy its name and returns its path.
func (d *download) commit() (string, *refusal) {
	err := d.file.Close()
	if err == nil && d.written != d.size {
		err = fmt.Errorf("%d of %d bytes", d.written, d.size)
	}
	if err == nil {
		err = d.root.Rename(d.partial, d.path)
	}
	if err != nil {
		_ = d.root.Remove(d.partial)
	}
	d.end()
	if err != nil {
		return "", diskRefusal(err)
	}
	return filepath.Join(d.store.dir, d.folder, d.path), nil
}

// abort removes the unfinished copy.
func (d *download) abort() {
	_ = d.file.Close()
	_ = d.root.Remove(d.partial)
	d.end()
}

func (d *download) end() {
	_ = d.root.Close()
	d.store.release(d)
}

// diskRefusal says why the disk does not take the copy, without the server's own
// paths, which are in the cause.
func diskRefusal(err error) *refusal {
	text := "the copy could not be written; the server's log has the cause"
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		text = "the download folder is not writable"
	case errors.Is(err, syscall.ENOSPC):
		text = "the disk is full"
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist):
		text = "a file and a folder would have the same name"
	}
	return &refusal{text: text, cause: err}
}
