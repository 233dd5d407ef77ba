package backport

import (
	"fmt"
	"testing"

	"github.com/faultline/faultline/framework/analysis/judge"
	"github.com/faultline/faultline/framework/change"
	"github.com/faultline/faultline/framework/record/observe"
	"github.com/faultline/faultline/framework/record/results"
	"github.com/faultline/faultline/internal/klog"
)

const forth = "{SIGBUS BUS_ADRERR SIGBUS BUS_MCEERR_AR lsb=12}"

var quiet = saw(other, always(errno("EIO"), "EIO"))

// Verdicts about base and patched for a change, without a reference.
func TestOfAChange(t *testing.T) {
	wrong := mceerr()
	wrong.Signals[0].LSB = 21
	const lsb21 = "SIGBUS BUS_MCEERR_AR lsb=21"
	elsewhere := mceerr()
	elsewhere.Signals[0].Addr = "file+0x4000"
	returning, reading, doubled, nowhere := mceerr(), mceerr(), mceerr(), mceerr()
	five, page := int64(5), int64(4096)
	returning.Ret, reading.Data = &five, "41"
	doubled.Signals = append(doubled.Signals, doubled.Signals[0])
	nowhere.Signals[0].Addr = "0x0"
	zeros := observe.Outcome{Ret: &page, Data: "0000", Digest: "0123456789abcdef"}
	letters := observe.Outcome{Ret: &page, Data: "4141"}
	filled := func(side observe.Side, o observe.Outcome) observe.Step {
		s := follow(dax, side, o)
		s.Expected.Before, s.Expected.After = "EIO", "ok 4096 of 0x41"
		return s
	}
	padded := mceerr()
	padded.Signals[0].Raw = "ff"
	panicked := observe.Outcome{Note: klog.PanicMark + ": Fatal"}
	loud := saw(other, always(errno("EPERM"), "EIO"))
	broke := unjudged(observe.Infra, other, "no answer")
	lacks := unjudged(observe.Skipped, read, "lacks CONFIG_X")
	for _, tc := range []struct {
		name          string
		base, patched []observe.Cell
		want          []string
	}{
		{"complete", cells(saw(read, before()), saw(write, before()), saw(pread, part("EIO")), quiet), cells(saw(read, after()), saw(write, after()), saw(pread, part("EIO")), quiet),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]", "flipped " + write + " [" + forth + "]"}},
		{"complete, with the witness that it moves", cells(said(saw(read, before()), "log", observe.NothingAboutPoison)), cells(said(saw(read, after()), "log", killing)),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]"}},
		{"every step of a cell", cells(saw(twice, before(), before())), cells(saw(twice, after(), after())),
			[]string{"complete, exit 0", "flipped " + twice + " [" + forth + " " + forth + "]"}},
		{"the rest of what the base had in part", cells(saw(read, after()), saw(write, before()), saw(pread, part("EFAULT"))), cells(saw(read, after()), saw(write, after()), saw(pread, part("EIO"))),
			[]string{"complete, exit 0", "flipped " + write + " [" + forth + "]", "flipped " + pread + " [{EFAULT EIO}]", "already 1"}},
		{"from something else", cells(saw(read, neither(wrong))), cells(saw(read, after())),
			[]string{"complete, exit 0", "flipped " + read + " [{" + lsb21 + " SIGBUS BUS_MCEERR_AR lsb=12}]"}},

		{"nothing flipped", cells(saw(read, before()), quiet), cells(saw(read, before()), quiet),
			[]string{"incomplete, exit 1", "missing " + read + " did not flip [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR}]"}},
		{"one of two", cells(saw(read, before()), saw(write, before())), cells(saw(read, after()), saw(write, before())),
			[]string{"incomplete, exit 1", "flipped " + read + " [" + forth + "]", "missing " + write + " did not flip [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR}]"}},
		{"one step of two", cells(saw(twice, before(), before())), cells(saw(twice, before(), after())),
			[]string{"incomplete, exit 1", "missing " + twice + " shows only a part of it [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR} " + forth + "]"}},
		{"the errno leaks", cells(saw(read, before()), saw(pread, part("EIO"))), cells(saw(read, after()), saw(pread, part("EFAULT"))),
			[]string{"incomplete, exit 1", "flipped " + read + " [" + forth + "]", "missing " + pread + " shows only a part of it [{EIO EFAULT, expected EIO}]"}},
		{"another payload", cells(saw(read, before()), saw(write, before())), cells(saw(read, neither(wrong)), saw(write, neither(wrong))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR " + lsb21 + ", expected " + wanted + "}]", "missing " + write + " shows something else [{SIGBUS BUS_ADRERR " + lsb21 + ", expected " + wanted + "}]"}},
		{"an address that is rounded down", cells(saw(read, before())), cells(saw(read, neither(elsewhere))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000, expected " + wanted + "}]"}},
		{"an address that is rounded down, on a kernel that had it", cells(saw(read, after())), cells(saw(read, neither(elsewhere))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000, expected " + wanted + "}]"}},
		{"the bytes that were read", cells(saw(read, before())), cells(saw(read, neither(observe.Outcome{Data: "00"}))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR ok 0x00, expected " + wanted + "}]"}},
		{"a system call that returns beside the signal", cells(saw(read, before())), cells(saw(read, neither(returning))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR " + wanted + ", returning 5, expected " + wanted + "}]"}},
		{"bytes beside the signal", cells(saw(read, before())), cells(saw(read, neither(reading))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR " + wanted + " of 0x41, expected " + wanted + "}]"}},
		{"as many bytes, and others", cells(saw(read, filled(observe.Before, errno("EIO")))), cells(saw(read, filled(observe.Neither, zeros))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{EIO ok 4096 of 0x0000… (0123456789ab), expected ok 4096 of 0x41}]"}},
		{"as many bytes, on a kernel that had them", cells(saw(read, filled(observe.After, letters))), cells(saw(read, filled(observe.Neither, zeros))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{ok 4096 of 0x4141 ok 4096 of 0x0000… (0123456789ab), expected ok 4096 of 0x41}]"}},
		{"two signals", cells(saw(read, before())), cells(saw(read, neither(doubled))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR SIGBUS BUS_MCEERR_AR lsb=12, SIGBUS BUS_MCEERR_AR lsb=12, expected " + wanted + "}]"}},
		{"no address at all", cells(saw(read, before())), cells(saw(read, neither(nowhere))),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR SIGBUS BUS_MCEERR_AR lsb=12 at 0x0, expected " + wanted + "}]"}},
		{"a step that it did not get to", cells(saw(twice, before(), before())), cells(saw(twice, after())),
			[]string{"incomplete, exit 1", "missing " + twice + " shows something else [{SIGBUS BUS_ADRERR not done, expected " + wanted + "} " + forth + "]"}},
		{"what the base had is gone", cells(saw(read, after()), saw(write, before())), cells(saw(read, before()), saw(write, after())),
			[]string{"incomplete, exit 1", "flipped " + write + " [" + forth + "]", "missing " + read + " shows it on the base only [{SIGBUS BUS_MCEERR_AR lsb=12 SIGBUS BUS_ADRERR}]"}},
		{"a panic, and what follows from it", cells(said(saw(read, before()), "log", observe.NothingAboutPoison, observe.WitnessSplats, observe.NoSplats)),
			cells(alter(saw(read, neither(panicked)), func(c *observe.Cell) {
				c.Panicked, c.Witnesses = true, map[string]string{observe.WitnessSplats: "Kernel panic - not syncing: Fatal"}
			})),
			[]string{"incomplete and collateral, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR Kernel panic - not syncing: Fatal, expected " + wanted + "}]",
				"moved " + read + " [SIGBUS BUS_ADRERR | Kernel panic - not syncing: Fatal] [witness:splats] by [], unexplained true"}},

		{"another cell moved", cells(saw(read, before()), quiet), cells(saw(read, after()), loud),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + other + " [EIO | EPERM] [errno] by [], unexplained true"}},
		{"incomplete and collateral", cells(saw(read, before()), quiet), cells(saw(read, before()), loud),
			[]string{"incomplete and collateral, exit 1", "missing " + read + " did not flip [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR}]", "moved " + other + " [EIO | EPERM] [errno] by [], unexplained true"}},
		{"more in the same cell", cells(said(saw(read, before()), "HardwareCorrupted", "0 kB")), cells(said(saw(read, after()), "HardwareCorrupted", "8 kB")),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + read + " [SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=12] [witness:HardwareCorrupted] by [], unexplained true"}},
		{"a splat of the patched kernel alone", cells(saw(read, before()), said(quiet, observe.WitnessSplats, observe.NoSplats)), cells(saw(read, after()), said(quiet, observe.WitnessSplats, "WARNING in f")),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + other + " [EIO | EIO] [witness:splats] by [], unexplained true"}},
		{"a splat of both", cells(saw(read, before()), said(quiet, observe.WitnessSplats, "WARNING in f")), cells(saw(read, after()), said(quiet, observe.WitnessSplats, "WARNING in f")),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]"}},
		{"a taint of the patched kernel alone", cells(saw(read, before()), said(quiet, observe.WitnessTaint, "none")), cells(saw(read, after()), said(quiet, observe.WitnessTaint, "W")),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + other + " [EIO | EIO] [witness:taint] by [], unexplained true"}},
		{"another change came along", cells(saw(read, before()), saw(other, follow(folios, observe.Before, mceerr()))), cells(saw(read, after()), saw(other, follow(folios, observe.After, elsewhere))),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]",
				"moved " + other + " [SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 | SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000] [signals[0].addr] by [dax_folios], unexplained false"}},
		{"a witness goes backwards", cells(saw(read, before()), said(saw(write, always(mceerr(), "x")), "log", killing)), cells(saw(read, after()), said(saw(write, always(mceerr(), "x")), "log", observe.NothingAboutPoison)),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + write + " [SIGBUS BUS_MCEERR_AR lsb=12 | SIGBUS BUS_MCEERR_AR lsb=12] [witness:log] by [], unexplained true"}},
		{"a witness of what is gone", cells(saw(read, after()), said(saw(killed, always(errno("EIO"), "EIO")), "log", killing)), cells(saw(read, before()), said(saw(killed, always(errno("EIO"), "EIO")), "log", observe.NothingAboutPoison)),
			[]string{"incomplete and collateral, exit 1", "missing " + read + " shows it on the base only [{SIGBUS BUS_MCEERR_AR lsb=12 SIGBUS BUS_ADRERR}]",
				"moved " + killed + " [EIO | EIO] [witness:log] by [" + dax + "], unexplained false"}},
		{"another change in a cell that shows something else", cells(said(saw(ucna, before()), "HardwareCorrupted", "0 kB", "x", "1")), cells(said(saw(ucna, neither(wrong)), "HardwareCorrupted", "4 kB", "x", "2")),
			[]string{"incomplete and collateral, exit 1", "missing " + ucna + " shows something else [{SIGBUS BUS_ADRERR " + lsb21 + ", expected " + wanted + "}]",
				"moved " + ucna + " [SIGBUS BUS_ADRERR | " + lsb21 + "] [witness:HardwareCorrupted] by [counted_by_action], unexplained false"}},
		{"bytes that no field has", cells(saw(read, before())), cells(saw(read, follow(dax, observe.After, padded))),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + read + " [SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=12] [signals[0].raw] by [], unexplained true"}},
		{"a step that is the same on both sides", cells(saw(read, before(), follow(dax, observe.Both, errno("EIO")))), cells(saw(read, after(), follow(dax, observe.Both, errno("EIO")))),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]"}},

		{"the base has it", cells(saw(read, after()), quiet), cells(saw(read, after()), quiet), []string{"already there, exit 1", "already 1"}},
		{"the base has it, and something moved", cells(saw(read, after()), quiet), cells(saw(read, after()), loud),
			[]string{"collateral, exit 1", "already 1", "moved " + other + " [EIO | EPERM] [errno] by [], unexplained true"}},

		{"a cell of the change is not judged", cells(saw(read, before()), saw(write, before())), cells(saw(read, after()), unjudged(observe.Infra, write, "no answer")),
			[]string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "unjudged " + write + " on patched: no answer (infra true)"}},
		{"another cell is not judged", cells(saw(read, before()), broke), cells(saw(read, after()), broke),
			[]string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "unjudged " + other + " on base: no answer (infra true)", "unjudged " + other + " on patched: no answer (infra true)"}},
		{"what was seen outweighs what was not", cells(saw(read, before()), quiet), cells(saw(read, neither(wrong)), broke),
			[]string{"incomplete, exit 1", "missing " + read + " shows something else [{SIGBUS BUS_ADRERR " + lsb21 + ", expected " + wanted + "}]", "unjudged " + other + " on patched: no answer (infra true)"}},
		{"neither can do a cell of the change", cells(lacks, saw(write, before())), cells(lacks, saw(write, after())),
			[]string{"not judged, exit 3", "flipped " + write + " [" + forth + "]", "unjudged " + read + " on base: lacks CONFIG_X (infra false)", "unjudged " + read + " on patched: lacks CONFIG_X (infra false)"}},
		{"neither can do another cell", cells(saw(read, before()), unjudged(observe.Skipped, other, "lacks CONFIG_X")), cells(saw(read, after()), unjudged(observe.Skipped, other, "lacks CONFIG_X")),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]"}},
		{"one of them can't do another cell", cells(saw(read, before()), quiet), cells(saw(read, after()), unjudged(observe.Skipped, other, "lacks CONFIG_X")),
			[]string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "unjudged " + other + " on patched: lacks CONFIG_X (infra false)"}},
		{"it cannot be seen", cells(saw(read, hidden())), cells(saw(read, hidden())),
			[]string{"not judged, exit 3", "unjudged " + read + " on patched: " + dax + " cannot be seen without CONFIG_MEMORY_FAILURE (infra false)"}},
		{"no cell covers it", cells(quiet), cells(quiet), []string{"not judged, exit 3"}},
		{"a cell is missing", cells(saw(read, before()), quiet), cells(saw(read, after())), []string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "unjudged " + other + " on patched: it was not observed (infra true)"}},
		{"with different accelerators", cells(saw(read, before()), quiet), cells(saw(read, after()), alter(quiet, func(c *observe.Cell) { c.Accel = "kvm" })),
			[]string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "unjudged " + other + " on patched: different accelerators: tcg on base, kvm on patched (infra true)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			same(t, tc.want, lines(ask(record(tc.base, tc.patched, nil), dax)))
		})
	}
}

