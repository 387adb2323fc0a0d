package copies

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

const (
	// staleAfter is the age at which no running call owns an unfinished file, and the interval
	// between full counts.
	staleAfter = 24 * time.Hour
	// inUse is the minimum age of copies that are removed to make room. A caller may just have
	// learned the path of a younger one.
	inUse = 10 * time.Minute
	// smallFolder is the number of files up to which a folder is measured again whenever it seems
	// full. Larger folders are measured at most once per measureEvery.
	smallFolder  = 1000
	measureEvery = time.Minute
)

// A tally is the contents of a folder.
type tally struct {
	used   int64 // bytes, in whole blocks
	files  int   // including folders
	oldest time.Time
}

// walk walks a user's folder and skips files that are being written. It removes unfinished files
// that a crashed process left behind, copies that keep rejects, and folders that become empty.
func (st *Store) walk(ctx context.Context, root *os.Root, keep func(path string, info fs.FileInfo) bool) (t tally, err error) {
	var folders []string
	removed := false
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil || path == "." || path == ownMark {
			return ifThere(err)
		}
		info, err := entry.Info()
		switch {
		case err != nil:
			return ifThere(err) // finished or removed in the meantime
		case isPartial(path):
			if st.o.Now().Sub(info.ModTime()) > staleAfter {
				_ = root.Remove(path)
			}
			return nil
		case entry.IsDir():
			folders = append(folders, path)
			t.used += blockBytes
		case !keep(path, info) && root.Remove(path) == nil:
			removed = true
			return nil
		default:
			t.used += blocks(info.Size())
			if at := info.ModTime(); t.oldest.IsZero() || at.Before(t.oldest) {
				t.oldest = at
			}
		}
		t.files++
		return nil
	})
	for _, folder := range slices.Backward(folders) {
		if removed && root.Remove(folder) == nil { // it became empty
			t.used -= blockBytes
			t.files--
		}
	}
	return t, err
}

func keepAll(string, fs.FileInfo) bool { return true }

// ifThere returns err, or nil if a file no longer exists.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// measured reports whether the folder was ever measured.
func (st *Store) measured(u *userSpace) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !u.measured.IsZero()
}

// mayMeasure reports whether the folder may be measured again now.
func (st *Store) mayMeasure(u *userSpace) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return u.files <= smallFolder || st.o.Now().Sub(u.measured) >= measureEvery
}

// set stores the result of a measurement.
func (st *Store) set(u *userSpace, t tally) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.total += t.used - u.used
	u.tally, u.measured = t, st.o.Now()
}

// expire counts all folders if that was not done for a day, and removes copies that are too old if
// there may be any. Calls that save blobs run it. One runs it while others continue, unless
// nothing has been counted yet.
func (st *Store) expire(ctx context.Context) error {
	now := st.o.Now()
	state := func() (first, all, due bool) {
		st.mu.Lock()
		defer st.mu.Unlock()
		return st.counted.IsZero(), now.Sub(st.counted) >= staleAfter, !now.Before(st.due)
	}
	first, all, due := state()
	switch {
	case first:
		st.sweeping.Lock()
	case !all && !due, !st.sweeping.TryLock():
		return nil
	}
	defer st.sweeping.Unlock()
	if first, all, due = state(); !first && !all && !due {
		return nil
	}
	limit := now.Add(-st.o.MaxAge)
	var oldest time.Time
	err := st.eachFolder(func(u *userSpace, root *os.Root, _ string) error {
		u.Lock()
		defer u.Unlock()
		st.mu.Lock()
		at := u.oldest
		st.mu.Unlock()
		if all || first || !at.IsZero() && !at.After(limit) {
			t, err := st.walk(ctx, root, func(_ string, info fs.FileInfo) bool { return info.ModTime().After(limit) })
			if err != nil {
				return ctx.Err() // a failure in one folder concerns only its user
			}
			st.set(u, t)
			at = t.oldest
		}
		if oldest.IsZero() || !at.IsZero() && at.Before(oldest) {
			oldest = at
		}
		return nil
	})
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if first || all {
		st.counted = now
	}
	if oldest.IsZero() {
		oldest = now
	}
	if st.due = oldest.Add(st.o.MaxAge); st.due.Before(now.Add(st.o.MaxAge / 64)) { // not for every single file
		st.due = now.Add(st.o.MaxAge / 64)
	}
	return nil
}

