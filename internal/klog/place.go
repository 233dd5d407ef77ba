package klog

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// logLine is a line of the kernel's log, read once.
type logLine struct {
	text   string // without level, time and caller
	caller string // with CONFIG_PRINTK_CALLER: "T233" or "C1"
	at     time.Duration
	user   bool // a program wrote it
	kind   lineKind
	symbol string // the function in it, for the kinds that have one
}

type lineKind int

const (
	plainLine lineKind = iota
	frameLine          // of a call trace
	bareLine           // a function without a trace: "[<0>] f+0x1/0x2"
	lockLine           // where a lock was taken: "at: f+0x1/0x2"
	ripLine            // the function at the registers
	dumpLine           // begins a dump or its trace
	pastLine           // begins another stack: where memory was allocated or freed
	endLine            // ends a report, or begins another
)

var (
	logStamp   = re(`^(?:\S* ?login: )?(?:<(\d+)>)?\[\s*(\d+\.\d+)\](?:\[\s*([^]]*)\])? `)
	level      = re(`^<(\d+)>`)
	rip        = re(`^(?:RIP: 0010:|IP: |pc : )(?:\[<[0-9a-f]+>\] +){0,2}(\w[\w.]*)\+0x`)
	frame      = re(`^\s{1,8}(?:<[A-Z]+>\s+)?(?:\[<[0-9a-f]+>\] |last function: )?(\w[\w.]*)(?:\+0x|$)`)
	bare       = re(`^\[<[0-9a-f]+>\] (\w[\w.]*)\+0x`)
	lock       = re(`\bat: (?:\[<[0-9a-f]+>\] )?(\w[\w.]*)\+0x`)
	dump       = re(`^(?:CPU: \d+ .*Comm: |Call [Tt]race:|RIP: |pc : |task:)`)
	past       = re(`^(?:INFO: )?(?:[Aa]llocated|[Ff]reed) (?:in|by) `)
	reportsEnd = re(`^-+\[ (?:cut here|end trace)`)
)

// longestLine bounds how much of a line is read, in bytes.
const longestLine = 512

// userFacility is the lowest syslog facility (RFC 5424, times 8) of lines that programs
// write to /dev/kmsg: the kernel does not accept its own, 0, from them (devkmsg_write in
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
	if strings.Contains(l, "+0x") || strings.Contains(l, "last function: ") {
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
	case strings.HasPrefix(l, "RIP: 0010:"): // without a function: a call of a bad address
		line.kind = ripLine
	case dump.MatchString(l):
		line.kind = dumpLine
	case past.MatchString(l):
		line.kind = pastLine
	}
	return line
}

// atoi returns the value of at most two digits.
func atoi(s string) (n int) {
	for _, d := range s {
		n = n*10 + int(d-'0')
	}
	return n
}

// function removes the suffix that a compiler added to a name: "dax_fault.constprop.0".
func function(name string) string {
	name, _, _ = strings.Cut(name, ".")
	return name
}

