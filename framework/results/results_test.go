package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/judge"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/internal/fault"
)

var began = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// cell is an observation of errno, or of trouble with the rig when it is empty.
func cell(scenario, kernel, errno string) observe.Cell {
	c := observe.Cell{Scenario: scenario, Kernel: kernel, Accel: "tcg", Verdict: observe.Expected, Started: began, Millis: 200,
		Steps: []observe.Step{{Actor: "victim", Action: "pread", Outcome: observe.Outcome{Errno: errno},
			Expected: &observe.Expectation{After: errno, Side: observe.Both, Met: true}}}}
	if errno == "" {
		c.Verdict, c.Steps, c.Message = observe.Rig, nil, "the guest gave no answer"
	}
	return c
}

func run(id string, cells ...observe.Cell) Run {
	r := Run{
		Schema: Schema, ID: id, Started: began, Finished: began.Add(time.Minute), Accel: "auto",
		Tool: Tool{Version: "0.1.0", Commit: "abc"}, Host: Host{OS: "Debian", CPU: "x", Cores: 2, MemoryBytes: 1 << 30, QEMU: "7.2"},
		Command:   []string{"faultline", "run"},
		Kernels:   []Kernel{{Name: "old", Spec: "apt:old", Arch: "amd64", Digest: "sha256:1"}, {Name: "new", Spec: "apt:new", Arch: "amd64", Digest: "sha256:2"}},
		Scenarios: []Scenario{{ID: "a/b", Doc: "does a thing", Suite: "a"}, {ID: "a/c", Doc: "does another", Suite: "a"}},
		Cells:     cells,
	}
	r.Judge()
	return r
}

