package klog

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Splats returns the kernel's complaints about itself in its log, by function and without
// addresses, numbers and processes, each once and in the order of the log: "WARNING in
// dax_iomap_fault"; nil if there are none. Bugs, warnings and the findings of checkers are
// complaints, with the kernel's text if no form matches. Lines that programs write to the
// log are not.
func Splats(log []string) (found []string) {
	each(log, func(_ logLine, _ *form, text string) bool {
		if !slices.Contains(found, text) {
			found = append(found, text)
		}
		return len(found) < mostSplats
	})
	return found
}

// mostSplats bounds the complaints of one log; splatReach bounds the lines that belong to
// one, if no line ends it.
const (
	mostSplats = 64
	splatReach = 160
	traceReach = 1000 // if the end of the trace matters, as of a full stack
	// dumpReach is how many lines after its first line a complaint's dump may begin.
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

// dumps reports whether lines contain a dump or a function at the registers.
func dumps(report []logLine) bool {
	return slices.ContainsFunc(report, func(l logLine) bool { return l.kind == dumpLine || l.kind == ripLine })
}

// reportOf returns the lines after the i-th that belong to the same report. If the log has
// the caller of each line, lines of other callers are left out, except those of other
// processors in the report of a stall.
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

// Standstill is a period without progress, as reported by a kernel's watchdog.
type Standstill struct {
	Complaint string        // as returned by Splats
	For       time.Duration // as reported by the watchdog
	Until     time.Duration // since the kernel started
}

// seconds matches the length of a standstill in a watchdog's line.
var seconds = re(`for (?:more than )?(\d+) ?s`)

// Standstills returns the standstills that a kernel's watchdogs report in its log. They are
// measured by the guest's clock: only the host can determine whether the guest
// ran in that time.
func Standstills(log []string) (found []Standstill) {
	each(log, func(first logLine, f *form, text string) bool {
		if f.stood == 0 {
			return true
		}
		stood := Standstill{Complaint: text, For: f.stood, Until: first.at}
		if match := seconds.FindStringSubmatch(first.text); match != nil {
			if n, err := strconv.ParseInt(match[1], 10, 32); err == nil { // larger values are invalid
				stood.For = time.Duration(n) * time.Second
			}
		}
		found = append(found, stood)
		return len(found) < mostSplats
	})
	return found
}

// Stall reports whether a complaint, as returned by Splats, is a watchdog's complaint about
// a delay. On a busy host, or under nested virtualisation, that is no evidence about the
// kernel.
func Stall(complaint string) bool {
	return slices.ContainsFunc(forms, func(f form) bool {
		return f.stood > 0 && (complaint == f.name || strings.HasPrefix(complaint, f.name+" in "))
	})
}

// ofProcessor matches functions that check the processor for consistency at boot:
// arch/x86/kernel/fpu/{init,xstate}.c and arch/x86/kernel/cpu.
var ofProcessor = re(
	`^(?:WARNING in _*(?:fpu_|fpstate_|xstate_|xfeature_|paranoid_xstate|do_extra_xstate|identify_(?:boot_)?cpu|` +
		`check_xtile|validate_apic|topology_|mtrr_|cache_disable)|unchecked MSR access\b)`,
)

// OfProcessor reports whether a complaint, as returned by Splats, is about the processor,
// which in a guest is a model of QEMU or of a hypervisor below it.
func OfProcessor(complaint string) bool { return ofProcessor.MatchString(complaint) }

// taints are the letters of /proc/sys/kernel/tainted, bit 0 first
// (Documentation/admin-guide/tainted-kernels.rst).
const taints = "PFSRMBUDAWCIOELKXTNJ"

// Taint returns the letters of a kernel's taint that were not set before: "W M", or "none".
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