func TestBoots(t *testing.T) {
	usual := func(alter func(base, patched *results.Kernel)) []string {
		r := record(cells(saw(read, before())), cells(saw(read, after())), nil)
		alter(&r.Kernels[0], &r.Kernels[1])
		return lines(ask(r, dax))
	}
	flipped := "flipped " + read + " [" + forth + "]"
	same(t, []string{"collateral, exit 1", flipped, "moved  [no complaint | WARNING in f; taint W] [] by [], unexplained true"}, usual(func(_, p *results.Kernel) { p.Splats, p.Taint = []string{"WARNING in f"}, "W" }))
	same(t, []string{"collateral, exit 1", flipped, "moved  [taint O | no complaint] [] by [], unexplained true"}, usual(func(b, p *results.Kernel) { b.Taint, p.Taint = "O", "none" }))
	same(t, []string{"complete, exit 0", flipped}, usual(func(b, p *results.Kernel) { b.Splats, p.Splats = []string{"x"}, []string{"x"} }))
	same(t, []string{"complete, exit 0", flipped}, usual(func(b, p *results.Kernel) { p.Splats, p.BootMillis = []string{"x"}, 0 })) // none was booted

	// What the host may have caused does not count against the patches, its taint included.
	for _, splat := range []string{"WARNING in fpu__init_system_xstate", "soft lockup in f", "RCU stall", "unchecked MSR access in f"} {
		same(t, []string{"complete, exit 0", flipped}, usual(func(_, p *results.Kernel) { p.Splats, p.Taint = []string{splat}, "L W" }))
		same(t, []string{"collateral, exit 1", flipped, "moved  [no complaint | WARNING in f; taint W] [] by [], unexplained true"},
			usual(func(_, p *results.Kernel) { p.Splats, p.Taint = []string{splat, "WARNING in f"}, "W" }))
	}
	same(t, []string{"collateral, exit 1", flipped, "moved  [no complaint | taint O] [] by [], unexplained true"},
		usual(func(_, p *results.Kernel) { p.Splats, p.Taint = []string{"soft lockup"}, "L O" }))

	r := record(cells(saw(read, before())), cells(unjudged(observe.Infra, read, "boot: patched panicked")), nil)
	r.Kernels[1].DoesNotBoot = true
	v := ask(r, dax)
	same(t, []string{"does not boot, exit 1"}, lines(v))
	if v.Boot == nil || v.Boot.Why != "boot: patched panicked" || v.Boot.Console != "the end of "+read {
		t.Errorf("got %+v, want a kernel that panicked, with the end of its console", v.Boot)
	}
	r.Kernels[0].DoesNotBoot = true
	same(t, []string{"the base does not boot, exit 3"}, lines(ask(r, dax)))
	// Without proof that the kernel is the cause, it is an infrastructure failure.
	r.Kernels[0].DoesNotBoot, r.Kernels[1].DoesNotBoot = false, false
	same(t, []string{"not judged, exit 3", "unjudged " + read + " on patched: boot: patched panicked (infra true)"}, lines(ask(r, dax)))
}