func folder(t *testing.T, r Run) *Folder {
	t.Helper()
	f, err := Create(filepath.Join(t.TempDir(), r.ID))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Cells {
		if err := f.PutCell(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.PutRun(r); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRunRoundTrip(t *testing.T) {
	want := run("r1", cell("a/b", "old", "EIO"), cell("a/b", "new", "EFAULT"), cell("a/c", "old", ""))
	got, err := folder(t, want).LoadRun()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := got.Summary; s.Expected != 2 || s.Rig != 1 || s.Unexplained != 1 || s.ExitCode != fault.ExitUnexpected {
		t.Errorf("summary %+v", s)
	}
}

// A run that has only begun is valid too: a killed one leaves nothing else.
func TestRunThatOnlyBegan(t *testing.T) {
	f := folder(t, Run{ID: "r1", Started: began})
	r, err := f.LoadRun()
	if err != nil {
		t.Fatal(err)
	}
	if !r.Finished.IsZero() {
		t.Errorf("finished %v", r.Finished)
	}
}

func TestExitCode(t *testing.T) {
	bad := cell("a/b", "old", "EIO")
	bad.Verdict = observe.Unexpected
	for _, tc := range []struct {
		name        string
		cells       []observe.Cell
		interrupted bool
		want        int
	}{
		{"expected", []observe.Cell{cell("a/b", "old", "EIO"), cell("a/b", "new", "EIO")}, false, fault.ExitExpected},
		{"unexpected", []observe.Cell{bad}, false, fault.ExitUnexpected},
		{"difference", []observe.Cell{cell("a/b", "old", "EIO"), cell("a/b", "new", "EPERM")}, false, fault.ExitUnexpected},
		{"rig", []observe.Cell{cell("a/b", "old", "")}, false, fault.ExitRig},
		{"unexpected and rig", []observe.Cell{bad, cell("a/c", "old", "")}, false, fault.ExitUnexpected},
		{"interrupted", []observe.Cell{bad}, true, fault.ExitInterrupted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run("r", tc.cells...)
			r.Interrupted = tc.interrupted
			r.Judge()
			if r.Summary.ExitCode != tc.want {
				t.Errorf("exit code %d, want %d", r.Summary.ExitCode, tc.want)
			}
		})
	}
}

// What a run concludes follows from its cells alone: what an earlier judgement
// said is gone, and what the user claims stays.
func TestJudgeForgetsWhatItConcluded(t *testing.T) {
	r := run("r", cell("a/b", "old", "EIO"))
	r.Kernels[0].Changes = []judge.ChangeState{{ID: "dax_fault_hwpoison", Verdict: judge.Has}}
	r.Kernels[1].Claims = map[string]bool{"dax_fault_hwpoison": true}
	r.Findings, r.Differences = []judge.Finding{{Kind: judge.Splat}}, []judge.Difference{{Field: "errno"}}
	r.Summary.ExitCode = fault.ExitRig
	claimed := true
	want := []judge.ChangeState{{ID: "dax_fault_hwpoison", Verdict: judge.NotSeen, Claimed: &claimed}}
	for range 2 {
		r.Judge()
		if diff := cmp.Diff(want, r.Kernels[1].Changes); diff != "" || r.Kernels[0].Changes != nil || r.Findings != nil || r.Differences != nil || r.Summary.ExitCode != fault.ExitExpected {
			t.Errorf("%s, %+v, %v, %v, %+v", diff, r.Kernels[0].Changes, r.Findings, r.Differences, r.Summary)
		}
	}
}

// The upstream release that a kernel was made from comes from what it calls itself.
func TestJudgeKnowsTheBase(t *testing.T) {
	for release, lost := range map[string]int{"6.12.117-amd64": 1, "6.1.0-56-amd64": 0, "": 0, "mine": 0} {
		c := cell("dax/ext4/shared-read", "old", "EIO")
		c.Steps[0].Expected = &observe.Expectation{Change: "dax_fault_hwpoison", Before: "EIO", After: "OK", Side: observe.Before, Met: true}
		r := run("r", c)
		r.Kernels[0].Release = release
		r.Judge()
		if len(r.Findings) != lost || r.Summary.ExitCode != lost {
			t.Errorf("%q: %v, %+v", release, r.Findings, r.Summary)
		}
	}
}

// A difference that a lost change makes is neither explained by it nor unexplained.
func TestSummaryOfALostChange(t *testing.T) {
	side := func(kernel, errno string, side observe.Side) observe.Cell {
		c := cell("dax/ext4/shared-read", kernel, errno)
		c.Steps[0].Expected = &observe.Expectation{Change: "dax_fault_hwpoison", Before: "EIO", After: "EFAULT", Side: side, Met: true}
		return c
	}
	r := run("r", side("old", "EFAULT", observe.After), side("new", "EIO", observe.Before))
	for i := range r.Kernels {
		r.Kernels[i].Release = "6.1.0-56-amd64"
	}
	r.Judge()
	if s := r.Summary; s.Lost != 1 || s.Explained+s.Unexplained != 0 || s.ExitCode != fault.ExitUnexpected || s.Expected != 2 {
		t.Errorf("%+v", s)
	}
}

func TestValidate(t *testing.T) {
	whole, err := json.Marshal(run("r1", cell("a/b", "old", "EIO")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, from, to, want string }{
		{"another schema", `"faultline.run/2"`, `"faultline.run/3"`, "/schema"},
		{"unknown verdict", `"verdict":"expected"`, `"verdict":"maybe"`, "/cells/0/verdict"},
		{"unknown key", `"accel":"auto"`, `"accel":"auto","colour":1`, "colour"},
		{"wrong type", `"cores":2`, `"cores":"two"`, "/host/cores"},
		{"no date", `"started":"2026-03-01T09:30:00Z","tool"`, `"started":"today","tool"`, ""},
		{"cut", `"schema"`, `"schema`, "not JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			doc := strings.Replace(string(whole), tc.from, tc.to, 1)
			err := Validate([]byte(doc))
			if tc.name == "no date" {
				err = Validate([]byte(strings.Replace(string(whole), "2026-03-01T09:30:00Z", "today", 1)))
			}
			var se *SchemaError
			if !errors.As(err, &se) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a schema error that names %q", err, tc.want)
			}
		})
	}
	if err := Validate(whole); err != nil {
		t.Errorf("a good run: %v", err)
	}
}

// The schema and the types say the same: every field is in the schema, is
// described there, and is required exactly when it is always written.
func TestSchemaMatchesTypes(t *testing.T) {
	type object struct {
		Description string
		Required    []string
		Properties  map[string]struct {
			Description string
			Ref         string `json:"$ref"`
		}
	}
	var root struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(JSONSchema(), &root); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		"": Run{}, "tool": Tool{}, "host": Host{}, "kernel": Kernel{}, "package": Package{}, "scenario": Scenario{}, "summary": Summary{},
		"change_state": judge.ChangeState{}, "difference": judge.Difference{}, "finding": judge.Finding{},
		"cell": observe.Cell{}, "left_out": observe.LeftOut{}, "step": observe.Step{}, "outcome": observe.Outcome{}, "signal": observe.Signal{}, "exit": observe.Exit{}, "expectation": observe.Expectation{},
	} {
		def := root.object
		if name != "" {
			def = root.Defs[name]
		}
		if def.Description == "" {
			t.Errorf("%q has no description in the schema", name)
		}
		seen := map[string]bool{}
		for i := range reflect.TypeOf(v).NumField() {
			field, opts, _ := strings.Cut(reflect.TypeOf(v).Field(i).Tag.Get("json"), ",")
			seen[field] = true
			p, ok := def.Properties[field]
			if !ok || p.Description == "" && p.Ref == "" {
				t.Errorf("%T.%s is not described in the schema; add it to run.schema.json", v, field)
			}
			if want := opts == ""; slices.Contains(def.Required, field) != want {
				t.Errorf("%T.%s: required %t in the schema, want %t", v, field, !want, want)
			}
		}
		for p := range def.Properties {
			if !seen[p] {
				t.Errorf("the schema's %q has %s, which %T has not", name, p, v)
			}
		}
	}
}

