package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/faultline/faultline/framework/machine/qemu"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/scenario"
	"github.com/faultline/faultline/guest/required"
	"github.com/faultline/faultline/kernels"
	"github.com/faultline/faultline/kernels/kconfig"
)

// configured returns a configuration with the symbols that a guest needs, and these.
func configured(t *testing.T, symbols ...string) *kconfig.Config {
	t.Helper()
	text := ""
	for _, n := range required.Needs() {
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

// columns returns two kernels and the catalogue's suites.
func columns(t *testing.T) ([]*Kernel, []Suite) {
	t.Helper()
	var ks []*Kernel
	for _, name := range []string{"old", "new"} {
		k := &kernels.Kernel{Config: configured(t, "FS_DAX")}
		k.Name = name
		ks = append(ks, &Kernel{Kernel: k, Accel: qemu.TCG})
	}
	var suites []Suite
	for _, name := range []string{"dax", "ram", "syscalls"} {
		s := Suite{Name: name}
		for _, i := range catalogue {
			if i.Suite == name {
				s.Scenarios = append(s.Scenarios, i)
			}
		}
		suites = append(suites, s)
	}
	return ks, suites
}

// possible returns a plan in which every kernel can run every scenario.
func possible(t *testing.T, ks []*Kernel, suites []Suite, picked []scenario.Info, opt Options) Plan {
	t.Helper()
	p := Make(ks, suites, picked, opt)
	if len(p.Impossible) > 0 {
		t.Errorf("got the impossible %+v, want none", p.Impossible)
	}
	return p
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

func TestMake(t *testing.T) {
	const all = "dax/ext4/shared-read dax/ext4/shared-write dax/xfs/shared-read"
	of := func(kernel string, ids ...string) (cells []observe.Cell) {
		for _, id := range ids {
			cells = append(cells, observe.Cell{Scenario: id, Kernel: kernel})
		}
		return cells
	}
	for name, c := range map[string]struct {
		picked      []scenario.Info
		opt         Options
		want        []string
		total, done int
	}{
		"the longest first": {catalogue, Options{}, []string{
			"old dax 0: " + all, "new dax 0: " + all, "old ram 0: ram/anon/read", "old syscalls 0: syscalls/ext4/pread",
			"new ram 0: ram/anon/read", "new syscalls 0: syscalls/ext4/pread",
		}, 10, 0},
		"what was picked": {catalogue[3:4], Options{Repeat: 1}, []string{"old ram 0: ram/anon/read", "new ram 0: ram/anon/read"}, 2, 0},
		"attempts": {catalogue[3:4], Options{Repeat: 2}, []string{
			"old ram 1: ram/anon/read", "new ram 1: ram/anon/read", "old ram 2: ram/anon/read", "new ram 2: ram/anon/read",
		}, 4, 0},
		// A finished kernel has no task, and so does not boot.
		"resumed": {catalogue, Options{Have: append(of("new", "ram/anon/read"), of("old", strings.Fields(all+" ram/anon/read syscalls/ext4/pread")...)...)},
			[]string{"new dax 0: " + all, "new syscalls 0: syscalls/ext4/pread"}, 10, 6},
		"resumed attempts": {catalogue[3:4], Options{Repeat: 2, Have: []observe.Cell{{Scenario: "ram/anon/read", Kernel: "old", Attempt: 1}}},
			[]string{"new ram 1: ram/anon/read", "old ram 2: ram/anon/read", "new ram 2: ram/anon/read"}, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ks, suites := columns(t)
			p := possible(t, ks, suites, c.picked, c.opt)
			if got := words(p.Tasks); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if p.Total != c.total || p.Done != c.done {
				t.Errorf("got %d done of %d, want %d of %d", p.Done, p.Total, c.done, c.total)
			}
		})
	}
}

func TestNoProcessGetsTooMany(t *testing.T) {
	ks, _ := columns(t)
	var many []scenario.Info
	for n := range 40 {
		many = append(many, scenario.Info{ID: fmt.Sprintf("ram/anon/%02d", n), Suite: "ram"})
	}
	var got []int
	for _, task := range possible(t, ks[:1], []Suite{{Name: "ram", Scenarios: many}}, many, Options{}).Tasks {
		got = append(got, len(task.Scenarios))
	}
	if diff := cmp.Diff([]int{16, 16, 8}, got); diff != "" {
		t.Errorf("scenarios of each task mismatch (-want +got):\n%s", diff)
	}
}

func TestWhatTheConfigurationRulesOut(t *testing.T) {
	ks, suites := columns(t)
	ks[0].Config = configured(t)
	ram := []scenario.Info{{ID: "ram/anon/read", Suite: "ram", Needs: []string{"FS_DAX"}}, {ID: "ram/anon/never", Suite: "ram", Skipped: "no machine has it", TCG: "exact"}}
	suites[1].Scenarios = ram
	ks[1].Accel = qemu.KVM
	p := Make(ks, suites[1:2], ram, Options{Repeat: 2, Have: []observe.Cell{{Scenario: "ram/anon/never", Kernel: "old", Attempt: 1, Verdict: observe.Skipped}}})
	if diff := cmp.Diff([]string{"new ram 1: ram/anon/read", "new ram 2: ram/anon/read"}, words(p.Tasks)); diff != "" {
		t.Errorf("tasks mismatch (-want +got):\n%s", diff)
	}
	var got []string
	for _, c := range p.Impossible {
		got = append(got, fmt.Sprintf("%s %s %d %s %s: %s", c.Kernel, c.Scenario, c.Attempt, c.Accel, c.Verdict, c.Message))
	}
	want := []string{
		"old ram/anon/read 1 tcg skipped: old does not have CONFIG_FS_DAX", "new ram/anon/never 1 tcg skipped: no machine has it",
		"old ram/anon/read 2 tcg skipped: old does not have CONFIG_FS_DAX", "old ram/anon/never 2 tcg skipped: no machine has it",
		"new ram/anon/never 2 tcg skipped: no machine has it",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("impossible cells mismatch (-want +got):\n%s", diff)
	}
	if p.Total != 8 || p.Done != 1 {
		t.Errorf("got %d done of %d, want 1 of 8", p.Done, p.Total)
	}
}

// A scenario that needs TCG is skipped if QEMU has none; the kernel is not blamed.
func TestNoTCG(t *testing.T) {
	ks, suites := columns(t)
	ks[1].NoTCG = errors.New("QEMU 9 has no accelerator tcg")
	exact := slices.Clone(suites[0].Scenarios)
	for i := range exact {
		exact[i].TCG = "it is exact"
	}
	suites = []Suite{{Name: "dax", Scenarios: exact}, suites[1]}
	p := Make(ks, suites, slices.Concat(exact, suites[1].Scenarios), Options{})
	skipped := 0
	for _, c := range p.Impossible {
		if c.Verdict == observe.Skipped && c.Message == "it needs TCG (it is exact), and QEMU 9 has no accelerator tcg" {
			if skipped++; c.Kernel != "new" {
				t.Errorf("got it skipped on %s, want new", c.Kernel)
			}
		}
	}
	for _, task := range p.Tasks {
		if task.Kernel == ks[1] && task.Suite.Name == "dax" {
			t.Errorf("got %+v to be observed, want none", task.Scenarios)
		}
	}
	if skipped != len(exact) {
		t.Errorf("got %d skipped, want all %d: %+v", skipped, len(exact), p.Impossible)
	}
}

// A cached cell is in the plan under this run's kernel name, and in no task. Cells of this
// run, and impossible ones, are not looked up.
func TestKept(t *testing.T) {
	ks, suites := columns(t)
	first := suites[0].Scenarios[0]
	p := Make(ks, suites, catalogue, Options{
		Have: []observe.Cell{{Kernel: "new", Scenario: first.ID}},
		Kept: func(k *Kernel, _ Suite, i scenario.Info) (observe.Cell, bool) {
			if k.Name == "new" && i.ID == first.ID {
				t.Error("a cell of the run itself was looked up")
			}
			return observe.Cell{Kernel: "as it was called then", Scenario: i.ID, Verdict: observe.Expected, ObservedBy: "a run"}, k.Name == "new"
		},
	})
	planned := 0
	for _, task := range p.Tasks {
		if planned += len(task.Scenarios); task.Kernel.Name != "old" {
			t.Errorf("%s: got it to be observed on %s, want old", task.Scenarios[0].ID, task.Kernel.Name)
		}
	}
	for _, c := range p.Kept {
		if c.Kernel != "new" || c.ObservedBy != "a run" || c.Scenario == first.ID {
			t.Errorf("kept: got %+v, want it of new, by a run, and not the first", c)
		}
	}
	if planned == 0 || len(p.Kept) == 0 || planned+len(p.Kept)+p.Done+len(p.Impossible) != p.Total {
		t.Errorf("got %d planned, %d kept, %d done, %d impossible; want %d in all", planned, len(p.Kept), p.Done, len(p.Impossible), p.Total)
	}
}
