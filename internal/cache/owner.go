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

// DeniedError reports that this user may not change the cache, or a part of it.
type DeniedError struct {
	Dir  string // the cache
	Path string // the file or folder, or the closest parent that exists
	// Owner is the owner of Path: a user name, or "user N" if it has none.
	Owner string
	Err   error
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%v; %s belongs to %s: set XDG_CACHE_HOME to a folder of your own, "+
		"or have the owner of %s changed (chown -R)", e.Err, e.Path, e.Owner, e.Dir)
}

func (e *DeniedError) Unwrap() error { return e.Err }

// ErrKind implements errkind.Kinder.
func (e *DeniedError) ErrKind() errkind.Kind { return errkind.Request }

// denied converts a permission error to a *DeniedError, and returns any other error
// unchanged.
func (c *Cache) denied(err error) error {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) || !errors.As(err, &at) {
		return err
	}
	path := at.Path
	var st unix.Stat_t
	gone := unix.Lstat(path, &st)
	for gone != nil && path != filepath.Dir(path) { // it does not exist, or a parent is not accessible
		path = filepath.Dir(path)
		gone = unix.Lstat(path, &st)
	}
	e := &DeniedError{Dir: c.dir, Path: path, Owner: "another user", Err: err}
	if gone == nil {
		e.Owner = owner(st.Uid)
	}
	return e
}

// private checks that the cache's folder belongs to this user, and revokes the access
// of all others. Its content may also belong to root, but to no other user: a folder
// that was writable by others may contain their files.
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

// owned returns a *DeniedError for a path that none of the users owns. For a symbolic
// link it checks both the link and its target.
func (c *Cache) owned(path string, users ...int) error {
	for _, stat := range []func(string, *unix.Stat_t) error{unix.Lstat, unix.Stat} {
		var st unix.Stat_t
		if err := stat(path, &st); errors.Is(err, unix.ENOENT) {
			continue // removed, or a dangling link: nothing to use
		} else if err != nil {
			return c.denied(&fs.PathError{Op: "use", Path: path, Err: err})
		}
		if !slices.Contains(users, int(st.Uid)) {
			return &DeniedError{Dir: c.dir, Path: path, Owner: owner(st.Uid),
				Err: fmt.Errorf("use %s: another user can change its content", path)}
		}
	}
	return nil
}

// tighten sets the mode of the cache's folder to 0700.
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
	return errkind.Requestf("other users have access to the cache %s (mode %#o), and its mode can't be set to 0700%s; "+
		"set XDG_CACHE_HOME to a folder of your own, on a file system that supports modes", c.dir, info.Mode().Perm(), why)
}

// owner returns the name of a user, or "user N" if it has none.
func owner(uid uint32) string {
	if u, err := user.LookupId(fmt.Sprint(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprint("user ", uid)
}

// HeldHere reports whether this process itself holds the lock on a file (flock(2)):
// such a wait needs no message.
func HeldHere(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return holderPID(f) == os.Getpid()
}

// holder returns a description of a process that holds a lock on a file:
// "process 123 (faultline)".
func holder(f *os.File) string {
	if pid := holderPID(f); pid > 0 {
		if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm)))
		}
	}
	return "another process"
}

// holderPID returns the PID of a process that holds a lock on a file, from /proc/locks
// (proc_locks(5)); 0 if it is not listed there.
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