func TestCellsSkipsWhatIsNoCell(t *testing.T) {
	again := cell("a/b", "old", "EIO")
	again.Attempt = 2
	f := folder(t, run("r1", cell("a/b", "old", "EIO"), again, cell("a/b", "6.1 (apt:bookworm)", "EIO")))
	dir := filepath.Dir(f.Path(CellFile(again)))
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
		t.Errorf("%d cells, want 3", len(cells))
	}
	var names []string
	for _, s := range skipped {
		names = append(names, filepath.Base(s.Path))
		if s.Reason == "" {
			t.Errorf("%s is skipped for no reason", s.Path)
		}
	}
	if diff := cmp.Diff([]string{".tmp-123", "empty.json", "half.json", "moved.json", "other.json", "zero.json"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestCreateReplacesARun(t *testing.T) {
	f := folder(t, run("r1", cell("a/b", "old", "EIO")))
	if err := os.WriteFile(f.Path("notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := Create(f.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if cells, _, _ := again.Cells(); len(cells) != 0 {
		t.Errorf("%d cells of the run before", len(cells))
	}
	if _, err := again.LoadRun(); !errors.As(err, new(*NoRunError)) {
		t.Errorf("got %v, want no run", err)
	}
	if _, err := os.Stat(f.Path("notes.txt")); err != nil {
		t.Errorf("a file that isn't the run's is gone: %v", err)
	}
}

func TestCreateNotWritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/faultline"} {
		_, err := Create(dir)
		var nw *NotWritableError
		if !errors.As(err, &nw) || nw.Dir != dir || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: got %v, want a *NotWritableError that names --out", dir, err)
		}
	}
}

func TestOpenNoRun(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.As(err, new(*NoRunError)) {
		t.Errorf("got %v, want a *NoRunError", err)
	}
}

// Processes that run suites in parallel put cells at once.
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
		t.Errorf("%d cells, %v skipped, %v; want 20", len(cells), skipped, err)
	}
}

