package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// workName marks a folder that is worked in; its time is that of the last use.
const workName = ".work"

// Work is a folder of the cache that is worked in again and again, such as a
// checkout with what was compiled of it: unlike an entry it is never finished. It
// is listed and pruned as entries are. Use Cache.Work, and Close it.
type Work struct {
	// Path is the folder.
	Path string
	// Lock is what holds the folder against pruning, by flock(2): a program that
	// inherits the file holds it as long as it lives, also where this process is killed.
	Lock *os.File
}

// Work makes the folder kind/key or takes the one that is there, and holds it: for
// this process alone, or with others that share it. It waits for those who hold it
// otherwise until ctx ends; waits, which may be nil, is called once if it has to.
func (c *Cache) Work(ctx context.Context, kind, key string, share bool, waits func()) (*Work, error) {
	path := filepath.Join(c.dir, kind, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, c.denied(fmt.Errorf("make the cache folder: %w", err))
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
		err = os.WriteFile(filepath.Join(path, workName), nil, 0o644) // sets its time as well
	}
	if err != nil {
		return nil, errors.Join(c.denied(fmt.Errorf("make a work folder in the cache: %w", err)), w.Close())
	}
	return w, nil
}

// Close lets others have the folder.
func (w *Work) Close() error {
	if w == nil || w.Lock == nil {
		return nil
	}
	err := w.Lock.Close()
	w.Lock = nil
	return err
}

// Remove removes the folder, which is not shared, and closes it.
func (w *Work) Remove() error {
	err := discard(w.Path)
	// Whoever waits for the lock sees that it is gone.
	return errors.Join(err, os.Remove(w.Lock.Name()), w.Close())
}
