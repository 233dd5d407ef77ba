// Package cache keeps what is expensive to make: unpacked kernels, initramfs
// images, nvdimm contents, guest templates. An entry is a folder, named by a
// kind and by the digest of everything that went into it. It is made under a
// temporary name and renamed when whole, so that a reader never sees half an
// entry; a lock per entry lets two processes that want the same one build it
// once. Folders that are worked in again and again are kept beside the entries.
// The package knows nothing about what it stores.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/fault"
)

// Cache is a folder of entries. Use Open.
type Cache struct {
	// Log is told when Get has to wait for another process; nil tells nobody.
	Log func(format string, args ...any)

	dir string
}

// Open returns the cache in dir, or, where dir is empty, the one in the
// user's cache folder (XDG Base Directory Specification: $XDG_CACHE_HOME, by
// default ~/.cache). The folder is made when it is missing, and nobody else may
// enter it: a lock is anybody's who can open its file. One that can't be used is
// a *DeniedError.
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
		if err := c.denied(err); fault.Of(err) == fault.Request {
			return nil, err
		}
		return nil, fmt.Errorf("make the cache folder: %w; set XDG_CACHE_HOME to a folder that can be written", err)
	}
	if err := unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		return nil, c.denied(&fs.PathError{Op: "use", Path: dir, Err: err})
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(dir, 0o700) // of earlier versions; root may use another's
	}
	return c, nil
}

// logf tells Log, if there is one.
func (c *Cache) logf(format string, args ...any) {
	if c.Log != nil {
		c.Log(format, args...)
	}
}

// Dir is the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Key is the digest (SHA-256, hex) of the parts, in order. Each part is
// prefixed with its length, so ("ab","c") and ("a","bc") differ.
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

// FileSum is the digest (SHA-256, hex) of a file, to be a part of a key.
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

// Entry is a finished entry, held against pruning until Close.
type Entry struct {
	// Path is the entry's folder. Its files must not be changed: a change is
	// taken for damage, and the entry is made anew at its next use.
	Path string
	// Built says whether this call made it.
	Built bool
	lock  *os.File
}

// Close lets the entry be pruned.
func (e *Entry) Close() error {
	if e == nil || e.lock == nil {
		return nil
	}
	err := e.lock.Close()
	e.lock = nil
	return err
}

// Get returns the entry kind/key. Where there is none, or where its files are
// not those, and all of those, that its build left (size, modification time), build fills a new
// folder. Get waits for another process that is building the same entry, until
// ctx ends. An error of build is returned as it is, and nothing is left behind.
func (c *Cache) Get(ctx context.Context, kind, key string, build func(ctx context.Context, dir string) error) (*Entry, error) {
	parent := filepath.Join(c.dir, kind)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, c.denied(fmt.Errorf("make the cache folder: %w", err))
	}
	path := filepath.Join(parent, key)
	lock, err := c.flock(ctx, path+lockSuffix, unix.LOCK_SH, nil)
	if err != nil {
		return nil, c.denied(err)
	}
	if whole(path) == nil {
		touch(path)
		return &Entry{Path: path, lock: lock}, nil
	}
	// A shared lock can't be turned into an exclusive one without letting go.
	lock.Close()
	if lock, err = c.flock(ctx, path+lockSuffix, unix.LOCK_EX, nil); err != nil {
		return nil, c.denied(err)
	}
	fail := func(err error) (*Entry, error) { lock.Close(); return nil, err }
	built := false
	if whole(path) != nil {
		if err := c.build(ctx, path, build); err != nil {
			os.Remove(lock.Name()) // whoever waits for it sees that it is gone
			return fail(err)
		}
		built = true
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_SH); err != nil {
		return fail(fmt.Errorf("lock %s: %w", path, err))
	}
	return &Entry{Path: path, Built: built, lock: lock}, nil
}

