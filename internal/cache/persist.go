package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// syncers is the number of concurrent fsync calls: a disk merges the flushes that are
// requested while it is busy.
const syncers = 32

// persist syncs a folder and all its content to the disk: otherwise a file of an entry
// may have its size and time after a power loss, but not its content. A kernel has
// thousands of files, so persist starts the writeback of all files before it waits for
// the first: the file system then does not commit once per file.
func persist(dir string) error {
	begin := func(f *os.File) error {
		_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) // a hint
		return nil
	}
	for _, do := range []func(*os.File) error{begin, (*os.File).Sync} {
		var all errgroup.Group
		all.SetLimit(syncers)
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && (d.IsDir() || d.Type().IsRegular()) {
				all.Go(func() error { return withFile(path, do) })
			}
			return err
		})
		if err = errors.Join(err, all.Wait()); err != nil {
			return err
		}
	}
	return nil
}

// withFile opens a file or a folder and calls do with it.
func withFile(path string, do func(*os.File) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}
