package klog

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Splats are the kernel's complaints about itself in its log, by function and
// without addresses, numbers and processes, each once and in the order of the
// log: "WARNING in dax_iomap_fault". nil where there are none. Whatever the kernel
// prints as a bug, a warning or the finding of a checker is one, in its own words
// where no form knows better. What programs write to the log is none.
func Splats(log []string) (found []string) {
	each(log, func(_ logLine, _ *form, text string) bool {
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
		return len(found) < mostSplats
	})
	return found
}

// mostSplats bounds the complaints of one log, as a kernel that complains so often
// needs no more of them, and splatReach the lines that belong to one, where no line
// says that it ends.
const (
	mostSplats = 64
	splatReach = 160
	traceReach = 1000 // where the end of a trace counts, of a stack that is full
	// dumpReach is how far behind its first line a complaint's dump begins.
	dumpReach = 16
)

// each calls yield for the complaints of a log, until it returns false.
func each(log []string, yield func(first logLine, f *form, text string) bool) {
	lines := readLog(log)
	heads := make([]*head, len(lines))
	for i, l := range lines {
		heads[i] = headOf(l)
	}
	for i, h := range heads {
		if h == nil {
			continue
		}
		report := reportOf(lines, heads, i)
		if h.form.dumps && !dumps(report[:min(len(report), dumpReach)]) {
			continue
		}
		if !yield(lines[i], h.form, h.text(report)) {
			return
		}
	}
}

// dumps reports whether lines show where the kernel was.
func dumps(report []logLine) bool {
	return slices.ContainsFunc(report, func(l logLine) bool { return l.kind == dumpLine || l.kind == ripLine })
}

// reportOf are the lines that follow the i-th, and belong to the same report. Where the
// log has the caller of each line, others write between them; but other processors
// answer for a stall.
func reportOf(lines []logLine, heads []*head, i int) (report []logLine) {
	caller, stall := lines[i].caller, heads[i].form.stood > 0
	reach := splatReach
	switch heads[i].form.place {
	case nowhere:
		return nil
	case outermost:
		reach = traceReach
	}
	for j := i + 1; j < min(len(lines), i+1+reach); j++ {
		l := lines[j]
		if l.user || l.caller != caller && !(stall && strings.HasPrefix(l.caller, "C")) {
			continue
		}
		if l.kind == endLine || heads[j] != nil && !heads[j].form.inside && !(stall && heads[j].form == heads[i].form) {
			break
		}
		report = append(report, l)
	}
	return report
}

// Standstill is a time in which a kernel's watchdog says that nothing went on.
type Standstill struct {
	Complaint string        // as Splats has it
	For       time.Duration // in the watchdog's words
	Until     time.Duration // since the kernel started
}

// seconds is how long nothing went on, in a watchdog's own words.
var seconds = re(`for (?:more than )?(\d+) ?s`)

// Standstills are what a kernel's watchdogs complain of in its log. They go by a
// clock: whether the guest could run at all in that time only the host knows.
func Standstills(log []string) (found []Standstill) {
	each(log, func(first logLine, f *form, text string) bool {
		if f.stood == 0 {
			return true
		}
		stood := Standstill{Complaint: text, For: f.stood, Until: first.at}
		if said := seconds.FindStringSubmatch(first.text); said != nil {
			if n, err := strconv.ParseInt(said[1], 10, 32); err == nil { // more is no time
				stood.For = time.Duration(n) * time.Second
			}
		}
		found = append(found, stood)
		return len(found) < mostSplats
	})
	return found
}

// Stall reports whether a complaint, as Splats has it, is a watchdog's: that something
// took long. On a host that is busy, or below another hypervisor, that says nothing
// about the kernel.
func Stall(complaint string) bool {
	return slices.ContainsFunc(forms, func(f form) bool {
		return f.stood > 0 && (complaint == f.name || strings.HasPrefix(complaint, f.name+" in "))
	})
}

// ofProcessor are functions in which a kernel finds a processor inconsistent when it
// starts: arch/x86/kernel/fpu/{init,xstate}.c and arch/x86/kernel/cpu.
var ofProcessor = re(`^(?:WARNING in _*(?:fpu_|fpstate_|xstate_|xfeature_|paranoid_xstate|do_extra_xstate|identify_(?:boot_)?cpu|` +
	`check_xtile|validate_apic|topology_|mtrr_|cache_disable)|unchecked MSR access\b)`)

// OfProcessor reports whether a complaint, as Splats has it, is about the processor
// that a kernel found: in a guest that is what QEMU, or a hypervisor below it, made up.
func OfProcessor(complaint string) bool { return ofProcessor.MatchString(complaint) }

// taints are the letters of /proc/sys/kernel/tainted, bit 0 first
// (Documentation/admin-guide/tainted-kernels.rst).
const taints = "PFSRMBUDAWCIOELKXTNJ"

// Taint words a kernel's taint, without what it had before: "W M", or "none".
func Taint(before, now uint64) string {
	var out []string
	for i, l := range taints {
		if (now&^before)>>i&1 != 0 {
			out = append(out, string(l))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}