// GetChecked is Get for what a change of a bit would not show in: one whose content
// is not what its build left is made anew.
func (c *Cache) GetChecked(ctx context.Context, kind, key string, build func(ctx context.Context, dir string) error) (*Entry, error) {
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
	// What a build that was killed left behind goes first: we hold the lock,
	// so nobody is at work on it.
	if old, _ := filepath.Glob(path + tmpMark + "*"); len(old) > 0 {
		for _, o := range old {
			_ = removeAll(o)
		}
	}
	tmp, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+tmpMark)
	if err != nil {
		return c.denied(fmt.Errorf("make a cache entry: %w", err))
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
	m, err := scan(tmp)
	if err == nil {
		err = m.sums(tmp)
	}
	if err != nil {
		return fmt.Errorf("read the new cache entry: %w", err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, manifestName), data, 0o644); err != nil {
		return fmt.Errorf("finish the cache entry: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("finish the cache entry: %w", err)
	}
	return nil
}

// Item is one entry, or a folder that is worked in, as List finds it.
type Item struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	Path string `json:"path"`
	// Bytes is what the entry takes on disk; holes in sparse files do not count.
	Bytes int64 `json:"bytes"`
	// Used is when it was last asked for.
	Used time.Time `json:"used"`
}

// List returns the entries and the folders that are worked in, last used first.
func (c *Cache) List() ([]Item, error) {
	var marks []string
	for _, name := range []string{manifestName, workName} {
		found, err := filepath.Glob(filepath.Join(c.dir, "*", "*", name))
		if err != nil {
			return nil, err
		}
		marks = append(marks, found...)
	}
	var items []Item
	for _, m := range marks {
		path := filepath.Dir(m)
		info, err := os.Stat(m)
		if err != nil {
			continue // pruned meanwhile
		}
		items = append(items, Item{
			Kind: filepath.Base(filepath.Dir(path)), Key: filepath.Base(path), Path: path,
			Bytes: DiskUse(path), Used: info.ModTime(),
		})
	}
	sort.Slice(items, func(i, j int) bool { return items[i].Used.After(items[j].Used) })
	return items, nil
}

// ErrInUse is returned by Remove for an entry that a process holds.
var ErrInUse = errors.New("in use")

// Remove deletes an entry that nobody holds.
func (c *Cache) Remove(it Item) error {
	lock, err := os.OpenFile(it.Path+lockSuffix, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	// A lock that another Remove unlinked meanwhile holds nobody off.
	if err != nil || !stillThere(lock, lock.Name()) {
		return fmt.Errorf("%s/%s: %w", it.Kind, it.Key, ErrInUse)
	}
	return errors.Join(discard(it.Path), os.Remove(lock.Name()))
}

// Leftovers lists what builds left behind that were killed, and that nobody is
// at work on: half-made entries, and locks of entries that are gone. Bytes is
// what they take, Used when they were last written to.
func (c *Cache) Leftovers() ([]Item, error) {
	locks, err := filepath.Glob(filepath.Join(c.dir, "*", "*"+lockSuffix))
	if err != nil {
		return nil, err
	}
	halves, err := filepath.Glob(filepath.Join(c.dir, "*", "*"+tmpMark+"*"))
	if err != nil {
		return nil, err
	}
	var found []Item
	add := func(path, key string) {
		info, err := os.Lstat(path)
		if err != nil || locked(filepath.Join(filepath.Dir(path), key)+lockSuffix) {
			return
		}
		found = append(found, Item{Kind: filepath.Base(filepath.Dir(path)), Key: key, Path: path, Bytes: DiskUse(path), Used: info.ModTime()})
	}
	for _, p := range halves {
		key, _, _ := strings.Cut(filepath.Base(p), tmpMark)
		add(p, key)
	}
	for _, p := range locks {
		entry := strings.TrimSuffix(p, lockSuffix)
		if _, err := os.Lstat(entry); errors.Is(err, fs.ErrNotExist) {
			add(p, filepath.Base(entry))
		}
	}
	return found, nil
}

// Sweep removes one of Leftovers, unless somebody began to work on it.
func (c *Cache) Sweep(it Item) error {
	entry := filepath.Join(filepath.Dir(it.Path), it.Key)
	lock, err := os.OpenFile(entry+lockSuffix, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil || !stillThere(lock, lock.Name()) {
		return fmt.Errorf("%s/%s: %w", it.Kind, it.Key, ErrInUse)
	}
	if it.Path != lock.Name() {
		if err := removeAll(it.Path); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(entry); errors.Is(err, fs.ErrNotExist) {
		return os.Remove(lock.Name())
	}
	return nil
}

// locked says whether somebody holds a lock. It makes no lock file.
func locked(name string) bool {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer f.Close() // lets go of the lock, too
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}
