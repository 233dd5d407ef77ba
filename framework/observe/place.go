package observe

import (
	"regexp"
	"strings"
	"time"
)

// logLine is a line of the kernel's log, read once.
type logLine struct {
	text   string // without level, time and caller
	caller string // with CONFIG_PRINTK_CALLER: "T233" or "C1"
	at     time.Duration
	user   bool // a program wrote it: what it says is not the kernel's
	kind   lineKind
	symbol string // the function that it names, where kind says that it names one
}

type lineKind int

const (
	plainLine lineKind = iota
	frameLine          // of a call trace
	bareLine           // a function without a trace: "[<0>] f+0x1/0x2"
	lockLine           // where a lock was taken: "at: f+0x1/0x2"
	ripLine            // the registers' function
	dumpLine           // begins a dump: whose, or its trace
	endLine            // another report begins, or this one ended
)

var (
	logStamp   = re(`^(?:<(\d+)>)?\[\s*(\d+\.\d+)\](?:\[\s*([^]]*)\])? `)
	level      = re(`^<(\d+)>`)
	rip        = re(`^(?:RIP: 0010:|IP: |pc : )(?:\[<[0-9a-f]+>\] +){0,2}(\w[\w.]*)\+0x`)
	frame      = re(`^\s{1,8}(?:\[<[0-9a-f]+>\] )?(\w[\w.]*)\+0x`)
	bare       = re(`^\[<[0-9a-f]+>\] (\w[\w.]*)\+0x`)
	lock       = re(`\bat: (?:\[<[0-9a-f]+>\] )?(\w[\w.]*)\+0x`)
	dump       = re(`^(?:CPU: \d+ .*Comm: |Call [Tt]race:|RIP: |pc : |task:)`)
	reportsEnd = re(`^-+\[ (?:cut here|end trace)`)
)

// longestLine is how much of a line is read.
const longestLine = 1024

// userFacility is the least syslog facility (RFC 5424, times 8) of what programs write to
// /dev/kmsg: the kernel takes its own, 0, from none of them (devkmsg_write in
// kernel/printk/printk.c).
const userFacility = 1 << 3

// readLog reads the lines of a kernel's log.
func readLog(log []string) []logLine {
	lines := make([]logLine, len(log))
	for i, l := range log {
		lines[i] = readLine(l)
	}
	return lines
}

func readLine(l string) (line logLine) {
	l = l[:min(len(l), longestLine)]
	prio := ""
	if m := logStamp.FindStringSubmatch(l); m != nil {
		l, prio, line.caller = l[len(m[0]):], m[1], m[3]
		if d, err := time.ParseDuration(m[2] + "s"); err == nil {
			line.at = d
		}
	} else if m := level.FindStringSubmatch(l); m != nil {
		l, prio = l[len(m[0]):], m[1]
	}
	line.user = len(prio) > 2 || len(prio) > 0 && atoi(prio) >= userFacility
	line.text = strings.TrimRight(l, "\r\n")
	if strings.Contains(l, "+0x") {
		for _, p := range []struct {
			pattern *regexp.Regexp
			kind    lineKind
		}{{rip, ripLine}, {frame, frameLine}, {bare, bareLine}, {lock, lockLine}} {
			if m := p.pattern.FindStringSubmatch(l); m != nil {
				line.kind, line.symbol = p.kind, function(m[1])
				return line
			}
		}
	}
	switch {
	case reportsEnd.MatchString(l):
		line.kind = endLine
	case dump.MatchString(l):
		line.kind = dumpLine
	}
	return line
}

// atoi is the value of at most two digits.
func atoi(s string) (n int) {
	for _, d := range s {
		n = n*10 + int(d-'0')
	}
	return n
}

// function drops what a compiler added to a name: "dax_fault.constprop.0".
func function(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}

