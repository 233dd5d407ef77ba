package klog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// stamped returns a log of these lines, as sent by the agent.
func stamped(text string) []string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = fmt.Sprintf("[   12.%06d] %s", i, l)
	}
	return lines
}

// Every complaint of a kernel is recognised, with its own text if no form matches, and
// its function is the first that is neither a reporter nor a helper.
func TestComplaints(t *testing.T) {
	const trace = "\nCPU: 0 UID: 0 PID: 233 Comm: agent Not tainted 6.19.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x1/0x2\n"
	const cut = "------------[ cut here ]------------\n"
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		// Since v6.19 the message's trampoline is in place of the function.
		"a WARN with a message, v6.19": {cut + "pmem0: 3 pages left\nWARNING: drivers/nvdimm/pmem.c:431 at 0x0, CPU#1: agent/233\nModules linked in:\n" +
			"RIP: 0010:pmem_release+0x1f/0x40 [nd_pmem]", []string{"WARNING in pmem_release"}},
		"its file unknown":          {"WARNING: at 0x0, CPU#0: kworker/0:1/12\nRIP: 0010:f.isra.0+0x1/0x2", []string{"WARNING in f"}},
		"its condition in front":    {"WARNING: [folio_test_hwpoison(folio)] mm/rmap.c:7 at f+0x1/0x2, CPU#0: a/1", []string{"WARNING in f"}},
		"its address has no name":   {"WARNING: CPU: 0 PID: 9 at mm/x.c:7 0xffffffffc0201234\nRIP: 0010:g+0x1/0x2", []string{"WARNING in g"}},
		"no function at all":        {"WARNING: mm/x.c:7 at 0x0, CPU#0: a/1", []string{"WARNING"}},
		"a counter's own warning":   {"WARNING: lib/refcount.c:28 at refcount_warn_saturate+0x1/0x2, CPU#0: a/1\nRIP: 0010:refcount_warn_saturate+0x1/0x2\nCall Trace:\n dax_put+0x1/0x2", []string{"WARNING in dax_put"}},
		"another of the same":       {"WARNING: lib/refcount.c:28 at refcount_warn_saturate+0x1/0x2, CPU#0: a/1\nRIP: 0010:refcount_warn_saturate+0x1/0x2\nCall Trace:\n nd_put+0x1/0x2", []string{"WARNING in nd_put"}},
		"a list's own warning":      {"WARNING: lib/list_debug.c:59 at __list_del_entry_valid_or_report+0x1/0x2, CPU#0: a/1\nCall Trace:\n nd_free+0x1/0x2", []string{"WARNING in nd_free"}},
		"an object's own warning":   {"WARNING: lib/debugobjects.c:612 at debug_print_object+0x1/0x2, CPU#0: a/1\nCall Trace:\n __debug_object_init+0x1/0x2\n nd_init+0x1/0x2", []string{"WARNING in nd_init"}},
		"below what panicked of it": {"WARNING: CPU: 1 PID: 9 at kernel/x.c:1 f+0x1/0x2\nKernel panic - not syncing: panic_on_warn set ...", []string{"WARNING in f", "Kernel panic - not syncing: panic_on_warn set ..."}},

		"UBSAN": {"UBSAN: shift-out-of-bounds in lib/x.c:12:3\nshift exponent 70 is too large" + trace + " ubsan_epilogue+0x1/0x2\n __ubsan_handle_shift_out_of_bounds.cold+0x1/0x2\n nd_ioctl+0x1/0x2",
			[]string{"UBSAN: shift-out-of-bounds in nd_ioctl"}},
		"fortify": {"kernel BUG at lib/string_helpers.c:1045!\nOops: invalid opcode: 0000 [#1] SMP\nRIP: 0010:__fortify_panic+0xd/0xf\nCall Trace:\n nd_label_write+0x1/0x2",
			[]string{"kernel BUG in nd_label_write", "Oops in nd_label_write"}},
		"hardened copies": {"kernel BUG at mm/usercopy.c:102!\nRIP: 0010:usercopy_abort+0x1/0x2\nCall Trace:\n __check_heap_object+0x1/0x2\n __check_object_size+0x1/0x2\n nd_read+0x1/0x2",
			[]string{"kernel BUG in nd_read"}},
		"a hung task at a lock": {"INFO: task agent:233 blocked for more than 120 seconds.\nCall Trace:\n __schedule+0x1/0x2\n schedule+0x1/0x2\n schedule_preempt_disabled+0x1/0x2\n __mutex_lock.constprop.0+0x1/0x2\n nd_jump+0x1/0x2",
			[]string{"hung task in nd_jump"}},
		"a hung task at a semaphore": {"INFO: task agent:233 blocked for more than 120 seconds.\nCall Trace:\n __schedule+0x1/0x2\n schedule+0x1/0x2\n rwsem_down_write_slowpath+0x1/0x2\n down_write+0x1/0x2\n ext4_evict+0x1/0x2",
			[]string{"hung task in ext4_evict"}},
		"a hung task's owner is not another": {"INFO: task agent:233 blocked for more than 120 seconds.\nCall Trace:\n nd_jump+0x1/0x2\nINFO: task agent:233 is blocked on a mutex likely owned by task kworker/0:1:12.\ntask:kworker/0:1 state:D\nCall Trace:\n other+0x1/0x2",
			[]string{"hung task in nd_jump"}},

		"KMSAN":             {"BUG: KMSAN: uninit-value in nd_sum.constprop.0+0x1/0x2\n nd_sum+0x1/0x2", []string{"KMSAN: uninit-value in nd_sum"}},
		"KMSAN, of a copy":  {"BUG: KMSAN: kernel-infoleak in _copy_to_user+0x1/0x2\n _copy_to_user+0x1/0x2\n nd_ioctl+0x1/0x2", []string{"KMSAN: kernel-infoleak in nd_ioctl"}},
		"KASAN, of a copy":  {"BUG: KASAN: slab-out-of-bounds in memcpy+0x1/0x2\nRead of size 8" + trace + " kasan_report+0x1/0x2\n kasan_check_range+0x1/0x2\n memcpy+0x1/0x2\n nd_copy+0x1/0x2", []string{"KASAN: slab-out-of-bounds in nd_copy"}},
		"KCSAN":             {"BUG: KCSAN: data-race in a.isra.0 / b+0x1/0x2", []string{"KCSAN: data-race in a / b"}},
		"a checker to come": {"BUG: KXSAN: lost cookie in 0xffff888100200300" + trace + " f+0x1/0x2", []string{"KXSAN: lost cookie in f"}},
		"KASAN without one": {"BUG: KASAN: maybe wild-memory-access on address 600041f58ab8" + trace + " f+0x1/0x2", []string{"KASAN: maybe wild-memory-access on address in f"}},

		"preemptible": {"BUG: using smp_processor_id() in preemptible [00000000] code: agent/233\ncaller is nd_lane+0x1/0x2" + trace + " check_preemption_disabled+0x1/0x2\n nd_lane+0x1/0x2",
			[]string{"BUG: using smp_processor_id() in preemptible code in nd_lane"}},
		"a spinlock's magic": {"BUG: spinlock bad magic on CPU#0, agent/233\n lock: 0xffff8881deadbeef, .magic: 00000000" + trace + " spin_dump+0x1/0x2\n do_raw_spin_lock+0x1/0x2\n _raw_spin_lock+0x1/0x2\n nd_lock_all+0x1/0x2",
			[]string{"BUG: spinlock bad magic in nd_lock_all"}},
		"locks still held": {"WARNING: agent/233 still has locks held!\n1 lock held by agent/233:\n #0: ffff88 (&x){+.+.}-{3:3}, at: nd_open+0x1/0x2", []string{"lockdep: still has locks held in nd_open"}},
		"a key":            {"INFO: trying to register non-static key.\nThe code is fine but needs lockdep annotation" + trace + " register_lock_class+0x1/0x2\n __lock_acquire+0x1/0x2\n lock_acquire+0x1/0x2\n _raw_spin_lock+0x1/0x2\n nd_probe+0x1/0x2", []string{"lockdep: trying to register non-static key in nd_probe"}},
		"a circle": {"WARNING: possible circular locking dependency detected\nagent/233 is trying to acquire lock:\nffff88 (&a){+.+.}-{3:3}, at: nd_lock+0x1/0x2\n\nbut task is already holding lock:\nffff88 (&b){+.+.}-{3:3}, at: nd_other+0x1/0x2",
			[]string{"lockdep: possible circular locking dependency detected in nd_lock"}},
		"an unlock":   {"WARNING: bad unlock balance detected!\nagent/233 is trying to release lock (&x) at:\n[<ffffffff81234567>] nd_unlock+0x1/0x2", []string{"lockdep: bad unlock balance detected in nd_unlock"}},
		"RCU's use":   {"WARNING: suspicious RCU usage\nmm/x.c:1 suspicious!\n1 lock held by agent/233:\n #0: ffff88 (&x){+.+.}-{3:3}, at: other+0x1/0x2" + trace + " lockdep_rcu_suspicious+0x1/0x2\n nd_find+0x1/0x2", []string{"lockdep: suspicious RCU usage in nd_find"}},
		"atomic":      {"BUG: scheduling while atomic: agent/233/0x00000002\n1 lock held by agent/233:\n #0: ffff88 (&x){+.+.}-{3:3}, at: other+0x1/0x2" + trace + " __schedule_bug+0x1/0x2\n __schedule+0x1/0x2\n schedule+0x1/0x2\n nd_wait+0x1/0x2", []string{"BUG: scheduling while atomic in nd_wait"}},
		"asleep":      {"BUG: sleeping function called from invalid context at mm/x.c:1\nPreemption disabled at:\n[<ffffffff81234567>] other+0x1/0x2" + trace + " __might_resched+0x1/0x2\n mutex_lock+0x1/0x2\n nd_ioctl+0x1/0x2", []string{"BUG: sleeping function called in nd_ioctl"}},
		"a work item": {"BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]\n     preempt=0x00000001 lock=0->0\n     last function: nd_work\n1 lock held by kworker/0:1/12:" + trace + " process_one_work+0x1/0x2", []string{"BUG: workqueue leaked atomic in nd_work"}},

		"the stack's end": {"BUG: TASK stack guard page was hit at ffffc90000123ff8 (stack is ffffc90000124000..ffffc90000127fff)\nOops: stack guard page: 0000 [#1] SMP\nRIP: 0010:deep+0x1/0x2\nCall Trace:\n deep+0x1/0x2\n deeper+0x1/0x2\n nd_walk+0x1/0x2\n __x64_sys_nd+0x1/0x2\n do_syscall_64+0x1/0x2",
			[]string{"BUG: TASK stack guard page was hit in __x64_sys_nd", "stack guard page in deep"}},
		"SLUB":                   {"BUG kmalloc-64 (Tainted: G    B   W         ): Right Redzone overwritten" + trace + " print_trailer+0x1/0x2\n check_bytes_and_report+0x1/0x2\n nd_fill+0x1/0x2", []string{"SLUB: kmalloc-64: Right Redzone overwritten in nd_fill"}},
		"SLUB, of another cache": {"BUG dax_cache (Not tainted): Objects remaining on __kmem_cache_shutdown()", []string{"SLUB: dax_cache: Objects remaining on __kmem_cache_shutdown()"}},
		"a page's cache":         {"BUG: Bad page cache in process agent  pfn:100c04" + trace + " filemap_unaccount_folio+0x1/0x2", []string{"BUG: Bad page cache in filemap_unaccount_folio"}},
		"page tables":            {"BUG: non-zero pgtables_bytes on freeing mm: 4096", []string{"BUG: non-zero pgtables_bytes on freeing mm"}},
		"a dentry":               {"BUG: Dentry 00000000c1a2b3c4{i=2,n=file}  still in use (1) [unmount of ext4 pmem0]", []string{"BUG: Dentry still in use"}},
		"RCU's tasks":            {"INFO: rcu_tasks detected stalls on tasks:\n0000000012345678: .. nvcsw: 1/1 holdout: 1\ntask:agent state:R\nCall Trace:\n nd_spin+0x1/0x2", []string{"RCU stall in nd_spin"}},
		"RCU, expedited":         {"rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 21 jiffies s: 5", []string{"RCU stall"}},
		"leaks":                  {"kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", []string{"kmemleak: new suspected memory leaks"}},
		"an inode":               {"VFS: Busy inodes after unmount of pmem0 (ext4)", []string{"VFS: Busy inodes after unmount"}},

		"a division":          {"Oops: divide error: 0000 [#1] SMP NOPTI\nRIP: 0010:nd_div+0x1/0x2", []string{"divide error in nd_div"}},
		"a double fault":      {"traps: PANIC: double fault, error_code: 0x0\nOops: double fault: 0000 [#1] SMP\nRIP: 0010:f+0x1/0x2", []string{"PANIC: double fault in f", "double fault in f"}},
		"a call of nothing":   {"BUG: kernel NULL pointer dereference, address: 0000000000000000\nRIP: 0010:0x0\nCode: Unable to access\nCall Trace:\n nd_call+0x1/0x2", []string{"BUG: kernel NULL pointer in nd_call"}},
		"a stack's protector": {"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: nd_parse+0x1/0x2", []string{"Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in nd_parse"}},
		"an unknown bug":      {"BUG: cookie jar 0xffff8881deadbeef overflowed on CPU 3, agent/233" + trace + " nd_jar+0x1/0x2", []string{"BUG: cookie jar overflowed in nd_jar"}},
		"an unknown warning":  {"WARNING: cookie jar 17 is nearly full" + trace + " nd_jar+0x1/0x2", []string{"WARNING: cookie jar is nearly full in nd_jar"}},

		// A loop is interrupted at a different place each time.
		"a loop": {"watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [agent:233]\nRIP: 0010:inner+0x1/0x2\nCall Trace:\n <TASK>\n middle+0x1/0x2\n nd_loop+0x1/0x2\n __x64_sys_nd+0x1/0x2\n do_syscall_64+0x1/0x2",
			[]string{"soft lockup in __x64_sys_nd"}},
		"the same loop": {"watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [agent:234]\nRIP: 0010:nd_loop+0x1/0x2\nCall Trace:\n <TASK>\n __x64_sys_nd+0x1/0x2\n do_syscall_64+0x1/0x2",
			[]string{"soft lockup in __x64_sys_nd"}},
		"below the watchdog": {"rcu: INFO: rcu_preempt self-detected stall on CPU\nCall Trace:\n <IRQ>\n dump_stack+0x1/0x2\n update_process_times+0x1/0x2\n __hrtimer_run_queues+0x1/0x2\n sysvec_apic_timer_interrupt+0x1/0x2\nRIP: 0010:inner+0x1/0x2\n nd_work+0x1/0x2\n process_one_work+0x1/0x2",
			[]string{"RCU stall in nd_work"}},

		// Other lines appear between its lines.
		"two at once": {"WARNING: suspicious RCU usage\nBUG: Bad rss-counter state mm:1 type:MM_FILEPAGES val:3", []string{"lockdep: suspicious RCU usage", "BUG: Bad rss-counter state"}},
	} {
		if got := Splats(stamped(c.log)); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", name, got, c.want)
		}
	}
	callers := []string{
		"[   12.1][  T233] UBSAN: negation-overflow in mm/x.c:1:2", "[   12.2][   T12]  other+0x1/0x2", "[   12.2][   T12] WARNING: mm/x.c:1 at g+0x1/0x2, CPU#1: b/12",
		"[   12.3][  T233]  f+0x1/0x2", "login: [   12.4][    C1] BUG: KASAN: use-after-free in h+0x1/0x2",
	}
	if got := Splats(callers); !slices.Equal(got, []string{"UBSAN: negation-overflow in f", "WARNING in g", "KASAN: use-after-free in h"}) {
		t.Errorf("by its callers: got %q, want one of f, g and h each", got)
	}
}

