package klog

import (
	"slices"
	"testing"
)

// Findings of kernel checkers are complaints even if they are not marked as BUG or WARNING,
// and so is a BUG or WARNING with an unknown text.
func TestCheckersWords(t *testing.T) {
	const trace = "\nCPU: 0 UID: 0 PID: 233 Comm: agent Not tainted 6.19.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x1/0x2\n"
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		// CONFIG_CSD_LOCK_WAIT_DEBUG, CONFIG_PAGE_POISONING, CONFIG_DEBUG_KMEMLEAK, CONFIG_DEBUG_LIST, CONFIG_DEBUG_OBJECTS_RCU_HEAD.
		"another processor does not answer": {"smp: csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000032 ns for CPU#01 nd_flush+0x0/0x10(0xffff).\nsmp: \tcsd: CSD lock (#1) unresponsive.", []string{"CSD lock"}},
		"a free page that was written":      {"pagealloc: memory corruption\n00000000a: 00 00 00" + trace + " __kernel_unpoison_pages.cold+0x1/0x2\n post_alloc_hook+0x1/0x2\n get_page_from_freelist+0x1/0x2\n __alloc_pages+0x1/0x2\n nd_get+0x1/0x2", []string{"pagealloc: memory corruption in nd_get"}},
		"a bit of a free page":              {"pagealloc: single bit error\n00000000a: 00 00 00" + trace + " kernel_unpoison_pages.cold+0x1/0x2\n nd_get+0x1/0x2", []string{"pagealloc: single bit error in nd_get"}},
		"objects that overlap":              {"kmemleak: Cannot insert 0xffff888100a into the object search tree (overlaps existing)" + trace + " __create_object+0x1/0x2\n kmem_cache_alloc+0x1/0x2\n nd_get+0x1/0x2", []string{"kmemleak: Cannot insert into the object search tree in nd_get"}},
		"an object never allocated":         {"kmemleak: Freeing unknown object at 0xffff888100a" + trace + " kmemleak_free+0x1/0x2\n kfree+0x1/0x2\n nd_get+0x1/0x2", []string{"kmemleak: Freeing unknown object in nd_get"}},
		"a list's element twice":            {"list_add double add: new=ffff888100a, prev=ffff888100a, next=ffff888100b.", []string{"list corruption"}},
		"a callback twice":                  {"rcu: __call_rcu_common(): Double-freed CB 00000000c1a2b3c4->nd_free_rcu+0x0/0x20()!!!   slab kmalloc-64 start", []string{"RCU: Double-freed CB in nd_free_rcu"}},
		"a soft interrupt's preemption":     {"softirq: huh, entered softirq 3 NET_RX 00000000c1a2b3c4 with preempt_count 00000101, exited with 00000100?", []string{"softirq: huh, entered softirq"}},
		"SLAB":                              {"slab error in cache_free_debugcheck(): cache `kmalloc-64': double free, or memory outside object was overwritten" + trace + " __slab_error.isra.0.cold+0x1/0x2\n cache_free_debugcheck+0x1/0x2\n kfree+0x1/0x2\n nd_free+0x1/0x2", []string{"SLAB: kmalloc-64: double free in nd_free"}},
		"SLAB, poison":                      {"Slab corruption (Not tainted): kmalloc-64 start=ffff888100a, len=64\n010: 6b 6b" + trace + " print_objinfo+0x1/0x2\n check_poison_obj+0x1/0x2\n cache_alloc_debugcheck_after+0x1/0x2\n kmem_cache_alloc+0x1/0x2\n nd_get+0x1/0x2", []string{"SLAB: corruption: kmalloc-64 in nd_get"}},
		"a table's entry":                   {"mm/pgtable-generic.c:51: bad pmd 00000000c1a2b3c4(8000000100c04067)", []string{"bad pmd"}},
		"an entry of the top table":         {"mm/memory.c:437: bad pgd 00000000c1a2b3c4(8000000100c04067)", []string{"bad pgd"}},

		"a process with a space has locks": {"WARNING: my prog/233 still has locks held!\n1 lock held by my prog/233:\n #0: ffff88 (&x){+.+.}-{3:3}, at: nd_open+0x1/0x2", []string{"lockdep: still has locks held in nd_open"}},
		"the same, in brackets":            {"[ BUG: my prog/233 still has locks held! ]\n1 lock held by my prog/233:\n #0: ffff88 (&x){+.+.}, at: nd_open+0x1/0x2", []string{"lockdep: still has locks held in nd_open"}},
		"a spinlock, stuck":                {"BUG: spinlock lockup suspected on CPU#0, agent/233\n lock: 0xffff, .magic: dead4ead, .owner: a/2, .owner_cpu: 1" + trace + " do_raw_spin_lock+0x1/0x2\n _raw_spin_lock+0x1/0x2\n nd_get+0x1/0x2", []string{"BUG: spinlock lockup suspected in nd_get"}},
		"a lock's key":                     {"BUG: key ffff888100a has not been registered!\n------------[ cut here ]------------\nDEBUG_LOCKS_WARN_ON(1)\nWARNING: kernel/locking/lockdep.c:4801 at lockdep_init_map_type+0x1/0x2, CPU#0: a/1\nRIP: 0010:lockdep_init_map_type+0x1/0x2\nCall Trace:\n nd_init+0x1/0x2", []string{"BUG: key has not been registered", "WARNING in nd_init"}},
		"a lock that was freed":            {"WARNING: held lock freed!\nagent/233 is freeing memory ffff888-ffff889, with a lock still held there!\nffff888 (&x){+.+.}-{3:3}, at: nd_lock+0x1/0x2\nstack backtrace:" + trace + " debug_check_no_locks_freed+0x1/0x2\n kfree+0x1/0x2\n nd_free+0x1/0x2", []string{"lockdep: held lock freed in nd_lock"}},
		"before there is a console":        {"PANIC: early exception 0x0e IP 10:ffffffff81234567 error 0 cr2 0xffff888100000000", []string{"PANIC: early exception"}},
		"RCU's tasks, traced":              {"INFO: rcu_tasks_trace detected stalls on tasks:\nT233/1/0/.I... idle_cpu\ntask:agent state:R running task stack:0 pid:233\nCall Trace:\n <TASK>\n nd_spin+0x1/0x2", []string{"RCU stall in nd_spin"}},
		"a race that was forbidden":        {"BUG: KCSAN: assert: race in nd_a / nd_b\n\nrace at unknown origin, with assert no writes to 0xffff of 8 bytes by task 233 on cpu 0:\n nd_a+0x1/0x2", []string{"KCSAN: assert: race in nd_a / nd_b"}},
		"a race in a module":               {"BUG: KCSAN: data-race in nd_a [nd_pmem] / nd_b [nd_pmem]\n\nwrite to 0xffff of 8 bytes by task 233 on cpu 0:\n nd_a+0x1/0x2", []string{"KCSAN: data-race in nd_a / nd_b"}},
		"a counter of 7.x":                 {"BUG: Bad rss-counter state mm:00000000c1a2b3c4 type:MM_ANONPAGES val:512 Comm:agent Pid:233", []string{"BUG: Bad rss-counter state"}},
		"a stack that can't be walked":     {"WARNING: stack going in the wrong direction? at nd_walk+0x1/0x2", []string{"WARNING in nd_walk"}},
	} {
		if got := Splats(stamped(c.log)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	// A notice of a checker within a report does not end it.
	amid := "BUG: KASAN: double-free in kfree+0x1/0x2\nkmemleak: Kernel memory leak detector disabled" + trace + " kfree+0x1/0x2\n nd_free+0x1/0x2"
	if got := Splats(stamped(amid)); !slices.Equal(got, []string{"KASAN: double-free in nd_free"}) {
		t.Errorf("with a notice in it: got %q, want KASAN: double-free in nd_free", got)
	}
	for _, l := range stamped("kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)\n" +
		"kmemleak: Automatic memory scanning thread started\nkmemleak: Kernel memory leak detector disabled\npagealloc: enabled\n" +
		"smp: Bringing up secondary CPUs ...\nINFO: task agent:233 is blocked on a mutex, but the owner is not found.\n" +
		"rcu: __call_rcu_common() is here\nsoftirq: enabled\nINFO: 0x00000000a-0x00000000b @offset=64. First byte 0x6a instead of 0x6b") {
		if got := Splats([]string{l}); got != nil {
			t.Errorf("%s: got %q, want none", l, got)
		}
	}
}
