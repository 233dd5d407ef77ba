package observe

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// splat is one way in which a kernel complains about itself.
type splat struct {
	line *regexp.Regexp // its first line; a group is the function, where the line has it
	name string
	// stood is what a watchdog that complains by a clock says of the time in which
	// nothing went on, where its line has no number; 0 for all others.
	stood time.Duration
}

// The kernel's words: __warn and its callers in kernel/panic.c, die() in
// arch/x86/kernel/dumpstack.c, show_fault_oops in arch/x86/mm/fault.c,
// mm/kasan/report.c, kernel/locking/lockdep.c, kernel/hung_task.c,
// kernel/watchdog.c, kernel/rcu/tree_stall.h, lib/ubsan.c, mm/page_alloc.c.
var splats = []splat{
	{regexp.MustCompile(`^WARNING: .*\bat (?:\S+:\d+ )?(\w[\w.]*)\+0x`), "WARNING", 0},
	{regexp.MustCompile(`^WARNING: (possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detected|inconsistent lock state|suspicious RCU usage|bad unlock balance detected|\S+-safe -> \S+-unsafe lock order detected|held lock freed|lock held when returning to user space|Nested lock was not taken)`), lockdep, 0},
	{regexp.MustCompile(`^\[ BUG: (Invalid wait context)`), lockdep, 0},
	{regexp.MustCompile(`^BUG: KASAN: (\S.* in \w+)`), "KASAN", 0},
	{regexp.MustCompile(`^BUG: KFENCE: (\S.* in \w+)`), "KFENCE", 0},
	{regexp.MustCompile(`^BUG: (unable to handle|kernel NULL pointer|sleeping function called|scheduling while atomic|Bad page state|Bad page map|Bad rss-counter state)`), "BUG", 0},
	{regexp.MustCompile(`^BUG: (workqueue lockup)`), "BUG", 30 * time.Second},
	{regexp.MustCompile(`^kernel BUG at `), "kernel BUG", 0},
	{regexp.MustCompile(`^(?:Oops: )?general protection fault`), "general protection fault", 0},
	{regexp.MustCompile(`^(?:Oops|invalid opcode|divide error|stack segment)\b.*:.*\[#`), "Oops", 0},
	{regexp.MustCompile(`^UBSAN: ([\w-]+)`), "UBSAN", 0},
	{regexp.MustCompile(`^INFO: task \S+ blocked .*\bfor more than`), "hung task", 120 * time.Second},
	{regexp.MustCompile(`^watchdog: BUG: soft lockup`), "soft lockup", 20 * time.Second},
	{regexp.MustCompile(`^(?:NMI )?watchdog: .*Watchdog detected hard LOCKUP`), "hard lockup", 10 * time.Second},
	{regexp.MustCompile(`^rcu: INFO: .*(?:detected|stalls)`), "RCU stall", 21 * time.Second},
	{regexp.MustCompile(`^unchecked MSR access error`), "unchecked MSR access", 0},
	{regexp.MustCompile(`^list_(?:add|del) corruption`), "list corruption", 0},
	{regexp.MustCompile(`^(Kernel panic - not syncing: .*)`), "", 0},
}

var (
	uptime   = regexp.MustCompile(`\[\s*(\d+\.\d+)\]`)
	logStamp = regexp.MustCompile(`^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[[^]]*\])? `)
	// where is the function that a splat's registers name, or the first of its call trace.
	where     = regexp.MustCompile(`^RIP: 0010:(\w[\w.]*)\+0x`)
	callTrace = regexp.MustCompile(`^ (?:\[<[0-9a-f]+>\] )?(\w[\w.]*)\+0x`)
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

// Standstill is a time in which a kernel's watchdog says that nothing went on.
type Standstill struct {
	Complaint string        // as Splats has it
	For       time.Duration // in the watchdog's words
	Until     time.Duration // since the kernel started
}

// seconds is how long nothing went on, in a watchdog's own words.
var seconds = regexp.MustCompile(`for (?:more than )?(\d+) ?s`)

// Standstills are what a kernel's watchdogs complain of in its log. They go by a
// clock: whether the guest could run at all in that time only the host knows.
func Standstills(log []string) (found []Standstill) {
	for i, l := range log {
		stamp := logStamp.FindString(l)
		l = l[len(stamp):]
		for _, s := range splats {
			m := s.line.FindStringSubmatch(l)
			if s.stood == 0 || m == nil {
				continue
			}
			stood := Standstill{Complaint: s.words(m, log[i+1:min(len(log), i+1+splatReach)]), For: s.stood}
			if said := seconds.FindStringSubmatch(l); said != nil {
				if n, err := strconv.ParseInt(said[1], 10, 32); err == nil { // more is no time
					stood.For = time.Duration(n) * time.Second
				}
			}
			if at := uptime.FindStringSubmatch(stamp); at != nil {
				if d, err := time.ParseDuration(at[1] + "s"); err == nil {
					stood.Until = d
				}
			}
			found = append(found, stood)
		}
	}
	return found
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