// Output of a healthy kernel, and lines that programs write, are not complaints.
func TestSilence(t *testing.T) {
	for _, l := range stamped(`Linux version 6.12.117-amd64 (debian-kernel@lists.debian.org)
Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible via Spectre v2 BHB attacks!
WARNING: kernel not compiled with CPU_SRSO
======= WARNING: The mand mount option has been deprecated and
[Firmware Bug]: TSC_DEADLINE disabled due to Errata
INFO: lockdep is turned off.
INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.356 msecs
rcu: INFO: Stall ended before state dump start
ODEBUG: Out of memory. ODEBUG disabled
clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable because the skew is too large:
workqueue: e1000_watchdog hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND
hrtimer: interrupt took 1043240 ns
rcu: RCU debugging is enabled.
traps: agent[233] general protection fault ip:401000 sp:7ffc0 error:0 in agent[401000+1000]
agent[233]: segfault at 0 ip 0000000000401000 sp 00007ffc error 4 in agent
usb 1-1: WARNING: this device is incomplete
systemd[1]: BUG: nobody waits
agent: page allocation failure: order:4, mode:0x40cc0(GFP_KERNEL|__GFP_COMP)
NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.
kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)
kasan: CONFIG_KASAN_INLINE enabled
KernelAddressSanitizer initialized (generic)
Debug: sleeping is fine
BUG kmalloc-8 (Not tainted): kasan: bad access detected
mce: [Hardware Error]: Machine check events logged`) {
		if got := Splats([]string{l}); got != nil {
			t.Errorf("%s: got %q, want none", l, got)
		}
	}
	for _, text := range []string{
		"BUG: unable to handle page fault for address: 1", "WARNING: mm/x.c:1 at f+0x1/0x2, CPU#1: a/1", "Kernel panic - not syncing: no",
		"watchdog: BUG: soft lockup - CPU#0 stuck for 26s!", "INFO: task a:1 blocked for more than 122 seconds.", "[ BUG: Invalid wait context ]",
	} {
		for _, level := range []string{"<12>", "<8>", "<191>"} {
			log := []string{level + "[   12.3] " + text, level + "[   12.3] RIP: 0010:f+0x1/0x2"}
			if got := Splats(log); got != nil || Standstills(log) != nil {
				t.Errorf("%s%s, of a program: got %q, want none", level, text, got)
			}
		}
		if Splats([]string{"<4>[   12.3] " + text}) == nil {
			t.Errorf("%s, of the kernel: got none, want a complaint", text)
		}
	}
	mixed := []string{"[   12.3] UBSAN: negation-overflow in mm/x.c:1:2", "<12>[   12.3]  mine+0x1/0x2", "[   12.3]  f+0x1/0x2"}
	if got := Splats(mixed); !slices.Equal(got, []string{"UBSAN: negation-overflow in f"}) {
		t.Errorf("with a program's line in it: got %q, want UBSAN: negation-overflow in f", got)
	}
}