// Functions that stand in the trace of a complaint and are not what it is about.
var (
	// reporters print it, or are the way to what prints it.
	reporters = re(`^_*(?:` +
		// Traces, warnings, traps and panics.
		`dump_stack|dump_backtrace|show_(?:stack|regs|trace)|print_|v?printk|vpanic|panic|nmi_panic|oops|die|warn_|warn$|report_bug|handle_bug|fixup_bug|` +
		`do_(?:error_)?trap|do_invalid_op|invalid_op|asm_|exc_|error_entry|page_fault|do_page_fault|async_page_fault|bad_(?:area|page|unlock)|no_context|kernelmode_fixup|` +
		`do_(?:user|kern)_addr_fault|do_kernel_fault|spurious_kernel_fault|double_fault|df_debug|bug_handler|` +
		// Checkers.
		`k[amc]san|kmsan|kcsan|kfence|ubsan|asan|msan|tsan|hwasan|sanitizer|check_memory_region|stack_chk|fortify|usercopy|check_(?:object|heap_object|page_span|stack_object|bogus)|` +
		`debug_(?:object|print_object|check_no_obj|smp_processor_id)|this_cpu_preempt_check|check_preemption_disabled|` +
		`might_(?:sleep|fault|resched)|cant_sleep|schedule_bug|ref_tracker|object_err|slab_(?:err|bug|pad_check)|handle_overflow|` +
		// The lock validator.
		`lockdep|lock_(?:acquire|release|contended|acquired|is_held|classes)|mark_(?:lock|usage|held)|(?:register|look_up)_lock_class|assign_lock_key|reacquire_held_locks|` +
		`check_(?:noncircular|prev|prevs|deadlock|irq_usage|usage|path|wait_context|flags)|validate_chain|find_usage|debug_check_no_locks|imbalance_bug|(?:spin|rwlock)_(?:bug|dump)|` +
		// The scheduler, where a task waits.
		`schedule(?:$|_)|context_switch|switch_to|preempt_schedule|cond_resched|` +
		`watchdog_timer_fn|rcu_(?:dump|sched_clock|check_callbacks|pending|check_gp|stall)|nmi_|trigger_` +
		`)`)
	// helpers are called everywhere: locks, allocators, strings, counters, lists.
	helpers = re(`^_*(?:` +
		`(?:raw_|do_raw_)*(?:spin|read|write)_(?:try|un)?lock|(?:native_)?queued_|pv_queued|(?:ww_|rt_)*mutex|rt_spin|(?:down|up)(?:_read|_write|_interruptible|_killable|_timeout|_trylock|$)|rwsem_|` +
		`rwbase_|percpu_(?:down|up|rwsem|ref)|osq_|owner_on_cpu|lock_(?:page|sock|timer_base)|(?:trace|lockdep)_(?:hard|soft)irq|local_bh|bh_(?:enable|disable)|seqprop|` +
		`do_(?:slab_free|kmalloc)|kv?[mz]?[mzc]?alloc|kv?m?realloc|kv?z?free(?:_|$)|kmem_cache|kmemdup|vmalloc|vzalloc|vfree|vunmap|(?:new|allocate|free|cache)_slab|slab_|cache_alloc|` +
		`alloc_(?:pages?|frozen|skb)|(?:get|put)_(?:free_)?pages?$|folio_alloc|free_(?:pages?|unref|frozen|hot|pcppages)|mempool|get_page_from|prep_new|post_alloc|stack_depot|` +
		`mem(?:cpy|set|move|cmp|chr|dup)|str(?:n|l|s)?(?:cmp|cpy|len|chr|str|cat|dup)|v?s[cn]*printf|kv?asprintf|string|pointer|hex_dump|` +
		`(?:raw_)?copy_(?:to|from|in)|copy(?:in|out)$|(?:get|put|clear)_user|instrument|` +
		`(?:arch_|raw_)*atomic|(?:set|clear|change|test)_(?:and_)?(?:set_|clear_)?bit|refcount|kref|` +
		`list_(?:add|del|replace|move|splice)|rb_|hlist|klist|xas_|` +
		`io_schedule|bit_wait|wait_(?:on|for)_|do_wait_for|wait_rcu_gp|wake_up|finish_wait|x86_indirect|x86_return|` +
		`phys_addr|read_once|read_word|crc\d` +
		`)`)
	// entries hand a processor its work: whatever they call is what it was asked to do.
	entries = re(`^_*(?:` +
		`do_syscall|do_fast_syscall|do_int80|entry_|x64_sys_call|ia32_sys_call|ret_from_|process_one_work|process_scheduled|worker_thread|kthread$|smpboot_|run_ksoftirqd|` +
		`handle_softirqs|do_softirq|irq_exit|invoke_softirq|call_timer_fn|expire_timers|run_timer|hrtimer_run|(?:start_)?secondary|cpu_startup|do_idle|start_kernel|` +
		`netif_receive|tasklet_|smp_call|flush_smp|sysvec_|task_work_run|fput|exit_to_user|` +
		`vfs_(?:read|write|iter|ioctl|open)|new_sync|do_iter|call_(?:read|write)_iter|call_mmap|mmap_region|do_mmap|do_dentry_open|ksys_ioctl|(?:x64_|se_|do_)?sys_ioctl|` +
		`sock_(?:sendmsg|recvmsg|release|ioctl|do_ioctl)|do_fault|handle_mm_fault|do_page_fault|` +
		`rtnetlink_rcv_msg|nfnetlink_rcv_msg|netlink_dump` +
		`)`)
)

// where is the function that a complaint is about, or "".
func (h *head) where(report []logLine) string {
	var names []string
	inLine := function(h.group("f"))
	if inLine != "" {
		names = append(names, inLine)
	}
	first := 0
	switch h.form.place {
	case nowhere:
		return inLine
	case inStall:
		return stalled(report)
	case atRegisters:
		for i, l := range report {
			if l.kind == ripLine {
				first = i
				break
			}
		}
	}
	for _, l := range report[first:] {
		switch l.kind {
		case ripLine, frameLine:
			names = append(names, l.symbol)
		case bareLine, lockLine:
			if h.form.place == atLock {
				names = append(names, l.symbol)
			}
		}
	}
	return mattering(names, inLine)
}

// mattering is the first function that is not a reporter's or a helper's; else the
// first of a helper; else what the first line names.
func mattering(names []string, inLine string) string {
	helper := ""
	for _, n := range names {
		switch {
		case reporters.MatchString(n):
		case !helpers.MatchString(n):
			return n
		case helper == "":
			helper = n
		}
	}
	if helper == "" {
		return inLine
	}
	return helper
}

// stalled is what a processor was asked to do when it made no progress: it is
// somewhere in a loop, each time elsewhere, and the outermost of its functions is the
// same each time.
func stalled(report []logLine) string {
	var names []string
	for _, l := range report {
		switch {
		case l.kind == ripLine:
			names = []string{l.symbol} // what came before is of the watchdog
			if entries.MatchString(l.symbol) {
				return l.symbol
			}
		case l.kind != frameLine || len(names) == 0 || reporters.MatchString(l.symbol):
		case entries.MatchString(l.symbol):
			return names[len(names)-1]
		default:
			names = append(names, l.symbol)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return mattering(names, names[0])
}
