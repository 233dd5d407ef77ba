package results_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// A foreign folder may have links and pipes in place of files: nothing outside of it is
// read, and no read blocks.
func TestNothingOutsideIsRead(t *testing.T) {
	const secret = "TOP-SECRET"
	console, one := results.ConsoleFile("old"), cell("a/b", "old", secret)
	for name, prepare := range map[string]func(t *testing.T, f *results.Folder, outside string){
		"the record": func(t *testing.T, f *results.Folder, outside string) { link(t, f, results.RunFile, outside) },
		"a console":  func(t *testing.T, f *results.Folder, outside string) { link(t, f, console, outside) },
		"a cell":     func(t *testing.T, f *results.Folder, outside string) { link(t, f, results.CellFile(one), outside) },
		"the cells": func(t *testing.T, f *results.Folder, outside string) {
			link(t, f, filepath.Dir(results.CellFile(one)), outside)
		},
		"a kernel": func(t *testing.T, f *results.Folder, outside string) { link(t, f, results.KernelDir("old"), outside) },
		"kernels":  func(t *testing.T, f *results.Folder, outside string) { link(t, f, results.KernelsDir, outside) },
		"by a path that climbs": func(t *testing.T, f *results.Folder, outside string) {
			to, err := filepath.Rel(filepath.Dir(f.Path(console)), filepath.Join(outside, console))
			if err != nil {
				t.Fatal(err)
			}
			replace(t, f.Path(console), func(at string) error { return os.Symlink(to, at) })
		},
		"pipes": func(t *testing.T, f *results.Folder, _ string) {
			for _, file := range []string{results.RunFile, console, results.CellFile(one)} {
				replace(t, f.Path(file), func(at string) error { return unix.Mkfifo(at, 0o600) })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			theirs := run("r1", cell("a/b", "old", "EIO"))
			theirs.Kernels[0].Console, theirs.Finished = console, time.Time{}
			f, outside := folder(t, theirs), folder(t, run("r2", one))
			for _, of := range []*results.Folder{f, outside} {
				if err := of.Put(console, []byte(secret)); err != nil {
					t.Fatal(err)
				}
				of.Close()
			}
			prepare(t, f, outside.Dir())
			told := func(what string, v any, err error) {
				if strings.Contains(string(mustMarshal(t, v)), secret) || err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s has what is outside", what)
				}
			}
			r, err := f.LoadObserved(judge.Run)
			told("the run", r, err)
			if name == "the record" && errkind.Of(err) != errkind.Request {
				t.Errorf("got %v, want an error that is the request's", err)
			}
			cells, skipped, err := f.Cells()
			told("the cells", cells, err)
			told("what is skipped", skipped, nil)
			b, err := f.ReadFile(console, results.MaxConsole)
			if name != "a cell" && name != "the cells" && name != "the record" && (err == nil || b != nil) {
				t.Errorf("the console: got %q, error %v; want an error alone", b, err)
			}
			dir := filepath.Join(t.TempDir(), "merged")
			if to, merged, err := results.Merge(dir, nil, judge.Run, f); err == nil {
				told("the merged run", merged, nil)
				err := filepath.Walk(to.Dir(), func(path string, info os.FileInfo, err error) error {
					if err != nil || !info.Mode().IsRegular() {
						return err
					}
					b, err := os.ReadFile(path)
					if bytes.Contains(b, []byte(secret)) && name != "a cell" && name != "the cells" && name != "the record" {
						t.Errorf("%s has what is outside", path)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := outside.LoadRun(judge.Run); err != nil {
				t.Errorf("a file outside was changed: %v", err)
			}
		})
	}
}

// link replaces a file by a link to the file of the same name elsewhere.
func link(t *testing.T, f *results.Folder, rel, elsewhere string) {
	t.Helper()
	replace(t, f.Path(rel), func(at string) error { return os.Symlink(filepath.Join(elsewhere, rel), at) })
}

func replace(t *testing.T, at string, by func(string) error) {
	t.Helper()
	if err := os.RemoveAll(at); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := by(at); err != nil {
		t.Fatal(err)
	}
}

// A path in a record refers to a file in the run's folder.
func TestPathsOfARecord(t *testing.T) {
	for console, ok := range map[string]bool{
		"": true, results.ConsoleFile("old"): true, "kernels/x/qemu.sh": false, "../.git/config": false, "/etc/passwd": false,
		"kernels/../../secret/console.log": false, "javascript:alert(1)": false, "kernels/x/console.log/../../../..": false,
	} {
		r := run("r1", cell("a/b", "old", "EIO"))
		r.Kernels[0].Console = console
		if err := results.Validate(mustMarshal(t, r)); (err == nil) != ok {
			t.Errorf("console %q: got %v, want no error %t", console, err, ok)
		}
	}
	r := run("r1", cell("a/b", "old", "EIO"))
	r.Kernels[0].CommandFile = "../qemu.sh"
	if err := results.Validate(mustMarshal(t, r)); err == nil {
		t.Error("a command file outside of the folder is valid")
	}
}

// The cost of a foreign record is bounded by its size: reading ends at the first problems,
// and at the limits.
func TestRecordsThatGrow(t *testing.T) {
	whole := string(mustMarshal(t, run("r1", cell("a/b", "old", "EIO"))))
	more := func(key, element string, bytes int) string {
		list := strings.Repeat(element+",", bytes/(len(element)+1)) + element
		at := strings.Index(whole, `"`+key+`":[`) + len(key) + 4
		return whole[:at] + list + "," + whole[at:]
	}
	numbered := func(key, element string, n int) string {
		var list strings.Builder
		for i := range n {
			list.WriteString(strings.ReplaceAll(element, "#", string(rune('a'+i%26))+strings.Repeat("b", i/26%26)+strings.Repeat("c", i/676)) + ",")
		}
		at := strings.Index(whole, `"`+key+`":[`) + len(key) + 4
		return whole[:at] + list.String() + whole[at:]
	}
	const size = 8 << 20
	observed := `{"scenario":"a/b","kernel":"old","accel":"tcg","verdict":"infra","started":"2026-03-01T09:30:00Z","ms":1`
	for name, test := range map[string]struct{ doc, want string }{
		"empty cells":         {more("cells", "{}", size), "/cells/0"},
		"empty kernels":       {more("kernels", "{}", size), "/kernels/0"},
		"a cell of steps":     {more("cells", observed+`,"steps":[`+strings.Repeat("{},", size/3)+"{}]}", 0), "values exceed the limit of 500000"},
		"a long command":      {strings.Replace(whole, `"command":[`, `"command":[`+strings.Repeat("0,", size/2), 1), "values exceed the limit of 500000"},
		"many kernels":        {numbered("kernels", `{"name":"#","spec":"","release":"","arch":"","digest":""}`, 1500), "exceed the limit of 1000"},
		"a plan without end":  {strings.Replace(numbered("kernels", `{"name":"#","spec":"","release":"","arch":"","digest":""}`, 900), `"scenarios":[`, `"scenarios":[`+scenarios(9000), 1), "exceed the limit of 200000 cells"},
		"attempts":            {more("cells", observed+`,"attempt":2000000000}`, 0), "exceed the limit of 200000 cells"},
		"a kernel twice":      {more("kernels", `{"name":"old","spec":"","release":"","arch":"","digest":""}`, 0), "the same name"},
		"deep":                {strings.Replace(whole, `"command":[`, `"command":[`+strings.Repeat("[", size), 1), "not JSON"},
		"no list":             {strings.Replace(whole, `"cells":[`, `"cells":{"x":[`, 1), "not JSON"},
		"an earlier schema's": {strings.Replace(more("cells", "{}", size), "faultline.run/3", "faultline.run/1", 1), "/cells/0"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := results.Parse([]byte(test.doc), judge.Run)
			runtime.ReadMemStats(&after)
			var se *results.SchemaError
			if !errors.As(err, &se) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %.200v, want a schema error that names %q", err, test.want)
			}
			if took := int(after.HeapSys) - int(before.HeapSys); took > 64<<20+10*len(test.doc) {
				t.Errorf("got %d MiB of memory for a record of %d MiB, want at most 64 MiB and 10 times that", took>>20, len(test.doc)>>20)
			}
		})
	}
}

func scenarios(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`{"id":"` + strings.Repeat("x", i%90+1) + strings.Repeat("y", i/90+1) + `","doc":"","suite":""},`)
	}
	return b.String()
}

