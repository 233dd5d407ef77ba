package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/machine/vm"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/program"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/framework/run/plan"
	"github.com/faultline/faultline/internal/errkind"
	"github.com/faultline/faultline/kernels"
)

// heard is a Progress that records its lines.
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

// scripted is a run of two kernels with the tasks of three suites, whose binaries the tests
// write.
type scripted struct {
	*recorder
	executor *Executor
	heard    *heard
	kernels  []*plan.Kernel
	suites   []plan.Suite
}

func script(t *testing.T) scripted {
	t.Helper()
	f, err := results.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := scripted{heard: &heard{}}
	p := &progress{to: s.heard}
	s.recorder = &recorder{progress: p, folder: f}
	s.executor = &Executor{Jobs: 1, Log: p.say, Doing: p.doing, silence: time.Minute, booted: map[*plan.Kernel]*booted{}}
	for _, name := range []string{"old", "new"} {
		k := &kernels.Kernel{}
		k.Name, k.Spec, k.Digest = name, "dir:"+name, "digest of "+name
		s.kernels = append(s.kernels, &plan.Kernel{Kernel: k, Accel: qemu.TCG})
	}
	for _, ids := range [][]string{{"dax/ext4/shared-read", "dax/ext4/shared-write", "dax/xfs/shared-read"}, {"ram/anon/read"}} {
		suite := plan.Suite{Name: strings.Split(ids[0], "/")[0]}
		for _, id := range ids {
			suite.Scenarios = append(suite.Scenarios, scenario.Info{ID: id, Suite: suite.Name})
		}
		s.suites = append(s.suites, suite)
	}
	return s
}

// observe observes a suite's scenarios on these kernels.
func (s scripted) observe(ctx context.Context, suite plan.Suite, ks ...*plan.Kernel) {
	var tasks []plan.Task
	for _, k := range ks {
		tasks = append(tasks, plan.Task{Kernel: k, Suite: suite, Scenarios: suite.Scenarios})
	}
	s.executor.Observe(ctx, tasks, s.addCell)
}

// The guests that are booted.
func TestNeeded(t *testing.T) {
	s := script(t)
	s.kernels[0].Accel = qemu.KVM
	mce := []scenario.Info{{ID: "mce/anon/read", TCG: "exact"}, {ID: "mce/anon/told"}, {ID: "mce/anon/again"}}
	tasks := []plan.Task{{Kernel: s.kernels[0], Scenarios: mce}, {Kernel: s.kernels[1], Scenarios: mce}, {Kernel: s.kernels[1], Scenarios: mce}}
	want := []guest{{s.kernels[0], qemu.TCG}, {s.kernels[0], qemu.KVM}, {s.kernels[1], qemu.TCG}}
	if got := needed(tasks); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSameRun(t *testing.T) {
	base := func() results.Run {
		return results.Run{
			Tool:      results.Tool{Version: "1"},
			Kernels:   []results.Kernel{{Name: "old", Digest: "d1", Accel: "tcg"}, {Name: "new", Digest: "d2", Accel: "tcg"}},
			Scenarios: []results.Scenario{{ID: "a/b", Needs: []string{"FS_DAX"}}, {ID: "program/t", Program: &program.Program{Path: "/t", SHA256: "aa"}}},
			Host:      results.Host{QEMU: "7.2.22", CPU: "x", Cores: 2},
			Suites:    map[string]string{"a": "1"},
		}
	}
	if err := sameRun(base(), base()); err != nil {
		t.Error(err)
	}
	// Under TCG the guest's processor is QEMU's; the rest of the machine does not matter.
	moved := base()
	moved.Host.CPU, moved.Host.Cores, moved.Scenarios[0].Changes = "y", 4, []string{}
	if err := sameRun(base(), moved); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change func(*results.Run)
		want   string
	}{
		"tool":      {func(r *results.Run) { r.Tool.Version = "2" }, "started by faultline 1, this is 2"},
		"kernels":   {func(r *results.Run) { r.Kernels = r.Kernels[:1] }, "started with 2 kernels and 2 scenarios, this is 1 and 2; give the same flags"},
		"scenarios": {func(r *results.Run) { r.Scenarios = nil }, "this is 2 and 0"},
		"digest":    {func(r *results.Run) { r.Kernels[1].Digest = "d3" }, "started with new (digest d2, tcg), this is new (d3, tcg)"},
		"accel":     {func(r *results.Run) { r.Kernels[0].Accel = "kvm" }, "started with old (digest d1, tcg), this is old (d1, kvm)"},
		"claims":    {func(r *results.Run) { r.Kernels[1].Claims = map[string]bool{"x": true} }, "started with different claims (has:) for new"},
		"changes":   {func(r *results.Run) { r.Changes = change.List{{ID: "mine"}} }, "started with different --changes"},
		"shard":     {func(r *results.Run) { r.Shard = results.Shard{Index: 1, Of: 2} }, "started with a different --shard"},
		"program":   {func(r *results.Run) { r.Scenarios[1].Program.SHA256 = "bb" }, "started with another /t (SHA-256 aa, this is bb)"},
		"arguments": {func(r *results.Run) { r.Scenarios[1].Program.Args = []string{"-v"} }, "scenario program/t has changed since the run was started"},
		"needs":     {func(r *results.Run) { r.Scenarios[0].Needs = nil }, "scenario a/b has changed since the run was started"},
		"QEMU":      {func(r *results.Run) { r.Host.QEMU = "10.0.13" }, "started on another machine (QEMU 7.2.22 / 10.0.13)"},
		"suites":    {func(r *results.Run) { r.Suites["a"] = "2" }, "started with other suites"},
		"no suites": {func(r *results.Run) { r.Suites = nil }, "started with other suites"},
		"another":   {func(r *results.Run) { r.Scenarios[0].ID = "a/a" }, "started with scenario a/b, this one has a/a instead"},
	} {
		t.Run(name, func(t *testing.T) {
			now := base()
			c.change(&now)
			err := sameRun(base(), now)
			if errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a request error with %q", err, c.want)
			}
		})
	}
}

