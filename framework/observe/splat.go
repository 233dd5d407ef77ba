package observe

import (
	"regexp"
	"slices"
	"strings"
)

// splat is one way in which a kernel complains about itself.
type splat struct {
	line *regexp.Regexp // its first line; a group is the function, where the line has it
	name string
}

// The kernel's words: __warn and its callers in kernel/panic.c, die() in
// arch/x86/kernel/dumpstack.c, show_fault_oops in arch/x86/mm/fault.c,
// mm/kasan/report.c, kernel/locking/lockdep.c, kernel/hung_task.c,
// kernel/watchdog.c, kernel/rcu/tree_stall.h, lib/ubsan.c, mm/page_alloc.c.
var splats = []splat{
	{regexp.MustCompile(`^WARNING: .*\bat (?:\S+:\d+ )?([\w.]+)\+0x`), "WARNING"},
	{regexp.MustCompile(`^WARNING: (possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detected|inconsistent lock state|suspicious RCU usage|bad unlock balance detected|\S+-safe -> \S+-unsafe lock order detected|held lock freed|lock held when returning to user space|Nested lock was not taken)`), lockdep},
	{regexp.MustCompile(`^\[ BUG: (Invalid wait context)`), lockdep},
	{regexp.MustCompile(`^BUG: KASAN: (\S.* in \w+)`), "KASAN"},
	{regexp.MustCompile(`^BUG: KFENCE: (\S.* in \w+)`), "KFENCE"},
	{regexp.MustCompile(`^BUG: (unable to handle|kernel NULL pointer|sleeping function called|scheduling while atomic|Bad page state|Bad page map|Bad rss-counter state|workqueue lockup)`), "BUG"},
	{regexp.MustCompile(`^kernel BUG at `), "kernel BUG"},
	{regexp.MustCompile(`^(?:Oops: )?general protection fault`), "general protection fault"},
	{regexp.MustCompile(`^(?:Oops|invalid opcode|divide error|stack segment)\b.*:.*\[#`), "Oops"},
	{regexp.MustCompile(`^UBSAN: ([\w-]+)`), "UBSAN"},
	{regexp.MustCompile(`^INFO: task \S+ blocked .*\bfor more than`), "hung task"},
	{regexp.MustCompile(`^watchdog: BUG: soft lockup`), "soft lockup"},
	{regexp.MustCompile(`^(?:NMI )?watchdog: .*Watchdog detected hard LOCKUP`), "hard lockup"},
	{regexp.MustCompile(`^rcu: INFO: .*(?:detected|stalls)`), "RCU stall"},
	{regexp.MustCompile(`^unchecked MSR access error`), "unchecked MSR access"},
	{regexp.MustCompile(`^list_(?:add|del) corruption`), "list corruption"},
	{regexp.MustCompile(`^(Kernel panic - not syncing: .*)`), ""},
}

var (
	logStamp = regexp.MustCompile(`^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[[^]]*\])? `)
	// where is the function that a splat's registers name, or the first of its call trace.
	where     = regexp.MustCompile(`^RIP: 0010:([\w.]+)\+0x`)
	callTrace = regexp.MustCompile(`^ (?:\[<[0-9a-f]+>\] )?([\w.]+)\+0x`)
	numbers   = regexp.MustCompile(`\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b`)
)

// splatReach is how many lines behind its first one belong to a splat, where no
// line says that it ends, or that another begins.
const splatReach = 40

var splatEnds = regexp.MustCompile(`^-+\[ (?:cut here|end trace)`)

// lockdep names its finding; its call trace begins in lockdep itself.
const lockdep = "lockdep"

// Splats are the kernel's complaints about itself in its log, by function and
// without addresses, numbers and processes, each once and in the order of the
// log: "WARNING in dax_iomap_fault". nil where there are none.
func Splats(log []string) []string {
	var found []string
	for i, l := range log {
		l = logStamp.ReplaceAllString(l, "")
		for _, s := range splats {
			m := s.line.FindStringSubmatch(l)
			if m == nil {
				continue
			}
			if text := s.words(m, log[i+1:min(len(log), i+1+splatReach)]); !slices.Contains(found, text) {
				found = append(found, text)
			}
			break
		}
	}
	return found
}

func (s splat) words(m []string, behind []string) string {
	text := s.name
	if len(m) > 1 {
		switch {
		case s.name == "":
			return strings.TrimSpace(numbers.ReplaceAllString(m[1], "N"))
		case s.name == "WARNING":
			return text + " in " + function(m[1])
		}
		text += ": " + m[1]
		if s.name == lockdep || strings.Contains(m[1], " in ") {
			return text
		}
	}
	for i, l := range behind {
		if splatEnds.MatchString(logStamp.ReplaceAllString(l, "")) {
			behind = behind[:i]
			break
		}
	}
	for _, pattern := range []*regexp.Regexp{where, callTrace} {
		for _, l := range behind {
			if at := pattern.FindStringSubmatch(logStamp.ReplaceAllString(l, "")); at != nil && !reports(at[1]) {
				return text + " in " + function(at[1])
			}
		}
	}
	return text
}

// reports says whether a function only prints the splat.
func reports(f string) bool {
	return slices.ContainsFunc([]string{"dump_stack", "show_stack", "__might_resched", "__might_sleep", "print_", "__schedule", "schedule", "bad_page", "asm_", "__die", "page_fault_oops", "exc_"}, func(p string) bool {
		return strings.HasPrefix(f, p)
	})
}

// function drops what a compiler added to a name: "dax_fault.constprop.0".
func function(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}

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
