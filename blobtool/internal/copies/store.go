// Package copies saves whole blobs for read_blob_with_token, in a folder per user, within limits,
// until they expire. Nothing else in blobtool writes to disk.
package copies

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// blockBytes is the minimum size that a file or folder counts as, so that a quota also limits
// their number.
const blockBytes = 4 << 10

// Options say where copies are saved and how much space they may take. All are required.
type Options struct {
	Dir          string // download folder
	ContainerURL string // of the saved blobs
	MaxFileBytes int64
	MaxUserBytes int64
	MaxAllBytes  int64
	MaxAge       time.Duration
	Now          func() time.Time
}

// A Store saves copies in a download folder.
type Store struct {
	*account // nil until the folder exists
	found    sync.Once
	o        Options
	source   string // names the container in file paths

	due time.Time // when copies expire next; guarded by account.mu
}

// NewStore returns a store. It creates and reads nothing before the first copy.
func NewStore(o Options) *Store { return &Store{o: o, source: sourceName(o.ContainerURL)} }

// A userSpace is an account's data for one user.
type userSpace struct {
	sync.Mutex // held while measuring the folder or renaming a file into it

	// The fields below are guarded by account.mu.
	tally
	reserved int64     // for downloads in progress
	measured time.Time // time of the last measurement
}

// A Refusal explains why a blob is not saved although the caller may read it. It is not an error:
// the call continues.
type Refusal struct {
	Text  string // for the caller
	Cause error  // for the log; may be nil
}

// Create starts a copy of a blob with the given size.
func (st *Store) Create(ctx context.Context, userID, blobPath string, size int64) (*Copy, *Refusal) {
	path, fault := localPath(blobPath, runtime.GOOS == "windows")
	if fault != "" {
		return nil, &Refusal{Text: "this server can't save a file with the blob's name: " + fault}
	}
	if size > st.o.MaxFileBytes {
		return nil, &Refusal{Text: fmt.Sprintf("the blob has %d bytes, more than the %d that this server saves", size, st.o.MaxFileBytes)}
	}
	folder := userFolder(userID)
	root, within, err := st.openFolder(folder)
	if err != nil {
		return nil, DiskRefusal(err)
	}
	st.found.Do(func() { st.account = accountOf(st.o.Dir) })
	path = filepath.Join(within, path)
	c := &Copy{store: st, root: root, folder: folder, path: path, size: size, cost: cost(path, size)}
	if r := c.begin(ctx); r != nil {
		_ = root.Close()
		return nil, r
	}
	return c, nil
}

// Used returns the known space of the user's copies, that of all users' copies, and when the
// user's folder was measured.
func (st *Store) Used(userID string) (user, all int64, measured time.Time) {
	u := st.space(userFolder(userID))
	st.mu.Lock()
	defer st.mu.Unlock()
	return u.used, st.total, u.measured
}

// ownMark is a folder that marks a user's folder as created by this package if its name does not
// show that. Files in any other folder may be the operator's and never expire.
const ownMark = partialPrefix + "owned"

// openFolder opens a user's folder and creates it if necessary. within is the place of this set's
// copies in it.
func (st *Store) openFolder(name string) (root *os.Root, within string, err error) {
	if err := os.MkdirAll(st.o.Dir, 0o700); err != nil {
		return nil, "", err
	}
	all, err := os.OpenRoot(st.o.Dir)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = all.Close() }()
	if within, err = placeOf(all, st.source); err != nil {
		return nil, "", err
	}
	err = all.Mkdir(name, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, "", err
	}
	made := err == nil
	root, err = openPlain(all, name)
	if err == nil && made && !plainlyOurs.MatchString(name) {
		_ = root.Mkdir(ownMark, 0o700) // if this fails, the copies never expire
	}
	return root, within, err
}

// openPlain opens a folder but follows no link, which could lead to another user's folder.
func openPlain(all *os.Root, name string) (*os.Root, error) {
	if info, err := all.Lstat(name); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("the folder of user %q is not a folder", name)
	}
	return all.OpenRoot(name)
}

// reserve takes the space for a download from the user's and the total quota. It does not count
// the existing file at the path, which the download replaces.
func (st *Store) reserve(ctx context.Context, d *Copy) *Refusal {
	if err := st.expire(ctx); err != nil {
		return DiskRefusal(err)
	}
	u := st.space(d.folder)
	for again := false; ; again = true {
		free, err := st.tryReserve(ctx, u, d)
		switch {
		case err != nil:
			return DiskRefusal(err)
		case free.user < 0:
			return &Refusal{Text: fmt.Sprintf("the user's saved files would exceed %d bytes", st.o.MaxUserBytes)}
		case free.all >= 0:
			return nil
		case again:
			return &Refusal{Text: "the download folder of this server is full"}
		}
		if err := st.makeRoom(ctx, -free.all); err != nil {
			return DiskRefusal(err)
		}
	}
}

// A room is the space that a download would leave, for the user and in total.
type room struct{ user, all int64 }

// tryReserve takes the space if there is enough. Before it reports too little, it measures the
// user's folder again, because files may have been removed.
func (st *Store) tryReserve(ctx context.Context, u *userSpace, d *Copy) (room, error) {
	u.Lock()
	defer u.Unlock()
	replaced := d.replaced()
	if st.measured(u) {
		left := st.take(u, d.cost, replaced)
		if left.user >= 0 || !st.mayMeasure(u) {
			return left, nil
		}
	}
	t, err := st.walk(ctx, d.root, keepAll)
	if err != nil {
		return room{}, err
	}
	st.set(u, t)
	return st.take(u, d.cost, replaced), nil
}

// take reserves the space if there is enough.
func (st *Store) take(u *userSpace, cost, replaced int64) room {
	st.mu.Lock()
	defer st.mu.Unlock()
	left := room{st.o.MaxUserBytes - (u.used - replaced + u.reserved + cost), st.o.MaxAllBytes - (st.total - replaced + cost)}
	if left.user >= 0 && left.all >= 0 {
		u.reserved += cost
		st.total += cost
	}
	return left
}

// release returns a download's reserved space and adds the space that the file kept.
func (st *Store) release(d *Copy, kept int64) {
	u := st.space(d.folder)
	st.mu.Lock()
	defer st.mu.Unlock()
	u.reserved -= d.cost
	u.used += kept
	st.total += kept - d.cost
	if kept > 0 {
		u.files++
	}
	if u.oldest.IsZero() {
		u.oldest = st.o.Now()
	}
}

// add adds n to the space of a user's files.
func (st *Store) add(u *userSpace, n int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	u.used += n
	st.total += n
}

func isPartial(path string) bool {
	return len(path) > len(partialPrefix) && path[:len(partialPrefix)] == partialPrefix
}

func newPartialName() string { return partialPrefix + rand.Text() }

// blocks rounds a size up to whole blocks, with a minimum of one.
func blocks(size int64) int64 { return max(1, (size+blockBytes-1)/blockBytes) * blockBytes }

// cost returns the maximum space of a file and its folders.
func cost(path string, size int64) int64 {
	total := blocks(size)
	for dir := filepath.Dir(path); dir != "."; dir = filepath.Dir(dir) {
		total += blockBytes
	}
	return total
}
