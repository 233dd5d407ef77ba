package results_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// A folder to resume is written to, so it must not contain links.
func TestCheckLinks(t *testing.T) {
	f := folder(t, run("r1", cell("a/b", "old", "EIO")))
	if err := f.Put(results.ConsoleFile("old"), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.CheckLinks(); err != nil {
		t.Error(err)
	}
	for name, links := range map[string][2]string{
		"a console":     {t.TempDir() + "/x", f.Path(results.KernelDir("new"), "console.log")},
		"a folder":      {t.TempDir(), f.Path(results.KernelDir("old"), "consoles")},
		"one within":    {"cells", f.Path(results.KernelDir("old"), "more")},
		"all their own": {t.TempDir(), f.Path(results.KernelDir("other"))},
	} {
		if err := os.MkdirAll(filepath.Dir(links[1]), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(links[0], links[1]); err != nil {
			t.Fatal(err)
		}
		if err := f.CheckLinks(); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), links[1]) {
			t.Errorf("%s: got %v, want a request error that names %s", name, err, links[1])
		}
		if err := os.Remove(links[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(f.Path("kernels"), f.Path("away")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("away", f.Path("kernels")); err != nil {
		t.Fatal(err)
	}
	if err := f.CheckLinks(); errkind.Of(err) != errkind.Request {
		t.Errorf("the folder of all kernels: got %v, want a request error", err)
	}
}

// A second run cannot use the folder of a run in progress, and reports that.
func TestOneWritesToAFolder(t *testing.T) {
	f := folder(t, run("r1", cell("a/b", "old", "EIO")))
	refused := func(what string, err error) {
		t.Helper()
		var busy *results.BusyError
		if !errors.As(err, &busy) || busy.Dir != f.Dir() || errkind.Of(err) != errkind.Request {
			t.Errorf("%s: got %v, want a *BusyError of %s", what, err, f.Dir())
		}
		if cells, _, err := f.Cells(); err != nil || len(cells) != 1 {
			t.Errorf("%s: got %d cells left, error %v; want 1 cell", what, len(cells), err)
		}
		if _, err := f.LoadRun(judge.Run); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := results.Create(f.Dir())
	refused("a new run", err)
	_, err = results.Begin(f.Dir())
	refused("a new run in a folder that was given", err)
	other, err := results.Open(f.Dir()) // to read it is fine
	if err != nil {
		t.Fatal(err)
	}
	refused("a run that is resumed", other.Hold())
	shard := folder(t, run("r2", cell("a/b", "old", "EIO")))
	_, _, err = results.Merge(f.Dir(), nil, judge.Run, shard)
	refused("a merge", err)

	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Hold(); err != nil {
		t.Errorf("after it was let go: got %v, want no error", err)
	}
	refused("while held again", f.Hold())
	if err := errors.Join(other.Close(), other.Close(), (*results.Folder)(nil).Close()); err != nil {
		t.Error(err)
	}
	again, err := results.Create(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if err := results.FolderAt(filepath.Join(t.TempDir(), "none")).Hold(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: got %v, want os.ErrNotExist", err)
	}
}

// Runs that start in the same second have different folders.
func TestBeginInTheSameSecond(t *testing.T) {
	t.Chdir(t.TempDir())
	var mu sync.Mutex
	dirs := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			f, err := results.Begin("")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			dirs[f.Dir()] = true
			t.Cleanup(func() { f.Close() })
		})
	}
	wg.Wait()
	if len(dirs) != 8 {
		t.Errorf("got %d folders, want 8: %v", len(dirs), dirs)
	}
}
