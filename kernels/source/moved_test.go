package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A package or file that is written to while the kernel is read gives no kernel: the key
// would describe the old content.
func TestMovedWhileItIsRead(t *testing.T) {
	needs(t, "depmod", "dpkg-deb")
	deb := pack(t, t.TempDir(), "linux-image-"+rel, "6.1.192-1", "", unsplit(rel, "6.1.192-1"))
	dir := usual().in(t, t.TempDir())
	for spec, c := range map[string]struct{ log, file string }{
		"deb:" + deb: {"unpack ", deb},
		"dir:" + dir: {"copy kernel ", filepath.Join(dir, "lib/modules", rel, "kernel/fs/ext4.ko")},
	} {
		opts := testOptions(t)
		opts.Log = func(f string, args ...any) {
			if !strings.HasPrefix(fmt.Sprintf(f, args...), c.log) {
				return
			}
			// Keep the size and the modification time, as some editors do.
			data, err := os.ReadFile(c.file)
			if err != nil {
				t.Error(err)
				return
			}
			before, _ := os.Stat(c.file)
			time.Sleep(10 * time.Millisecond)
			if err := os.WriteFile(c.file, data, 0o644); err != nil {
				t.Error(err)
			}
			if err := os.Chtimes(c.file, before.ModTime(), before.ModTime()); err != nil {
				t.Error(err)
			}
		}
		_, err := Resolve(t.Context(), spec, opts)
		wantSpecError(t, err, c.file+" changed while the kernel was read")
		if left := leftBehind(t, opts); len(left) > 0 {
			t.Errorf("got %v left in the cache, want none", left)
		}
		opts.Log = t.Logf
		if _, err := Resolve(t.Context(), spec, opts); err != nil {
			t.Errorf("unchanged files: got %v, want no error", err)
		}
	}
}
