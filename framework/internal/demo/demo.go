// Package demo provides invented runs for tests of packages that read records: a run as
// expected, and runs with everything that can go wrong. No guest was started for them.
package demo

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/guest/siginfo"
)

// The kernels of Run.
const (
	OldName = "6.1.192 (apt:bookworm)"
	NewName = "6.12.117 (apt:bookworm, 6.12)"
)

var began = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// sigbus returns the signal of a payload that a handler could have received, for an access to
// offset 0x4000 of a mapping named file.
func sigbus(code int32, lsb int16) observe.Signal {
	const off = 0x4000
	raw := make([]byte, siginfo.Size)
	le := binary.LittleEndian
	le.PutUint32(raw[0:], siginfo.SIGBUS)
	le.PutUint32(raw[8:], uint32(code))
	le.PutUint64(raw[16:], 0x7f3c_1420_0000+off)
	le.PutUint16(raw[24:], uint16(lsb))
	in, err := siginfo.Decode(raw)
	if err != nil {
		panic(err)
	}
	return observe.NewSignal(in, fmt.Sprintf("file+0x%x", off))
}

func signalled(s ...observe.Signal) observe.Outcome { return observe.Outcome{Signals: s} }

func adrerr() observe.Outcome { return signalled(sigbus(siginfo.BusADRERR, 0)) }
func poison() observe.Outcome { return signalled(sigbus(siginfo.BusMCEErrAR, 12)) }

func returned(n int64, errno string) observe.Outcome {
	return observe.Outcome{Ret: &n, Errno: errno}
}

// follows returns a step whose outcome depends on the dax change.
func follows(action string, has bool, before, after observe.Outcome) observe.Step {
	s := observe.Step{Actor: "victim", Action: action, Outcome: before, Expected: &observe.Expectation{
		Change: change.DaxFaultHWPoison.ID, Before: before.String(), After: after.String(), Side: observe.Before, Met: true}}
	if has {
		s.Outcome, s.Expected.Side = after, observe.After
	}
	return s
}

// always returns a step with the same outcome on all kernels.
func always(actor, action string, o observe.Outcome) observe.Step {
	return observe.Step{
		Actor:    actor,
		Action:   action,
		Outcome:  o,
		Expected: &observe.Expectation{After: o.String(), Side: observe.Both, Met: true},
	}
}

// plain returns a step without an expectation.
func plain(actor, action string) observe.Step {
	return observe.Step{Actor: actor, Action: action}
}

type plan struct {
	id, doc string
	steps   func(has bool) []observe.Step
}

func daxPlans() []plan {
	load := func(has bool) observe.Step { return follows("load file+0x4000 width 1", has, adrerr(), poison()) }
	var out []plan
	for _, fs := range []string{"ext4", "xfs"} {
		out = append(
			out,
			plan{
				"dax/" + fs + "/shared-read",
				"A load from a shared mapping of a page with a bad block.",
				func(has bool) []observe.Step {
					return []observe.Step{
						plain("victim", "map file shared"),
						plain("agent", "badblock file+0x4000 8 sectors"),
						load(has),
					}
				},
			},
			plan{
				"dax/" + fs + "/shared-write",
				"A store to a shared mapping of a page with a bad block.",
				func(has bool) []observe.Step {
					return []observe.Step{follows("store file+0x4000 width 8", has, adrerr(), poison())}
				},
			},
			plan{
				"dax/" + fs + "/private-cow",
				"A store to a private mapping, whose copy would read the bad page.",
				func(has bool) []observe.Step {
					return []observe.Step{follows("store file+0x4000 width 1", has, adrerr(), poison())}
				},
			},
			plan{
				"dax/" + fs + "/mapped-then-bad",
				"A load from a page that became bad after it was mapped.",
				func(bool) []observe.Step {
					return []observe.Step{always("victim", "load file+0x4000 width 1", observe.Outcome{Data: "15"})}
				},
			},
			plan{
				"dax/" + fs + "/unwritten-write",
				"A store to an allocated, never written block that is bad.",
				func(bool) []observe.Step {
					return []observe.Step{always("victim", "store file+0x4000 width 1", adrerr())}
				},
			},
			plan{"dax/" + fs + "/pread", "A pread of a page with a bad block.", func(bool) []observe.Step {
				return []observe.Step{always("victim", "pread file+0x4000 4096", returned(-1, "EIO"))}
			}},
		)
	}
	out = append(
		out,
		plan{
			"dax/ext4/second-process",
			"One process consumes poison; another one then touches the same page.",
			func(has bool) []observe.Step {
				first := always(
					"victim",
					"madvise file+0x4000 MADV_HWPOISON",
					signalled(sigbus(siginfo.BusMCEErrAR, 12)),
				)
				second := follows("load file+0x4000 width 1", has, adrerr(), poison())
				second.Actor = "second"
				return []observe.Step{first, plain("agent", "badblock file+0x4000 8 sectors"), second}
			},
		},
	)
	return append(out,
		plan{"syscalls/ext4/pwrite-aligned", "A pwrite of the whole bad page.", func(bool) []observe.Step {
			return []observe.Step{always("victim", "pwrite file+0x4000 4096", returned(-1, "EFAULT"))}
		}},
		plan{"syscalls/pmem/read", "A read of the raw block device.", func(bool) []observe.Step {
			return []observe.Step{always("agent", "read /dev/pmem0", returned(-1, "EIO"))}
		}})
}