// An aCopy is a file in a user's folder.
type aCopy struct {
	user   *userSpace
	folder string
	path   string
	size   int64
	saved  time.Time
}

// makeRoom removes the oldest copies of all users, except those in use, until the requested bytes
// are free. It frees some more, so that not every download walks all folders.
func (st *Store) makeRoom(ctx context.Context, need int64) error {
	st.sweeping.Lock()
	defer st.sweeping.Unlock()
	now := st.o.Now()
	st.mu.Lock()
	wait := now.Sub(st.tried) < measureEvery && !st.tried.IsZero()
	st.mu.Unlock()
	if wait {
		return nil
	}
	more := st.o.MaxAllBytes / 64
	var list []aCopy // oldest copies
	var size int64
	err := st.eachFolder(func(u *userSpace, root *os.Root, folder string) error {
		u.Lock()
		defer u.Unlock()
		t, err := st.walk(ctx, root, func(path string, info fs.FileInfo) bool {
			if now.Sub(info.ModTime()) >= inUse {
				list = append(list, aCopy{u, folder, path, blocks(info.Size()), info.ModTime()})
				if size += blocks(info.Size()); size > 2*(need+more) {
					list, size = oldestOf(list, need+more)
				}
			}
			return true
		})
		if err == nil {
			st.set(u, t)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if list, size = oldestOf(list, need+more); size < need { // retrying at once would not help
		st.mu.Lock()
		st.tried = now
		st.mu.Unlock()
		return nil
	}
	return st.remove(list)
}

// oldestOf returns just enough of the oldest copies to free the requested bytes.
func oldestOf(list []aCopy, need int64) (kept []aCopy, size int64) {
	slices.SortFunc(list, func(a, b aCopy) int { return cmp.Or(a.saved.Compare(b.saved), cmp.Compare(a.path, b.path)) })
	for i, c := range list {
		if size += c.size; size >= need {
			return list[:i+1], size
		}
	}
	return list, size
}

// remove removes copies, unless they were replaced in the meantime.
func (st *Store) remove(list []aCopy) error {
	return st.eachFolder(func(u *userSpace, root *os.Root, folder string) error {
		u.Lock()
		defer u.Unlock()
		for _, c := range list {
			if c.folder != folder {
				continue
			}
			if info, err := root.Lstat(c.path); err != nil || !info.ModTime().Equal(c.saved) || root.Remove(c.path) != nil {
				continue
			}
			for dir := filepath.Dir(c.path); dir != "." && root.Remove(dir) == nil; dir = filepath.Dir(dir) {
				c.size += blockBytes // the folder became empty
			}
			st.mu.Lock()
			u.used -= c.size
			st.total -= c.size
			st.mu.Unlock()
		}
		return nil
	})
}

// plainlyOurs matches folder names that only this package uses: IDs of Entra users, and hashes.
var plainlyOurs = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|u-[0-9a-f]{64})$`)

// eachFolder calls f for each user's folder.
func (st *Store) eachFolder(f func(u *userSpace, root *os.Root, folder string) error) error {
	all, err := os.OpenRoot(st.o.Dir)
	if err != nil {
		return ifThere(err)
	}
	defer func() { _ = all.Close() }()
	entries, err := fs.ReadDir(all.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		root, err := openPlain(all, entry.Name())
		if err != nil {
			continue // not ours, or gone
		}
		if _, err = root.Lstat(ownMark); err == nil || plainlyOurs.MatchString(entry.Name()) {
			err = f(st.space(entry.Name()), root, entry.Name())
		} else {
			err = nil
		}
		_ = root.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