// A complaint does not depend on process, processor, address and length.
func TestOwnWordsAreCanonical(t *testing.T) {
	for _, c := range [][2]string{
		{"BUG: using __this_cpu_add() in preemptible [00000000] code: agent/233", "BUG: using __this_cpu_add() in preemptible [00000001] code: kworker/u4:2/7"},
		{"BUG: spinlock recursion on CPU#0, a/1", "BUG: spinlock recursion on CPU#3, kworker/3:1/99"},
		{"BUG: Dentry 00000000c1a2b3c4{i=2,n=a} still in use (1) [unmount of ext4 pmem0]", "BUG: Dentry 0000000011223344{i=77,n=b} still in use (3) [unmount of xfs pmem1]"},
		{"BUG: looking up invalid subclass: 8", "BUG: looking up invalid subclass: 9"},
		{"BUG kmalloc-64 (Not tainted): Wrong object count. Counter is 1 but counted were 2", "BUG kmalloc-64 (Tainted: G W): Wrong object count. Counter is 3 but counted were 7"},
	} {
		a, b := Splats([]string{c[0]}), Splats([]string{c[1]})
		if len(a) != 1 || !slices.Equal(a, b) {
			t.Errorf("got %q and %q, want one, the same", a, b)
		}
	}
}

// A log of any length gives a text of bounded length.
func TestComplaintsAreBounded(t *testing.T) {
	var log []string
	for i := range 3000 {
		word := strings.NewReplacer("0", "a", "1", "b", "2", "c", "3", "d", "4", "e", "5", "f", "6", "g", "7", "h", "8", "i", "9", "j").Replace(fmt.Sprint(i))
		log = append(log, "BUG: "+word+strings.Repeat(" long", 2000))
	}
	if got := Splats(log); len(got) != mostSplats || len(strings.Join(got, "\n")) > mostSplats*2*mostWords {
		t.Errorf("got %d complaints of %d bytes, want %d of at most %d",
			len(got), len(strings.Join(got, "\n")), mostSplats, mostSplats*2*mostWords)
	}
	deep := stamped("watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\nRIP: 0010:f+0x1/0x2\n" + strings.Repeat(" g+0x1/0x2\n", 2*traceReach) + " last+0x1/0x2\n do_syscall_64+0x1/0x2")
	if got := Splats(deep); !slices.Equal(got, []string{"soft lockup in f"}) {
		t.Errorf("too far: got %q, want soft lockup in f", got)
	}
}

// A watchdog's complaint is recognised by its text alone.
func TestStall(t *testing.T) {
	for text, want := range map[string]bool{
		"soft lockup": true, "soft lockup in f": true, "hard lockup in f": true, "RCU stall": true, "hung task in f": true, "BUG: workqueue lockup": true,
		"": false, "WARNING in soft_lockup": false, "BUG: soft": false, "hung tasks": false, "Kernel panic - not syncing: softlockup: hung tasks": false,
		"KASAN: use-after-free in watchdog": false,
	} {
		if got := Stall(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}

// A complaint about the processor is recognised by its function.
func TestOfProcessor(t *testing.T) {
	for text, want := range map[string]bool{
		"WARNING in fpu__init_system_xstate": true, "WARNING in do_extra_xstate_size_checks": true, "WARNING in identify_cpu": true,
		"WARNING in xfeature_is_aligned": true, "unchecked MSR access in native_write_msr": true, "unchecked MSR access": true,
		"WARNING in acpi_init": false, "WARNING in dax_iomap_fault": false, "KASAN: use-after-free in fpu__init_system_xstate": false, "": false,
	} {
		if got := OfProcessor(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
