// Package klog reads a kernel log: the complaints of a kernel about itself (warnings, oopses,
// sanitizer and lockdep reports, stalls), panics and taints, in a form that does not depend on
// addresses, processes and times. It does not judge them.
package klog

import (
	"regexp"
	"strings"
	"time"
)

// form is a form of a kernel's complaint about itself.
type form struct {
	// line matches its first line. The group "words" distinguishes it from others of its
	// name; "own" does the same, but still contains what differs from run to run; "f" is
	// the function, if the line has it.
	line *regexp.Regexp
	name string
	// place is how the function is found, if it is not in the line.
	place place
	// dumps: the first line is a complaint only if a stack follows. The kernel also prints
	// notices with the same text, which have no stack.
	dumps bool
	// inside: it may occur within the report of another form, and does not end that.
	inside bool
	// stood is the time that a watchdog waits before it complains, for lines without a
	// number; 0 for complaints that do not depend on time.
	stood time.Duration
}

type place int

const (
	inTrace     place = iota // the first function of the call trace
	atRegisters              // the function at the registers, then its callers
	atLock                   // where the lock is taken, then the call trace
	outermost                // the work of the processor: see outermostOf
	nowhere                  // no function
)

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// symbol is a function as %pS prints it, up to its offset.
const symbol = `(?P<f>\w[\w.]*)\+0x`

// lockdep is the name of the lock validator's complaints.
const lockdep = "lockdep"

// lockWords are the findings of the lock validator (kernel/locking/lockdep.c).
const lockWords = `possible (?:circular locking dependency|recursive locking|irq lock inversion dependency) detected|` +
	`inconsistent lock state|bad (?:unlock balance|contention) detected|\S+-safe -> \S+-unsafe lock order detected|` +
	`held lock freed|lock held (?:when returning to user space|at task exit time)|` +
	`[Nn]ested lock was not taken|still has locks held|Invalid wait context`

// byProcess is the process with which some of them begin; a program chooses its name.
const byProcess = `(?:.{1,15}/\d+ )?`

