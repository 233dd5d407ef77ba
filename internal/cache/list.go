package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Item is an entry or a work folder in a List.
type Item struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	Path string `json:"path"`
	// Bytes is the disk usage of the entry; holes in sparse files do not count.
	Bytes int64 `json:"bytes"`
	// Used is the time of the last use.
	Used time.Time `json:"used"`
}

// List returns the entries and the work folders, most recently used first.
func (c *Cache) List() ([]Item, error) {
	marks, err := c.find("*/*/"+manifestName, "*/*/"+workName)
	if err != nil {
		return nil, err
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

// find returns the paths below the cache's folder that match any of the patterns.
// The folder's own path is taken literally: it may contain brackets.
func (c *Cache) find(patterns ...string) ([]string, error) {
	var paths []string
	for _, pattern := range patterns {
		names, err := fs.Glob(os.DirFS(c.dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			paths = append(paths, filepath.Join(c.dir, name))
		}
	}
	return paths, nil
}

// ErrInUse is the error of Remove for an entry that a process holds.
var ErrInUse = errors.New("in use")

// Remove deletes an entry that no process holds.
func (c *Cache) Remove(it Item) error {
	lock, err := os.OpenFile(it.Path+lockSuffix, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	// A lock file that another Remove unlinked meanwhile protects nothing.
	if err != nil || !stillThere(lock, lock.Name()) {
		return fmt.Errorf("%s/%s: %w", it.Kind, it.Key, ErrInUse)
	}
	return errors.Join(discard(it.Path), os.Remove(lock.Name()))
}

// Leftovers lists the partial entries of killed builds, and the lock files of entries
// that no longer exist, unless a process holds their locks. Bytes is their disk usage,
// Used the time of the last write.
func (c *Cache) Leftovers() ([]Item, error) {
	locks, err := c.find("*/*" + lockSuffix)
	if err != nil {
		return nil, err
	}
	halves, err := c.find("*/*" + tmpMark + "*")
	if err != nil {
		return nil, err
	}
	var found []Item
	add := func(path, key string) {
		info, err := os.Lstat(path)
		if err != nil || locked(filepath.Join(filepath.Dir(path), key)+lockSuffix) {
			return
		}
		found = append(
			found,
			Item{Kind: filepath.Base(filepath.Dir(path)), Key: key, Path: path, Bytes: DiskUse(path), Used: info.ModTime()},
		)
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

// Sweep removes one of Leftovers, unless a process has taken its lock meanwhile.
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

// locked reports whether a process holds a lock. It does not create the lock file.
func locked(name string) bool {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer f.Close() // also releases the lock
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil
}
