package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework"
	"github.com/faultline/faultline/framework/observe"
	"github.com/faultline/faultline/framework/qemu"
	"github.com/faultline/faultline/framework/results"
	"github.com/faultline/faultline/framework/vm"
	"github.com/faultline/faultline/images"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// heard is a Progress that remembers.
type heard struct {
	lines []string
	cells []observe.Cell
}

func (h *heard) Phase(string) {}
func (h *heard) Say(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}
func (h *heard) Doing(string)                         {}
func (h *heard) Cell(c observe.Cell, done, total int) { h.cells = append(h.cells, c) }

// configured is a configuration with what a guest needs, and these symbols.
func configured(t *testing.T, symbols ...string) *kconfig.Config {
	t.Helper()
	text := ""
	for _, n := range vm.Needs() {
		symbols = append(symbols, n.Symbol)
	}
	for _, s := range symbols {
		text += "CONFIG_" + s + "=y\n"
	}
	config, err := kconfig.ParseBytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// plan is a run of two kernels with the catalogue's suites, before its plan is made.
func plan(t *testing.T, shard Shard, repeat int) (*run, []*Kernel, []Suite) {
	t.Helper()
	f, err := results.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	r := &run{Options: Options{Shard: shard, Repeat: repeat, Jobs: 1, Progress: h}, folder: f}
	r.observer = &Observer{Jobs: 1, Say: r.say, Doing: r.doing, silence: time.Minute}
	var ks []*Kernel
	for _, name := range []string{"old", "new"} {
		k := &kernels.Kernel{Config: configured(t, "FS_DAX")}
		k.Name, k.Spec, k.Digest = name, "dir:"+name, "digest of "+name
		ks = append(ks, &Kernel{Kernel: k, Accel: qemu.TCG})
	}
	bySuite := map[string]*Suite{}
	var suites []Suite
	for _, i := range catalogue {
		if bySuite[i.Suite] == nil {
			bySuite[i.Suite] = &Suite{Name: i.Suite}
		}
		s := bySuite[i.Suite]
		s.Scenarios = append(s.Scenarios, i)
	}
	for _, name := range []string{"dax", "ram", "syscalls"} {
		suites = append(suites, *bySuite[name])
	}
	return r, ks, suites
}

// tasks are those of a plan in which every kernel can do everything.
func tasks(t *testing.T, r *run, ks []*Kernel, suites []Suite, picked []framework.Info) []Task {
	t.Helper()
	tasks, impossible := r.plan(ks, suites, picked)
	if len(impossible) > 0 {
		t.Errorf("not doable: %+v", impossible)
	}
	return tasks
}

func words(tasks []Task) []string {
	var out []string
	for _, t := range tasks {
		var ids []string
		for _, i := range t.Scenarios {
			ids = append(ids, i.ID)
		}
		out = append(out, fmt.Sprintf("%s %s %d: %s", t.Kernel.Name, t.Suite.Name, t.Attempt, strings.Join(ids, " ")))
	}
	return out
}

func TestPlan(t *testing.T) {
	t.Run("the longest first", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 1)
		got := words(tasks(t, r, ks, suites, catalogue))
		want := []string{
			"old dax 0: dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read",
			"new dax 0: dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read",
			"old ram 0: ram/anon/read", "old syscalls 0: syscalls/ext4/pread",
			"new ram 0: ram/anon/read", "new syscalls 0: syscalls/ext4/pread",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if r.total != 10 || r.done != 0 {
			t.Errorf("%d of %d", r.done, r.total)
		}
	})
	t.Run("what was picked", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 1)
		got := words(tasks(t, r, ks, suites, catalogue[3:4]))
		if want := []string{"old ram 0: ram/anon/read", "new ram 0: ram/anon/read"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
	t.Run("attempts", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 2)
		got := words(tasks(t, r, ks, suites, catalogue[3:4]))
		if want := []string{"old ram 1: ram/anon/read", "new ram 1: ram/anon/read", "old ram 2: ram/anon/read", "new ram 2: ram/anon/read"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
	t.Run("resumed", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 1)
		for _, id := range []string{"dax/ext4/shared-read", "dax/xfs/shared-read", "ram/anon/read", "syscalls/ext4/pread", "dax/ext4/shared-write"} {
			r.cells = append(r.cells, observe.Cell{Scenario: id, Kernel: "old"})
		}
		r.cells = append(r.cells, observe.Cell{Scenario: "ram/anon/read", Kernel: "new"})
		left := tasks(t, r, ks, suites, catalogue)
		want := []string{"new dax 0: dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read", "new syscalls 0: syscalls/ext4/pread"}
		if got := words(left); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if r.total != 10 || r.done != 6 {
			t.Errorf("%d of %d", r.done, r.total)
		}
		// A kernel that is done is not booted.
		if n := needed(left); len(n) != 1 || n[0] != (guest{ks[1], qemu.TCG}) {
			t.Errorf("%d kernels are needed", len(n))
		}
	})
	t.Run("resumed attempts", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 2)
		r.cells = []observe.Cell{{Scenario: "ram/anon/read", Kernel: "old", Attempt: 1}}
		got := words(tasks(t, r, ks, suites, catalogue[3:4]))
		if want := []string{"new ram 1: ram/anon/read", "old ram 2: ram/anon/read", "new ram 2: ram/anon/read"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
	t.Run("no process gets too many", func(t *testing.T) {
		r, ks, _ := plan(t, Shard{}, 1)
		var many []framework.Info
		for n := range 40 {
			many = append(many, framework.Info{ID: fmt.Sprintf("ram/anon/%02d", n), Suite: "ram"})
		}
		var got []int
		for _, task := range tasks(t, r, ks[:1], []Suite{{Name: "ram", Scenarios: many}}, many) {
			got = append(got, len(task.Scenarios))
		}
		if !slices.Equal(got, []int{16, 16, 8}) {
			t.Errorf("%v", got)
		}
	})
	t.Run("what the configuration rules out", func(t *testing.T) {
		r, ks, suites := plan(t, Shard{}, 2)
		ks[0].Config = configured(t)
		ram := []framework.Info{{ID: "ram/anon/read", Suite: "ram", Needs: []string{"FS_DAX"}}, {ID: "ram/anon/never", Suite: "ram", NotDoable: "no machine has it"}}
		suites[1].Scenarios = ram
		done := observe.Cell{Scenario: "ram/anon/never", Kernel: "old", Attempt: 1, Verdict: observe.NotDoable}
		r.cells = []observe.Cell{done}
		todo, impossible := r.plan(ks, suites[1:2], ram)
		if got, want := words(todo), []string{"new ram 1: ram/anon/read", "new ram 2: ram/anon/read"}; !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		var got []string
		for _, c := range impossible {
			got = append(got, fmt.Sprintf("%s %s %d %s %s: %s", c.Kernel, c.Scenario, c.Attempt, c.Accel, c.Verdict, c.Message))
		}
		want := []string{
			"old ram/anon/read 1 tcg not_doable: old lacks CONFIG_FS_DAX", "new ram/anon/never 1 tcg not_doable: no machine has it",
			"old ram/anon/read 2 tcg not_doable: old lacks CONFIG_FS_DAX", "old ram/anon/never 2 tcg not_doable: no machine has it",
			"new ram/anon/never 2 tcg not_doable: no machine has it",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if r.total != 8 || r.done != 1 {
			t.Errorf("%d of %d", r.done, r.total)
		}
		// A kernel that can do nothing of it is not booted.
		if n := needed(todo); len(n) != 1 || n[0].kernel != ks[1] {
			t.Errorf("%+v is needed", n)
		}
	})
	t.Run("a guest under TCG for what needs it", func(t *testing.T) {
		r, ks, _ := plan(t, Shard{}, 1)
		ks[0].Accel = qemu.KVM
		mce := []framework.Info{{ID: "mce/anon/read", Suite: "mce", TCG: "exact"}, {ID: "mce/anon/told", Suite: "mce"}, {ID: "mce/anon/x", Suite: "mce", TCG: "exact", Needs: []string{"X"}}}
		todo, impossible := r.plan(ks[:1], []Suite{{Name: "mce", Scenarios: mce}}, mce)
		if n := needed(todo); !slices.Equal(n, []guest{{ks[0], qemu.TCG}, {ks[0], qemu.KVM}}) {
			t.Errorf("%+v", n)
		}
		if len(impossible) != 1 || impossible[0].Accel != "tcg" {
			t.Errorf("%+v", impossible)
		}
	})
}

func TestSameRun(t *testing.T) {
	base := func() results.Run {
		return results.Run{
			Tool:      results.Tool{Version: "1"},
			Kernels:   []results.Kernel{{Name: "old", Digest: "d1", Accel: "tcg"}, {Name: "new", Digest: "d2", Accel: "tcg"}},
			Scenarios: []results.Scenario{{ID: "a/b"}, {ID: "a/c"}},
		}
	}
	if err := sameRun(base(), base()); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change func(*results.Run)
		want   string
	}{
		"tool":      {func(r *results.Run) { r.Tool.Version = "2" }, "begun by faultline 1, this is 2"},
		"kernels":   {func(r *results.Run) { r.Kernels = r.Kernels[:1] }, "begun with 2 kernels and 2 scenarios, this is 1 and 2; give the same flags"},
		"scenarios": {func(r *results.Run) { r.Scenarios = nil }, "this is 2 and 0"},
		"digest":    {func(r *results.Run) { r.Kernels[1].Digest = "d3" }, "begun with new (digest d2, tcg), this is new (d3, tcg)"},
		"accel":     {func(r *results.Run) { r.Kernels[0].Accel = "kvm" }, "begun with old (digest d1, tcg), this is old (d1, kvm)"},
		"claims":    {func(r *results.Run) { r.Kernels[1].Claims = map[string]bool{"x": true} }, "begun with other claims of what new has (has:)"},
		"another":   {func(r *results.Run) { r.Scenarios[0].ID = "a/a" }, "begun with scenario a/b, this has a/a instead"},
	} {
		t.Run(name, func(t *testing.T) {
			now := base()
			c.change(&now)
			err := sameRun(base(), now)
			var request *RequestError
			if !errors.As(err, &request) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

// finished is the event of a cell as a suite's process tells it.
func finished(scenario string) string {
	return `{"finished":{"scenario":"` + scenario + `","kernel":"old","accel":"tcg","verdict":"expected","started":"2026-03-01T09:30:00Z","ms":5}}`
}

// TestSuiteProcess has a script stand in for a suite's process, to show what
// becomes of cells that it does not deliver as it should.
func TestSuiteProcess(t *testing.T) {
	a, b, c := "dax/ext4/shared-read", "dax/ext4/shared-write", "dax/xfs/shared-read"
	for name, test := range map[string]struct {
		script  string
		want    []string // of a, b, c: a verdict, and behind a colon what the message says
		tail    string
		silence time.Duration
	}{
		"delivers": {script: "echo '" + finished(a) + "' >&3; echo '" + finished(c) + "' >&3; echo '" + finished(b) + "' >&3",
			want: []string{"expected", "expected", "expected"}},
		"delivers, and fails": {script: "echo '" + finished(a) + "' >&3; echo '" + finished(b) + "' >&3; echo '" + finished(c) + "' >&3; exit 1",
			want: []string{"expected", "expected", "expected"}},
		"crashes": {script: "echo '" + finished(a) + "' >&3; echo panic: oh no >&2; exit 2",
			want: []string{"expected", "rig:exit status 2", "rig:did not come to it"}, tail: "panic: oh no"},
		"is killed": {script: "kill -9 $$", want: []string{"rig:signal: killed", "rig:", "rig:"}},
		"leaves without a word": {script: "echo '" + finished(b) + "' >&3",
			want: []string{"rig:did not come to it", "expected", "rig:"}},
		"tells garbage": {script: "echo '" + finished(a) + "' >&3; echo 'gar{bage' >&3; echo '" + finished(c) + "' >&3",
			want: []string{"expected", `rig:told "gar{bage\n", which is no event`, "expected"}},
		"half a line":        {script: `printf '{"finished":{"scenario":"` + a + `"' >&3`, want: []string{"rig:", "rig:", "rig:"}},
		"of another":         {script: "echo '" + finished("ram/anon/read") + "' >&3; echo '" + strings.ReplaceAll(finished(a), `"old"`, `"new"`) + "' >&3", want: []string{"rig:", "rig:", "rig:"}},
		"twice":              {script: "echo '" + finished(a) + "' >&3; echo '" + strings.ReplaceAll(finished(a), "expected", "unexpected") + "' >&3; echo '" + finished(b) + "' >&3; echo '" + finished(c) + "' >&3", want: []string{"expected", "expected", "expected"}},
		"hangs":              {script: "trap 'exit 7' INT; echo '" + finished(a) + "' >&3; while :; do sleep 0.05; done", want: []string{"expected", "rig:told nothing for 300ms", "rig:"}, silence: 300 * time.Millisecond},
		"leaves a child":     {script: "echo '" + finished(a) + "' >&3; sleep 4 >/dev/null 2>&1 & exit 2", want: []string{"expected", "rig:exit status 2", "rig:"}},
		"can not be started": {script: "", want: []string{"rig:start ", "rig:", "rig:"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, ks, suites := plan(t, Shard{}, 1)
			if test.silence != 0 {
				r.observer.silence = test.silence
			}
			suites[0].Binary = filepath.Join(t.TempDir(), "dax.test")
			if test.script != "" {
				if err := os.WriteFile(suites[0].Binary, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			begun := time.Now()
			r.observer.Observe(context.Background(), tasks(t, r, ks[:1], suites[:1], catalogue), r.take)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(r.cells) != 3 || r.done != 3 {
				t.Fatalf("%d cells: %+v", len(r.cells), r.cells)
			}
			for i, id := range []string{a, b, c} {
				at := slices.IndexFunc(r.cells, func(c observe.Cell) bool { return c.Scenario == id })
				verdict, says, _ := strings.Cut(test.want[i], ":")
				if cell := r.cells[at]; string(cell.Verdict) != verdict || !strings.Contains(cell.Message, says) {
					t.Errorf("%s: %s, %q; want %q", id, cell.Verdict, cell.Message, test.want[i])
				} else if cell.Verdict == observe.Rig && !strings.Contains(cell.ConsoleTail, test.tail) {
					t.Errorf("%s: its last words are %q", id, cell.ConsoleTail)
				}
			}
			stored, skipped, err := r.folder.Cells()
			if err != nil || len(stored) != 3 || len(skipped) != 0 {
				t.Errorf("stored: %d, %v, %v", len(stored), skipped, err)
			}
		})
	}
}

// A panic that nobody expected is observed again: what a kernel does it does
// again, and what the rig did it does not.
func TestPanicIsObservedAgain(t *testing.T) {
	a, b := "dax/ext4/shared-read", "dax/ext4/shared-write"
	panicked := strings.Replace(finished(b), `"verdict":"expected"`, `"verdict":"unexpected","panicked":true`, 1)
	for name, test := range map[string]struct {
		again, verdict, says string
		panicked             bool
	}{
		"again":         {panicked, "unexpected", "", true},
		"not again":     {finished(b), "rig", "its guest panicked once, and not when it was observed again; then: expected (expected)", false},
		"fails instead": {strings.Replace(finished(b), "expected", "rig", 1), "rig", "", false},
		"dies instead":  {"", "rig", "did not come to it", false},
	} {
		t.Run(name, func(t *testing.T) {
			r, ks, suites := plan(t, Shard{}, 1)
			dir := t.TempDir()
			suites[0].Binary = filepath.Join(dir, "dax.test")
			script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>" + dir + "/said\nif [ -e " + dir + "/once ]; then echo '" + test.again + "' >&3; exit; fi\n" +
				"touch " + dir + "/once\necho '" + finished(a) + "' >&3; echo '" + panicked + "' >&3; echo '" + finished("dax/xfs/shared-read") + "' >&3\n"
			if err := os.WriteFile(suites[0].Binary, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			r.observer.Observe(context.Background(), tasks(t, r, ks[:1], suites[:1], catalogue), r.take)
			if len(r.cells) != 3 || r.done != 3 {
				t.Fatalf("%+v", r.cells)
			}
			at := slices.IndexFunc(r.cells, func(c observe.Cell) bool { return c.Scenario == b })
			if c := r.cells[at]; string(c.Verdict) != test.verdict || !strings.Contains(c.Message, test.says) || c.Panicked != test.panicked {
				t.Errorf("%+v", c)
			}
			// It alone is observed again.
			said, err := os.ReadFile(filepath.Join(dir, "said"))
			if err != nil || strings.Count(string(said), "label-filter") != 2 || !strings.Contains(string(said), "containsAny {dax.ext4.shared-write}\n") {
				t.Errorf("%v, it was told %s", err, said)
			}
		})
	}
}

// What a suite's process is told.
func TestSuiteArguments(t *testing.T) {
	r, ks, suites := plan(t, Shard{}, 1)
	suites[1].Binary = filepath.Join(t.TempDir(), "ram.test")
	said := filepath.Join(t.TempDir(), "said")
	if err := os.WriteFile(suites[1].Binary, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >"+said+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.observer.Observe(context.Background(), tasks(t, r, ks[:1], suites[1:2], catalogue), r.take)
	got, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-ginkgo.label-filter=id: containsAny {ram.anon.read}", "--faultline.kernel=dir:old", "--faultline.name=old",
		"--faultline.digest=digest of old", "--faultline.accel=tcg", "--faultline.events=3",
	} {
		if !slices.Contains(strings.Split(string(got), "\n"), want) {
			t.Errorf("it was not told %s, but\n%s", want, got)
		}
	}
}

// A process that is interrupted says of the scenario it was in that the rig
// failed; that is no cell.
func TestInterrupted(t *testing.T) {
	r, ks, suites := plan(t, Shard{}, 1)
	suites[0].Binary = filepath.Join(t.TempDir(), "dax.test")
	rig := strings.Replace(finished("dax/ext4/shared-write"), "expected", "rig", 1)
	script := "#!/bin/sh\ntrap 'echo '\\''" + rig + "'\\'' >&3; exit 1' INT\necho '" + finished("dax/ext4/shared-read") + "' >&3\nwhile :; do sleep 0.02; done\n"
	if err := os.WriteFile(suites[0].Binary, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for {
			if stored, _, _ := r.folder.Cells(); len(stored) > 0 {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	r.observer.Observe(ctx, tasks(t, r, ks, suites[:1], catalogue), r.take)
	if len(r.cells) != 1 || r.cells[0].Verdict != observe.Expected {
		t.Errorf("%+v", r.cells)
	}
}

// A kernel that can't be observed costs its own cells only.
func TestBrokenKernel(t *testing.T) {
	r, ks, suites := plan(t, Shard{}, 1)
	suites[1].Binary = filepath.Join(t.TempDir(), "ram.test")
	if err := os.WriteFile(suites[1].Binary, []byte("#!/bin/sh\necho '"+strings.ReplaceAll(finished("ram/anon/read"), "old", "new")+"' >&3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ks[0].broken = fmt.Errorf("probe: %w", &vm.Trouble{Kind: vm.Panic, Doing: "boot", Kernel: "old", Tail: "Kernel panic - not syncing: no init"})
	r.observer.Observe(context.Background(), tasks(t, r, ks, suites[1:2], catalogue), r.take)
	if len(r.cells) != 2 {
		t.Fatalf("%+v", r.cells)
	}
	for _, c := range r.cells {
		if c.Kernel == "new" && c.Verdict != observe.Expected {
			t.Errorf("the other kernel's cell is %+v", c)
		}
		if c.Kernel == "old" && (c.Verdict != observe.Rig || !strings.Contains(c.Message, "panicked: Kernel panic - not syncing: no init") || c.ConsoleTail == "") {
			t.Errorf("the broken kernel's cell is %+v", c)
		}
	}
}

func TestTheUsers(t *testing.T) {
	for _, err := range []error{requestf("x"), &kernels.ToolError{Tool: "depmod"}, fmt.Errorf("x: %w", &images.MissingToolError{Tool: "mkfs.xfs"}), &qemu.MissingError{}} {
		if !theUsers(err) {
			t.Errorf("%v ends no run", err)
		}
	}
	for _, err := range []error{errors.New("x"), &vm.Trouble{Kind: vm.Panic}, &vm.Trouble{Kind: vm.Host}, context.Canceled} {
		if theUsers(err) {
			t.Errorf("%v ends the run for all kernels", err)
		}
	}
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, ok := range []string{dir, filepath.Join(dir, "new"), filepath.Join(dir, "new", "newer"), ""} {
		if err := writable(ok); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for _, not := range []string{file, filepath.Join(file, "below"), "/proc/self/no"} {
		var e *results.NotWritableError
		if err := writable(not); !errors.As(err, &e) || !strings.Contains(err.Error(), "give another one with --out") {
			t.Errorf("%s: %v", not, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("it made the folder")
	}
}