// forms are the forms of complaints, the specific before the general. Sources:
// __warn and its callers in kernel/panic.c, die() in arch/x86/kernel/dumpstack.c,
// show_fault_oops in arch/x86/mm/fault.c, mm/{kasan,kfence,kmsan}/report.c,
// kernel/kcsan/report.c, kernel/locking/lockdep.c, kernel/hung_task.c, kernel/watchdog.c,
// kernel/rcu/{tree_stall,tasks}.h, lib/ubsan.c, mm/page_alloc.c, slab_bug in mm/slub.c.
var forms = []form{
	// A WARN with a message, since v6.19, has an address and no function. The first match
	// decides, because a process, whose name a program chooses, is last in the line.
	{line: re(`^WARNING: .*?\bat (?:\S+:\d+ )?(?:` + symbol + `|0x[0-9a-f]+\b)`), name: "WARNING", place: atRegisters},
	{line: re(`^WARNING: .*\bCPU: \d+ PID: \d+ at `), name: "WARNING", place: atRegisters},

	{line: re(`^(?:WARNING|BUG|INFO): ` + byProcess + `(?P<words>` + lockWords + `)`), name: lockdep, place: atLock},
	{line: re(`^\[ (?:WARNING|BUG|INFO): ` + byProcess + `(?P<words>` + lockWords + `)`),
		name: lockdep, place: atLock},
	{line: re(`^(?:\[ )?(?:WARNING|BUG|INFO): (?P<words>suspicious RCU usage|trying to register non-static key)`),
		name: lockdep},

	{line: re(`^BUG: KASAN: (?P<words>\S.*) in ` + symbol), name: "KASAN"},
	{line: re(`^BUG: KASAN: (?P<words>\S.*) in (?P<f>[A-Za-z_]\w*)`), name: "KASAN"},
	{line: re(`^BUG: KFENCE: (?P<words>\S.*) in (?P<f>[A-Za-z_]\w*)`), name: "KFENCE"},
	{line: re(`^BUG: KMSAN: (?P<words>\S.*) in (?P<f>[A-Za-z_]\w*)`), name: "KMSAN"},
	{line: re(`^BUG: KCSAN: (?P<words>\S.*)`), name: "KCSAN", place: nowhere},
	{line: re(`^BUG: (?P<words>K[A-Z]*SAN|KFENCE): (?P<own>.*)`)},

	{line: re(`^BUG: workqueue lockup`), name: "BUG: workqueue lockup", place: nowhere, stood: 30 * time.Second},
	{line: re(`^(?:(?:NMI )?watchdog: )?BUG: soft lockup`),
		name: "soft lockup", place: outermost, stood: 20 * time.Second},
	{line: re(`^(?:NMI )?watchdog: .*Watchdog detected hard LOCKUP`),
		name: "hard lockup", place: outermost, stood: 10 * time.Second},
	{line: re(`^smp: csd: Detected non-responsive CSD lock`),
		name: "CSD lock", place: nowhere, stood: 5 * time.Second},
	{line: re(`^(?:rcu: )?INFO: .*\bdetected\b.*\bstalls?\b`),
		name: "RCU stall", place: outermost, stood: 21 * time.Second},
	{line: re(`^INFO: task .* (?:blocked .*\bfor more than|can't die for more than)`),
		name: "hung task", stood: 120 * time.Second},

	{line: re(`^BUG: (?P<words>unable to handle|kernel NULL pointer)`), name: "BUG", place: atRegisters},
	{line: re(`^BUG: (?P<words>sleeping function called|scheduling while atomic|Bad page (?:state|map|cache))`),
		name: "BUG"},
	{line: re(`^BUG: (?P<words>Bad rss-counter state)`), name: "BUG", place: nowhere},
	{line: re(`^BUG: (?P<own>.*stack guard page was hit)`), name: "BUG", place: outermost},
	{line: re(`^(?:\[ )?BUG: (?P<own>.*)`), name: "BUG"},
	// The cache, then the problem.
	{line: re(`^BUG (?P<words>\S+) \([^)]*\): (?P<own>.*)`), name: "SLUB"},
	// SLAB, until v6.7.
	{line: re(`^slab error in \w+\(\): cache .(?P<words>[^']+)': (?P<own>.*)`), name: "SLAB"},
	{line: re(`^Slab corruption \([^)]*\): (?P<words>\S+) `), name: "SLAB: corruption"},
	{line: re(`^[Kk]ernel BUG at `), name: "kernel BUG", place: atRegisters},

	{line: re(`^(?:Oops: )?general protection fault`),
		name: "general protection fault", place: atRegisters, inside: true},
	{line: re(`^(?:Oops: )?(?:Oops|invalid opcode): [0-9a-f]{1,16} \[#`), name: "Oops", place: atRegisters, inside: true},
	{line: re(`^(?:Oops: )?(?P<words>[A-Za-z][A-Za-z0-9_ ()-]*): [0-9a-f]{1,16} \[#\d+\]`),
		place: atRegisters, inside: true},
	{line: re(`^Internal error: (?P<own>.*): [0-9a-f]{1,16} \[#\d+\]`),
		name: "Oops", place: atRegisters, inside: true},
	{line: re(`^Unable to handle kernel (?P<own>.*)`), name: "BUG: unable to handle", place: atRegisters},
	{line: re(`^(?:traps: )?PANIC: (?P<own>.*)`), name: "PANIC", place: atRegisters, inside: true},
	{line: re(`^(?:traps: )?(?P<words>CFI failure|Missing ENDBR)\b.*? ` + symbol), place: atRegisters},

	{line: re(`^UBSAN: (?P<words>\S.*) in \S+:\d+`), name: "UBSAN"},
	// With CONFIG_UBSAN_TRAP.
	{line: re(`^UBSAN: (?P<words>\S.*) at ` + symbol), name: "UBSAN"},
	{line: re(`^UBSAN: (?P<words>[\w-]+)`), name: "UBSAN"},
	{line: re(`^unchecked MSR access error`), name: "unchecked MSR access", place: atRegisters},
	{line: re(`^list_(?:add|del) (?:corruption|double add)`), name: "list corruption", place: nowhere},
	{line: re(`^kmemleak: \d+ (?P<words>new suspected memory leaks)`),
		name: "kmemleak", place: nowhere, inside: true},
	{
		line:  re(`^kmemleak: (?P<own>(?:Cannot|(?:Partially )?[Ff]reeing|Trying|Adding|Unable)\b.*)`),
		name:  "kmemleak",
		dumps: true,
	},
	{line: re(`^pagealloc: (?P<words>single bit error|memory corruption)`), name: "pagealloc"},
	{line: re(`^\S+:\d+: (?P<words>bad (?:pgd|p4d|pud|pmd|pte)) \S+\(`), place: nowhere, inside: true},
	{line: re(`^rcu: \S+\(\): (?P<words>Double-freed CB) \S+->` + symbol), name: "RCU"},
	{line: re(`^(?P<words>softirq: huh, entered softirq) `), place: nowhere, inside: true},
	{line: re(`^VFS: (?P<words>Busy inodes after unmount|Close: file count is)`),
		name: "VFS", place: nowhere, inside: true},
	{line: re(`^(?P<words>unregister_netdevice: waiting for) `), place: nowhere, inside: true},
	{line: re(`^rust_kernel: (?P<own>panicked)`), name: "rust_kernel"},
	{line: re(`^(?P<words>` + PanicMark + `: stack-protector: Kernel stack is corrupted) in: (?:` + symbol + `)?`),
		inside: true},
	{line: re(`^(?P<words>` + PanicMark + `: (?:corrupted stack end|kernel stack overflow).*)`),
		place: outermost, inside: true},
	{line: re(`^(?P<words>` + PanicMark + `: .*)`), place: nowhere, inside: true},

	{line: re(`^WARNING: (?P<words>kernel stack (?:regs|frame pointer)) at .* has bad`),
		name: "WARNING", place: nowhere},
	{line: re(`^(?:\[ )?WARNING: (?P<own>.*)`), name: "WARNING", dumps: true},
	{line: re(`^(?:\[ )?INFO: (?P<own>.*)`), name: "INFO", dumps: true},
}

