package blobtool

import (
	"context"
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
func (d *download) begin(ctx context.Context) *refusal {
	if r := d.store.reserve(ctx, d); r != nil {
		return r
	}
	u := d.store.space(d.folder)
	u.Lock()
	err := d.makeFolders(u)
	u.Unlock()
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
		d.store.release(d, 0)
		return diskRefusal(err)
	}
	return nil
}

// replaced is the space of the file that is there now.
func (d *download) replaced() int64 {
	info, err := d.root.Lstat(d.path)
	if err != nil || info.IsDir() {
		return 0
	}
	return blocks(info.Size())
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
	var kept int64
	if err == nil {
		kept, err = d.rename()
	}
	if err != nil {
		_ = d.root.Remove(d.partial)
	}
	d.end(kept)
	if err != nil {
		return "", diskRefusal(err)
	}
	return filepath.Join(d.store.dir, d.folder, d.path), nil
}

// rename gives the file its name, and the time of the store's clock, and returns by how
// much the user's space has grown.
func (d *download) rename() (kept int64, err error) {
	now := d.store.now()
	if err := d.root.Chtimes(d.partial, now, now); err != nil {
		return 0, err
	}
	u := d.store.space(d.folder)
	u.Lock()
	defer u.Unlock()
	if err := d.makeFolders(u); err != nil { // they may have expired meanwhile
		return 0, err
	}
	kept = blocks(d.size) - d.replaced()
	if err := d.root.Rename(d.partial, d.path); err != nil {
		return 0, err
	}
	return kept, nil
}

// makeFolders makes the folders of the copy. The user's account must be locked.
func (d *download) makeFolders(u *userSpace) error {
	folders := int64(0)
	for dir := filepath.Dir(d.path); dir != "."; dir = filepath.Dir(dir) {
		if _, err := d.root.Lstat(dir); err == nil {
			break
		}
		folders++
	}
	if folders == 0 {
		return nil
	}
	err := d.root.MkdirAll(filepath.Dir(d.path), 0o700)
	if err == nil {
		d.store.add(u, folders*blockBytes)
	}
	return err
}

// abort removes the unfinished copy.
func (d *download) abort() {
	_ = d.file.Close()
	_ = d.root.Remove(d.partial)
	d.end(0)
}

func (d *download) end(kept int64) {
	_ = d.root.Close()
	d.store.release(d, kept)
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