// Functions in the trace of a complaint that are not its subject.
var (
	// reporters print the complaint, or lead to what prints it.
	reporters = re(`^_*(?:` + strings.Join([]string{
		// Traces, warnings, traps and panics.
		`dump_stack|dump_backtrace|show_(?:stack|regs|trace)|walk_stack|print_|(?:dev_)?v?printk`,
		`dev_(?:emerg|alert|crit|err|warn|notice|info)|vpanic|panic|nmi_panic|oops|die|warn_|warn$|WARN_|report_bug`,
		`handle_bug|fixup_bug|bug_handler`,
		`do_(?:error_)?trap|do_invalid_op|invalid_op|asm_|exc_|error_entry|page_fault|do_page_fault`,
		`async_page_fault|bad_(?:area|page)|no_context|kernelmode_fixup`,
		`do_(?:user|kern)_addr_fault|do_kernel_fault|spurious_kernel_fault|double_fault`,
		`(?:arch_)?stack_(?:trace|walk|chk)`,
		`(?:\w+_)?ass(?:ert)?fail|\w+_assert|reiserfs_panic|skb_(?:under_|over_)?panic|should_fail`,
		// Checkers.
		`kasan|kmsan|kcsan|kfence|ubsan|asan|msan|tsan|hwasan|sanitizer|check_memory_region|fortify|usercopy`,
		`check_(?:bytes|slab|object|heap_object|page_span|stack_object|bogus)`,
		`debug_(?:object|print_object|check_no_obj|smp_processor_id)|(?:timer|work)_is_static_object`,
		`(?:init|destroy)_(?:timer|work|hrtimer)_|init_timer_key|ref_tracker`,
		`this_cpu_preempt_check|check_preemption_disabled|might_(?:sleep|fault|resched)|cant_(?:sleep|migrate)|schedule_bug`,
		`object_err|slab_(?:err|bug|pad_check)|cache_(?:alloc|free)_debugcheck|check_poison_obj`,
		`handle_(?:overflow|null_ptr_deref|misaligned_access|object_size_mismatch)`,
		`kmemleak|(?:create|link|delete)_object|page_table_check|kernel_(?:un)?poison_pages|(?:set|reset)_page_owner`,
		`debug_dma|add_dma_entry|check_(?:unmap|sync)$`,
		// The lock validator.
		`lockdep|lock_(?:acquire|release|contended|acquired|is_held|classes|downgrade)|hlock_class`,
		`mark_(?:lock|usage|held)|(?:register|look_up)_lock_class|assign_lock_key|reacquire_held_locks`,
		`check_(?:noncircular|prev|prevs|deadlock|irq_usage|usage|path|wait_context|flags)|validate_chain`,
		`(?:lookup|add)_chain_cache`,
		`find_usage|debug_check_no_locks|imbalance_bug|(?:spin|rwlock)_(?:bug|dump)`,
		`(?:trace|lockdep)_(?:hard|soft)irq|perf_trace|rcu_(?:read_)?lock_(?:sched_|bh_)?held`,
		`rcu_(?:gp_|dump|sched_clock|check_callbacks|pending|check_gp|stall)`,
		// The scheduler, where a task waits, and watchdogs.
		`schedule(?:$|_)|context_switch|switch_to|preempt_schedule|cond_resched|watchdog_timer_fn|nmi_|trigger_`,
	}, "|") + `)`)
	// helpers are called from everywhere; the subject is their caller.
	helpers = re(`^_*(?:` + strings.Join([]string{
		// Locks.
		`(?:raw_|do_raw_)*(?:spin|read|write)_(?:rq_)?(?:try|un)?lock|raw_spin_rq|(?:native_)?queued_|pv_queued`,
		`(?:ww_|rt_)*mutex|rt_spin|rtlock_|rwsem_|rwbase_|call_rwsem|percpu_(?:down|up|rwsem|ref)`,
		`(?:down|up)(?:_read|_write|_interruptible|_killable|_timeout|_trylock|_common|$)|ldsem_|osq_|owner_on_cpu`,
		`task_(?:rq_lock|blocks_on)|rt_mutex|lock_(?:page|buffer|sock|timer_base)|mmap_(?:read|write)_lock|release_sock`,
		`folio_(?:un)?lock|unlock_page|local_bh|bh_(?:enable|disable)|seqprop|reiserfs_write_lock`,
		`folio_w(?:ake|ait)_bit|console_lock`,
		// Allocators.
		`do_(?:slab_free|kmalloc)|(?:kv?|pcpu_mem_|v)[mz]?[mzc]?alloc|kv?m?realloc|kv?z?free(?:_|$)|kmem_cache`,
		`kmemdup|vfree|vunmap|(?:new|allocate|free|cache)_slab|slab_|cache_alloc|mempool`,
		`alloc_(?:pages?|frozen|skb)|(?:get|put)_(?:free_)?pages?$|filemap_(?:alloc|get)_folio|folio_alloc`,
		`(?:do_read|read|grab)_cache_page|do_read_cache|pagecache_get_page|find_or_create_page`,
		`free_(?:pages?|unref|frozen|hot|pcppages|tail_page)|get_page_from|prep_new|post_alloc|check_new_page|rmqueue`,
		`free_to_partial_list|(?:alloc|free)_(?:debug_processing|consistency_checks|single_from)|on_freelist`,
		`stack_depot|kstrdup|ida_free|page_pool`,
		// Strings and bytes.
		`mem(?:cpy|set|move|cmp|chr|dup)|str(?:n|l|s)?(?:cmp|cpy|len|chr|str|cat|dup)|v?s[cn]*printf|kv?asprintf`,
		`string|pointer|hex_|crc|aes(?:ti)?_|va_format`,
		`(?:raw_|simple_)?copy_(?:to|from|in|page_|folio_)|copy(?:in|out)$|(?:get|put|clear)_user|instrument`,
		`read_once|read_word|phys_addr|skb_(?:pull|push|put|trim)$`,
		// Counters, bits, lists, trees and tables.
		`(?:arch_|raw_)*atomic|(?:set|clear|change|test)_(?:and_)?(?:set_|clear_)?bit|refcount|kref`,
		`list_(?:add|del|replace|move|splice)|rb_|hlist|klist|xas?_|mas_|idr_|rhashtable_|find_lock_entries`,
		`radix_tree_(?:lookup|insert|delete|next|tag|gang|load|iter|replace)`,
		`iput|ihold|fast_dput|dput|drop_nlink|mark_buffer_dirty|put_device|kobject|add_uevent_var`,
		`set_(?:pte|ptes|pte_at|p[mu]d_at)$|(?:ptep|pmdp|pudp)_|vm_normal_(?:page|folio)|dma_(?:un)?map_|dma_(?:alloc|free|sync)_`,
		`proc_(?:register|create)|(?:dpm_)?sysfs_|device_|get_device_|devres_|hwrng_unregister|cleanup_srcu`,
		// Timers, work and threads.
		`(?:try_to_)?(?:del|mod|add)_timer|(?:try_to_)?timer_delete|timer_(?:delete|shutdown)`,
		`(?:flush|drain|destroy|queue|cancel|insert|start_flush)_(?:delayed_)?work|cancel_work_timer`,
		`try_to_grab_pending|call_rcu|sk_(?:stop|reset)_timer`,
		`kthread_stop|complete$|usb_(?:kill|submit|start_wait|control|bulk|interrupt)_(?:anchored_)?(?:urb|msg)`,
		`rollback_registered|unregister_netdev`,
		// Waits.
		`io_schedule|bit_wait|out_of_line_wait|wait_(?:on|for)_|(?:folio|page|inode|buffer)_wait_|inode_dio_wait|\w*fdatawait`,
		`rcu_barrier|do_wait_for|wait_rcu_gp|rq_qos_wait`,
		`wake_up(?:$|_(?:common|sync|bit|var|klogd|process|q|interruptible))|finish_wait|x86_(?:indirect|return)`,
	}, "|") + `)`)
	// entries dispatch work to a processor: what they call is the work.
	entries = re(`^_*(?:` + strings.Join([]string{
		`do_syscall|do_fast_syscall|do_int80|entry_|x64_sys_call|ia32_sys_call|ret_from_|process_one_work`,
		`process_scheduled|worker_thread|kthread$|smpboot_|run_ksoftirqd`,
		`handle_softirqs|do_softirq|irq_exit|invoke_softirq|call_timer_fn|expire_timers|run_timer|hrtimer_run`,
		`start_secondary|secondary_start|cpu_startup|do_idle|start_kernel`,
		`netif_receive|tasklet_|flush_smp|task_work_run|fput|exit_to_user|exit_to_usermode|do_fault$|sysvec_`,
		`vfs_(?:read|write|iter|ioctl|open)|new_sync|do_iter|call_(?:read|write)_iter|call_mmap|mmap_region`,
		`do_mmap|do_dentry_open`,
		`(?:ksys|do_vfs|blkdev|sock|sock_do)_ioctl|(?:\w+_)?compat_\w*ioctl`,
		`(?:x64_|ia32_|se_|do_)*(?:compat_)?(?:sys|SyS)_ioctl|ia32_compat_sys_ioctl`,
		`sock_(?:sendmsg|recvmsg|release)`,
		`rtnetlink_rcv_msg|nfnetlink_rcv_msg|netlink_dump`,
	}, "|") + `)`)
	// interrupts interrupt the work of a processor.
	interrupts = re(`apic_timer_interrupt`)
	// crossCalls wait for other processors, under many names.
	crossCalls = re(`^_*smp_call_function`)
)