func TestReference(t *testing.T) {
	elsewhere := mceerr()
	elsewhere.Signals[0].Addr = "file+0x4000"
	flipped := "flipped " + read + " [" + forth + "]"
	const has = "reference has " + dax + " (seen in 1 scenario) (true), "
	for _, tc := range []struct {
		name                     string
		base, patched, reference []observe.Cell
		want                     []string
	}{
		{"alike", cells(saw(read, before()), quiet), cells(saw(read, after()), quiet), cells(saw(read, after()), quiet), []string{"complete, exit 0", flipped, has + "1 alike"}},
		{"it has what the backport lacks", cells(saw(read, before())), cells(saw(read, before())), cells(saw(read, after())),
			[]string{"incomplete, exit 1", "missing " + read + " did not flip [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR}]", has + "0 alike",
				"reference differs " + read + " [SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=12] [signals[0].code signals[0].lsb] by [" + dax + "], unexplained false"}},
		{"both have it, and differ", cells(saw(read, before()), saw(write, before())), cells(saw(read, after()), saw(write, after())), cells(saw(read, follow(dax, observe.After, elsewhere)), saw(write, after())),
			[]string{"incomplete, exit 1", "flipped " + write + " [" + forth + "]", "missing " + read + " shows it, but differs from the reference [{SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000}]",
				"reference has " + dax + " (seen in 2 scenarios) (true), 1 alike",
				"reference differs " + read + " [SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 | SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000] [signals[0].addr] by [], unexplained true"}},
		{"both have it, and a known change explains the difference", cells(saw(read, before(), follow(folios, observe.Before, mceerr()))), cells(saw(read, after(), follow(folios, observe.Before, mceerr()))),
			cells(saw(read, after(), follow(folios, observe.After, elsewhere))),
			[]string{"complete, exit 0", flipped, has + "1 alike",
				"reference differs " + read + " [SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005 ×2 | SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4005; SIGBUS BUS_MCEERR_AR lsb=12 at file+0x4000] [signals[0].addr] by [" + folios + "], unexplained false"}},
		{"another cell differs, unexplained", cells(saw(read, before()), quiet), cells(saw(read, after()), quiet), cells(saw(read, after()), saw(other, always(errno("EPERM"), "EIO"))),
			[]string{"complete, exit 0", flipped, has + "1 alike", "reference differs " + other + " [EIO | EPERM] [errno] by [], unexplained true"}},
		{"it lacks a symbol", cells(saw(read, before())), cells(saw(read, after())), cells(saw(read, hidden())),
			[]string{"complete, exit 0", flipped, "reference cannot show " + dax + " without CONFIG_MEMORY_FAILURE (false), 0 alike",
				"reference differs " + read + " [SIGBUS BUS_MCEERR_AR lsb=12 | SIGBUS BUS_ADRERR] [signals[0].code signals[0].lsb] by [CONFIG_MEMORY_FAILURE], unexplained false"}},
		{"it does not have the change", cells(saw(read, before())), cells(saw(read, after())), cells(saw(read, before())),
			[]string{"complete, exit 0", flipped, "reference does not have " + dax + " (absent in 1 scenario) (false), 0 alike",
				"reference differs " + read + " [SIGBUS BUS_MCEERR_AR lsb=12 | SIGBUS BUS_ADRERR] [signals[0].code signals[0].lsb] by [" + dax + "], unexplained false"}},
		{"it differs in a cell that is missing already", cells(saw(twice, before(), before())), cells(saw(twice, after(), before())), cells(saw(twice, follow(dax, observe.After, elsewhere), after())),
			[]string{"incomplete, exit 1", "missing " + twice + " shows only a part of it [{SIGBUS BUS_ADRERR SIGBUS BUS_ADRERR} " + forth + "]", has + "0 alike",
				"reference differs " + twice + " [SIGBUS BUS_MCEERR_AR lsb=12; SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=12 ×2] [signals[0].addr signals[0].code signals[0].lsb] by [" + dax + "], unexplained true"}},
		{"it can't do a cell", cells(saw(read, before())), cells(saw(read, after())), cells(unjudged(observe.Skipped, read, "lacks CONFIG_X")),
			[]string{"complete, exit 0", flipped, "reference does not show whether it has " + dax + " (false), 0 alike", "reference unjudged " + read + " on reference: lacks CONFIG_X (infra false)"}},
		{"it could not be observed", cells(saw(read, before())), cells(saw(read, after())), cells(unjudged(observe.Infra, read, "no answer")),
			[]string{"not judged, exit 3", flipped, "reference does not show whether it has " + dax + " (false), 0 alike", "reference unjudged " + read + " on reference: no answer (infra true)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			same(t, tc.want, lines(ask(record(tc.base, tc.patched, tc.reference), dax)))
		})
	}
}

