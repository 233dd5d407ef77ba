package klog

import (
	"slices"
	"testing"
)

// A checker's report or a wait is named after the function that it is about, not after a
// reporter or a helper.
func TestPlaces(t *testing.T) {
	const trace = "\nCPU: 0 UID: 0 PID: 233 Comm: agent Not tainted 6.19.0 #1\nCall Trace:\n <TASK>\n dump_stack_lvl+0x1/0x2\n"
	const hung = "INFO: task agent:233 blocked for more than 120 seconds.\n      Not tainted 6.12.0 #1\n" +
		"\"echo 0 > /proc/sys/kernel/hung_task_timeout_secs\" disables this message.\n" +
		"task:agent           state:D stack:0     pid:233   tgid:233   ppid:1      flags:0x00004002\n" +
		"Call Trace:\n <TASK>\n __schedule+0x1/0x2\n schedule+0x1/0x2\n"
	const found = trace + " print_report+0x1/0x2\n kasan_report+0x1/0x2\n"
	for name, c := range map[string]struct{ log, want string }{
		"waits, a semaphore":              {hung + " schedule_timeout+0x1/0x2\n ___down_common+0x1/0x2\n __down_common+0x1/0x2\n down+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a lock of PREEMPT_RT":     {hung + " schedule_rtlock+0x1/0x2\n rtlock_slowlock_locked+0x1/0x2\n rt_spin_lock+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a buffer":                 {hung + " io_schedule+0x1/0x2\n bit_wait_io+0x1/0x2\n __wait_on_bit_lock+0x1/0x2\n out_of_line_wait_on_bit_lock+0x1/0x2\n __lock_buffer+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, direct I/O":               {hung + " inode_dio_wait+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a folio":                  {hung + " io_schedule+0x1/0x2\n folio_wait_bit_common+0x1/0x2\n __folio_lock+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a work item":              {hung + " schedule_timeout+0x1/0x2\n __wait_for_common+0x1/0x2\n __flush_work+0x1/0x2\n __cancel_work_sync+0x1/0x2\n cancel_delayed_work_sync+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a lock of each processor": {hung + " percpu_rwsem_wait+0x1/0x2\n __percpu_down_read+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, a wound/wait lock":        {hung + " schedule_preempt_disabled+0x1/0x2\n __ww_mutex_lock.constprop.0+0x1/0x2\n ww_mutex_lock_interruptible+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, an address space":         {hung + " schedule_preempt_disabled+0x1/0x2\n rwsem_down_read_slowpath+0x1/0x2\n down_read_killable+0x1/0x2\n mmap_read_lock_killable+0x1/0x2\n nd_jump+0x1/0x2", "hung task in nd_jump"},
		"waits, with its lock's owner": {hung + " rwsem_down_write_slowpath+0x1/0x2\n down_write+0x1/0x2\n nd_jump+0x1/0x2\n" +
			"INFO: task agent:233 <writer> blocked on an rw-semaphore likely owned by task other:12 <reader>\ntask:other state:S stack:0 pid:12\nCall Trace:\n __schedule+0x1/0x2\n nd_owner+0x1/0x2", "hung task in nd_jump"},
		"waits, with its semaphore's last holder": {hung + " down+0x1/0x2\n nd_jump+0x1/0x2\nINFO: task agent:233 blocked on a semaphore likely last held by task other:12\ntask:other state:S stack:0 pid:12\nCall Trace:\n __schedule+0x1/0x2\n nd_owner+0x1/0x2", "hung task in nd_jump"},
		"waits, its owner unknown":                {hung + " mutex_lock+0x1/0x2\n nd_jump+0x1/0x2\nINFO: task agent:233 is blocked on a mutex, but the owner is not found.", "hung task in nd_jump"},
		"waits, a process called so":              {"INFO: task blocked on a x,:233 blocked for more than 120 seconds.\nCall Trace:\n nd_jump+0x1/0x2", "hung task in nd_jump"},

		"UBSAN, a trap":            {"UBSAN: array index out of bounds at nd_ioctl+0x1/0x2 [nd]\nModules linked in:", "UBSAN: array index out of bounds in nd_ioctl"},
		"UBSAN, another trap":      {"UBSAN: integer divide or modulo by zero at nd_ioctl+0x1/0x2", "UBSAN: integer divide or modulo by zero in nd_ioctl"},
		"UBSAN, a pointer":         {"UBSAN: null-ptr-deref in drivers/x.c:12:3\nmember access within null pointer of type 'struct x'" + trace + " ubsan_epilogue+0x1/0x2\n handle_null_ptr_deref+0x1/0x2\n __ubsan_handle_type_mismatch_v1+0x1/0x2\n nd_ioctl+0x1/0x2", "UBSAN: null-ptr-deref in nd_ioctl"},
		"XFS's own check":          {"XFS: Assertion failed: a == b, file: fs/xfs/xfs_x.c, line: 12\nWARNING: fs/xfs/xfs_message.c:104 at assfail+0x1/0x2 [xfs], CPU#0: a/1\nRIP: 0010:assfail+0x1/0x2 [xfs]\nCall Trace:\n xfs_nd+0x1/0x2", "WARNING in xfs_nd"},
		"page tables' check":       {"kernel BUG at mm/page_table_check.c:118!\nRIP: 0010:page_table_check_set.part.0+0x1/0x2\nCall Trace:\n __page_table_check_ptes_set+0x1/0x2\n set_ptes.constprop.0+0x1/0x2\n nd_map+0x1/0x2", "kernel BUG in nd_map"},
		"DMA's check":              {"WARNING: kernel/dma/debug.c:1041 at check_unmap+0x1/0x2, CPU#0: a/1\nRIP: 0010:check_unmap+0x1/0x2\nCall Trace:\n debug_dma_unmap_phys+0x1/0x2\n dma_unmap_phys+0x1/0x2\n nd_unmap+0x1/0x2", "WARNING in nd_unmap"},
		"migration":                {"BUG: assuming non migratable context at mm/x.c:12" + trace + " __cant_migrate.cold+0x1/0x2\n nd_pin+0x1/0x2", "BUG: assuming non migratable context in nd_pin"},
		"the lock validator, full": {"BUG: MAX_LOCKDEP_CHAINS too low!\nturning off the locking correctness validator." + trace + " lookup_chain_cache_add+0x1/0x2\n __lock_acquire+0x1/0x2\n lock_acquire+0x1/0x2\n nd_lock+0x1/0x2", "BUG: MAX_LOCKDEP_CHAINS too low in nd_lock"},
		"a wrong table":            {"BUG: Bad page map in process agent  pte:8000000100c04067 pmd:102345067" + trace + " print_bad_pte.cold+0x1/0x2\n vm_normal_page+0x1/0x2\n zap_pte_range+0x1/0x2", "BUG: Bad page map in zap_pte_range"},

		"freed, met at a lock":           {"BUG: KASAN: slab-use-after-free in do_raw_spin_lock+0x1/0x2\nRead of size 8" + found + " do_raw_spin_lock+0x1/0x2\n _raw_spin_lock_irqsave+0x1/0x2\n lock_timer_base+0x1/0x2\n nd_walk+0x1/0x2", "KASAN: slab-use-after-free in nd_walk"},
		"freed, met by the validator":    {"BUG: KASAN: slab-use-after-free in __lock_acquire+0x1/0x2\nRead of size 8" + found + " __lock_acquire+0x1/0x2\n lock_acquire+0x1/0x2\n down_write_nested+0x1/0x2\n nd_walk+0x1/0x2", "KASAN: slab-use-after-free in nd_walk"},
		"freed, met in a maple tree":     {"BUG: KASAN: slab-use-after-free in mas_next_slot+0x1/0x2\nRead of size 8" + found + " mas_next_slot+0x1/0x2\n mas_find+0x1/0x2\n nd_walk+0x1/0x2", "KASAN: slab-use-after-free in nd_walk"},
		"freed, met in an xarray":        {"BUG: KASAN: slab-use-after-free in xas_load+0x1/0x2\nRead of size 8" + found + " xas_load+0x1/0x2\n xa_load+0x1/0x2\n nd_walk+0x1/0x2", "KASAN: slab-use-after-free in nd_walk"},
		"freed, met by number":           {"BUG: KASAN: slab-use-after-free in __radix_tree_lookup+0x1/0x2\nRead of size 8" + found + " __radix_tree_lookup+0x1/0x2\n radix_tree_lookup+0x1/0x2\n idr_find+0x1/0x2\n nd_walk+0x1/0x2", "KASAN: slab-use-after-free in nd_walk"},
		"never written, met in a cipher": {"BUG: KMSAN: uninit-value in aesti_encrypt+0x1/0x2\n aesti_encrypt+0x1/0x2\n crypto_aes_encrypt+0x1/0x2\n nd_setkey+0x1/0x2", "KMSAN: uninit-value in crypto_aes_encrypt"},
		"freed twice":                    {"BUG: KFENCE: invalid free in kfree+0x1/0x2\n\nInvalid free of 0xffff8881 (in kfence-#12):\n kfree+0x1/0x2\n nd_release+0x1/0x2\n\nallocated by task 233 on cpu 0 at 12.3s:\n other+0x1/0x2", "KFENCE: invalid free in nd_release"},
		"helpers only, then where freed": {"BUG: KASAN: double-free in kfree+0x1/0x2\nFree of addr ffff" + found + " kfree+0x1/0x2\n\nAllocated by task 233:\n nd_alloc+0x1/0x2\n\nFreed by task 233:\n nd_old+0x1/0x2", "KASAN: double-free in kfree"},

		// The stacks of the allocation and the free come before the trace.
		"SLUB, with its owners": {"BUG kmalloc-64 (Not tainted): Right Redzone overwritten\n" +
			"0xffff888100a-0xffff888100b @offset=64. First byte 0x0 instead of 0xcc\nAllocated in nd_alloc+0x1/0x2 age=3 cpu=0 pid=9\n __kmalloc_cache_noprof+0x1/0x2\n nd_alloc+0x1/0x2\n" +
			"Freed in nd_old+0x1/0x2 age=9 cpu=0 pid=9\n nd_old+0x1/0x2\nSlab 0xffffea0004 objects=32 used=1\nObject 0xffff888 @offset=0 fp=0x0" + trace +
			" check_bytes_and_report+0x1/0x2\n check_object+0x1/0x2\n free_to_partial_list+0x1/0x2\n kfree+0x1/0x2\n nd_release+0x1/0x2",
			"SLUB: kmalloc-64: Right Redzone overwritten in nd_release"},
		"SLUB, with its owners, 5.10": {"BUG kmalloc-64 (Not tainted): Poison overwritten\n" +
			"INFO: 0x00000000a-0x00000000b @offset=64. First byte 0x6a instead of 0x6b\nINFO: Allocated in nd_alloc+0x1/0x2 age=3 cpu=0 pid=9\n\t__slab_alloc+0x1/0x2\n\tnd_alloc+0x1/0x2\n" +
			"INFO: Freed in nd_old+0x1/0x2 age=9 cpu=0 pid=9\n\tnd_old+0x1/0x2\nINFO: Slab 0x objects=32 used=1\nINFO: Object 0x @offset=0 fp=0x0" + trace +
			" print_trailer+0x1/0x2\n check_bytes_and_report+0x1/0x2\n nd_release+0x1/0x2",
			"SLUB: kmalloc-64: Poison overwritten in nd_release"},
		"a bad page, with its owner": {"BUG: Bad page state in process agent  pfn:100c04\npage dumped because: nonzero _refcount\npage_owner tracks the page as allocated\n" +
			"page last allocated via order 0, migratetype Unmovable, gfp_mask 0x2, pid 9, tgid 9 (a), ts 1, free_ts 0\n set_page_owner+0x1/0x2\n post_alloc_hook+0x1/0x2\n nd_alloc+0x1/0x2" + trace + " bad_page.cold+0x1/0x2\n nd_free+0x1/0x2",
			"BUG: Bad page state in nd_alloc"},
	} {
		if got := Splats(stamped(c.log)); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
