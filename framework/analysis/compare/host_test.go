package compare_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/faultline/faultline/framework/analysis/compare"
	"github.com/faultline/faultline/framework/internal/demo"
	"github.com/faultline/faultline/framework/record/baseline"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/errkind"
)

// with returns a run with changed cells.
func with(change func(run *results.Run, c *observe.Cell)) results.Run {
	run := demo.Run()
	for i := range run.Cells {
		change(&run, &run.Cells[i])
	}
	return run
}

// reads makes a scenario of one kernel read what it cannot.
func reads(kernel string) func(*results.Run, *observe.Cell) {
	return func(_ *results.Run, c *observe.Cell) {
		if c.Scenario == "dax/ext4/pread" && c.Kernel == kernel {
			n := int64(4096)
			c.Steps[0].Outcome = observe.Outcome{Ret: &n}
		}
	}
}

// If QEMU, the accelerator or the processor differs too, a difference is not attributed to
// the kernel.
func TestOtherHost(t *testing.T) {
	qemu := func(version string) func(*results.Run, *observe.Cell) {
		return func(run *results.Run, _ *observe.Cell) { run.Host.QEMU = version }
	}
	accel := func(accel, cpu string) func(*results.Run, *observe.Cell) {
		return func(run *results.Run, c *observe.Cell) { c.Accel, run.Host.CPU = accel, cpu }
	}
	all := func(changes ...func(*results.Run, *observe.Cell)) results.Run {
		return with(func(run *results.Run, c *observe.Cell) {
			for _, change := range changes {
				change(run, c)
			}
		})
	}
	differs := reads(demo.NewName)
	for name, test := range map[string]struct {
		a, b     compare.Side
		anyAccel bool
		cause    string
		own      int // differences that are the kernel's
		code     int
	}{
		"the same host":               {whole(demo.Run()), whole(all(differs)), false, "", 2, errkind.ExitUnexpected},
		"another QEMU":                {whole(demo.Run()), whole(all(differs, qemu("10.0.13"))), false, "QEMU 7.2.22 / 10.0.13", 0, errkind.ExitInfra},
		"another QEMU, the same seen": {whole(demo.Run()), whole(all(qemu("10.0.13"))), false, "", 0, errkind.ExitExpected},
		"one that is not recorded":    {whole(demo.Run()), whole(all(differs, qemu(""))), false, "", 2, errkind.ExitUnexpected},
		"another accelerator":         {whole(demo.Run()), whole(all(differs, accel("kvm", "x"))), true, "accelerator tcg / kvm", 0, errkind.ExitInfra},
		"another processor, KVM":      {whole(all(accel("kvm", "x"))), whole(all(differs, accel("kvm", "y"))), false, "processor x / y", 0, errkind.ExitInfra},
		"another processor, TCG":      {whole(all(accel("tcg", "x"))), whole(all(differs, accel("tcg", "y"))), false, "", 2, errkind.ExitUnexpected},
		"a change, and another QEMU":  {kernel(demo.Run(), demo.OldName), kernel(all(qemu("10.0.13")), demo.NewName), false, "", 21, errkind.ExitExpected},
		"a loss, and another QEMU":    {kernel(demo.Every()["lost change"], demo.OldName), kernel(lostOn("10.0.13"), demo.NewName), false, "QEMU 7.2.22 / 10.0.13", 21, errkind.ExitInfra},
	} {
		t.Run(name, func(t *testing.T) {
			c := of(t, test.a, test.b, compare.Options{AnyAccel: test.anyAccel})
			var text bytes.Buffer
			if err := c.Write(&text); err != nil {
				t.Fatal(err)
			}
			causes := []string{}
			for _, p := range c.Pairs {
				for _, d := range p.OtherHost {
					if d.ExplainedBy != "" || d.Lost || d.KernelA == "A" {
						t.Errorf("got %+v, want it without an explanation, not lost, and the name of the kernel", d)
					}
					causes = append(causes, d.Cause)
				}
			}
			slices.Sort(causes)
			if got := strings.Join(slices.Compact(causes), ", "); got != test.cause || strings.Contains(text.String(), "Not judged") != (test.cause != "") {
				t.Errorf("got the cause %q, want %q, in\n%s", got, test.cause, text.String())
			}
			if got := len(differences(c)); got != test.own || c.ExitCode() != test.code {
				t.Errorf("got %d differences, want %d; got exit code %d, want %d\n%s", got, test.own, c.ExitCode(), test.code, text.String())
			}
		})
	}
}

func lostOn(qemu string) results.Run {
	run := demo.Every()["lost change"]
	run.Host.QEMU = qemu
	return run
}

