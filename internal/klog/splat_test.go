package klog

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// Complaints as printed by kernels of several releases.
func TestSplats(t *testing.T) {
	for name, test := range map[string]struct {
		log  string
		want []string
	}{
		"nothing": {"", nil},
		"what is no complaint": {`[    9.100000] EXT4-fs (pmem0): mounted filesystem with ordered data mode
[    9.200000] WARNING: this is what a program wrote
[    9.300000] Memory failure: 0x100c04: recovery action for dax page: Recovered
[    9.400000] mce: [Hardware Error]: Machine check events logged
[    9.500000] systemd[1]: BUG: not the kernel's`, nil},
		"WARN, 5.10": {`[   12.345678] ------------[ cut here ]------------
[   12.345680] WARNING: CPU: 0 PID: 233 at fs/dax.c:680 dax_delete_mapping_entry+0x4a/0x70
[   12.345690] Modules linked in: nd_pmem nd_btt dax_pmem
[   12.345700] CPU: 0 PID: 233 Comm: agent Not tainted 5.10.0-33-amd64 #1 Debian 5.10.226-1
[   12.345710] RIP: 0010:dax_delete_mapping_entry+0x4a/0x70
[   12.345720] Call Trace:
[   12.345730]  ext4_evict_inode+0x123/0x4e0 [ext4]
[   12.345740] ---[ end trace 0123456789abcdef ]---`, []string{"WARNING in dax_delete_mapping_entry"}},
		"WARN in a module, with the caller's column, 6.1": {`[   12.345678][  T233] ------------[ cut here ]------------
[   12.345680][  T233] WARNING: CPU: 1 PID: 233 at drivers/nvdimm/pmem.c:123 pmem_do_write.constprop.0+0x4a/0x70 [nd_pmem]`, []string{"WARNING in pmem_do_write"}},
		"WARN without a file, 6.12": {`[   12.345680] WARNING: CPU: 1 PID: 233 at memory_failure+0x4a/0x70`, []string{"WARNING in memory_failure"}},
		"WARN, 7.x":                 {`[   12.345680] WARNING: mm/memory-failure.c:2260 at memory_failure+0x4a/0x70, CPU#1: agent/233`, []string{"WARNING in memory_failure"}},
		"WARN without a file, 7.x":  {`[   12.345680] WARNING: at dax_iomap_fault.isra.0+0x4a/0x70, CPU#0: kworker/0:1/12`, []string{"WARNING in dax_iomap_fault"}},
		"with a level":              {`<4>[   12.345680] WARNING: CPU: 1 PID: 233 at mm/x.c:1 f+0x4a/0x70`, []string{"WARNING in f"}},
		"each once, in their order": {`[    1.0] WARNING: mm/x.c:1 at second+0x1/0x2, CPU#1: a/1
[    2.0] WARNING: mm/x.c:1 at first+0x1/0x2, CPU#1: a/1
[    3.0] WARNING: mm/x.c:9 at second+0x7/0x9, CPU#0: b/2`, []string{"WARNING in second", "WARNING in first"}},
		"KASAN, 5.10": {`[   12.3] ==================================================================
[   12.3] BUG: KASAN: use-after-free in dax_unlock_page+0x12/0x34
[   12.3] Read of size 8 at addr ffff888100abcdef by task agent/233
[   12.3] Call Trace:
[   12.3]  dump_stack+0x6b/0x83`, []string{"KASAN: use-after-free in dax_unlock_page"}},
		"KASAN, 6.1":                  {`[   12.3] BUG: KASAN: slab-out-of-bounds in badblocks_set.constprop.0+0x12/0x34 [libnvdimm]`, []string{"KASAN: slab-out-of-bounds in badblocks_set"}},
		"KASAN of a free, 5.10":       {`[   12.3] BUG: KASAN: double-free or invalid-free in nd_region_release+0x12/0x34`, []string{"KASAN: double-free or invalid-free in nd_region_release"}},
		"KASAN of a free, 6.12":       {`[   12.3] BUG: KASAN: double-free in nd_region_release+0x12/0x34`, []string{"KASAN: double-free in nd_region_release"}},
		"KFENCE":                      {`[   12.3] BUG: KFENCE: use-after-free read in nd_region_release+0x12/0x34`, []string{"KFENCE: use-after-free read in nd_region_release"}},
		"lockdep, a circle":           {"[   12.3] ======================================================\n[   12.3] WARNING: possible circular locking dependency detected\n[   12.3] 6.12.117 #1 Not tainted", []string{"lockdep: possible circular locking dependency detected"}},
		"lockdep, twice the same":     {"[   12.3] WARNING: possible recursive locking detected\n[   12.3] Call Trace:\n[   12.3]  <TASK>\n[   12.3]  dump_stack_lvl+0x6f/0xb0\n[   12.3]  __lock_acquire+0x1/0x2", []string{"lockdep: possible recursive locking detected"}},
		"lockdep, order":              {`[   12.3] WARNING: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected`, []string{"lockdep: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected"}},
		"lockdep, state":              {`[   12.3] WARNING: inconsistent lock state`, []string{"lockdep: inconsistent lock state"}},
		"lockdep, inversion":          {`[   12.3] WARNING: possible irq lock inversion dependency detected`, []string{"lockdep: possible irq lock inversion dependency detected"}},
		"lockdep, balance":            {`[   12.3] WARNING: bad unlock balance detected!`, []string{"lockdep: bad unlock balance detected"}},
		"lockdep, held":               {`[   12.3] WARNING: lock held when returning to user space!`, []string{"lockdep: lock held when returning to user space"}},
		"lockdep, wait context":       {`[   12.3] [ BUG: Invalid wait context ]`, []string{"lockdep: Invalid wait context"}},
		"RCU's use":                   {`[   12.3] WARNING: suspicious RCU usage`, []string{"lockdep: suspicious RCU usage"}},
		"what follows is not lockdep": {"[   12.3] WARNING: possible recursive locking detected\n[   12.4] ------------[ cut here ]------------\n[   12.4] WARNING: mm/x.c:1 at f+0x1/0x2, CPU#1: a/1\n[   12.4] RIP: 0010:f+0x1/0x2", []string{"lockdep: possible recursive locking detected", "WARNING in f"}},
		"a hung task, 5.10": {`[  242.9] INFO: task agent:233 blocked for more than 120 seconds.
[  242.9]       Not tainted 5.10.0-33-amd64 #1 Debian 5.10.226-1
[  242.9] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
[  242.9] task:agent           state:D stack:    0 pid:  233 ppid:   1 flags:0x00004000
[  242.9] Call Trace:
[  242.9]  __schedule+0x282/0x870
[  242.9]  schedule+0x46/0xb0
[  242.9]  ? __wait_on_bit+0x1/0x2
[  242.9]  get_unlocked_entry+0xb5/0x110
[  242.9]  dax_iomap_pte_fault+0x1/0x2
[  242.9] RIP: 0033:0x47f4ee`, []string{"hung task in get_unlocked_entry"}},
		"a hung task, 7.x": {`[  242.9] INFO: task kworker/0:1:233 blocked in I/O wait for more than 122 seconds.
[  242.9] Call Trace:
[  242.9]  <TASK>
[  242.9]  __schedule+0x282/0x870
[  242.9]  schedule+0x46/0xb0
[  242.9]  io_schedule+0x46/0xb0`, []string{"hung task in io_schedule"}},
		"a soft lockup": {`[   48.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [agent:233]
[   48.0] Modules linked in: nd_pmem
[   48.0] Call Trace:
[   48.0]  <IRQ>
[   48.0]  watchdog_timer_fn+0x1/0x2
[   48.0] RIP: 0010:native_queued_spin_lock_slowpath+0x60/0x1d0`, []string{"soft lockup in native_queued_spin_lock_slowpath"}},
		"a hard lockup, 5.10": {`[   48.0] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0
[   48.0] RIP: 0010:f+0x60/0x1d0`, []string{"hard lockup in f"}},
		"a hard lockup, 7.x": {`[   48.0] watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 1
[   48.0] RIP: 0010:f+0x60/0x1d0`, []string{"hard lockup in f"}},
		"an RCU stall": {`[   60.0] rcu: INFO: rcu_preempt self-detected stall on CPU
[   60.0] rcu: 	0-....: (5249 ticks this GP)
[   60.0] RIP: 0010:f+0x60/0x1d0`, []string{"RCU stall in f"}},
		"an RCU stall of others": {`[   60.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:`, []string{"RCU stall"}},
		"BUG and Oops, 5.10": {`[   12.3] BUG: kernel NULL pointer dereference, address: 0000000000000010
[   12.3] #PF: supervisor read access in kernel mode
[   12.3] PGD 0 P4D 0 
[   12.3] Oops: 0000 [#1] SMP PTI
[   12.3] CPU: 0 PID: 233 Comm: agent Not tainted 5.10.0-33-amd64 #1
[   12.3] RIP: 0010:memory_failure+0x60/0x1d0
[   12.3] ---[ end trace 0123456789abcdef ]---`, []string{"BUG: kernel NULL pointer in memory_failure", "Oops in memory_failure"}},
		"a page fault, 6.12": {`[   12.3] BUG: unable to handle page fault for address: ffffea0004000034
[   12.3] Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
[   12.3] RIP: 0010:memory_failure+0x60/0x1d0
[   12.3] ---[ end trace 0000000000000000 ]---`, []string{"BUG: unable to handle in memory_failure", "Oops in memory_failure"}},
		"kernel BUG, 6.1": {`[   12.3] ------------[ cut here ]------------
[   12.3] kernel BUG at mm/memory-failure.c:1234!
[   12.3] invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
[   12.3] RIP: 0010:memory_failure.cold+0x60/0x1d0
[   12.3] ---[ end trace 0000000000000000 ]---`, []string{"kernel BUG in memory_failure", "Oops in memory_failure"}},
		"kernel BUG, 6.12":                 {"[   12.3] kernel BUG at mm/memory-failure.c:1234!\n[   12.3] Oops: invalid opcode: 0000 [#1] PREEMPT SMP NOPTI\n[   12.3] RIP: 0010:memory_failure+0x60/0x1d0", []string{"kernel BUG in memory_failure", "Oops in memory_failure"}},
		"a general protection fault, 5.10": {"[   12.3] general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP PTI\n[   12.3] RIP: 0010:f+0x60/0x1d0", []string{"general protection fault in f"}},
		"a general protection fault, 6.12": {"[   12.3] Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP\n[   12.3] RIP: 0010:f+0x60/0x1d0", []string{"general protection fault in f"}},
		"asleep where it must not":         {"[   12.3] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580\n[   12.3] Call Trace:\n[   12.3]  <TASK>\n[   12.3]  dump_stack_lvl+0x1/0x2\n[   12.3]  __might_resched+0x1/0x2\n[   12.3]  mutex_lock+0x1/0x2", []string{"BUG: sleeping function called in mutex_lock"}},
		"a bad page":                       {"[   12.3] BUG: Bad page state in process agent  pfn:100c04\n[   12.3] Call Trace:\n[   12.3]  dump_stack+0x1/0x2\n[   12.3]  bad_page.cold+0x1/0x2\n[   12.3]  free_pcppages_bulk+0x1/0x2", []string{"BUG: Bad page state in free_pcppages_bulk"}},
		"UBSAN":                            {"[   12.3] UBSAN: array-index-out-of-bounds in /build/drivers/nvdimm/bus.c:12:3\n[   12.3] index 5 is out of range\n[   12.3] Call Trace:\n[   12.3]  dump_stack_lvl+0x1/0x2\n[   12.3]  nd_ioctl+0x1/0x2", []string{"UBSAN: array-index-out-of-bounds in nd_ioctl"}},
		"a list":                           {"[   12.3] list_add corruption. prev->next should be next\n[   12.3] ------------[ cut here ]------------\n[   12.3] kernel BUG at lib/list_debug.c:26!\n[   12.3] RIP: 0010:__list_add_valid+0x1/0x2", []string{"list corruption", "kernel BUG in __list_add_valid"}},
		"a panic":                          {"[   12.3] Kernel panic - not syncing: Fatal exception in interrupt", []string{"Kernel panic - not syncing: Fatal exception in interrupt"}},
		"a panic without its numbers and its end": {"[   12.3] Kernel panic - not syncing: stuck on CPU 3 at 0xffff8881deadbeef \r", []string{"Kernel panic - not syncing: stuck on CPU N at N"}},
		// The function of another splat, far after this one, is not used.
		"too far": {"[   12.3] kernel BUG at mm/x.c:1!\n" + strings.Repeat("[   12.3] Modules linked in:\n", splatReach) + "[   12.3] RIP: 0010:f+0x1/0x2", []string{"kernel BUG"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Splats(strings.Split(test.log, "\n")); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// A complaint does not depend on boot, process and build.
func TestSplatsAreCanonical(t *testing.T) {
	said := func(at, cpu, pid, off, build string) []string {
		return Splats([]string{
			"[" + at + "] WARNING: CPU: " + cpu + " PID: " + pid + " at fs/dax.c:680 dax_fault" + build + "+0x" + off + "/0x70",
			"[" + at + "] INFO: task agent:" + pid + " blocked for more than 120 seconds.",
			"[" + at + "]  wait_entry" + build + "+0x" + off + "/0x99",
			"[" + at + "] Kernel panic - not syncing: CPU " + cpu + " at 0xffff8881" + off,
		})
	}
	a, b := said("   12.345678", "0", "233", "4a", ""), said("  112.000001", "1", "4711", "17c", ".constprop.0")
	if !slices.Equal(a, b) || len(a) != 3 {
		t.Errorf("got %q and %q, want 3, the same", a, b)
	}
}

func TestTaint(t *testing.T) {
	for _, test := range []struct {
		before, now uint64
		want        string
	}{
		{0, 0, "none"}, {1 << 9, 1 << 9, "none"}, {0, 1 << 9, "W"}, {1 << 9, 1<<9 | 1<<4, "M"}, {0, 1<<9 | 1<<7 | 1<<5, "B D W"},
		{0, 1, "P"}, {0, 1 << 19, "J"}, {0, 1 << 15, "K"}, {1 << 13, 0, "none"}, {0, 1 << 40, "none"},
	} {
		if got := Taint(test.before, test.now); got != test.want {
			t.Errorf("from %#x to %#x: got %q, want %q", test.before, test.now, got, test.want)
		}
	}
}

// The result for any output of a guest is canonical: without line ends, and the same when
// parsed again.
func FuzzSplats(f *testing.F) {
	for _, log := range []string{
		"[   12.345680] WARNING: CPU: 0 PID: 233 at fs/dax.c:680 dax_delete_mapping_entry+0x4a/0x70\n[   12.3] RIP: 0010:x+0x1/0x2",
		"[   12.3] WARNING: mm/x.c:1 at f+0x4a/0x70, CPU#1: agent/233", "[   12.3] BUG: KASAN: use-after-free in f.isra.0+0x12/0x34",
		"[   12.3] Kernel panic - not syncing: \r\n", "[1.1] INFO: task a:1 blocked for more than 1 seconds.\n[1.2]  f.+0x", "[   1.0][ T1] watchdog: BUG: soft lockup",
		"Memory failure: 0x1: Sending SIGBUS to a:233 due to x\n[ 1.1] mce: [Hardware Error]: TIME 12", "[1.1] UBSAN: -",
		"[1.1] INFO: task a:1 blocked for more than 1 seconds.\n[1.2]  .+0x",
	} {
		f.Add(log)
	}
	f.Fuzz(func(t *testing.T, log string) {
		lines := strings.Split(log, "\n")
		found := Splats(lines)
		if !slices.Equal(found, Splats(lines)) {
			t.Error("twice is not the same")
		}
		for i, s := range found {
			if strings.Contains(s, "\n") || s == "" || s != strings.TrimSpace(s) || slices.Contains(found[:i], s) {
				t.Errorf("got %q of %q, want a trimmed line, each once", s, found)
			}
		}
		for _, s := range Standstills(lines) {
			if s.For < 0 || s.Until < 0 || !slices.Contains(found, s.Complaint) {
				t.Errorf("got %+v, want times of at least 0, and a complaint of %q", s, found)
			}
		}
	})
}

// Watchdogs report the length of a standstill.
func TestStandstills(t *testing.T) {
	const lockup = "[   48.500000] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [agent:233]\n[   48.500001] RIP: 0010:f+0x60/0x1d0"
	for name, c := range map[string]struct {
		log  string
		want []Standstill
	}{
		"nothing":                      {"", nil},
		"what needs no time":           {"[   12.3] WARNING: mm/x.c:1 at f+0x1/0x2, CPU#1: a/1", nil},
		"a soft lockup":                {lockup, []Standstill{{"soft lockup in f", 26 * time.Second, 48500 * time.Millisecond}}},
		"with the caller's column":     {"<0>[   48.5][  T233] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [agent:233]", []Standstill{{"soft lockup", 26 * time.Second, 48500 * time.Millisecond}}},
		"a hung task":                  {"[  242.0] INFO: task agent:233 blocked for more than 122 seconds.", []Standstill{{"hung task", 122 * time.Second, 242 * time.Second}}},
		"a work queue":                 {"[   60.0] BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 43s!", []Standstill{{"BUG: workqueue lockup", 43 * time.Second, time.Minute}}},
		"a hard lockup without a time": {"[   48.0] NMI watchdog: Watchdog detected hard LOCKUP on cpu 0", []Standstill{{"hard lockup", 10 * time.Second, 48 * time.Second}}},
		"an RCU stall in jiffies":      {"[   60.0] rcu: INFO: rcu_preempt self-detected stall on CPU\n[   60.0] rcu: \t0-....: (5249 ticks this GP)", []Standstill{{"RCU stall", 21 * time.Second, time.Minute}}},
		"more than one":                {"[   47.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [b:1]\n" + lockup, []Standstill{{"soft lockup in f", 22 * time.Second, 47 * time.Second}, {"soft lockup in f", 26 * time.Second, 48500 * time.Millisecond}}},
		"more than a number can be":    {"[999999999999999999999.0] watchdog: BUG: soft lockup - CPU#0 stuck for 99999999999999999999s!", []Standstill{{"soft lockup", 20 * time.Second, 0}}},
		"more than time can be":        {"[   48.0] watchdog: BUG: soft lockup - CPU#0 stuck for 9223372036855s!", []Standstill{{"soft lockup", 20 * time.Second, 48 * time.Second}}},
		"the same text by a program":   {"[   48.0] agent: watchdog: BUG: soft lockup - CPU#0 stuck for 26s!", nil},
	} {
		if got := Standstills(strings.Split(c.log, "\n")); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
