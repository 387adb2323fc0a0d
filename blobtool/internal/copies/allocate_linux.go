package copies

import (
	"errors"
	"os"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE of fallocate(2): the file's size still grows with each write.
const keepSize = 1

// allocate reserves a file's space, so that a full disk fails before the blob is fetched, and the
// final rename need not wait for block allocation. If the file system can't reserve space,
// allocate does nothing.
func allocate(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil //nolint:nilerr // later writes report the error
	}
	var full error
	_ = raw.Control(func(fd uintptr) {
		if err := syscall.Fallocate(int(fd), keepSize, 0, size); errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) {
			full = err
		}
	})
	return full
}
