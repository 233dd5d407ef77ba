package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/errkind"
)

// DeniedError says that the cache, or a part of it, is not this user's to change.
type DeniedError struct {
	Dir  string // the cache
	Path string // what was denied, or what it was to be made in
	// Owner is whose Path is: a name, or a number where it has none.
	Owner string
	Err   error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%v; %s belongs to %s: set XDG_CACHE_HOME to a folder of your own, or have the owner give %s away (chown -R)", e.Err, e.Path, e.Owner, e.Dir)
}

func (e *DeniedError) Unwrap() error { return e.Err }

// ErrKind implements errkind.Kinder.
func (e *DeniedError) ErrKind() errkind.Kind { return errkind.Request }

// denied makes a *DeniedError of an error over permissions, and leaves any other.
func (c *Cache) denied(err error) error {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) || !errors.As(err, &at) {
		return err
	}
	path := at.Path
	var st unix.Stat_t
	gone := unix.Lstat(path, &st)
	for gone != nil && path != filepath.Dir(path) { // it does not exist, or is out of sight
		path = filepath.Dir(path)
		gone = unix.Lstat(path, &st)
	}
	e := &DeniedError{Dir: c.dir, Path: path, Owner: "another user", Err: err}
	if gone == nil {
		e.Owner = owner(st.Uid)
	}
	return e
}

// private checks that the cache's folder is this user's, and takes it from everybody
// else. What is in it may be root's as well, but no other user's: a folder that
// others could write in may hold what they put there.
func (c *Cache) private() error {
	if err := c.owned(c.dir, os.Geteuid()); err != nil {
		return err
	}
	if err := c.tighten(); err != nil {
		return err
	}
	kinds, err := os.ReadDir(c.dir)
	for _, kind := range kinds {
		err = errors.Join(err, c.owned(filepath.Join(c.dir, kind.Name()), os.Geteuid(), 0))
	}
	return err
}

// owned returns a *DeniedError for a path that none of the users owns. A symbolic
// link and what it leads to both count.
func (c *Cache) owned(path string, users ...int) error {
	for _, stat := range []func(string, *unix.Stat_t) error{unix.Lstat, unix.Stat} {
		var st unix.Stat_t
		if err := stat(path, &st); errors.Is(err, unix.ENOENT) {
			continue // removed, or a link to nothing: there is nothing to use
		} else if err != nil {
			return c.denied(&fs.PathError{Op: "use", Path: path, Err: err})
		}
		if !slices.Contains(users, int(st.Uid)) {
			return &DeniedError{Dir: c.dir, Path: path, Owner: owner(st.Uid), Err: fmt.Errorf("use %s: another user can change what is in it", path)}
		}
	}
	return nil
}

// tighten makes the mode of the cache's folder 0700.
func (c *Cache) tighten() error {
	info, err := os.Stat(c.dir)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return err
	}
	err = os.Chmod(c.dir, 0o700)
	if info, gone := os.Stat(c.dir); gone != nil || info.Mode().Perm()&0o077 == 0 {
		return gone
	}
	why := ""
	if err != nil {
		why = fmt.Sprintf(": %v", err)
	}
	return errkind.Requestf("other users can enter the cache %s (mode %#o), and its mode can't be made 0700%s; "+
		"set XDG_CACHE_HOME to a folder of your own, on a file system that has modes", c.dir, info.Mode().Perm(), why)
}

// owner returns the name of a user, or the number where there is no name.
func owner(uid uint32) string {
	if u, err := user.LookupId(fmt.Sprint(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprint("user ", uid)
}

// HeldHere reports whether this very process holds the lock on a file (flock(2)):
// then nobody has to be told that it waits for it.
func HeldHere(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return holderPID(f) == os.Getpid()
}

// holder names a process that holds a lock on a file: "process 123 (faultline)".
func holder(f *os.File) string {
	if pid := holderPID(f); pid > 0 {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm)))
		}
	}
	return "another process"
}

// holderPID is a process that holds a lock on a file, by /proc/locks
// (proc_locks(5)); 0 where that does not say.
func holderPID(f *os.File) int {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close()
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// "1: FLOCK  ADVISORY  WRITE 123 fe:00:4711 0 EOF"
		w := strings.Fields(lines.Text())
		if len(w) < 6 || w[1] != "FLOCK" || w[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(w[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
