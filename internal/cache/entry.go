package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/internal/limitread"
)

const (
	manifestName = ".manifest.json"
	lockSuffix   = ".lock"
	tmpMark      = ".tmp" // between the key of a partial entry and a random number
)

// maxManifest is the maximum size of a manifest, in bytes; that of a kernel with 4,000
// modules has 500 KiB.
const maxManifest = 64 << 20

// manifest maps a file's path inside the entry to its state when the entry was built.
type manifest map[string]fileState

type fileState struct {
	Size  int64 `json:"size"`
	Mtime int64 `json:"mtime"` // nanoseconds since 1970
	// CRC32C of the content detects accidents at little cost; see Check.
	CRC32C string `json:"sum,omitempty"`
	// SHA256 of the content detects any change if the times differ; see renew.
	SHA256 string `json:"sha256,omitempty"`
}

func scan(dir string) (manifest, error) {
	m := manifest{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == manifestName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		m[rel] = fileState{Size: info.Size(), Mtime: info.ModTime().UnixNano()}
		return nil
	})
	return m, err
}

// whole returns an error if the entry at path is missing or damaged. It checks sizes
// and times, not content.
func whole(path string) error {
	want, err := readManifest(path)
	if err != nil {
		return err
	}
	got, err := scan(path)
	if err != nil {
		return err
	}
	return got.is(want)
}

// is returns an error if the files of an entry are not as its manifest lists them.
func (got manifest) is(want manifest) error {
	for name := range got {
		if _, known := want[name]; !known {
			return fmt.Errorf("%s was added", name)
		}
	}
	for name, w := range want {
		if g, there := got[name]; !there || g.Size != w.Size || g.Mtime != w.Mtime {
			return fmt.Errorf("%s was changed", name)
		}
	}
	if len(want) == 0 {
		return errNoFiles
	}
	return nil
}

// renew accepts an entry whose files have their original size and content but other
// times, and writes the present times to its manifest: a copy, or a CI system that
// restores a cache, may truncate the times to seconds or lose them. The caller holds
// the entry exclusively: a guest that still had a file open could change it after it
// was read, without a change of its time.
func renew(path string) error {
	want, err := readManifest(path)
	if err != nil {
		return err
	}
	got, err := scan(path)
	if err != nil {
		return err
	}
	for name, w := range want {
		g, there := got[name]
		if !there || g.Size != w.Size || g.Mtime == w.Mtime {
			continue
		}
		sum := sha256.New()
		if err := content(filepath.Join(path, name), sum); err != nil {
			return err
		}
		if w.SHA256 == hexSum(sum) {
			w.Mtime = g.Mtime
			want[name] = w
		}
	}
	if err := got.is(want); err != nil {
		return err
	}
	return want.write(path)
}

func readManifest(path string) (m manifest, err error) {
	data, err := limitread.ReadFile(filepath.Join(path, manifestName), maxManifest)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// write writes the manifest of an entry atomically.
func (m manifest) write(path string) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(path, manifestName), data, 0o644, renameio.WithTempDir(path))
}

var errNoFiles = errors.New("the entry has no files")

// touch records the use of an entry in its manifest's modification time. It ignores
// errors: the cache may be read-only.
func touch(path string) {
	now := time.Now()
	_ = os.Chtimes(filepath.Join(path, manifestName), now, now)
}

// removeAll is os.RemoveAll for trees that contain read-only folders.
func removeAll(path string) error {
	if !strings.Contains(path, string(filepath.Separator)) {
		return fmt.Errorf("refusing to remove %q", path)
	}
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(p, 0o755)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// discard removes an entry or a work folder. If the process is killed meanwhile,
// Leftovers lists what remains.
func discard(path string) error {
	gone := path + tmpMark + "gone"
	if err := removeAll(gone); err != nil {
		return err
	}
	if err := os.Rename(path, gone); err != nil {
		return err
	}
	return removeAll(gone)
}

// DiskUse returns the disk usage of a folder, in bytes; holes in sparse files do not
// count.
func DiskUse(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512 // stat(2): always in units of 512 bytes
			}
		}
		return nil
	})
	return n
}

// waitSilent is how long flock waits for a lock before it logs that.
const waitSilent = time.Second

// flock opens or creates the lock file and waits for the lock until ctx is done.
// flock(2) can't be interrupted by a context, so flock polls. No library is used,
// because a lock is valid only while its file exists, changes from exclusive to shared,
// and lives as long as its entry is open. waits, which may be nil, is called once if
// another process holds the lock; without it, a longer wait goes to Log. Waits for a
// lock that this process itself holds are not reported.
func (c *Cache) flock(ctx context.Context, name string, how int, waits func()) (*os.File, error) {
	logged := false
	for begun := time.Now(); ; {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock a cache entry: %w", err)
		}
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		if err == nil && stillThere(f, name) {
			return f, nil
		}
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		entry := strings.TrimSuffix(filepath.Base(name), lockSuffix)
		switch {
		case logged || holderPID(f) == os.Getpid():
		case waits != nil && errors.Is(err, unix.EWOULDBLOCK):
			logged = true
			waits()
		case waits == nil && time.Since(begun) > waitSilent:
			logged = true
			c.logf("waiting for %s, which holds %s/%.12s in the cache", holder(f), filepath.Base(filepath.Dir(name)), entry)
		}
		f.Close()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf(
				"wait for another process that holds %s/%.12s in the cache: %w",
				filepath.Base(filepath.Dir(name)),
				entry,
				context.Cause(ctx),
			)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stillThere reports whether a lock file still exists by its name, or Remove has
// unlinked it, so that its lock is void.
func stillThere(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}