// Run returns a run of two kernels, as with the default matrix.
func Run() results.Run {
	id := change.DaxFaultHWPoison.ID
	kernel := func(name, spec, version, release, digest string, boot float64) results.Kernel {
		return results.Kernel{
			Name:       name,
			Spec:       spec,
			Release:    release,
			Version:    version,
			Arch:       "amd64",
			Accel:      "tcg",
			BootMillis: boot,
			Digest: "sha256:" + strings.Repeat(
				digest,
				16,
			),
			Packages:    []results.Package{{Name: "linux-image-" + release, Version: version + "-1"}},
			Console:     results.ConsoleFile(name),
			CommandFile: results.CommandFile(name),
		}
	}
	run := results.Run{
		Schema:   results.Schema,
		ID:       results.NewID(began),
		Started:  began,
		Finished: began.Add(14200 * time.Millisecond),
		Tool:     results.Tool{Version: "0.1.0", Commit: "0123456789abcdef"},
		Accel:    "auto",
		Host: results.Host{
			OS:          "Debian GNU/Linux 12",
			CPU:         "Example CPU @ 2.60GHz",
			Cores:       2,
			MemoryBytes: 8 << 30,
			QEMU:        "7.2.22",
		},
		Command: []string{
			"faultline",
			"run",
			"--kernel",
			"apt:bookworm",
			"--kernel",
			"apt:bookworm,linux-image-6.12.*-amd64-unsigned",
		},
		Kernels: []results.Kernel{
			kernel(OldName, "apt:bookworm", "6.1.192", "6.1.0-56-amd64", "a1b2", 2310),
			kernel(NewName, "apt:bookworm,linux-image-6.12.*-amd64-unsigned", "6.12.117", "6.12.117+deb12-amd64", "c3d4", 2840),
		},
	}
	for i, p := range daxPlans() {
		suite, _, _ := strings.Cut(p.id, "/")
		s := results.Scenario{
			ID:    p.id,
			Doc:   p.doc,
			Suite: suite,
			Needs: []string{"FS_DAX", "nvdimm"},
			Lead:  strings.HasSuffix(p.id, "second-process"),
		}
		for j, k := range run.Kernels {
			c := observe.Cell{
				Scenario: p.id,
				Kernel:   k.Name,
				Accel:    "tcg",
				Verdict:  observe.Expected,
				Steps:    p.steps(j == 1),
				Started: began.Add(
					time.Duration(i) * time.Second,
				),
				Millis:    212 + float64(i),
				Witnesses: map[string]string{"badblocks": "32 8"},
			}
			if c.Steps[len(c.Steps)-1].Expected.Change != "" {
				s.Changes = []string{id}
				c.Witnesses["log"] = observe.NothingAboutPoison
				if j == 1 {
					c.Witnesses["log"] = "MCE: Killing victim due to hardware memory corruption fault at N"
					c.KernelLog = []string{
						"[    3.204115] MCE: Killing victim:101 due to hardware memory corruption fault at 7f3c14204000",
					}
				}
			}
			run.Cells = append(run.Cells, c)
		}
		run.Scenarios = append(run.Scenarios, s)
	}
	judge.Run(&run)
	return run
}

