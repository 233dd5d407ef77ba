package cache

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/fault"
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

// Fault implements fault.Kinder.
func (e *DeniedError) Fault() fault.Kind { return fault.Request }

// denied makes a *DeniedError of an error over permissions, and leaves any other.
func (c *Cache) denied(err error) error {
	var at *fs.PathError
	if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EROFS) || !errors.As(err, &at) {
		return err
	}
	path := at.Path
	info, serr := os.Lstat(path)
	for serr != nil && path != filepath.Dir(path) { // it is not there, or can't be seen
		path = filepath.Dir(path)
		info, serr = os.Lstat(path)
	}
	e := &DeniedError{Dir: c.dir, Path: path, Owner: "another user", Err: err}
	if serr == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			e.Owner = fmt.Sprint("user ", st.Uid)
			if u, err := user.LookupId(fmt.Sprint(st.Uid)); err == nil {
				e.Owner = u.Username
			}
		}
	}
	return e
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