// where returns the function that a complaint is about, or "".
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
	case outermost:
		return outermostOf(report)
	case atRegisters:
		for i, l := range report {
			if l.kind == ripLine {
				first = i
				break
			}
		}
	}
	inPast := false
	for _, l := range report[first:] {
		switch l.kind {
		case pastLine:
			inPast = true
		case dumpLine:
			inPast = false
		case ripLine, frameLine:
			if !inPast {
				names = append(names, l.symbol)
			}
		case bareLine, lockLine:
			if h.form.place == atLock {
				names = append(names, l.symbol)
			}
		}
	}
	return mattering(names, inLine)
}

// mattering returns the first function that is neither a reporter nor a helper; else the
// first helper; else the function in the first line.
func mattering(names []string, inLine string) string {
	helper := ""
	for _, n := range names {
		switch {
		case n == "", reporters.MatchString(n):
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

// outermostOf returns the work of a processor that made no progress, or recursed: it is
// interrupted at a different place of a loop each time, but the outermost function is the
// same. The part of a report before the registers belongs to the watchdog.
func outermostOf(report []logLine) string {
	report = slices.DeleteFunc(report, func(l logLine) bool { return l.kind == plainLine || l.kind == endLine })
	started := !slices.ContainsFunc(report, func(l logLine) bool {
		return l.kind == ripLine || interrupts.MatchString(l.symbol)
	})
	var names []string
	for _, l := range report {
		switch {
		case l.kind == dumpLine:
			if strings.HasPrefix(l.text, "RIP: ") && len(names) > 0 { // user space
				return names[len(names)-1]
			}
		case crossCalls.MatchString(l.symbol) && (started || l.kind == ripLine):
			return "smp_call_function"
		case l.kind == ripLine:
			names, started = []string{l.symbol}, true
		case l.kind != frameLine:
		case !started:
			started = interrupts.MatchString(l.symbol)
		case reporters.MatchString(l.symbol):
		case entries.MatchString(l.symbol) && len(names) > 0:
			return names[len(names)-1]
		default:
			names = append(names, l.symbol)
		}
	}
	return mattering(names, "")
}

// Text returns a line of the kernel's log without level, time and caller, and
// whether a program wrote it rather than the kernel.
func Text(line string) (text string, user bool) {
	l := readLine(line)
	return l.text, l.user
}
