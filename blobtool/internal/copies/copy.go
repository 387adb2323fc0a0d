package copies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A Copy is a blob's copy while it is written, under a temporary name until it is complete.
type Copy struct {
	store  *Store
	root   *os.Root // the user's folder; confines all paths to it
	folder string
	path   string // relative to root
	size   int64
	cost   int64

	partial string
	file    *os.File
	written int64
}

// begin reserves space and creates the unfinished file.
func (c *Copy) begin(ctx context.Context) *Refusal {
	if r := c.store.reserve(ctx, c); r != nil {
		return r
	}
	u := c.store.space(c.folder)
	u.Lock()
	err := c.makeFolders(u)
	u.Unlock()
	if err == nil {
		c.partial = newPartialName()
		c.file, err = c.root.OpenFile(c.partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		if err = allocate(c.file, c.size); err != nil {
			_ = c.file.Close()
			_ = c.root.Remove(c.partial)
		}
	}
	if err != nil {
		c.store.release(c, 0)
		return DiskRefusal(err)
	}
	return nil
}

// replaced returns the space of the file that this copy replaces.
func (c *Copy) replaced() int64 {
	info, err := c.root.Lstat(c.path)
	if err != nil || info.IsDir() {
		return 0
	}
	return blocks(info.Size())
}

// Write appends to the copy.
func (c *Copy) Write(p []byte) (int, error) {
	if c.written+int64(len(p)) > c.size {
		return 0, fmt.Errorf("more than the %d bytes announced", c.size)
	}
	n, err := c.file.Write(p)
	c.written += int64(n)
	return n, err
}

// Commit renames the complete copy to its final name and returns its path.
func (c *Copy) Commit() (string, *Refusal) {
	err := c.file.Close()
	if err == nil && c.written != c.size {
		err = fmt.Errorf("%d of %d bytes", c.written, c.size)
	}
	var kept int64
	if err == nil {
		kept, err = c.rename()
	}
	if err != nil {
		_ = c.root.Remove(c.partial)
	}
	c.end(kept)
	if err != nil {
		return "", DiskRefusal(err)
	}
	return filepath.Join(c.store.o.Dir, c.folder, c.path), nil
}

// rename gives the file its final name and the time of the store's clock. It returns by how much
// the user's space grew.
func (c *Copy) rename() (kept int64, err error) {
	now := c.store.o.Now()
	if err := c.root.Chtimes(c.partial, now, now); err != nil {
		return 0, err
	}
	u := c.store.space(c.folder)
	u.Lock()
	defer u.Unlock()
	if err := c.makeFolders(u); err != nil { // they may have expired in the meantime
		return 0, err
	}
	kept = blocks(c.size) - c.replaced()
	if err := c.root.Rename(c.partial, c.path); err != nil {
		return 0, err
	}
	return kept, nil
}

// makeFolders creates the copy's folders. The caller must hold the user's lock.
func (c *Copy) makeFolders(u *userSpace) error {
	folders := int64(0)
	for dir := filepath.Dir(c.path); dir != "."; dir = filepath.Dir(dir) {
		if _, err := c.root.Lstat(dir); err == nil {
			break
		}
		folders++
	}
	if folders == 0 {
		return nil
	}
	err := c.root.MkdirAll(filepath.Dir(c.path), 0o700)
	if err == nil {
		c.store.add(u, folders*blockBytes)
	}
	return err
}

// Abort removes the unfinished copy.
func (c *Copy) Abort() {
	_ = c.file.Close()
	_ = c.root.Remove(c.partial)
	c.end(0)
}

func (c *Copy) end(kept int64) {
	_ = c.root.Close()
	c.store.release(c, kept)
}

// DiskRefusal explains why the disk rejects the copy, without the server's paths; those are in the
// cause.
func DiskRefusal(err error) *Refusal {
	text := "the copy could not be written; the server's log has the cause"
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		text = "the download folder is not writable"
	case errors.Is(err, syscall.ENOSPC):
		text = "the disk is full"
	case errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist):
		text = "a file and a folder would have the same name"
	}
	return &Refusal{Text: text, Cause: err}
}
