package demo

import (
	"slices"
	"strings"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/conclusion"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
)

// Every returns a run for each way in which a run can end, by name. Each has only one
// problem, so that a format which omits that problem reports a wrong result for the run.
func Every() map[string]results.Run {
	runs := map[string]results.Run{
		"as expected": Run(), "troubled": Troubled(), "hostile": Hostile(), "five kernels": AddKernels(Troubled(), 3),
	}
	made := func(name string, change func(run *results.Run)) {
		run := Run()
		change(&run)
		judge.Run(&run)
		runs[name] = run
	}
	verdict := func(scenario string, v observe.Verdict, message string) func(*results.Run) {
		return func(run *results.Run) {
			c := cellOf(run, scenario, NewName)
			*c = observe.Cell{
				Scenario: c.Scenario,
				Kernel:   c.Kernel,
				Accel:    c.Accel,
				Verdict:  v,
				Message:  message,
				Started:  c.Started,
			}
		}
	}
	made("infra", verdict("dax/ext4/pread", observe.Infra, "the guest gave no answer within 30s"))
	made("skipped", verdict("dax/ext4/pread", observe.Skipped, "the kernel lacks CONFIG_EXT4_FS"))
	made("unexpected", func(run *results.Run) {
		c := cellOf(run, "dax/ext4/pread", NewName)
		c.Verdict, c.Message = observe.Unexpected, "expected EIO, saw ok 4096"
		c.Steps[0].Outcome, c.Steps[0].Expected.Side, c.Steps[0].Expected.Met = returned(4096, ""), observe.Neither, false
	})
	made("lost change", func(run *results.Run) {
		c := cellOf(run, "syscalls/ext4/pwrite-aligned", OldName)
		c.Steps[0] = follows("pwrite file+0x4000 4096", true, returned(-1, "EIO"), returned(-1, "EFAULT"))
		c.Steps[0].Expected.Change = change.DaxRecoveryWrite.ID
		c = cellOf(run, "syscalls/ext4/pwrite-aligned", NewName)
		c.Steps[0] = follows("pwrite file+0x4000 4096", false, returned(-1, "EIO"), returned(-1, "EFAULT"))
		c.Steps[0].Expected.Change = change.DaxRecoveryWrite.ID
	})
	made("incomplete change", func(run *results.Run) {
		c := cellOf(run, "dax/xfs/private-cow", NewName)
		c.Steps[0].Outcome, c.Steps[0].Expected.Side = adrerr(), observe.Before
		c.Witnesses = cellOf(run, "dax/xfs/private-cow", OldName).Witnesses
	})
	made("contradicted claim", func(run *results.Run) {
		run.Kernels[0].Claims = map[string]bool{change.DaxFaultHWPoison.ID: true}
	})
	made("unexplained difference", func(run *results.Run) {
		cellOf(run, "dax/ext4/pread", NewName).Witnesses = map[string]string{"badblocks": "40 8"}
	})
	made("splat", func(run *results.Run) {
		for _, k := range []string{OldName, NewName} {
			c := cellOf(run, "dax/ext4/pread", k)
			c.Witnesses = map[string]string{"badblocks": "32 8", observe.WitnessSplats: "WARNING in dax_iomap_fault"}
		}
	})
	made("not repeatable", func(run *results.Run) {
		again := *cellOf(run, "dax/ext4/pread", OldName)
		cellOf(run, "dax/ext4/pread", OldName).Attempt, again.Attempt = 1, 2
		again.Steps = []observe.Step{always("victim", "pread file+0x4000 4096", returned(4096, ""))}
		run.Cells = append(run.Cells, again)
	})
	made("infra, once of twice", func(run *results.Run) {
		again := *cellOf(run, "dax/ext4/pread", OldName)
		cellOf(run, "dax/ext4/pread", OldName).Attempt = 1
		again.Attempt, again.Verdict, again.Steps, again.Message = 2, observe.Infra, nil, "QEMU ended"
		run.Cells = append(run.Cells, again)
	})
	made("not compared", func(run *results.Run) {
		run.Kernels[0].Accel, run.Kernels[1].Accel = "kvm", "tcg"
		run.Kernels[1].AccelWhy = "the guest panicked before user space"
		for i := range run.Cells {
			if c := &run.Cells[i]; c.Kernel == OldName {
				c.Accel = "kvm"
			}
		}
	})
	made("not compared in one scenario", func(run *results.Run) {
		cellOf(run, "dax/ext4/pread", NewName).Accel = "kvm"
	})
	made("no kernel boots", func(run *results.Run) {
		for i := range run.Cells {
			c := &run.Cells[i]
			c.Verdict, c.Steps, c.Witnesses, c.Message = observe.Infra, nil, nil, "boot: the kernel panicked"
		}
	})
	made("interrupted", func(run *results.Run) {
		run.Interrupted = true
		run.Cells = slices.DeleteFunc(run.Cells, func(c observe.Cell) bool {
			return c.Kernel == NewName && strings.HasPrefix(c.Scenario, "syscalls/")
		})
	})
	made("interrupted when all was done", func(run *results.Run) { run.Interrupted = true })
	made("interrupted before all", func(run *results.Run) { run.Interrupted, run.Cells = true, nil })
	made("nothing", func(run *results.Run) { *run = results.Run{ID: run.ID, Started: run.Started} })
	return runs
}

func cellOf(run *results.Run, scenario, kernel string) *observe.Cell {
	for i := range run.Cells {
		if run.Cells[i].Scenario == scenario && run.Cells[i].Kernel == kernel {
			return &run.Cells[i]
		}
	}
	panic("no cell " + scenario + " on " + kernel)
}

// Kinds returns the kinds of findings of a run.
func Kinds(run results.Run) []conclusion.FindingKind {
	var out []conclusion.FindingKind
	for _, f := range run.Findings {
		if !slices.Contains(out, f.Kind) {
			out = append(out, f.Kind)
		}
	}
	return out
}