// Without a change, the question is what differs.
func TestOfWhatDiffers(t *testing.T) {
	loud := saw(other, always(errno("EPERM"), "EIO"))
	wrong := mceerr()
	wrong.Signals[0].LSB = 21
	for _, tc := range []struct {
		name          string
		base, patched []observe.Cell
		want          []string
	}{
		{"nothing", cells(saw(read, before()), quiet), cells(saw(read, before()), quiet), []string{"nothing moved, exit 0"}},
		{"a change", cells(saw(read, before()), quiet), cells(saw(read, after()), quiet),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]", "appeared [" + dax + "], vanished []"}},
		{"two changes", cells(saw(read, before()), saw(other, follow(folios, observe.Before, errno("EIO")))), cells(saw(read, after()), saw(other, follow(folios, observe.After, errno("EPERM")))),
			[]string{"complete, exit 0", "flipped " + read + " [" + forth + "]", "flipped " + other + " [{EIO EPERM}]", "appeared [" + dax + " " + folios + "], vanished []"}},
		{"a change that went", cells(saw(read, after()), quiet), cells(saw(read, before()), quiet),
			[]string{"collateral, exit 1", "moved " + read + " [SIGBUS BUS_MCEERR_AR lsb=12 | SIGBUS BUS_ADRERR] [signals[0].code signals[0].lsb] by [" + dax + "], unexplained false", "appeared [], vanished [" + dax + "]"}},
		{"a part of a change", cells(saw(read, before()), saw(write, before())), cells(saw(read, after()), saw(write, before())),
			[]string{"collateral, exit 1", "moved " + read + " [SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=12] [signals[0].code signals[0].lsb] by [" + dax + "], unexplained false"}},
		{"a wrong payload", cells(saw(read, before())), cells(saw(read, neither(wrong))),
			[]string{"collateral, exit 1", "moved " + read + " [SIGBUS BUS_ADRERR | SIGBUS BUS_MCEERR_AR lsb=21] [signals[0].code signals[0].lsb] by [], unexplained true"}},
		{"a change, and more", cells(saw(read, before()), quiet), cells(saw(read, after()), loud),
			[]string{"collateral, exit 1", "flipped " + read + " [" + forth + "]", "moved " + other + " [EIO | EPERM] [errno] by [], unexplained true", "appeared [" + dax + "], vanished []"}},
		{"not judged", cells(saw(read, before()), quiet), cells(saw(read, after()), unjudged(observe.Infra, other, "no answer")),
			[]string{"not judged, exit 3", "flipped " + read + " [" + forth + "]", "appeared [" + dax + "], vanished []", "unjudged " + other + " on patched: no answer (infra true)"}},
		{"neither can do it", cells(unjudged(observe.Skipped, read, "lacks CONFIG_X"), quiet), cells(unjudged(observe.Skipped, read, "lacks CONFIG_X"), quiet), []string{"nothing moved, exit 0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			same(t, tc.want, lines(ask(record(tc.base, tc.patched, nil), "")))
		})
	}
}

