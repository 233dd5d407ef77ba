package limitread

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, size int64) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if size > 0 {
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for name, c := range map[string]struct {
		path string
		want string
		err  any // the target of errors.As; nil for no error
	}{
		"nothing in it":        {file("empty", "", 0), "", nil},
		"less":                 {file("less", "abc", 0), "abc", nil},
		"as much":              {file("as", strings.Repeat("x", 10), 0), strings.Repeat("x", 10), nil},
		"a byte more":          {file("more", strings.Repeat("x", 11), 0), "", new(*Error)},
		"a sparse one":         {file("sparse", "x", 40<<30), "", new(*Error)},
		"without a size":       {"/dev/zero", "", new(*Error)},
		"of size 0, in procfs": {"/proc/sys/kernel/ostype", "Linux\n", nil},
		"none":                 {filepath.Join(dir, "none"), "", new(*fs.PathError)},
		"a folder":             {dir + "/.", "", new(*fs.PathError)},
	} {
		most := int64(10)
		if name == "a folder" {
			most = 1 << 20 // a folder has a size too
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		data, err := ReadFile(c.path, most)
		runtime.ReadMemStats(&after)
		if c.err == nil && err != nil || c.err != nil && !errors.As(err, c.err) || string(data) != c.want {
			t.Errorf("%s: got %q, error %v; want %q, %T", name, data, err, c.want, c.err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%s: got %d bytes allocated, want at most %d", name, used, 1<<20)
		}
	}
	want := "/x is larger than 64 KiB, the maximum for such a file"
	if got := (&Error{"/x", 64 << 10}).Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