// Files in a folder are the user's, except those of an earlier run: these are moved aside,
// or the folder is refused.
func TestCreateTakesNothingAway(t *testing.T) {
	const mine = "mine"
	for name, test := range map[string]struct {
		files   map[string]string // in the folder before
		refused string
		want    []string // in the folder afterwards
	}{
		"other files":           {map[string]string{"notes.txt": mine, "git/HEAD": mine}, "", []string{"git/HEAD", "notes.txt"}},
		"a run":                 {map[string]string{results.RunFile: `{"schema":"faultline.run/3","id":"r1"}`, "kernels/x/cells/a.json": mine, "notes.txt": mine, "report.html": mine}, "", []string{"earlier/r1/kernels/x/cells/a.json", "earlier/r1/report.html", "earlier/r1/run.json", "notes.txt"}},
		"a run of long ago":     {map[string]string{results.RunFile: `{"schema":"faultline.run/1","id":"r1"}`, "earlier/r1/run.json": mine}, "", []string{"earlier/r1-2/run.json", "earlier/r1/run.json"}},
		"an id that climbs":     {map[string]string{results.RunFile: `{"schema":"faultline.run/3","id":"../../r1"}`}, "", []string{"earlier/_.__..__r1-6cd795fe/run.json"}},
		"a bisection":           {map[string]string{results.BisectFile: `{"schema":"faultline.bisect/1","started":"2026-03-01T09:30:00Z"}`, "bisect-2.log": mine}, "", []string{"earlier/20260301T093000Z/bisect-2.log", "earlier/20260301T093000Z/bisect.json"}},
		"a torn run.json":       {map[string]string{results.RunFile: "\x00\x00", results.BegunFile: `{"schema":"faultline.run/3","id":"r1"}`, "kernels/x/cells/a.json": mine}, "", []string{"earlier/r1/begun.json", "earlier/r1/kernels/x/cells/a.json", "earlier/r1/run.json"}},
		"a lost run.json":       {map[string]string{results.BegunFile: `{"schema":"faultline.run/3","id":"r1"}`}, "", []string{"earlier/r1/begun.json"}},
		"another's beside ours": {map[string]string{results.RunFile: `{"my":"own"}`, results.BegunFile: `{"schema":"faultline.run/3","id":"r1"}`}, `"run.json"`, nil},
		"another begun.json":    {map[string]string{results.BegunFile: `{"my":"own"}`}, `"begun.json"`, nil},
		"another run.json":      {map[string]string{results.RunFile: `{"my":"own"}`}, `"run.json"`, nil},
		"an empty run.json":     {map[string]string{results.RunFile: ""}, `"run.json"`, nil},
		"a mail":                {map[string]string{results.MailFile: mine}, `"mail.txt"`, nil},
		"kernels":               {map[string]string{"kernels/x/cells/notes.txt": mine}, `"kernels"`, nil},
		"a report of another's": {map[string]string{"report.html": mine, "junit.xml": mine}, `"junit.xml" and "report.html"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var before []string
			for file, content := range test.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, file)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
				before = append(before, file)
			}
			if err := results.FolderAt(dir).Check(); (err != nil) != (test.refused != "") {
				t.Errorf("checked: got %v, want an error %t", err, test.refused != "")
			}
			f, err := results.Create(dir)
			if test.refused != "" {
				var foreign *results.ForeignError
				if !errors.As(err, &foreign) || errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("got %v, want a *ForeignError that names %s", err, test.refused)
				}
				test.want = before
			} else if err != nil {
				t.Fatal(err)
			}
			f.Close()
			if moved := name != "other files" && err == nil; moved != (err == nil && f.Earlier() != "") {
				t.Errorf("got the earlier folder %q, want one exactly if something was moved", f.Earlier())
			}
			got := files(t, dir)
			if diff := cmp.Diff(sorted(test.want), got); diff != "" {
				t.Errorf("files mismatch (-want +got):\n%s", diff)
			}
		})
	}
	if err := results.FolderAt(filepath.Join(t.TempDir(), "none")).Check(); err != nil {
		t.Errorf("a folder that does not exist yet: got %v, want no error", err)
	}
}

func sorted(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return out
}

// files returns the regular files below a folder.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			rel, err := filepath.Rel(dir, path)
			out = append(out, rel)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorted(out)
}