// A change that a user declares works like a known one.
func TestOfADeclaredChange(t *testing.T) {
	mine := change.List{{ID: "mine", Steps: []change.StepEffect{{Scenarios: "syscalls/*/other", Before: "EIO", After: "EPERM"}}}}
	loud := saw(other, always(errno("EPERM"), "EIO"))
	of := func(base, patched observe.Cell) []string {
		r := record(cells(base), cells(patched), nil)
		r.Changes = mine
		judge.Run(r)
		return lines(ask(r, "mine"))
	}
	same(t, []string{"complete, exit 0", "flipped " + other + " [{EIO EPERM}]"}, of(quiet, loud))
	same(t, []string{"incomplete, exit 1", "missing " + other + " did not flip [{EIO EIO}]"}, of(quiet, quiet))
	same(t, []string{"incomplete, exit 1", "missing " + other + " shows something else [{EIO ENXIO, expected EPERM}]"}, of(quiet, saw(other, always(errno("ENXIO"), "EIO"))))
	same(t, []string{"not judged, exit 3", "unjudged " + other + " on patched: no answer (infra true)"}, of(quiet, unjudged(observe.Infra, other, "no answer")))
}

func TestScenarioThatNobodyCanDo(t *testing.T) {
	r := record(cells(saw(read, before()), unjudged(observe.Skipped, write, "not yet")), cells(saw(read, after()), unjudged(observe.Skipped, write, "not yet")), nil)
	r.Scenarios[1].Skipped = "not yet"
	same(t, []string{"complete, exit 0", "flipped " + read + " [" + forth + "]"}, lines(ask(r, dax)))
	if v := ask(r, dax); v.Compared != 1 || v.Same != 0 {
		t.Errorf("got %+v, want 1 compared, 0 the same", v)
	}
}

// A difference in generated programs is collateral, whatever the scenarios show.
func TestExplore(t *testing.T) {
	moved := []Moved{{Scenario: "generated/anon/poison/load"}}
	for _, test := range []struct {
		kinds []Kind
		moved []Moved
		want  string
	}{
		{[]Kind{Complete}, nil, "[complete]"},
		{[]Kind{Complete}, moved, "[collateral]"},
		{[]Kind{NotJudged}, moved, "[collateral]"},
		{[]Kind{Incomplete}, moved, "[incomplete collateral]"},
		{[]Kind{Incomplete, Collateral}, moved, "[incomplete collateral]"},
	} {
		v := Verdict{Kinds: test.kinds}.Explore(Explored{Programs: 5, Moved: test.moved})
		if got := fmt.Sprint(v.Kinds); got != test.want {
			t.Errorf("%v with %d: got %s, want %s", test.kinds, len(test.moved), got, test.want)
		}
	}
}