// A comparison with a baseline passes only if all of it was compared.
func TestAgainstABaseline(t *testing.T) {
	saved := func(run results.Run) compare.Side {
		text, _, err := baseline.Encode(run)
		if err != nil {
			t.Fatal(err)
		}
		b, err := baseline.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		return compare.Side{Label: "baseline", Run: b.Run, Baseline: b}
	}
	accel := func(name string) func(*results.Run, *observe.Cell) {
		return func(run *results.Run, c *observe.Cell) {
			if c.Accel = name; c.Scenario == "syscalls/pmem/read" { // one that needs TCG
				c.Accel = "tcg"
			}
			run.Kernels[0].Accel, run.Kernels[1].Accel = name, name
		}
	}
	without := func(kernel string, scenarios ...string) results.Run {
		run := demo.Run()
		run.Kernels = slices.DeleteFunc(slices.Clone(run.Kernels), func(k results.Kernel) bool { return k.Name == kernel })
		run.Cells = slices.DeleteFunc(run.Cells, func(c observe.Cell) bool { return c.Kernel == kernel || slices.Contains(scenarios, c.Scenario) })
		run.Scenarios = slices.DeleteFunc(run.Scenarios, func(s results.Scenario) bool { return slices.Contains(scenarios, s.ID) })
		return run
	}
	for name, test := range map[string]struct {
		base, now results.Run
		want      int
		says      string
	}{
		"nothing moved":       {demo.Run(), demo.Run(), 0, "No difference in 15 scenarios."},
		"one moved":           {demo.Run(), with(reads(demo.NewName)), 1, "2 unexplained"},
		"another accelerator": {with(accel("kvm")), with(accel("tcg")), 3, "14 of 15 scenarios could not be compared."},
		"skipped now": {demo.Run(), with(func(_ *results.Run, c *observe.Cell) {
			if c.Scenario != "syscalls/pmem/read" {
				c.Verdict, c.Message, c.Steps = observe.Skipped, "the kernel lacks CONFIG_FS_DAX", nil
			}
		}), 1, "Observed in A only: dax/ext4/shared-read"},
		"not skipped now":  {with(func(_ *results.Run, c *observe.Cell) { notDoable(c, "dax/ext4/pread") }), demo.Run(), 0, "Not compared: dax/ext4/pread: skipped in A"},
		"a kernel is gone": {demo.Run(), without(demo.NewName), 3, "Not compared: " + demo.NewName + " is not in B, which planned 15 scenarios of it"},
		"a kernel more":    {without(demo.NewName), demo.Run(), 0, "Only in B: " + demo.NewName},
		"fewer scenarios":  {demo.Run(), changed(demo.Run(), func(run *results.Run) { drop(run, "dax/ext4/pread") }), 0, "Not compared: dax/ext4/pread: not in B"},
		"a cell is gone":   {demo.Run(), changed(demo.Run(), func(run *results.Run) { dropCells(run, "dax/ext4/pread") }), 3, "planned in B but not observed"},
		"other steps": {demo.Run(), with(func(_ *results.Run, c *observe.Cell) {
			if c.Scenario == "dax/ext4/pread" {
				c.Steps = c.Steps[:len(c.Steps)-1]
			}
		}), 3, "Not compared: dax/ext4/pread: its steps are not those of the baseline"},
		"the other is gone":  {demo.Run(), without(demo.OldName), 3, demo.OldName + " is not in B"},
		"another QEMU":       {demo.Run(), with(func(run *results.Run, c *observe.Cell) { run.Host.QEMU = "10.0.13"; reads(demo.NewName)(run, c) }), 3, "QEMU 7.2.22 / 10.0.13"},
		"another QEMU alone": {demo.Run(), with(func(run *results.Run, _ *observe.Cell) { run.Host.QEMU = "10.0.13" }), 0, "No difference in 15 scenarios."},
	} {
		t.Run(name, func(t *testing.T) {
			c := of(t, saved(test.base), whole(test.now), compare.Options{})
			var text bytes.Buffer
			if err := c.Write(&text); err != nil {
				t.Fatal(err)
			}
			if got := c.Moved(); got != test.want || !strings.Contains(text.String(), test.says) {
				t.Errorf("got exit code %d, want %d, and %q in\n%s", got, test.want, test.says, text.String())
			}
		})
	}
}

func notDoable(c *observe.Cell, scenario string) {
	if c.Scenario == scenario {
		c.Verdict, c.Message, c.Steps = observe.Skipped, "the kernel lacks CONFIG_EXT4_FS", nil
	}
}

func changed(run results.Run, change func(*results.Run)) results.Run {
	change(&run)
	return run
}

func dropCells(run *results.Run, scenario string) {
	run.Cells = slices.DeleteFunc(run.Cells, func(c observe.Cell) bool { return c.Scenario == scenario })
}

func drop(run *results.Run, scenario string) {
	dropCells(run, scenario)
	run.Scenarios = slices.DeleteFunc(run.Scenarios, func(s results.Scenario) bool { return s.ID == scenario })
}
