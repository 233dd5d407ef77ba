// Package cache stores what is expensive to build: unpacked kernels, initramfs
// images, nvdimm contents, guest templates. An entry is a folder, named by a kind
// and by the digest of all its inputs. It is built under a temporary name and then
// renamed, so that readers never see a partial entry; a lock per entry makes
// concurrent processes build it once. Work folders, which are reused and never
// finished, live beside the entries. The package does not interpret what it stores.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/errkind"
)

// Cache is a folder of entries. Use Open.
type Cache struct {
	// Log is called when Get has to wait for another process; it may be nil.
	Log func(format string, args ...any)

	dir string
}

// Open returns the cache in dir, or, if dir is empty, the one in the user's cache
// folder (XDG Base Directory Specification: $XDG_CACHE_HOME, by default ~/.cache).
// Open creates the folder if it does not exist. It must belong to this user, and no
// other user may have access: its kernels are booted, its sources are built, and
// anyone who can open a lock file can hold the lock. If it can't be used, the error
// is a *DeniedError.
func Open(dir string) (*Cache, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the cache folder: %w; set XDG_CACHE_HOME", err)
		}
		dir = filepath.Join(base, "faultline")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	c := &Cache{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		if err := c.denied(err); errkind.Of(err) == errkind.Request {
			return nil, err
		}
		return nil, fmt.Errorf("create the cache folder: %w; set XDG_CACHE_HOME to a writable folder", err)
	}
	if err := unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return nil, c.denied(&fs.PathError{Op: "use", Path: dir, Err: err})
	}
	if err := c.private(); err != nil {
		return nil, err
	}
	return c, nil
}

// logf calls Log if it is set.
func (c *Cache) logf(format string, args ...any) {
	if c.Log != nil {
		c.Log(format, args...)
	}
}

// Dir returns the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Key returns the digest (SHA-256, hex) of the parts, in order. Each part is prefixed
// with its length, so ("ab","c") and ("a","bc") differ.
func Key(parts ...string) string {
	h := sha256.New()
	var n [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// FileSum returns the digest (SHA-256, hex) of a file, for use in a key.
func FileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Entry is a finished entry, protected from pruning until Close.
type Entry struct {
	// Path is the entry's folder. Its files must not be changed: a changed entry
	// counts as damaged and is rebuilt at its next use.
	Path string
	// Built reports whether this call built the entry.
	Built bool
	lock  *os.File
}

// Close releases the entry, which may then be pruned.
func (e *Entry) Close() error {
	if e == nil || e.lock == nil {
		return nil
	}
	err := e.lock.Close()
	e.lock = nil
	return err
}

// Get returns the entry kind/key. If it does not exist, or its files are not exactly
// those that its build left, Get calls build to fill a new folder. Files are compared
// by size and modification time, or, if a copy lost the times, by size and SHA-256.
// If another process is building the same entry, Get waits for it until ctx is done.
// Get returns an error of build unchanged, and then leaves no files.
func (c *Cache) Get(
	ctx context.Context,
	kind, key string,
	build func(ctx context.Context, dir string) error,
) (*Entry, error) {
	parent := filepath.Join(c.dir, kind)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, c.denied(fmt.Errorf("create the cache folder: %w", err))
	}
	path := filepath.Join(parent, key)
	for built := false; ; {
		lock, err := c.flock(ctx, path+lockSuffix, unix.LOCK_SH, nil)
		if err != nil {
			return nil, c.denied(err)
		}
		if whole(path) == nil {
			touch(path)
			return &Entry{Path: path, Built: built, lock: lock}, nil
		}
		lock.Close()
		if lock, err = c.flock(ctx, path+lockSuffix, unix.LOCK_EX, nil); err != nil {
			return nil, c.denied(err)
		}
		if whole(path) != nil && renew(path) != nil {
			if err := c.build(ctx, path, build); err != nil {
				os.Remove(lock.Name()) // processes waiting for the lock notice the removal
				lock.Close()
				return nil, err
			}
			built = true
		}
		// Converting an exclusive lock to a shared one is not atomic (flock(2)): another
		// process may remove the entry in between, so check it again.
		lock.Close()
	}
}

// GetChecked is Get for content in which a flipped bit would go unnoticed: an entry
// whose checksums do not match is rebuilt.
func (c *Cache) GetChecked(
	ctx context.Context,
	kind, key string,
	build func(ctx context.Context, dir string) error,
) (*Entry, error) {
	for {
		e, err := c.Get(ctx, kind, key, build)
		if err != nil || e.Built {
			return e, err
		}
		if err := e.Check(); err == nil {
			return e, nil
		}
		e.Close()
	}
}

func (c *Cache) build(ctx context.Context, path string, build func(context.Context, string) error) (err error) {
	if err := removeAll(path); err != nil {
		return c.denied(fmt.Errorf("remove the damaged cache entry: %w", err))
	}
	// Remove what a killed build left: we hold the lock, so no build is using it.
	beside, _ := os.ReadDir(filepath.Dir(path))
	for _, b := range beside {
		if strings.HasPrefix(b.Name(), filepath.Base(path)+tmpMark) {
			_ = removeAll(filepath.Join(filepath.Dir(path), b.Name()))
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+tmpMark)
	if err != nil {
		return c.denied(fmt.Errorf("create a cache entry: %w", err))
	}
	defer func() {
		if err != nil {
			_ = removeAll(tmp)
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := build(ctx, tmp); err != nil {
		return err
	}
	if err := persist(tmp); err != nil {
		return fmt.Errorf("write the new cache entry to the disk: %w", err)
	}
	m, err := scan(tmp)
	if err == nil {
		err = m.sums(tmp)
	}
	if err == nil && len(m) == 0 {
		err = errNoFiles
	}
	if err != nil {
		return fmt.Errorf("read the new cache entry: %w", err)
	}
	if err = m.write(tmp); err == nil {
		err = withFile(tmp, (*os.File).Sync)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = withFile(filepath.Dir(path), (*os.File).Sync)
	}
	if err != nil {
		return fmt.Errorf("finish the cache entry: %w", err)
	}
	return nil
}
