package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// workName is a file that marks a work folder; its time is that of the last use.
const workName = ".work"

// Work is a work folder of the cache, such as a checkout with its object files: unlike
// an entry it is reused and never finished. It is listed and pruned like an entry. Use
// Cache.Work, and Close it.
type Work struct {
	// Path is the folder.
	Path string
	// Lock protects the folder from pruning, by flock(2): a program that inherits the
	// file holds the lock until it exits, even if this process is killed.
	Lock *os.File
}

// Work opens or creates the folder kind/key and locks it: exclusively, or, if share is
// set, together with others that share it. It waits for a conflicting lock until ctx
// is done; waits, which may be nil, is called once if another process holds it.
func (c *Cache) Work(ctx context.Context, kind, key string, share bool, waits func()) (*Work, error) {
	path := filepath.Join(c.dir, kind, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, c.denied(fmt.Errorf("create the cache folder: %w", err))
	}
	how := unix.LOCK_EX
	if share {
		how = unix.LOCK_SH
	}
	lock, err := c.flock(ctx, path+lockSuffix, how, waits)
	if err != nil {
		return nil, c.denied(err)
	}
	w := &Work{Path: path, Lock: lock}
	err = os.MkdirAll(path, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(path, workName), nil, 0o644) // also sets its time
	}
	if err != nil {
		return nil, errors.Join(c.denied(fmt.Errorf("create a work folder in the cache: %w", err)), w.Close())
	}
	return w, nil
}

// Close releases the folder.
func (w *Work) Close() error {
	if w == nil || w.Lock == nil {
		return nil
	}
	err := w.Lock.Close()
	w.Lock = nil
	return err
}

// Remove removes the folder, which must not be shared, and closes it.
func (w *Work) Remove() error {
	err := discard(w.Path)
	// Processes that wait for the lock notice that its file is removed.
	return errors.Join(err, os.Remove(w.Lock.Name()), w.Close())
}
