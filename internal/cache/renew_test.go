package cache

import (
	"crypto/sha256"
	"encoding/json"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/faultline/faultline/internal/limitread"
)

// retime changes the times of the files of an entry, as a copy does.
func retime(t *testing.T, e *Entry, to func(time.Time) time.Time) {
	t.Helper()
	err := filepath.WalkDir(e.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		at := to(info.ModTime())
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func seconds(at time.Time) time.Time { return at.Truncate(time.Second) }

// An entry whose times were lost remains valid; its content is read once to check it.
func TestTimesLost(t *testing.T) {
	for name, to := range map[string]func(time.Time) time.Time{
		"whole seconds":       seconds,
		"two seconds, of zip": func(at time.Time) time.Time { return at.Truncate(2 * time.Second) },
		"microseconds, and an odd one": func(at time.Time) time.Time {
			return at.Truncate(time.Microsecond).Add(time.Microsecond)
		},
		"the epoch":            func(time.Time) time.Time { return time.Unix(0, 0) },
		"that of the copy":     func(time.Time) time.Time { return time.Now().Add(time.Hour) },
		"before 1970, of a FS": func(time.Time) time.Time { return time.Unix(-1, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			e := get(t, c)
			e.Close()
			retime(t, e, to)
			if whole(e.Path) == nil {
				t.Fatal("the times are unchanged")
			}
			if e = get(t, c); e.Built {
				t.Error("the entry was rebuilt")
			}
			if err := whole(e.Path); err != nil {
				t.Errorf("the new times were not recorded: %v", err)
			}
			if err := e.Check(); err != nil {
				t.Error(err)
			}
			e.Close()
			if e = get(t, c); e.Built {
				t.Error("the entry was rebuilt after it was accepted")
			}
		})
	}
}

// A copy of a whole cache is a valid cache.
func TestCopiedCache(t *testing.T) {
	c := open(t)
	get(t, c).Close()
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(c.Dir())); err != nil {
		t.Fatal(err)
	}
	other, err := Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(copied) })
	if e := get(t, other); e.Built {
		t.Error("a copied entry was rebuilt")
	}
}

// A change is detected even if the times were lost and the CRC was forged.
func TestChangedAndTimesLost(t *testing.T) {
	forge := func(t *testing.T, dir string, change func(*fileState)) {
		t.Helper()
		data, err := limitread.ReadFile(filepath.Join(dir, manifestName), maxManifest)
		if err != nil {
			t.Fatal(err)
		}
		var m manifest
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		state := m["file"]
		change(&state)
		m["file"] = state
		if err := m.write(dir); err != nil {
			t.Fatal(err)
		}
	}
	other := func(t *testing.T, dir string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte("CONTENT"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(t *testing.T, dir string){
		"content": other,
		"a bit":   func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "file"), 3) },
		"content, with a matching CRC": func(t *testing.T, dir string) {
			other(t, dir)
			sum := crc32.New(castagnoli)
			if err := content(filepath.Join(dir, "file"), sum); err != nil {
				t.Fatal(err)
			}
			forge(t, dir, func(s *fileState) { s.CRC32C = hexSum(sum) })
		},
		"nothing, but the manifest has no SHA-256, as in an earlier version": func(t *testing.T, dir string) {
			forge(t, dir, func(s *fileState) { s.SHA256 = "" })
		},
		"another file's content": func(t *testing.T, dir string) {
			forge(t, dir, func(s *fileState) { s.SHA256 = hexSum(sha256.New()) })
		},
		"a file is lost":  func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "file")) },
		"a file is added": func(t *testing.T, dir string) { os.WriteFile(filepath.Join(dir, "more"), nil, 0o644) },
		"a file is cut":   func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "file"), 3) },
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t)
			e := get(t, c)
			e.Close()
			change(t, e.Path)
			retime(t, e, seconds)
			if e = get(t, c); !e.Built {
				t.Error("the change was not detected")
			}
			if data, err := os.ReadFile(filepath.Join(e.Path, "file")); string(data) != "content" {
				t.Errorf("got %q, error %v; want content", data, err)
			}
		})
	}
}

// Times are renewed only under an exclusive lock: another holder may have the files
// open for writing.
func TestRenewedAlone(t *testing.T) {
	c := open(t)
	held := get(t, c)
	retime(t, held, seconds)
	done := make(chan bool)
	go func() {
		defer close(done)
		get(t, c).Close()
	}()
	time.Sleep(100 * time.Millisecond)
	if whole(held.Path) == nil {
		t.Error("the times were renewed while another process held the entry")
	}
	held.Close()
	<-done
	if err := whole(held.Path); err != nil {
		t.Error(err)
	}
}
