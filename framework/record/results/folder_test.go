package results_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/limitread"
)

func TestCellsSkipsWhatIsNoCell(t *testing.T) {
	again := cell("a/b", "old", "EIO")
	again.Attempt = 2
	f := folder(t, run("r1", cell("a/b", "old", "EIO"), again, cell("a/b", "6.1 (apt:bookworm)", "EIO")))
	dir := filepath.Dir(f.Path(results.CellFile(again)))
	foreign, err := json.Marshal(cell("a/z", "old", "EIO"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		".tmp-123": `{"scenario":`, "half.json": `{"scenario":"a/c","ker`, "other.json": `{"hello":1}`,
		"moved.json": string(foreign), "empty.json": "{}", "zero.json": "",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cells, skipped, err := f.Cells()
	if err != nil {
		t.Fatal(err)
	}
	if len(cells) != 3 {
		t.Errorf("got %d cells, want 3", len(cells))
	}
	var names []string
	for _, s := range skipped {
		names = append(names, filepath.Base(s.Path))
		if s.Reason == "" {
			t.Errorf("%s is skipped for no reason", s.Path)
		}
	}
	if diff := cmp.Diff([]string{".tmp-123", "empty.json", "half.json", "moved.json", "other.json", "zero.json"}, names); diff != "" {
		t.Errorf("skipped files mismatch (-want +got):\n%s", diff)
	}
}

func TestCreateReplacesARun(t *testing.T) {
	f := folder(t, run("r1", cell("a/b", "old", "EIO")))
	for _, name := range []string{"notes.txt", results.MailFile} {
		if err := os.WriteFile(f.Path(name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	again, err := results.Create(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if cells, _, _ := again.Cells(); len(cells) != 0 {
		t.Errorf("got %d cells of the run before, want none", len(cells))
	}
	if _, err := again.LoadRun(judge.Run); !errors.As(err, new(*results.NoRunError)) {
		t.Errorf("got %v, want no run", err)
	}
	if _, err := os.Stat(f.Path(results.MailFile)); err == nil {
		t.Error("the verdict of the run before is there")
	}
	if _, err := os.Stat(f.Path("notes.txt")); err != nil {
		t.Errorf("a file that is not the run's was removed: %v", err)
	}
}

func TestCreateNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/faultline"} {
		_, err := results.Create(dir)
		var nw *results.NotWritableError
		if !errors.As(err, &nw) || nw.Dir != dir || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: got %v, want a *NotWritableError that names --out", dir, err)
		}
	}
}

func TestOpenNoRun(t *testing.T) {
	if _, err := results.Open(t.TempDir()); !errors.As(err, new(*results.NoRunError)) {
		t.Errorf("got %v, want a *NoRunError", err)
	}
}

// Cells are written concurrently.
func TestPutCellConcurrently(t *testing.T) {
	f := folder(t, run("r1"))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if err := f.PutCell(cell(fmt.Sprintf("a/s%d", i%20), "old", "EIO")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	cells, skipped, err := f.Cells()
	if err != nil || len(cells) != 20 || len(skipped) != 0 {
		t.Errorf("got %d cells, skipped %v, error %v; want 20 cells", len(cells), skipped, err)
	}
}

func TestMarkLatest(t *testing.T) {
	parent := t.TempDir()
	for _, id := range []string{"r1", "r2"} {
		f, err := results.Create(filepath.Join(parent, id))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.MarkLatest(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.Readlink(filepath.Join(parent, "latest")); got != id {
			t.Errorf("got the latest %q, want %q", got, id)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(parent, "latest")), os.Mkdir(filepath.Join(parent, "latest"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := results.FolderAt(filepath.Join(parent, "r1")).MarkLatest(); err == nil {
		t.Error("a folder named latest was replaced")
	}
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"dax/ext4/shared-read":         "dax__ext4__shared-read",
		"6.12.117+deb12-amd64":         "6.12.117+deb12-amd64",
		"6.1.192 (apt:bookworm)":       "6.1.192--apt-bookworm-96047c3b",
		"..":                           "_.-5ec1f7e7",
		"":                             "_-e3b0c442",
		"7.3 (tree:../linux, defconf)": "7.3--tree-..__linux--defconf-ce8da779",
	} {
		if got := results.Slug(name); got != want {
			t.Errorf("slug of %q: got %q, want %q", name, got, want)
		}
	}
}

func FuzzSlug(f *testing.F) {
	f.Add("a/b", "a__b")
	f.Add("a_/b", "a/_b")
	f.Add("6.1 (x)", "6.1 [x]")
	f.Add("a//b", "a____b")
	f.Add(" ", "\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		sa, sb := results.Slug(a), results.Slug(b)
		if a != b && sa == sb {
			t.Errorf("%q and %q have the same slug %q", a, b, sa)
		}
		if sa == "" || strings.ContainsAny(sa, "/\x00@ ") || strings.HasPrefix(sa, ".") || strings.HasPrefix(sa, "-") || len(sa) > 200 {
			t.Errorf("got the slug %q of %q, want a good file name", sa, a)
		}
	})
}

// Sparse files of a large size are rejected at no cost.
func TestSparseFiles(t *testing.T) {
	f := folder(t, run("r1", cell("a/b", "old", "EIO")))
	for _, file := range []string{results.RunFile, results.CellFile(cell("a/b", "old", "EIO"))} {
		if err := os.Truncate(f.Path(file), 40<<30); err != nil {
			t.Fatal(err)
		}
	}
	var large *limitread.Error
	if _, err := f.LoadRun(judge.Run); !errors.As(err, &large) {
		t.Errorf("run.json: got %v, want a *limitread.Error", err)
	}
	if cells, skipped, err := f.Cells(); err != nil || len(cells) != 0 || len(skipped) != 1 || !strings.Contains(skipped[0].Reason, "larger than 16 MiB") {
		t.Errorf("got the cells %v, skipped %v, error %v; want one skipped, as larger than 16 MiB", cells, skipped, err)
	}
}
