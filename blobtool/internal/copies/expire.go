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
	// staleAfter is the age at which an unfinished file belongs to no running call, and
	// how often all folders are counted again.
	staleAfter = 24 * time.Hour
	// inUse is the age below which a copy is not removed to make room: somebody has just
	// been told where it is.
	inUse = 10 * time.Minute
	// smallFolder is how many files are measured again at any time that they seem too
	// many; measuring more is done once in measureEvery.
	smallFolder  = 1000
	measureEvery = time.Minute
)

// tally is what is in a folder.
type tally struct {
	used   int64 // bytes, in whole blocks
	files  int   // and folders
	oldest time.Time
}

// walk goes through a user's folder, without the files that are being written. It removes
// those that a process left behind when it crashed, and copies that are not to be kept,
// with the folders that are empty then.
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
			return ifThere(err) // finished or removed since
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
		if removed && root.Remove(folder) == nil { // it was empty
			t.used -= blockBytes
			t.files--
		}
	}
	return t, err
}

func keepAll(string, fs.FileInfo) bool { return true }

// ifThere is err, unless something is merely gone.
func ifThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// measured reports whether a folder ever was.
func (st *Store) measured(u *userSpace) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return !u.measured.IsZero()
}

// mayMeasure reports whether a folder may be measured again already.
func (st *Store) mayMeasure(u *userSpace) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return u.files <= smallFolder || st.o.Now().Sub(u.measured) >= measureEvery
}

// set takes over what was measured.
func (st *Store) set(u *userSpace, t tally) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.total += t.used - u.used
	u.tally, u.measured = t, st.o.Now()
}

// expire counts what is in all folders, if that has not been done for a day, and removes
// copies that are too old, if there may be any. Whoever saves a blob does it; one does,
// while others go on, unless nothing has been counted yet.
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
				return ctx.Err() // what is wrong with one folder is its user's affair
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
	if st.due = oldest.Add(st.o.MaxAge); st.due.Before(now.Add(st.o.MaxAge / 64)) { // not for each file
		st.due = now.Add(st.o.MaxAge / 64)
	}
	return nil
}

// aCopy is a file in the folder of a user.
type aCopy struct {
	user   *userSpace
	folder string
	path   string
	size   int64
	saved  time.Time
}

// makeRoom removes the oldest copies, of all users, except those in use, until
// so many bytes are free, and some more, so that not each download goes through all.
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
	var list []aCopy // the oldest
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
	if list, size = oldestOf(list, need+more); size < need { // trying again at once would not help
		st.mu.Lock()
		st.tried = now
		st.mu.Unlock()
		return nil
	}
	return st.remove(list)
}

// oldestOf returns the oldest copies, as many as it takes for so many bytes.
func oldestOf(list []aCopy, need int64) (kept []aCopy, size int64) {
	slices.SortFunc(list, func(a, b aCopy) int { return cmp.Or(a.saved.Compare(b.saved), cmp.Compare(a.path, b.path)) })
	for i, c := range list {
		if size += c.size; size >= need {
			return list[:i+1], size
		}
	}
	return list, size
}

// remove removes copies that were not replaced since.
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
				c.size += blockBytes // the folder was empty
			}
			st.mu.Lock()
			u.used -= c.size
			st.total -= c.size
			st.mu.Unlock()
		}
		return nil
	})
}

// plainlyOurs are names that only this package gives to folders: those of Entra's users,
// and hashes.
var plainlyOurs = regexp.MustCompile(`^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|u-[0-9a-f]{64})$`)

// eachFolder calls f with the folder of each user.
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