// With KVM this machine's processor is the guest's.
func TestSameProcessorWithKVM(t *testing.T) {
	of := func(cpu string) results.Run {
		return results.Run{Kernels: []results.Kernel{{Name: "k", Accel: "kvm"}}, Host: results.Host{QEMU: "7.2.22", CPU: cpu}}
	}
	if err := sameRun(of("x"), of("x")); err != nil {
		t.Error(err)
	}
	other := of("x")
	other.Host.CPUDigest = "2b"
	first := of("x")
	first.Host.CPUDigest = "1a"
	if err := sameRun(first, other); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "other microcode or features") {
		t.Errorf("got %v, want a request error about other microcode or features", err)
	}
	if err := sameRun(of("x"), of("y")); errkind.Of(err) != errkind.Request || !strings.Contains(err.Error(), "another machine (processor x / y)") {
		t.Errorf("got %v, want a request error about another machine", err)
	}
}

// finished returns the event of a finished cell as a suite process sends it.
func finished(scenario string) string {
	return `{"finished":{"scenario":"` + scenario + `","kernel":"old","accel":"tcg","verdict":"expected","started":"2026-03-01T09:30:00Z","ms":5}}`
}

// TestSuiteProcess uses a script as the suite process, to test how missing and malformed
// cells are handled.
func TestSuiteProcess(t *testing.T) {
	a, b, c := "dax/ext4/shared-read", "dax/ext4/shared-write", "dax/xfs/shared-read"
	for name, test := range map[string]struct {
		script  string
		want    []string // of a, b, c: a verdict, and after a colon a part of the message
		tail    string
		silence time.Duration
	}{
		"delivers": {script: "echo '" + finished(a) + "' >&3; echo '" + finished(c) + "' >&3; echo '" + finished(b) + "' >&3",
			want: []string{"expected", "expected", "expected"}},
		"delivers, and fails": {script: "echo '" + finished(a) + "' >&3; echo '" + finished(b) + "' >&3; echo '" + finished(c) + "' >&3; exit 1",
			want: []string{"expected", "expected", "expected"}},
		"crashes": {script: "echo '" + finished(a) + "' >&3; echo panic: oh no >&2; exit 2",
			want: []string{"expected", "infra:exit status 2", "infra:no result from the suite process"}, tail: "panic: oh no"},
		"is killed": {script: "kill -9 $$", want: []string{"infra:signal: killed", "infra:", "infra:"}},
		"leaves without a word": {script: "echo '" + finished(b) + "' >&3",
			want: []string{"infra:no result from the suite process", "expected", "infra:"}},
		"tells garbage": {script: "echo '" + finished(a) + "' >&3; echo 'gar{bage' >&3; echo '" + finished(c) + "' >&3",
			want: []string{"expected", `infra:malformed event "gar{bage\n"`, "expected"}},
		"half a line":        {script: `printf '{"finished":{"scenario":"` + a + `"' >&3`, want: []string{"infra:", "infra:", "infra:"}},
		"of another":         {script: "echo '" + finished("ram/anon/read") + "' >&3; echo '" + strings.ReplaceAll(finished(a), `"old"`, `"new"`) + "' >&3", want: []string{"infra:", "infra:", "infra:"}},
		"twice":              {script: "echo '" + finished(a) + "' >&3; echo '" + strings.ReplaceAll(finished(a), "expected", "unexpected") + "' >&3; echo '" + finished(b) + "' >&3; echo '" + finished(c) + "' >&3", want: []string{"expected", "expected", "expected"}},
		"hangs":              {script: "trap 'exit 7' INT; echo '" + finished(a) + "' >&3; while :; do sleep 0.05; done", want: []string{"expected", "infra:no events for 3s", "infra:"}, silence: 3 * time.Second},
		"leaves a child":     {script: "echo '" + finished(a) + "' >&3; sleep 3600 >/dev/null 2>&1 & echo $! >\"$0.child\"; exit 2", want: []string{"expected", "infra:exit status 2", "infra:"}},
		"can not be started": {script: "", want: []string{"infra:start ", "infra:", "infra:"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := script(t)
			if test.silence != 0 {
				r.executor.silence = test.silence
			}
			r.suites[0].Program = filepath.Join(t.TempDir(), "dax.test")
			if test.script != "" {
				if err := os.WriteFile(r.suites[0].Program, []byte("#!/bin/sh\n"+test.script+"\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// Parallel tests start processes after this point. If a script were still open for
			// writing in one of them, it could not be executed (ETXTBSY).
			t.Parallel()
			r.observe(context.Background(), r.suites[0], r.kernels[0])
			if child, err := os.ReadFile(r.suites[0].Program + ".child"); err == nil {
				pid, err := strconv.Atoi(strings.TrimSpace(string(child)))
				if err != nil || unix.Kill(pid, unix.SIGKILL) != nil {
					t.Errorf("the child %q: %v", child, err)
				}
			}
			if len(r.cells) != 3 || r.done != 3 {
				t.Fatalf("got %d cells, %d done, want 3 of each: %+v", len(r.cells), r.done, r.cells)
			}
			for i, id := range []string{a, b, c} {
				at := slices.IndexFunc(r.cells, func(c observe.Cell) bool { return c.Scenario == id })
				verdict, says, _ := strings.Cut(test.want[i], ":")
				if cell := r.cells[at]; string(cell.Verdict) != verdict || !strings.Contains(cell.Message, says) {
					t.Errorf("%s: got %s, %q; want %q", id, cell.Verdict, cell.Message, test.want[i])
				} else if cell.Verdict == observe.Infra && !strings.Contains(cell.ConsoleTail, test.tail) {
					t.Errorf("%s: got the end of the console %q, want it with %q", id, cell.ConsoleTail, test.tail)
				}
			}
			stored, skipped, err := r.folder.Cells()
			if err != nil || len(stored) != 3 || len(skipped) != 0 {
				t.Errorf("got %d stored, skipped %v, error %v; want 3, none", len(stored), skipped, err)
			}
		})
	}
}

// A scenario with an unexpected panic is observed again: the kernel's own behaviour
// repeats, a disturbance by the host does not.
func TestPanicIsObservedAgain(t *testing.T) {
	a, b := "dax/ext4/shared-read", "dax/ext4/shared-write"
	panicked := strings.Replace(finished(b), `"verdict":"expected"`, `"verdict":"unexpected","panicked":true,"registers":"RIP=0"`, 1)
	for name, test := range map[string]struct {
		again, verdict, says string
		panicked             bool
	}{
		"again":         {panicked, "unexpected", "", true},
		"not again":     {finished(b), "infra", "its guest panicked once, but not when observed again; then: expected (expected)", false},
		"fails instead": {strings.Replace(finished(b), "expected", "infra", 1), "infra", "", false},
		"dies instead":  {"", "infra", "no result from the suite process", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := script(t)
			dir := t.TempDir()
			r.suites[0].Program = filepath.Join(dir, "dax.test")
			script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>" + dir + "/said\nif [ -e " + dir + "/once ]; then echo '" + test.again + "' >&3; exit; fi\n" +
				"touch " + dir + "/once\necho '" + finished(a) + "' >&3; echo '" + panicked + "' >&3; echo '" + finished("dax/xfs/shared-read") + "' >&3\n"
			if err := os.WriteFile(r.suites[0].Program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			r.observe(context.Background(), r.suites[0], r.kernels[0])
			if len(r.cells) != 3 || r.done != 3 {
				t.Fatalf("got %d cells, %d done, want 3 of each: %+v", len(r.cells), r.done, r.cells)
			}
			at := slices.IndexFunc(r.cells, func(c observe.Cell) bool { return c.Scenario == b })
			if c := r.cells[at]; string(c.Verdict) != test.verdict || !strings.Contains(c.Message, test.says) || c.Panicked != test.panicked {
				t.Errorf("got %+v, want %s, %q, panicked %t", c, test.verdict, test.says, test.panicked)
			} else if name != "dies instead" && (c.Earlier == nil || !c.Earlier.Panicked || c.Earlier.Registers != "RIP=0") {
				t.Errorf("the guest that panicked: got %+v, want its registers", c.Earlier)
			}
			// Only this scenario is observed again.
			said, err := os.ReadFile(filepath.Join(dir, "said"))
			if err != nil || strings.Count(string(said), "label-filter") != 2 || !strings.Contains(string(said), "containsAny {dax.ext4.shared-write}\n") {
				t.Errorf("got error %v, arguments %s; want 2 processes, one of dax.ext4.shared-write alone", err, said)
			}
		})
	}
}

// A watchdog's complaint counts only if it repeats; a single one is recorded, and is no
// evidence about the kernel.
func TestStallIsObservedAgain(t *testing.T) {
	const a, b = "dax/ext4/shared-read", "dax/ext4/shared-write"
	with := func(splats, verdict string) string {
		return strings.Replace(finished(b), `"verdict":"expected"`, `"verdict":"`+verdict+`","witnesses":{"splats":"`+splats+`"},"kernel_log":["its log"]`, 1)
	}
	for name, test := range map[string]struct {
		first, again, verdict, says string
		observed                    int
	}{
		"again":                {with("soft lockup in f", "expected"), with("soft lockup in f", "expected"), "expected", "", 2},
		"not again":            {with("soft lockup in f", "expected"), with("none", "expected"), "infra", "complained about a delay in only one of two observations (soft lockup in f)", 2},
		"elsewhere":            {with("hung task in f", "expected"), with("hung task in g", "expected"), "infra", "(hung task in f; hung task in g)", 2},
		"one of two":           {with("RCU stall in f\\nWARNING in g", "unexpected"), with("WARNING in g", "unexpected"), "infra", "(RCU stall in f)", 2},
		"a busy host":          {with("BUG: workqueue lockup", "expected"), strings.Replace(finished(b), "expected", "infra", 1), "infra", "", 2},
		"what needs no time":   {with("WARNING in soft_lockup", "expected"), "", "expected", "", 1},
		"a failed host":        {with("soft lockup in f", "infra"), "", "infra", "", 1},
		"nothing":              {with("none", "expected"), "", "expected", "", 1},
		"more than it was":     {with("soft lockup in f", "expected"), with("soft lockup in f\\nRCU stall", "expected"), "infra", "(RCU stall)", 2},
		"beside something new": {with("soft lockup in f", "expected"), with("soft lockup in f\\nWARNING in g", "expected"), "expected", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := script(t)
			dir := t.TempDir()
			r.suites[0].Program = filepath.Join(dir, "dax.test")
			script := "#!/bin/sh\necho once >>" + dir + "/said\nif [ -e " + dir + "/once ]; then printf '%s\\n' '" + test.again + "' >&3; exit; fi\n" +
				"touch " + dir + "/once\nprintf '%s\\n' '" + finished(a) + "' '" + test.first + "' '" + finished("dax/xfs/shared-read") + "' >&3\n"
			if err := os.WriteFile(r.suites[0].Program, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			r.observe(context.Background(), r.suites[0], r.kernels[0])
			at := slices.IndexFunc(r.cells, func(c observe.Cell) bool { return c.Scenario == b })
			if len(r.cells) != 3 || at < 0 {
				t.Fatalf("got %+v, want 3 cells, one of %s", r.cells, b)
			}
			c := r.cells[at]
			if string(c.Verdict) != test.verdict || !strings.Contains(c.Message, test.says) || test.says != "" && (len(c.Steps) > 0 || c.Witnesses != nil) {
				t.Errorf("got %+v, want %s, %q, without steps if it has a message", c, test.verdict, test.says)
			}
			said, err := os.ReadFile(filepath.Join(dir, "said"))
			if err != nil || strings.Count(string(said), "once") != test.observed {
				t.Errorf("got error %v, observed %q; want %d times", err, said, test.observed)
			}
			if again := test.observed == 2; again != (c.Earlier != nil) || again && (len(c.Earlier.Stalls()) != 1 || len(c.Earlier.KernelLog) != 1) {
				t.Errorf("the first observation: got %+v, want it recorded with its stall: %t", c.Earlier, again)
			}
		})
	}
}

// The arguments of a suite process.
func TestSuiteArguments(t *testing.T) {
	r := script(t)
	r.suites[1].Program = filepath.Join(t.TempDir(), "ram.test")
	said := filepath.Join(t.TempDir(), "said")
	if err := os.WriteFile(r.suites[1].Program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >"+said+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.observe(context.Background(), r.suites[1], r.kernels[0])
	got, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"-ginkgo.label-filter=id: containsAny {ram.anon.read}", "--faultline.kernel=dir:old", "--faultline.name=old",
		"--faultline.digest=digest of old", "--faultline.accel=tcg", "--faultline.events=3",
	} {
		if !slices.Contains(strings.Split(string(got), "\n"), want) {
			t.Errorf("got no argument %s, want it, in\n%s", want, got)
		}
	}
}

// An interrupted process reports an infrastructure failure for its scenario, which is not
// recorded as a cell.
func TestInterrupted(t *testing.T) {
	r := script(t)
	r.suites[0].Program = filepath.Join(t.TempDir(), "dax.test")
	interrupted := strings.Replace(finished("dax/ext4/shared-write"), "expected", "infra", 1)
	script := "#!/bin/sh\ntrap 'echo '\\''" + interrupted + "'\\'' >&3; exit 1' INT\necho '" + finished("dax/ext4/shared-read") + "' >&3\nwhile :; do sleep 0.02; done\n"
	if err := os.WriteFile(r.suites[0].Program, []byte(script), 0o755); err != nil {
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
	r.observe(ctx, r.suites[0], r.kernels...)
	if len(r.cells) != 1 || r.cells[0].Verdict != observe.Expected {
		t.Errorf("got %+v, want the one cell that had ended", r.cells)
	}
}

// A kernel that cannot be observed loses only its own cells.
func TestBrokenKernel(t *testing.T) {
	r := script(t)
	r.suites[1].Program = filepath.Join(t.TempDir(), "ram.test")
	if err := os.WriteFile(r.suites[1].Program, []byte("#!/bin/sh\necho '"+strings.ReplaceAll(finished("ram/anon/read"), "old", "new")+"' >&3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.executor.booted[r.kernels[0]] = &booted{broken: fmt.Errorf("probe: %w", &vm.GuestError{Kind: vm.Panic, Doing: "boot", Kernel: "old", Tail: "Kernel panic - not syncing: no init"})}
	r.observe(context.Background(), r.suites[1], r.kernels...)
	if len(r.cells) != 2 {
		t.Fatalf("got %+v, want 2 cells", r.cells)
	}
	for _, c := range r.cells {
		if c.Kernel == "new" && c.Verdict != observe.Expected {
			t.Errorf("the other kernel: got %+v, want an expected cell", c)
		}
		if c.Kernel == "old" && (c.Verdict != observe.Infra || !strings.Contains(c.Message, "panicked: Kernel panic - not syncing: no init") || c.ConsoleTail == "") {
			t.Errorf("the broken kernel: got %+v, want its panic, and its console", c)
		}
	}
	// DoesNotBoot is set only if the kernel itself is the cause.
	r.record.Kernels = make([]results.Kernel, 2)
	for kind, own := range map[vm.Kind]bool{vm.Panic: true, vm.Hang: true, vm.Refused: true, vm.Exit: false, vm.HostFailed: false, vm.BrokenAccel: false} {
		r.executor.booted[r.kernels[0]] = &booted{broken: fmt.Errorf("probe: %w", &vm.GuestError{Kind: kind})}
		r.recordBoot(0, r.kernels[0], r.executor, nil)
		r.recordBoot(1, r.kernels[1], r.executor, nil)
		if r.record.Kernels[0].DoesNotBoot != own || r.record.Kernels[1].DoesNotBoot {
			t.Errorf("%s: got %+v, want it not to boot %t, and the other to boot", kind, r.record.Kernels, own)
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
			t.Errorf("%s: got %v, want no error", ok, err)
		}
	}
	for _, not := range []string{file, filepath.Join(file, "below"), "/proc/self/no"} {
		var e *results.NotWritableError
		if err := writable(not); !errors.As(err, &e) || !strings.Contains(err.Error(), "give another one with --out") {
			t.Errorf("%s: got %v, want a *NotWritableError that gives --out", not, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); err == nil {
		t.Error("the folder was created")
	}
}