// within matches lines within a report that look like the first line of a complaint.
var within = re(`^INFO: (?:lockdep is turned off|Stall ended|NMI handler|` +
	`task .* blocked on an? [\w-]+(?: likely (?:owned|last held) by task |, but the owner )|` +
	`0x\S+-0x|(?:Slab|Object|Allocated|Freed|recovery required)\b)|^BUG \S+ \([^)]*\): kasan: `)

// head is the first line of a complaint, with its match.
type head struct {
	form *form
	m    []string
}

// headOf returns the complaint that a line begins, or nil.
func headOf(l logLine) *head {
	if l.user || l.text == "" || within.MatchString(l.text) {
		return nil
	}
	text := strings.TrimPrefix(l.text, " ")
	for i := range forms {
		if m := forms[i].line.FindStringSubmatch(text); m != nil {
			return &head{&forms[i], m}
		}
	}
	return nil
}

// group returns a named group of the first line, or "".
func (h *head) group(name string) string {
	if i := h.form.line.SubexpIndex(name); i >= 0 {
		return h.m[i]
	}
	return ""
}

// text returns the complaint in canonical form, from the lines of its report.
func (h *head) text(report []logLine) string {
	var parts []string
	for _, p := range []string{h.form.name, words(h.group("words")), ownWords(h.group("own"))} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	text := strings.Join(parts, ": ")
	if f := h.where(report); f != "" {
		text += " in " + f
	}
	return text
}

var (
	// suffixes are added to a function's name by %pS and the compiler.
	suffixes = re(`\.(?:isra|constprop|part|cold|llvm)\b[.\d]*|\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?`)
	modules  = re(` \[\w+\]`)
	numbers  = re(`\b(?:0x)?[0-9a-f]*\d[0-9a-f]*\b`)
	// ends is where a text changes to what differs from run to run.
	ends = re(`, |: | on CPU| in process | IP \d`)
	// asides are in brackets or parentheses.
	asides = re(` (?:\[[^]]*\]|\([^)]*\))`)
	// varies is a word that differs from run to run: a number, an address, a process.
	varies = re(`[\d{}\[\]/#]|^\(|[^!-~]`)
	// joins are words without meaning at the end.
	joins = re(`(?: (?:at|on|in|for|of|to|by|from))+$`)
)

// mostWords bounds the kernel's text in a complaint, in bytes.
const mostWords = 120

// words returns the kernel's text for the kind of a complaint, without symbol suffixes and
// modules, or for a panic without numbers.
func words(s string) string {
	if strings.HasPrefix(s, PanicMark) {
		s = numbers.ReplaceAllString(s, "N")
	} else {
		s = modules.ReplaceAllString(suffixes.ReplaceAllString(s, ""), "")
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, ""))
}

// ownWords returns the kernel's text without what differs from run to run.
func ownWords(s string) string {
	s = asides.ReplaceAllString(s, "")
	if at := ends.FindStringIndex(s); at != nil {
		s = s[:at[0]]
	}
	var kept []string
	for _, w := range strings.Fields(s) {
		if !varies.MatchString(w) {
			kept = append(kept, w)
		}
	}
	s = strings.Join(kept, " ")
	s = strings.TrimRight(s[:min(len(s), mostWords)], " !.:,;")
	return strings.TrimSpace(strings.ToValidUTF8(joins.ReplaceAllString(s, ""), ""))
}