func TestMarkLatest(t *testing.T) {
	parent := t.TempDir()
	for _, id := range []string{"r1", "r2"} {
		f, err := Create(filepath.Join(parent, id))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.MarkLatest(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.Readlink(filepath.Join(parent, "latest")); got != id {
			t.Errorf("latest is %q, want %q", got, id)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(parent, "latest")), os.Mkdir(filepath.Join(parent, "latest"), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := (&Folder{dir: filepath.Join(parent, "r1")}).MarkLatest(); err == nil {
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
		if got := Slug(name); got != want {
			t.Errorf("slug of %q is %q, want %q", name, got, want)
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
		sa, sb := Slug(a), Slug(b)
		if a != b && sa == sb {
			t.Errorf("%q and %q have the same slug %q", a, b, sa)
		}
		if sa == "" || strings.ContainsAny(sa, "/\x00@ ") || strings.HasPrefix(sa, ".") || strings.HasPrefix(sa, "-") || len(sa) > 200 {
			t.Errorf("slug %q of %q is no good file name", sa, a)
		}
	})
}

func TestMerge(t *testing.T) {
	one := run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", ""), cell("a/c", "new", "EIO"))
	one.Kernels[0].Console = ConsoleFile("old")
	two := run("r2", cell("a/b", "old", "EIO"), cell("a/b", "new", "EPERM"), cell("a/c", "old", "EIO"))
	two.Started, two.Finished = began.Add(-time.Minute), began.Add(time.Hour)
	for _, r := range []*Run{&one, &two} {
		r.Kernels[1].Claims = map[string]bool{"dax_fault_hwpoison": true}
	}
	f1 := folder(t, one)
	f2 := folder(t, two)
	for i, f := range []*Folder{f1, f2} {
		if err := f.Put(ConsoleFile("old"), fmt.Appendf(nil, "console %d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "out")
	to, got, err := Merge(dir, f1, f2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cells) != 4 || got.Summary.Rig != 0 || len(got.Differences) != 1 || got.Differences[0].Scenario != "a/b" {
		t.Errorf("%d cells, %+v, %v", len(got.Cells), got.Summary, got.Differences)
	}
	if !got.Started.Equal(two.Started) || !got.Finished.Equal(two.Finished) || !slices.Equal(got.Merged, []string{"r1", "r2"}) {
		t.Errorf("from %v to %v, of %v", got.Started, got.Finished, got.Merged)
	}
	if c := got.Kernels[1].Changes; len(c) != 1 || c[0].Claimed == nil || !*c[0].Claimed || !got.Kernels[1].Claims["dax_fault_hwpoison"] {
		t.Errorf("the claim is lost: %+v", c)
	}
	for rel, want := range map[string]string{ConsoleFile("old"): "console 1", filepath.Join(KernelDir("old"), "merged-2", "console.log"): "console 2"} {
		if b, err := os.ReadFile(to.Path(rel)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", rel, b, err, want)
		}
	}
	loaded, err := to.LoadRun()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, loaded); diff != "" {
		t.Error(diff)
	}
	if cells, skipped, err := to.Cells(); err != nil || len(cells) != 4 || len(skipped) != 0 {
		t.Errorf("%d cells on disk, %v, %v", len(cells), skipped, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	base := func() Run { return run("r2", cell("a/b", "old", "EIO")) }
	for _, tc := range []struct {
		name   string
		change func(*Run)
		want   string
	}{
		{"another version", func(r *Run) { r.Tool.Version = "0.2.0" }, "version 0.2.0"},
		{"another kernel", func(r *Run) { r.Kernels[0].Digest = "sha256:9" }, `kernel "old"`},
		{"another scenario", func(r *Run) { r.Scenarios[0].Doc = "else" }, "scenario a/b"},
		{"another claim", func(r *Run) { r.Kernels[0].Claims = map[string]bool{"x": true} }, `what is claimed of kernel "old"`},
		{"another observation", func(r *Run) { r.Cells[0] = cell("a/b", "old", "EPERM") }, "a/b on old"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			other := base()
			tc.change(&other)
			first := run("r1", cell("a/b", "old", "EIO"))
			first.Kernels[0].Claims = map[string]bool{"x": false}
			if tc.name != "another claim" {
				other.Kernels[0].Claims = first.Kernels[0].Claims
			}
			dir := filepath.Join(t.TempDir(), "out")
			_, _, err := Merge(dir, folder(t, first), folder(t, other))
			var me *MergeError
			if !errors.As(err, &me) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a *MergeError that names %q", err, tc.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
	f := folder(t, base())
	if _, _, err := Merge(f.Dir(), f); err == nil {
		t.Error("a run was merged into itself")
	}
	if _, err := f.LoadRun(); err != nil {
		t.Errorf("and lost: %v", err)
	}
}

func TestMergeNamesLostCells(t *testing.T) {
	one := folder(t, run("r1", cell("a/b", "old", "EIO"), cell("a/c", "old", "EIO")))
	_, got, err := Merge(filepath.Join(t.TempDir(), "out"), one)
	if err != nil {
		t.Fatal(err)
	}
	if got.Summary.Rig != 2 || got.Summary.ExitCode != fault.ExitRig {
		t.Errorf("two cells were planned on new, and lost: %+v", got.Summary)
	}
	// The shard that lacked them makes it whole, also when it comes later.
	half := filepath.Join(t.TempDir(), "half")
	first, _, err := Merge(half, one)
	if err != nil {
		t.Fatal(err)
	}
	two := folder(t, run("r2", cell("a/b", "new", "EIO"), cell("a/c", "new", "EIO")))
	_, got, err = Merge(filepath.Join(t.TempDir(), "all"), first, two)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Cells) != 4 || got.Summary.ExitCode != fault.ExitExpected {
		t.Errorf("%d cells, %+v", len(got.Cells), got.Summary)
	}
}