// Troubled returns Run with one of everything that can go wrong.
func Troubled() results.Run {
	run := Run()
	cell := func(scenario, kernel string) *observe.Cell { return cellOf(&run, scenario, kernel) }
	back := cell("dax/xfs/private-cow", NewName) // a backport without the COW path
	back.Steps[0].Outcome, back.Steps[0].Expected.Side = adrerr(), observe.Before
	back.Witnesses, back.KernelLog = cell("dax/xfs/private-cow", OldName).Witnesses, nil
	huge := cell("dax/xfs/shared-write", NewName) // a size that no kernel reports
	huge.Verdict, huge.Message = observe.Unexpected, "neither side"
	huge.Steps[0].Outcome = signalled(sigbus(siginfo.BusMCEErrAR, 21))
	huge.Steps[0].Expected.Side, huge.Steps[0].Expected.Met = observe.Neither, false
	for kernel, errno := range map[string]string{OldName: "EFAULT", NewName: "EIO"} { // lost on the way
		c := cell("syscalls/ext4/pwrite-aligned", kernel)
		c.Steps[0] = follows("pwrite file+0x4000 4096", kernel == OldName, returned(-1, "EIO"), returned(-1, errno))
		c.Steps[0].Expected.Change, c.Steps[0].Expected.After = change.DaxRecoveryWrite.ID, "EFAULT"
	}
	loud := cell("dax/xfs/shared-read", NewName)
	quiet := cell("dax/xfs/shared-read", OldName)
	loud.Witnesses[observe.WitnessSplats], loud.Witnesses[observe.WitnessTaint] = "WARNING in dax_iomap_fault", "W"
	quiet.Witnesses[observe.WitnessSplats], quiet.Witnesses[observe.WitnessTaint] = observe.NoSplats, "none"
	run.Kernels[1].Splats, run.Kernels[1].Taint = []string{"WARNING in acpi_init"}, "W"
	infra := cell("dax/xfs/pread", NewName)
	*infra = observe.Cell{
		Scenario: infra.Scenario,
		Kernel:   infra.Kernel,
		Accel:    "tcg",
		Verdict:  observe.Infra,
		Started:  infra.Started,
		Millis:   30000,
		Message:  "the guest gave no answer within 30s",
		ConsoleTail: "\x1b[0;32m[    2.1] systemd-free\x1b[0m\r\n</script><script>alert(1)</script>\r\n" +
			"watchdog: BUG: soft lockup",
	}
	skipped := cell("dax/xfs/unwritten-write", OldName)
	*skipped = observe.Cell{Scenario: skipped.Scenario, Kernel: skipped.Kernel, Accel: "tcg", Verdict: observe.Skipped,
		Message: "the kernel lacks CONFIG_XFS_FS", Started: skipped.Started}
	hostile := cell("syscalls/pmem/read", NewName)
	hostile.Steps[0].Outcome.Note = `<img src=x onerror=alert(1)>"'` + "\x1b]0;owned\x07"
	hostile.Steps[0].Outcome.Errno = ""
	again := *cell("dax/ext4/pread", OldName)
	again.Attempt = 2
	again.Steps = []observe.Step{always("victim", "pread file+0x4000 4096", returned(4096, ""))}
	run.Cells = append(run.Cells, again)
	judge.Run(&run)
	return run
}

// Folder creates a results folder with consoles.
func Folder(t *testing.T, run results.Run) *results.Folder {
	t.Helper()
	f, err := results.Create(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range run.Kernels {
		if err := f.Put(
			k.Console,
			[]byte("[    0.000000] Linux version "+k.Release+"\r\n[    1.702] Run /init as init process\r\n"),
		); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// AddKernels returns a run with n more kernels, which are copies of the last one.
func AddKernels(run results.Run, n int) results.Run {
	last := run.Kernels[len(run.Kernels)-1]
	for i := range n {
		k := last
		k.Name, k.Version = fmt.Sprintf("7.%d.4 (apt:trixie-backports)", i), fmt.Sprintf("7.%d.4", i)
		run.Kernels = append(run.Kernels, k)
		for _, c := range run.Cells {
			if c.Kernel == last.Name {
				c.Kernel = k.Name
				run.Cells = append(run.Cells, c)
			}
		}
	}
	judge.Run(&run)
	return run
}
